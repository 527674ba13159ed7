"""Attacks on a handshake in flight, before there are keys (group E).

What is said before the keys exist can be altered, and an alert can be invented: nothing vouches for
it yet. Altered messages come out at the latest with the Finished messages, which cover them all
(RFC 8446 section 4.4.4, RFC 5246 section 7.4.9). Against the denial of a connection there is no
defence on a path that somebody controls.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tlslab.attack.attack import Action, Attack, End, Send, Tampering, passed_on
from tlslab.attack.client_hello import vector
from tlslab.attack.records import alert_record
from tlslab.attack.units import Unit, record_bytes
from tlslab.net import Direction
from tlslab.tls.records import (
    NEED_MORE,
    ContentType,
    HandshakeMessage,
    HandshakeParser,
    HandshakeType,
    MalformedTLS,
    Record,
)

HANDSHAKE_FAILURE = 40  # RFC 8446 section 6.2


@dataclass
class FlipServerFlight(Attack):
    """Changes one bit in the server's flight: in its signed key (TLS 1.2), or what is encrypted."""

    id = "flip-server-flight"
    title = "flip a bit of the server's handshake messages"
    catalogue = ("E02",)
    defeated_by = "the server's signature, and keys that depend on every message (RFC 8446 4.4.1)"
    wins_when = "never: a changed handshake has no common keys"

    def begin(self) -> Tampering:
        """The attack on a new connection."""
        return _FlipServerFlight()


class _FlipServerFlight(Tampering):
    def __init__(self) -> None:
        self._done = False

    def on_unit(self, unit: Unit) -> Iterable[Action]:
        record = unit.record
        if self._done or record is None or unit.way is Direction.TO_SERVER:
            return passed_on(unit)
        encrypted = record.content_type is ContentType.APPLICATION_DATA
        signed_key = (
            record.content_type is ContentType.HANDSHAKE
            and record.payload[0] == HandshakeType.SERVER_KEY_EXCHANGE
        )
        if not encrypted and not signed_key:
            return passed_on(unit)
        self._done = True
        # The last byte of a ServerKeyExchange belongs to the signature, whatever its kind.
        flipped = unit.raw[:-1] + bytes((unit.raw[-1] ^ 1,)) if signed_key else unit.flipped()
        return (Send(unit.way, flipped),)


@dataclass
class CutServerFlight(Attack):
    """Swallows the server's flight after its first record, and says nothing."""

    fin: bool = False

    id = "cut-server-flight"
    title = "swallow the rest of the server's handshake messages"
    catalogue = ("E10",)
    defeated_by = "a deadline for handshakes: nothing else ends the waiting"
    wins_when = "the ends wait without a deadline (it is a denial, nothing more)"

    def begin(self) -> Tampering:
        """The attack on a new connection."""
        return _CutServerFlight(self.fin)


class _CutServerFlight(Tampering):
    def __init__(self, fin: bool) -> None:
        self._fin = fin
        self._seen = 0

    def on_unit(self, unit: Unit) -> Iterable[Action]:
        if unit.way is Direction.TO_SERVER or unit.record is None:
            return passed_on(unit)
        self._seen += 1
        if self._seen == 1:
            return passed_on(unit)
        return (End(unit.way),) if self._fin and self._seen == 2 else ()


@dataclass
class ForgedAlert(Attack):
    """Answers a ClientHello in the server's place: with a fatal alert."""

    alert: int = HANDSHAKE_FAILURE

    id = "forged-alert"
    title = "answer a ClientHello with a forged fatal alert"
    catalogue = ("E08",)
    defeated_by = "nothing: before there are keys, alerts are not authenticated"
    wins_when = "always (it is a denial, nothing more)"

    def begin(self) -> Tampering:
        """The attack on a new connection."""
        return _ForgedAlert(self.alert)


class _ForgedAlert(Tampering):
    def __init__(self, alert: int) -> None:
        self._alert = alert

    def on_unit(self, unit: Unit) -> Iterable[Action]:
        if unit.record is None or unit.way is Direction.TO_CLIENT:
            return passed_on(unit) if unit.record is None else ()
        return (Send(Direction.TO_CLIENT, alert_record(self._alert)), End(Direction.TO_CLIENT))


@dataclass
class RelayCertificate(Attack):
    """Shows a genuine certificate in front of another server, which has not its key (TLS 1.2).

    A certificate is no secret: the first connection passes untouched, and what the server shows in
    it is copied. Later ones are led to `name`, whose Certificate message is replaced by the copy.
    TLS 1.3 encrypts the message, so there is nothing to copy, and nothing to replace.
    """

    name: str = "mallory.test"
    port: int | None = None
    copied: HandshakeMessage | None = field(default=None, init=False)

    id = "relay-certificate"
    title = "show another server's genuine certificate, without having its key"
    catalogue = ("E12",)
    defeated_by = "the signature over the key exchange (RFC 5246 section 7.4.3, RFC 8446 4.4.3)"
    wins_when = "never: without the certificate's key there are no common keys"

    def begin(self) -> Tampering:
        """The attack on a new connection."""
        return _RelayCertificate(self)

    def destination(self, name: str, port: int) -> tuple[str, int]:
        """The genuine server as long as its certificate is not copied, then the other one."""
        return (name, port) if self.copied is None else (self.name, self.port or port)


class _RelayCertificate(Tampering):
    def __init__(self, attack: RelayCertificate) -> None:
        self._attack = attack
        self._over = False

    def on_unit(self, unit: Unit) -> Iterable[Action]:
        record = unit.record
        if self._over or record is None or unit.way is Direction.TO_SERVER:
            return passed_on(unit)
        if record.content_type is not ContentType.HANDSHAKE:
            self._over = True  # what follows is encrypted, or an alert
            return passed_on(unit)
        messages = _messages(record)
        shown = [one for one in messages if one.type == HandshakeType.CERTIFICATE]
        if not shown:
            return passed_on(unit)
        self._over = True
        if self._attack.copied is None:
            self._attack.copied = shown[0]
            return passed_on(unit)
        copied = self._attack.copied
        swapped = (copied if one is shown[0] else one for one in messages)
        payload = b"".join(bytes((one.type,)) + vector(3, one.body) for one in swapped)
        return (Send(unit.way, record_bytes(record.content_type, record.version, payload)),)


def _messages(record: Record) -> list[HandshakeMessage]:
    """The messages of a record, if it holds whole ones only."""
    parser, messages = HandshakeParser(), []
    parser.feed(record.payload)
    try:
        while (message := parser.next()) is not NEED_MORE:
            messages.append(message)
    except MalformedTLS:
        return []
    return [] if parser.pending else messages
