"""A fault of a certificate or a chain, as data: what is wrong, who minds, and how to make it.

One small file each in `certs/faults/`. Knows nothing of how faults are made or measured.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from tlslab.errors import UsageError
from tlslab.pki.faults import table as t
from tlslab.pki.faults.recipe import RECIPE, Recipe
from tlslab.pki.x509_errors import explain_x509
from tlslab.shipped import shipped

SEVERITIES: Final = ("critical", "high", "medium", "low", "info")

Severity = Literal["critical", "high", "medium", "low", "info"]
"""What it costs to accept it: critical lets anybody read and change everything, info nothing."""

TAGS: Final = (
    "control", "dates", "names", "chain", "trust", "constraints", "usage", "keys", "signatures",
    "extensions", "serials", "size", "hostile", "revocation", "ocsp", "transparency",
    "post-quantum",
)  # fmt: skip
"""What a fault is about; its first tag is the group it is listed in, in this order."""


@dataclass(frozen=True)
class Verdict:
    """What a verifier makes of it: accepted, or refused with numbers.

    `x509` and `depth` are OpenSSL's, `alert` is TLS's; None where there is none. `by` tells who
    breaks off: the client, the server (it finds nothing that both can do), or the server's OpenSSL
    as it loads the certificate, so that nobody can serve it.
    """

    accepted: bool
    x509: int | None = None
    depth: int | None = None
    alert: int | None = None
    by: Literal["client", "server", "loading"] = "client"

    @property
    def text(self) -> str:
        """The verdict in a few words."""
        if self.accepted:
            return "accepted"
        if self.by == "loading":
            return "cannot be served"
        reason = f" {self.x509} {explain_x509(self.x509).name}" if self.x509 is not None else ""
        depth = f" at depth {self.depth}" if self.depth is not None else ""
        alert = f", alert {self.alert}" if self.alert is not None else ""
        return f"refused{' by the server' if self.by == 'server' else ''}{reason}{depth}{alert}"


@dataclass(frozen=True)
class Expected:
    """What each verifier makes of it, as measured.

    `openssl` is a TLS client of ours with its default policy; `cryptography` is that library's
    verifier. `crl` is OpenSSL that also asks the revocation lists about the leaf, `crl_all` about
    the whole chain; None where the fault is not about that. `staple` is how the stapled OCSP
    response fares, `scts` the embedded timestamps, in order.
    """

    openssl: Verdict
    cryptography: Verdict
    crl: Verdict | None = None
    crl_all: Verdict | None = None
    staple: str | None = None
    scts: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Fault:
    """One fault. `id` is its file's name and stable.

    `catalogue` are its ids in the catalogue of attacks, `rule` is what forbids it (None where
    nothing does), `wins` is when the attacker wins, `must_refuse` says whether every client has to
    refuse it that has roots, a name and a clock and nothing more, `badssl` are the hosts of
    badssl.com that show the same.
    """

    id: str
    catalogue: tuple[str, ...]
    title: str
    wrong: str
    wins: str
    severity: Severity
    must_refuse: bool
    tags: tuple[str, ...]
    expected: Expected
    rule: str | None = None
    badssl: tuple[str, ...] = ()
    recipe: Recipe = field(default_factory=Recipe, repr=False)

    @classmethod
    def named(cls, id: str) -> Fault:  # noqa: A002  # as everywhere in the data
        """A fault that ships with tlslab; raises UsageError if none is called so."""
        faults = shipped_faults()
        if id not in faults:
            raise UsageError(
                f"there is no fault {id!r}", hint="`tlslab ca faults` lists all that there are"
            )
        return faults[id]

    @classmethod
    def load(cls, path: Path | str) -> Fault:
        """The fault in a file; raises UsageError that names the file, the key and the cure."""
        path = Path(path)
        return cls._from_table(t.read_toml(path), path.stem, str(path))

    @classmethod
    def parse(cls, data: bytes, *, id: str, source: str) -> Fault:  # noqa: A002
        """The fault in `data`, a TOML text; `source` is what errors call it (UsageError)."""
        return cls._from_table(t.parse_toml(data, source), id, source)

    @classmethod
    def _from_table(cls, table: dict[str, Any], id: str, source: str) -> Fault:  # noqa: A002
        fault = cls(**t.read_table(table, _FAULT, source))
        if not fault.tags:
            raise UsageError(f"{source}: tags is empty", hint=f"it takes {', '.join(TAGS)}")
        if fault.id != id:
            raise UsageError(
                f"{source}: id is {fault.id!r}, but the file is called {id!r}",
                hint="rename one of them",
            )
        fault.recipe.check(f"{source}: recipe")
        return fault

    def as_dict(self) -> dict[str, Any]:
        """All but the recipe, for JSON."""
        expected = {
            name: _verdict_dict(value) if isinstance(value, Verdict) else value
            for name, value in vars(self.expected).items()
            if value is not None
        }
        left_out = ("expected", "recipe")
        told = {name: value for name, value in vars(self).items() if name not in left_out}
        return {**told, "ask": self.recipe.ask, "expected": expected}


def _verdict_dict(verdict: Verdict) -> dict[str, Any]:
    told = {name: value for name, value in vars(verdict).items() if value is not None}
    if verdict.accepted:
        del told["by"]
    elif verdict.x509 is not None:
        told["x509_name"] = explain_x509(verdict.x509).name
    return told


@functools.cache
def shipped_faults() -> dict[str, Fault]:
    """Every fault that ships with tlslab, by id, in the order of tags and then of ids."""
    faults = [Fault.load(path) for path in sorted((shipped("certs") / "faults").glob("*.toml"))]
    faults.sort(key=lambda fault: TAGS.index(fault.tags[0]))
    return {fault.id: fault for fault in faults}


_VERDICT = {
    "accepted": t.flag(required=True),
    "x509": t.whole_number(1, 200),
    "depth": t.whole_number(0, 200),
    "alert": t.whole_number(0, 255),
    "by": t.one_of("client", "server", "loading"),
}
_OPINION = t.table(_VERDICT, Verdict)
_EXPECTED = {
    "openssl": t.table(_VERDICT, Verdict, required=True),
    "cryptography": t.table(_VERDICT, Verdict, required=True),
    "crl": _OPINION,
    "crl_all": _OPINION,
    "staple": t.one_of(
        "good", "revoked", "unknown", "stale", "forged", "other-certificate", "unreadable"
    ),
    "scts": t.list_of(t.one_of("good", "unknown-log", "bad-signature", "future"), distinct=False),
}
_FAULT = {
    "id": t.matching(r"[a-z0-9]+(-[a-z0-9]+)*", "words in lower case and hyphens", required=True),
    "catalogue": t.list_of(t.matching(r"[A-Z][0-9]{2}", "ids such as A01"), required=True),
    "title": t.text(required=True),
    "wrong": t.text(required=True),
    "rule": t.text(),
    "wins": t.text(required=True),
    "severity": t.one_of(*SEVERITIES, required=True),
    "must_refuse": t.flag(required=True),
    "tags": t.list_of(t.one_of(*TAGS), required=True),
    "badssl": t.list_of(t.matching(r"[a-z0-9.-]+", "host names")),
    "expected": t.table(_EXPECTED, Expected, required=True),
    "recipe": t.table(RECIPE, Recipe),
}
"""Every key a fault may have; the keys are the fields of Fault."""
