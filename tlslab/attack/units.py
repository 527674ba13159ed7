"""The pieces that pass on a path: TLS records, or the messages of a protocol without TLS.

Bytes in, units out, nothing lost: the units of a direction, put together, are the bytes that were
fed. Knows no key, so what a TLS 1.3 record holds is told from its type, its size and its place.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from tlslab.attack.plain import PlainSplitter, turned
from tlslab.net import Direction
from tlslab.tls.hello import ServerHello
from tlslab.tls.records import (
    HANDSHAKE_HEADER_SIZE,
    HEADER_SIZE,
    NEED_MORE,
    ContentType,
    HandshakeType,
    MalformedTLS,
    Record,
    RecordParser,
)

_TLS_1_3: Final = 0x0304
_AES_256_GCM_SHA384: Final = 0x1302

# What a TLS 1.3 record has around a message: the inner content type and the tag of any of its
# usual suites (RFC 8446 section 5.2; RFC 5116 for the tags).
_SEALING: Final = 1 + 16


@dataclass(frozen=True, slots=True)
class Unit:
    """One piece. `payload_at` is where its content starts in `raw`: after a header or a head.

    `record` is set where it is TLS. `data_number` counts the pieces of application data in its
    direction from 1; None for others. Session tickets of TLS 1.3 look like data, and count.
    """

    way: Direction
    raw: bytes
    payload_at: int
    record: Record | None = None
    data_number: int | None = None
    frame: bool = False

    @property
    def payload(self) -> bytes:
        """Its content, encrypted or not."""
        return self.raw[self.payload_at :]

    def flipped(self) -> bytes:
        """The piece with one bit of its content changed; as it is if it has no content.

        In a record the bit is in the middle, among ciphertext; in plain text the last byte's, since
        the end of a message is where its content surely is.
        """
        if not self.payload:
            return self.raw
        at = self.payload_at + len(self.payload) // 2 if self.record else len(self.raw) - 1
        return self.raw[:at] + bytes((self.raw[at] ^ 1,)) + self.raw[at + 1 :]

    def turned(self) -> bytes:
        """The piece as the other end would have sent it.

        A record looks the same in both directions; a WebSocket frame is masked in one only.
        """
        return turned(self.raw, self.payload_at) if self.frame else self.raw


def record_bytes(content_type: int, version: int, payload: bytes) -> bytes:
    """A record as it stands on the wire (RFC 8446 section 5.1)."""
    return bytes((content_type,)) + version.to_bytes(2) + len(payload).to_bytes(2) + payload


class Splitter:
    """Splits both directions of one connection into units."""

    def __init__(self) -> None:
        self._tls: bool | None = None  # unknown until the client has spoken
        self._records: dict[Direction, RecordParser | None] = {
            way: RecordParser() for way in Direction
        }
        self._plain = {way: PlainSplitter() for way in Direction}
        self._unparsed = dict.fromkeys(Direction, b"")
        self._data = dict.fromkeys(Direction, 0)
        self._place = _Place()

    def feed(self, way: Direction, data: bytes) -> list[Unit]:
        """The units that are complete with `data`."""
        if self._tls is None:
            self._tls = way is Direction.TO_SERVER and data[:1] == bytes((ContentType.HANDSHAKE,))
        return self._feed_tls(way, data) if self._tls else self._feed_plain(way, data)

    def rest(self, way: Direction) -> bytes:
        """What was fed, but is in no unit yet: when a direction ends, it is passed on as it is."""
        return self._unparsed[way] if self._tls else self._plain[way].rest

    def _feed_tls(self, way: Direction, data: bytes) -> list[Unit]:
        parser, units = self._records[way], []
        if parser is None:
            return [Unit(way, data, 0)]
        self._unparsed[way] += data
        parser.feed(data)
        try:
            while (record := parser.next()) is not NEED_MORE:
                units.append(self._unit(way, record))
                self._unparsed[way] = self._unparsed[way][record.size :]
        except MalformedTLS:  # from here on it is only bytes
            units.append(Unit(way, self._unparsed[way], 0))
            self._unparsed[way] = b""
            self._records[way] = None
        return units

    def _unit(self, way: Direction, record: Record) -> Unit:
        raw = record_bytes(record.content_type, record.version, record.payload)
        unit = Unit(way, raw, HEADER_SIZE, record)
        return self._numbered(unit) if self._place.is_data(way, record) else unit

    def _feed_plain(self, way: Direction, data: bytes) -> list[Unit]:
        return [
            self._numbered(Unit(way, piece.raw, piece.payload_at, frame=piece.frame))
            for piece in self._plain[way].feed(data)
        ]

    def _numbered(self, unit: Unit) -> Unit:
        self._data[unit.way] += 1
        return replace(unit, data_number=self._data[unit.way])


class _Place:
    """Where in a TLS connection we are, as far as it shows."""

    def __init__(self) -> None:
        self._tls13 = False
        self._finished_size = 0
        self._finished = dict.fromkeys(Direction, False)

    def is_data(self, way: Direction, record: Record) -> bool:
        if way is Direction.TO_CLIENT and not self._finished_size:
            self._read_server_hello(record)
        if record.content_type is not ContentType.APPLICATION_DATA:
            return False
        if not self._tls13 or self._finished[way]:
            return True
        # Each message of OpenSSL's flights has a record of its own, and Finished is the last.
        self._finished[way] = len(record.payload) == self._finished_size
        return False

    def _read_server_hello(self, record: Record) -> None:
        payload = record.payload
        if record.content_type is not ContentType.HANDSHAKE:
            return
        if payload[0] != HandshakeType.SERVER_HELLO:
            return
        length = int.from_bytes(payload[1:HANDSHAKE_HEADER_SIZE])
        body = payload[HANDSHAKE_HEADER_SIZE : HANDSHAKE_HEADER_SIZE + length]
        try:
            hello = ServerHello.parse(body)
        except MalformedTLS:
            return
        self._tls13 = hello.selected_version == _TLS_1_3
        digest = 48 if hello.cipher_suite == _AES_256_GCM_SHA384 else 32
        self._finished_size = HANDSHAKE_HEADER_SIZE + digest + _SEALING
