"""Attacks on the record layer: bytes altered, repeated, held back, moved, invented (group E).

In TLS each record is bound to its connection, its direction and its place by keys and an implicit
sequence number (RFC 8446 section 5.3, RFC 5246 section 6.2.3.3), so each of these ends the
connection. On a path without TLS the same attacks work on the protocol's own messages, and nobody
notices.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from tlslab.attack.attack import Action, Attack, End, Send, Tampering, passed_on
from tlslab.attack.units import Unit, record_bytes
from tlslab.net import Direction
from tlslab.tls.alerts import CLOSE_NOTIFY, FATAL
from tlslab.tls.records import HEADER_SIZE, ContentType

_LEGACY_VERSION: Final = 0x0303  # what records of TLS 1.2 and 1.3 bear (RFC 8446 section 5.1)
_WARNING: Final = 1  # AlertLevel, RFC 8446 section 6
_BOUND_BY_KEYS: Final = "authenticated encryption with a key of its own for each connection and"
_WITHOUT_TLS: Final = "there is no TLS"

Strike = Callable[[Unit], Iterable[Action]]


class AtData(Attack):
    """Strikes once a connection: at the `nth` piece of application data that goes `way`.

    The first piece is usually what opens the conversation, such as a request's head.
    """

    way: Direction
    nth: int

    @abc.abstractmethod
    def strike(self, unit: Unit) -> Iterable[Action]:
        """What to do instead of passing `unit`, the piece struck at, on."""

    def begin(self) -> Tampering:
        """The attack on a new connection."""
        return _AtData(self)


class _AtData(Tampering):
    def __init__(self, attack: AtData) -> None:
        self._attack = attack

    def on_unit(self, unit: Unit) -> Iterable[Action]:
        if unit.way is self._attack.way and unit.data_number == self._attack.nth:
            return self._attack.strike(unit)
        return passed_on(unit)


@dataclass
class FlipBit(AtData):
    """Changes one bit of application data."""

    way: Direction = Direction.TO_SERVER
    nth: int = 2

    id = "flip-bit"
    title = "flip a bit of application data"
    catalogue = ("E01",)
    defeated_by = "authenticated encryption (RFC 8446 section 5.2)"
    wins_when = _WITHOUT_TLS

    def strike(self, unit: Unit) -> Iterable[Action]:
        """Pass it on with a bit changed."""
        return (Send(unit.way, unit.flipped()),)


@dataclass
class Replay(AtData):
    """Sends a piece of application data twice."""

    way: Direction = Direction.TO_SERVER
    nth: int = 2

    id = "replay-record"
    title = "send a record twice"
    catalogue = ("E03",)
    defeated_by = "the implicit sequence number (RFC 8446 section 5.3)"
    wins_when = _WITHOUT_TLS

    def strike(self, unit: Unit) -> Iterable[Action]:
        """Pass it on, and again."""
        return (*passed_on(unit), *passed_on(unit))


@dataclass
class Drop(AtData):
    """Swallows a piece of application data, and nothing else."""

    way: Direction = Direction.TO_SERVER
    nth: int = 2

    id = "drop-record"
    title = "swallow a record"
    catalogue = ("E04",)
    defeated_by = "the implicit sequence number (RFC 8446 section 5.3): the next record tells"
    wins_when = _WITHOUT_TLS

    def strike(self, unit: Unit) -> Iterable[Action]:
        """Pass nothing on."""
        return ()


@dataclass
class Reorder(Attack):
    """Sends the `nth` piece of application data after the one that follows it."""

    way: Direction = Direction.TO_SERVER
    nth: int = 2

    id = "reorder-records"
    title = "swap two records"
    catalogue = ("E04",)
    defeated_by = "the implicit sequence number (RFC 8446 section 5.3)"
    wins_when = _WITHOUT_TLS

    def begin(self) -> Tampering:
        """The attack on a new connection."""
        return _Reorder(self)


class _Reorder(Tampering):
    def __init__(self, attack: Reorder) -> None:
        self._attack = attack
        self._held: Unit | None = None

    def on_unit(self, unit: Unit) -> Iterable[Action]:
        if unit.way is not self._attack.way or unit.data_number is None:
            return passed_on(unit)
        if unit.data_number == self._attack.nth:
            self._held = unit
            return ()
        held, self._held = self._held, None
        return passed_on(unit) if held is None else (*passed_on(unit), *passed_on(held))

    def on_end(self, way: Direction) -> Iterable[Action]:
        late = passed_on(self._held) if self._held and way is self._attack.way else ()
        return (*late, End(way))


@dataclass
class Splice(AtData):
    """Puts a piece of an earlier connection in the place of one of this connection."""

    way: Direction = Direction.TO_SERVER
    nth: int = 2
    recorded: Unit | None = field(default=None, repr=False)

    id = "splice-record"
    title = "put in a record of another connection"
    catalogue = ("E05",)
    defeated_by = f"{_BOUND_BY_KEYS} direction (RFC 8446 section 7.3)"
    wins_when = _WITHOUT_TLS

    def strike(self, unit: Unit) -> Iterable[Action]:
        """Record it on the first connection, and put it in on the later ones."""
        if self.recorded is None:
            self.recorded = unit
            return passed_on(unit)
        return (Send(unit.way, self.recorded.raw),)


@dataclass
class Reflect(AtData):
    """Sends a piece back to its sender, in the name of the other end."""

    way: Direction = Direction.TO_SERVER
    nth: int = 2

    id = "reflect-record"
    title = "send a record back to its sender"
    catalogue = ("E05",)
    defeated_by = f"{_BOUND_BY_KEYS} direction (RFC 8446 section 7.3)"
    wins_when = _WITHOUT_TLS

    def strike(self, unit: Unit) -> Iterable[Action]:
        """Turn it round."""
        return (Send(unit.way.opposite, unit.turned()),)


@dataclass
class Truncate(Attack):
    """Lets through a bit more than `after` bytes of application data, then ends the connection.

    Records pass whole or not at all; without TLS it is exactly that many bytes.
    """

    after: int
    way: Direction = Direction.TO_CLIENT

    id = "truncate"
    title = "end the connection in the middle of the data, with a FIN"
    catalogue = ("E06",)
    defeated_by = "close_notify, where the receiver insists on it (RFC 8446 section 6.1)"
    wins_when = "the receiver takes the end of the connection for the end of the data"

    def begin(self) -> Tampering:
        """The attack on a new connection."""
        return _Truncate(self)


class _Truncate(Tampering):
    def __init__(self, attack: Truncate) -> None:
        self._way, self._left = attack.way, attack.after

    def on_unit(self, unit: Unit) -> Iterable[Action]:
        if unit.way is not self._way or unit.data_number is None:
            return passed_on(unit)
        left, self._left = self._left, self._left - len(unit.payload)
        if self._left > 0:
            return passed_on(unit)
        kept = unit.raw if unit.record else unit.raw[: unit.payload_at + left]
        return (Send(unit.way, kept), End(unit.way))


@dataclass
class ForgedClose(AtData):
    """Ends the connection after a piece of data, in the server's name, with an alert in plain.

    `alert` is a close_notify, or else any fatal alert. On a path without TLS all it takes is a FIN.
    """

    way: Direction = Direction.TO_CLIENT
    nth: int = 1
    alert: int = CLOSE_NOTIFY

    id = "forged-close"
    title = "forge a close_notify or a fatal alert, in plain, after the handshake"
    catalogue = ("E07",)
    defeated_by = "alerts are encrypted once there are keys (RFC 8446 section 6)"
    wins_when = _WITHOUT_TLS

    def strike(self, unit: Unit) -> Iterable[Action]:
        """Pass it on, then say that this was all."""
        if unit.record is None:
            return (*passed_on(unit), End(unit.way))
        return (*passed_on(unit), Send(unit.way, alert_record(self.alert)), End(unit.way))


@dataclass
class WrongType(AtData):
    """Gives a record of application data a type that does not exist."""

    way: Direction = Direction.TO_SERVER
    nth: int = 1
    content_type: int = 99

    id = "wrong-record-type"
    title = "give a record a type that does not exist"
    catalogue = ("E09",)
    defeated_by = "receivers refuse unknown record types (RFC 8446 section 5)"
    wins_when = _WITHOUT_TLS

    def strike(self, unit: Unit) -> Iterable[Action]:
        """Change the first byte."""
        return (Send(unit.way, bytes((self.content_type,)) + unit.raw[1:]),)


@dataclass
class WrongLength(AtData):
    """Makes a record claim more bytes than a record may have."""

    way: Direction = Direction.TO_SERVER
    nth: int = 1
    length: int = 0xFFFF

    id = "wrong-record-length"
    title = "make a record claim to be too long"
    catalogue = ("E09",)
    defeated_by = "receivers refuse records beyond the limit (RFC 8446 section 5.2)"
    wins_when = _WITHOUT_TLS

    def strike(self, unit: Unit) -> Iterable[Action]:
        """Change the length in a record's header; without TLS there is none, so nothing."""
        if unit.record is None:
            return passed_on(unit)
        head = unit.raw[: HEADER_SIZE - 2] + self.length.to_bytes(2)
        return (Send(unit.way, head + unit.payload),)


def alert_record(number: int) -> bytes:
    """An alert in plain: a warning if it is close_notify, else fatal (RFC 8446 section 6)."""
    level = _WARNING if number == CLOSE_NOTIFY else FATAL
    return record_bytes(ContentType.ALERT, _LEGACY_VERSION, bytes((level, number)))
