"""Onlookers: they open nothing, and conclude from what TLS leaves in sight.

An onlooker has studied: it has seen connections of which it knows what they were about, or made
some of its own. Of a connection that it knows nothing of it says which of those it resembles, and
only where exactly one fits. Whether it is right is no concern of its own: that is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias

from tlslab.capture import Canary
from tlslab.lab.adversaries import Sniffer
from tlslab.lab.evidence import Achievement, Harm, PartyRecord
from tlslab.lab.key_holders import RecordedFlow, recorded_flows
from tlslab.net import Direction
from tlslab.tls.decryption import CannotDecrypt, Recording
from tlslab.tls.decryption.recording import TLS_1_3
from tlslab.tls.fingerprint import ja4
from tlslab.tls.hello import PRE_SHARED_KEY, SESSION_TICKET, ClientHello, peek_client_hello
from tlslab.tls.records import (
    NEED_MORE,
    ContentType,
    Cursor,
    HandshakeParser,
    HandshakeType,
    MalformedTLS,
    Record,
    RecordParser,
)
from tlslab.tls.registry import group_name, is_grease

TLS13_OVERHEAD: Final = 17
"""Bytes that a TLS 1.3 record adds to its content, beside the header: its type and a tag of 16
(RFC 8446 section 5.2). Together with the header, n bytes become n + 22 on the wire."""

UNKNOWN: Final = "unknown"

_SHOWN: Final = 48  # characters of a mark that a report shows; a ticket has hundreds

Marks: TypeAlias = frozenset[Hashable]
"""What an onlooker goes by; two connections resemble each other if they share a mark."""

Subject: TypeAlias = Literal["sizes", "program", "tickets", "groups", "protocol"]
"""What an onlooker looks at: how much was said, the ClientHello's shape (JA4), tickets, the groups
of the client's key shares, or the protocol that the server chose (ALPN)."""


@dataclass
class _Watch:
    """A stretch of the recording: what it is about, as told, and which chunks began in it."""

    label: str
    start: int
    end: int = 0
    flows: list[RecordedFlow] = field(default_factory=list)


class Onlooker(Sniffer):
    """Looks at one `subject` of each connection; see `studying` and `guessing`."""

    kind = "onlooker"

    def __init__(self, name: str, subject: Subject, names: Callable[[], dict[str, str]]) -> None:
        super().__init__(name, f"listens everywhere, and compares {_COMPARES[subject]}", names)
        self._marks = _SUBJECTS[subject]
        self._compares = _COMPARES[subject]
        self._studied: list[_Watch] = []
        self._guessed: list[_Watch] = []

    @contextmanager
    def studying(self, label: str) -> Iterator[None]:
        """Connections in this block are known to the onlooker to be about `label`."""
        with self._watching(label, self._studied):
            yield

    @contextmanager
    def guessing(self, truth: str) -> Iterator[None]:
        """Of connections in this block the onlooker says what they are about.

        `truth` is what its guess is held against, and nothing that it knows.
        """
        with self._watching(truth, self._guessed):
            yield

    async def examine(self, run: Path, folder: Path, canaries: Sequence[Canary]) -> PartyRecord:
        """As every adversary does; and each guess that is right is an achievement."""
        record = await super().examine(run, folder, canaries)
        examples: dict[str, set[Hashable]] = {}
        for watch in self._of(self._studied):
            examples.setdefault(watch.label, set()).update(self._marks_of(watch))
        for watch in self._of(self._guessed):
            marks = self._marks_of(watch)
            fitting = [label for label, known in examples.items() if marks & known]
            guess = fitting[0] if len(fitting) == 1 else UNKNOWN
            record.learned["guess"] = guess
            record.learned["guessed_from"] = ", ".join(sorted(map(_shown, marks))) or "nothing"
            record.learned["resembles"] = ", ".join(fitting) or "nothing"
            if guess == watch.label:
                measured = f"{guess}, concluded rightly from {self._compares}"
                record.achievements.append(Achievement(self.name, Harm.INFERRED, measured))
        return record

    @contextmanager
    def _watching(self, label: str, watches: list[_Watch]) -> Iterator[None]:
        watch = _Watch(label, len(self.chunks))
        yield
        watch.end = len(self.chunks)
        watches.append(watch)

    def _of(self, watches: list[_Watch]) -> list[_Watch]:
        """The watches with the connections that began in them."""
        began: dict[int, int] = {}
        for index, chunk in enumerate(self.chunks):
            began.setdefault(chunk.flow.number, index)
        flows = recorded_flows(self.chunks)
        for watch in watches:
            watch.flows = [
                one for one in flows if watch.start <= began[one.flow.number] < watch.end
            ]
        return watches

    def _marks_of(self, watch: _Watch) -> Marks:
        marks: set[Hashable] = set()
        for flow in watch.flows:
            try:
                marks |= self._marks(flow)
            except (CannotDecrypt, MalformedTLS):
                continue  # no TLS, or none that came about
        return frozenset(marks)


