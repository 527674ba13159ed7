"""What a run recorded: plain values, from which verdicts are computed and reports drawn.

Nothing here does I/O, measures or judges; nothing here keeps a secret that the run did not mean to
show (canaries are made to be found). `to_json` gives what `--json` prints.
"""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass, field
from typing import Any


class Outcome(enum.Enum):
    """How a scenario ended, computed from evidence."""

    DEFENDED = "defended"  # no adversary holds a canary in readable form, nor did other harm
    BREACHED = "breached"  # at least one adversary does or did: the attack won
    FAILED = "failed"  # the scenario itself broke, so that nothing can be said


class CellValue(enum.Enum):
    """What one adversary got under one protection."""

    PLAINTEXT = "plaintext"
    METADATA = "metadata only"
    CIPHERTEXT = "ciphertext only"
    REFUSED = "refused"


@dataclass(frozen=True)
class Sighting:
    """A canary found in what somebody holds.

    `file` is relative to the run's folder; `packet` is its number in a capture (from 1; None for
    other files); `offset` counts bytes from the start of that packet's payload, or of the file.
    `encoding` is `"plain"` or how the canary was wrapped (`"base64"`, `"gzip"`, …). `excerpt` is
    the surrounding bytes, in which the hit starts at `excerpt_start` and is `length` bytes long.
    """

    canary: str
    holder: str
    file: str
    packet: int | None
    offset: int
    encoding: str
    excerpt: bytes
    excerpt_start: int
    length: int

    @property
    def where(self) -> str:
        """Where to look it up, in words."""
        packet = "" if self.packet is None else f"packet {self.packet}, "
        return f"{self.file}: {packet}byte {self.offset}"


class Harm(enum.Enum):
    """What an adversary can do to a connection besides reading it."""

    FORGED = "forged"  # a message that was never sent was taken as genuine
    REPLAYED = "replayed"  # a message was taken more often than it was sent
    DROPPED = "dropped"  # a message is missing, and later ones were taken
    REORDERED = "reordered"  # messages were taken in another order
    TRUNCATED = "truncated"  # the beginning of a message was taken for the whole
    MISDIRECTED = "misdirected"  # somebody took a message that was meant for another
    DOWNGRADED = "downgraded"  # both ends can do better than what they agreed on
    INFERRED = "inferred"  # something was found out that was said to nobody on the path
    DENIED = "denied"  # an alert was believed that the other end never sent
    HIDDEN = "hidden"  # something was done, and no record of it is left, nor missed


@dataclass(frozen=True)
class Achievement:
    """Harm that `adversary` did without reading anything, and how it was measured, in words.

    It is measured at the ends: what one sent and the other took, and what both agreed on.
    """

    adversary: str
    what: Harm
    measured: str


@dataclass(frozen=True)
class Holding:
    """Something an adversary holds: a capture, a copied file, a decrypted transcript.

    `file` is relative to the run's folder; `sample` are bytes worth showing (at most 256), taken
    from `sample_offset` in the payload or file.
    """

    title: str
    file: str | None
    size: int
    sample: bytes = b""
    sample_offset: int = 0


@dataclass
class PartyRecord:
    """One party or adversary: who it is, and for an adversary all that it got.

    `kind` is `"client"`, `"server"`, `"proxy"`, `"store"`, `"sniffer"`, `"interceptor"`,
    `"thief"`, `"insider"`, `"log reader"`, `"tamperer"` or `"ca"`. `achievements` are other harm
    than reading that it did. `learned` are facts read without keys, such as
    `server_name` or `tls_version`. `unsearched` says, a sentence each, what of its holdings a limit
    left out of the search: as long as there is any, that nothing was found proves nothing.
    """

    name: str
    kind: str
    adversary: bool
    description: str = ""
    holdings: list[Holding] = field(default_factory=list)
    sightings: list[Sighting] = field(default_factory=list)
    learned: dict[str, str] = field(default_factory=dict)
    unsearched: list[str] = field(default_factory=list)
    achievements: list[Achievement] = field(default_factory=list)


