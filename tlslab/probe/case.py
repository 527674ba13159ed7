"""One thing that a server can do to a client, and what a careful client makes of it."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field

from tlslab.attack import Attack
from tlslab.pki import TrustStore
from tlslab.tls import ServerPolicy

CONTROL = "control"
"""Id of the case that every client must accept: a server with nothing wrong."""


class Severity(enum.IntEnum):
    """How bad it is to accept, from a matter of taste to an open door."""

    INFO = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Served:
    """What a case needs: how its server answers, and the roots that the client is to trust.

    `attack` is who sits on the path between the two, if anybody does.
    """

    policy: ServerPolicy
    trust: TrustStore
    attack: Attack | None = None


@dataclass(frozen=True)
class Case:
    """A server with one thing wrong.

    `host` is the name the client is sent to. `make` makes what is served, anew, and may take
    seconds (large keys). `must_refuse` says whether a careful client refuses;
    where reasonable clients differ it is False, and what the client did is only told. `wrong`,
    `rule` and `fix` are for people.
    """

    id: str
    title: str
    severity: Severity
    must_refuse: bool
    host: str
    make: Callable[[], Served] = field(repr=False)
    wrong: str = ""
    rule: str = ""
    fix: str = ""
    tags: tuple[str, ...] = ()


class Verdict(enum.Enum):
    """What the client did, judged by what the server saw."""

    ACCEPTED = "accepted"  # the secret arrived
    REFUSED = "refused"  # the client came, and the secret did not arrive
    NO_CONTACT = "no contact"  # the client never came: nothing can be said
    UNDECIDED = "undecided"  # it was ended at the limit, and had neither refused nor talked by then
    SPARED = "does not apply"  # the attack found nothing in what this client sends


@dataclass(frozen=True)
class Finding:
    """What one case showed.

    `handshake` tells whether the handshake was complete at the server; `alert` is what the client
    sent (number and name) if it sent one. `exit_code` is None where the client had to be ended.
    `said` is the last line of what the client printed, which decided nothing.
    """

    case: Case
    verdict: Verdict
    handshake: bool
    alert: str | None
    exit_code: int | None
    said: str
    seconds: float

    @property
    def passed(self) -> bool | None:
        """Whether this is right: None where nothing can be said or reasonable clients differ."""
        if self.verdict not in (Verdict.ACCEPTED, Verdict.REFUSED):
            return None
        if self.case.id == CONTROL:
            return self.verdict is Verdict.ACCEPTED
        return self.verdict is Verdict.REFUSED if self.case.must_refuse else None