def sizes(flow: RecordedFlow) -> Marks:
    """How many bytes each side said after the handshake, as far as the sizes of records tell.

    In TLS 1.3 the handshake looks like data: it ends with the client's first protected record. What
    is added to the content is known to the byte; in TLS 1.2 it depends on the suite, but is the
    same for all records of one size.
    """
    tls13 = Recording.read(*flow.directions).version >= TLS_1_3
    said = dict.fromkeys(Direction, 0)
    handshake_over = not tls13
    for direction, record in _in_order(flow):
        if record.content_type is not ContentType.APPLICATION_DATA:
            continue
        if handshake_over:
            said[direction] += len(record.payload) - (TLS13_OVERHEAD if tls13 else 0)
        elif direction is Direction.TO_SERVER:
            handshake_over = True
    return frozenset({(said[Direction.TO_SERVER], said[Direction.TO_CLIENT])})


def program(flow: RecordedFlow) -> Marks:
    """The fingerprint of the client's software."""
    hello = _hello(flow)
    return frozenset() if hello is None else frozenset({ja4(hello)})


def tickets(flow: RecordedFlow) -> Marks:
    """Session tickets in plain sight: those a client shows, and those a TLS 1.2 server gives."""
    seen: set[Hashable] = set()
    hello = _hello(flow)
    for extension in hello.extensions if hello is not None else ():
        if extension.type == SESSION_TICKET and extension.data:
            seen.add(extension.data.hex())
        elif extension.type == PRE_SHARED_KEY:
            identities = Cursor(extension.data).vector(2, "the identities")
            while not identities.at_end:  # RFC 8446 section 4.2.11
                seen.add(identities.vector(2, "an identity").rest().hex())
                identities.number(4, "the ticket's age")
    messages = HandshakeParser()
    for direction, record in _in_order(flow):
        if direction is Direction.TO_CLIENT:
            if record.content_type is ContentType.CHANGE_CIPHER_SPEC:
                break
            if record.content_type is ContentType.HANDSHAKE:
                messages.feed(record.payload)
    while (message := messages.next()) is not NEED_MORE:
        if message.type == HandshakeType.NEW_SESSION_TICKET:
            given = Cursor(message.body)
            given.number(4, "the ticket's lifetime")
            seen.add(given.vector(2, "the ticket").rest().hex())
    return frozenset(seen)


def groups(flow: RecordedFlow) -> Marks:
    """The groups for which the client sends key shares at once: what it likes best."""
    hello = _hello(flow)
    shares = () if hello is None else hello.key_shares
    names = [group_name(share.group) for share in shares if not is_grease(share.group)]
    return frozenset({" and ".join(names)}) if names else frozenset()


def protocol(flow: RecordedFlow) -> Marks:
    """The protocol that the server chose, where it says so in plain."""
    chosen = Recording.read(*flow.directions).server_hello.alpn
    return frozenset() if chosen is None else frozenset({chosen})


_SUBJECTS: Final[dict[Subject, Callable[[RecordedFlow], Marks]]] = {
    "sizes": sizes,
    "program": program,
    "tickets": tickets,
    "groups": groups,
    "protocol": protocol,
}
_COMPARES: Final[dict[Subject, str]] = {
    "sizes": "how much is said",
    "program": "the shapes of ClientHellos",
    "tickets": "session tickets",
    "groups": "the groups of key shares",
    "protocol": "the protocols that servers choose",
}


def _shown(mark: Hashable) -> str:
    """A mark for people. Of a ticket its end, since it begins with the name of the server's key."""
    text = str(mark)
    return text if len(text) <= _SHOWN else f"…{text[-_SHOWN:]}"


def _hello(flow: RecordedFlow) -> ClientHello | None:
    return peek_client_hello(flow.directions[0])


def _in_order(flow: RecordedFlow) -> Iterator[tuple[Direction, Record]]:
    """The records of both directions in the order in which they were complete."""
    parsers = {direction: RecordParser() for direction in Direction}
    for chunk in flow.chunks:
        parser = parsers[chunk.direction]
        parser.feed(chunk.data)
        while (record := parser.next()) is not NEED_MORE:
            yield chunk.direction, record