@dataclass(frozen=True)
class Message:
    """One arrow of the sequence diagram: `source` told `target` something, at `seconds`.

    `kind` is `"tcp"`, `"tls"`, `"http"`, `"websocket"`, `"store"`, `"alert"` or `"note"`.
    `protected` tells whether a sniffer on that leg could not read it.
    """

    seconds: float
    source: str
    target: str
    text: str
    kind: str
    protected: bool = False


@dataclass(frozen=True)
class TLSRecord:
    """The facts of one TLS handshake that came about, as `side` saw it."""

    side: str
    peer: str
    version: str
    cipher: str
    group: str | None
    alpn: str | None
    server_name: str | None
    resumed: bool
    peer_certificate: str | None


@dataclass(frozen=True)
class Refusal:
    """A connection that did not come about, or was broken off: who refused whom, and why.

    `x509_number` and `x509_name` (e.g. 20, `"unable to get local issuer certificate"`) with
    `depth` in the chain, 0 being the leaf; `alert` is the TLS alert's number and name, and
    `alert_direction` `"sent"` or `"received"` from the refuser's side; `status` is that of the HTTP
    response that said so, where it was no matter of TLS. None where not applicable. `meaning`,
    `cause` and `fix` explain it to a learner.
    """

    refuser: str
    peer: str
    reason: str
    x509_number: int | None = None
    x509_name: str | None = None
    depth: int | None = None
    alert: int | None = None
    alert_name: str | None = None
    alert_direction: str | None = None
    meaning: str = ""
    cause: str = ""
    fix: str = ""
    status: int | None = None

    @property
    def was_said(self) -> bool:
        """Whether anybody said no: without alert, X509 error and status, somebody just gave up."""
        return (self.alert, self.x509_number, self.status) != (None, None, None)


@dataclass(frozen=True)
class Check:
    """One expectation, whether it held, and what was measured."""

    statement: str
    holds: bool
    measured: str


@dataclass
class ScenarioResult:
    """Everything one run of one scenario recorded.

    `docstring` is the lesson; `source` the script's text. `error` is one line when the scenario
    broke. `files` are the artefacts written, relative to the run's folder.
    """

    id: str
    group: str
    docstring: str
    declared: Outcome
    outcome: Outcome
    seconds: float
    twin: str | None = None
    reason: str = ""
    checks: list[Check] = field(default_factory=list)
    parties: list[PartyRecord] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    tls: list[TLSRecord] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    canaries: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    source: str = ""
    error: str | None = None

    @property
    def title(self) -> str:
        """The first line of the docstring."""
        return self.docstring.strip().split("\n", 1)[0]

    @property
    def as_declared(self) -> bool:
        """Whether the outcome is the declared one and every expectation was met."""
        return self.outcome is self.declared and all(check.holds for check in self.checks)


@dataclass(frozen=True)
class Cell:
    """One cell of the exposure matrix: its value, why, and where the evidence lies."""

    row: str
    column: str
    value: CellValue
    reason: str
    sighting: Sighting | None = None
    refusal: Refusal | None = None
    files: tuple[str, ...] = ()


@dataclass
class Matrix:
    """The exposure matrix: protections as rows, adversaries as columns, every cell measured."""

    rows: list[str]
    columns: list[str]
    cells: list[Cell]
    seconds: float = 0.0

    def cell(self, row: str, column: str) -> Cell:
        """The cell of a row and a column; raises KeyError where there is none."""
        for cell in self.cells:
            if cell.row == row and cell.column == column:
                return cell
        raise KeyError((row, column))


@dataclass
class RunResult:
    """One run of the program: its scenarios, its matrix (if measured), and where things lie.

    `folder` is the absolute path of the run's folder; `versions` names the software used.
    """

    started: str
    seconds: float
    folder: str
    versions: dict[str, str]
    scenarios: list[ScenarioResult] = field(default_factory=list)
    matrix: Matrix | None = None

    @property
    def as_declared(self) -> bool:
        """Whether every scenario's outcome is the declared one."""
        return all(result.as_declared for result in self.scenarios)


def to_json(value: Any) -> Any:
    """Evidence as JSON values: enums by value, bytes as hex, properties of results included."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        out = {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
        if isinstance(value, (ScenarioResult, RunResult)):
            out["as_declared"] = value.as_declared
        if isinstance(value, Sighting):
            out["where"] = value.where
        return out
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    return value
