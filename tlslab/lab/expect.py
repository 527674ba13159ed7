"""Expectations: what a script says should be so, checked against evidence when the run is over.

An expectation never decides an outcome; outcomes are computed from what adversaries hold (see
`verdict`). It says whether the lesson's statements hold, and what was measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from tlslab.capture import FACT_NAMES, Canary, search
from tlslab.errors import ScenarioError, TlslabError
from tlslab.lab.adversaries import Adversary
from tlslab.lab.client import Client
from tlslab.lab.evidence import Check, Harm, PartyRecord, Refusal
from tlslab.lab.journal import Journal
from tlslab.lab.services import Server

FACTS = FACT_NAMES | {
    "opened", "stayed_shut", "simulated", "guess", "guessed_from", "resembles",
}  # fmt: skip
"""What an adversary can learn: from flows without keys, by keys it has, and by guessing."""

Later: TypeAlias = Callable[[], Check]
"""A check that is made when all evidence is in."""


class Expectation:
    """What is expected of one party or adversary; made by `Lab.expect`."""

    def __init__(
        self, who: Client | Server | Adversary | object, journal: Journal, checks: list[Later]
    ) -> None:
        self._who = who
        self._name = str(getattr(who, "name", who))
        self._journal = journal
        self._checks = checks

    def received(self, canary: Canary) -> Expectation:
        """A party got the canary, as it was meant to."""
        return self._add(lambda: self._party_got(canary, wanted=True))

    def received_no(self, canary: Canary) -> Expectation:
        """A party did not get the canary."""
        return self._add(lambda: self._party_got(canary, wanted=False))

    def took(self, *messages: bytes) -> Expectation:
        """A server took exactly these messages for genuine, in this order (bodies, not heads)."""
        return self._add(lambda: self._took(messages))

    def achieved(self, what: Harm | str) -> Expectation:
        """An adversary did this harm, as it was measured at the ends."""
        return self._add(lambda: self._did(Harm(what)))

    def achieved_nothing(self) -> Expectation:
        """An adversary did no harm that can be measured at the ends."""
        return self._add(self._did_nothing)

    def saw(self, canary: Canary) -> Expectation:
        """An adversary holds the canary in readable form."""
        return self._add(lambda: self._adversary_holds(canary, wanted=True))

    def saw_no(self, canary: Canary) -> Expectation:
        """No adversary's holding contains the canary in any encoding that is searched."""
        return self._add(lambda: self._adversary_holds(canary, wanted=False))

    def learned(self, **wanted: str) -> Expectation:
        """An adversary knows these facts, such as `server_name="shop.test"`.

        The names are those of `FACTS`; raises ScenarioError for another.
        """
        _check_facts(wanted)
        return self._add(lambda: self._learned(wanted))

    def learned_no(self, *unwanted: str) -> Expectation:
        """An adversary knows nothing of these facts, such as `"certificate"`."""
        _check_facts(unwanted)
        return self._add(lambda: self._learned_no(unwanted))

    @contextmanager
    def refuses(self, *, x509: int | None = None, alert: str | None = None) -> Iterator[None]:
        """In this block, the party refuses a connection, with this X509 number and TLS alert.

        The error that the refusal causes ends the block, not the script.
        """
        before = len(self._journal.refusals)
        self._add(lambda: self._refused(self._journal.refusals[before:], x509, alert))
        try:
            yield
        except* TlslabError:
            pass

    def _add(self, check: Later) -> Expectation:
        self._checks.append(check)
        return self

    def _party_got(self, canary: Canary, *, wanted: bool) -> Check:
        if not isinstance(self._who, (Client, Server)):
            raise ScenarioError(f"{self._name} does not receive; use saw() or saw_no()")
        hits = [hit for data in self._who.received for hit in search(data, [canary])]
        verb = "received" if wanted else "did not receive"
        measured = f"found in {len(hits)} of its messages" if hits else "found in no message"
        return Check(f"{self._name} {verb} the {canary.label}", bool(hits) is wanted, measured)

    def _took(self, messages: tuple[bytes, ...]) -> Check:
        if not isinstance(self._who, Server):
            raise ScenarioError(f"{self._name} is no server; use received() or saw()")
        taken = self._who.received
        words = ", ".join(repr(one.decode("ascii", "backslashreplace")) for one in messages)
        measured = ", ".join(repr(one.decode("ascii", "backslashreplace")) for one in taken)
        statement = f"{self._name} takes {words or 'nothing'}"
        return Check(statement, taken == list(messages), measured or "nothing")

    def _did(self, what: Harm) -> Check:
        done = [one for one in self._record().achievements if one.what is what]
        measured = done[0].measured if done else self._did_nothing().measured
        return Check(f"{self._name} wins ({what.value})", bool(done), measured)

    def _did_nothing(self) -> Check:
        done = self._record().achievements
        measured = "; ".join(f"{one.what.value}: {one.measured}" for one in done)
        statement = f"{self._name} does no harm"
        return Check(statement, not done, measured or "none, at either end")

    def _adversary_holds(self, canary: Canary, *, wanted: bool) -> Check:
        record = self._record()
        sightings = [s for s in record.sightings if s.canary == canary.label]
        verb = "reads" if wanted else "cannot read"
        size = sum(holding.size for holding in record.holdings)
        measured = (
            f"{sightings[0].where} ({sightings[0].encoding})"
            if sightings
            else f"not in any of the {size:,} bytes that it holds"
        )
        return Check(f"{self._name} {verb} the {canary.label}", bool(sightings) is wanted, measured)

    def _learned(self, wanted: dict[str, str]) -> Check:
        known = self._record().learned
        statement = ", ".join(f"{name.replace('_', ' ')} {wanted[name]}" for name in wanted)
        measured = ", ".join(
            f"{name.replace('_', ' ')} {known.get(name, 'unknown')}" for name in wanted
        )
        holds = all(known.get(name) == value for name, value in wanted.items())
        return Check(f"{self._name} learns: {statement}", holds, measured)

    def _learned_no(self, unwanted: tuple[str, ...]) -> Check:
        known = self._record().learned
        found = [f"{name.replace('_', ' ')} {known[name]}" for name in unwanted if name in known]
        statement = ", ".join(name.replace("_", " ") for name in unwanted)
        return Check(
            f"{self._name} does not learn: {statement}", not found, ", ".join(found) or "nothing"
        )

    def _refused(self, refusals: list[Refusal], x509: int | None, alert: str | None) -> Check:
        statement = f"{self._name} refuses the connection"
        details = [f"X509 error {x509}"] if x509 is not None else []
        details += [f"alert {alert}"] if alert is not None else []
        statement += f" ({', '.join(details)})" if details else ""
        own = [refusal for refusal in refusals if refusal.refuser == self._name]
        holds = any(
            x509 in (None, refusal.x509_number) and alert in (None, refusal.alert_name)
            for refusal in own
        )
        measured = "; ".join(
            f"X509 error {r.x509_number} at depth {r.depth}, alert {r.alert_name}"
            if r.x509_number is not None
            else f"alert {r.alert_name}"
            for r in own
        )
        return Check(statement, holds, measured or "it refused nothing")

    def _record(self) -> PartyRecord:
        if not isinstance(self._who, Adversary):
            raise ScenarioError(f"{self._name} is no adversary; use received() or received_no()")
        return self._who.taken


def _check_facts(names: Iterable[str]) -> None:
    """A fact that does not exist is learned by nobody, which would prove nothing."""
    for name in names:
        if name not in FACTS:
            raise ScenarioError(
                f"no fact is called {name!r}", hint=f"there are {', '.join(sorted(FACTS))}"
            )
