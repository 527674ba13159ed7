"""TLS bytes split into records, and records into handshake messages, without keys.

Bytes in, values out: no I/O, no OpenSSL, no meaning of messages (that is `hello`). Every parser
here ends in one of three ways: a value, "need more", or `MalformedTLS`. Input comes from strangers,
so each length is checked against a named limit before anything is kept.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final, Literal

from tlslab.errors import TLSError

HEADER_SIZE: Final = 5
HANDSHAKE_HEADER_SIZE: Final = 4

# RFC 5246 section 6.2.3: a TLSCiphertext fragment is at most 2^14 + 2048 bytes (TLS 1.3 allows
# less, 2^14 + 256, RFC 8446 section 5.2; a parser that sees both takes the larger).
MAX_RECORD_PAYLOAD: Final = 2**14 + 2048

# The format allows 2^24 - 1. OpenSSL takes 131,396 bytes of ClientHello and 102,400 of
# certificates (SSL_MAX_CERT_LIST_DEFAULT); nothing honest needs more than 128 KiB.
MAX_HANDSHAKE_MESSAGE: Final = 2**17


class MalformedTLS(TLSError):
    """Bytes that are not TLS. `offset` counts from the first byte given to the parser that raised.

    For messages (`hello`) that is the first byte of the message's body.
    """

    def __init__(self, message: str, *, offset: int, hint: str | None = None) -> None:
        super().__init__(f"{message} at byte {offset}", hint=hint)
        self.offset = offset


class ContentType(enum.IntEnum):
    """The type of a record: RFC 8446 section 5.1, and RFC 6520 for heartbeat."""

    CHANGE_CIPHER_SPEC = 20
    ALERT = 21
    HANDSHAKE = 22
    APPLICATION_DATA = 23
    HEARTBEAT = 24


class HandshakeType(enum.IntEnum):
    """Types of handshake messages that can be seen in plain: RFC 8446 section 4, RFC 5246 7.4."""

    HELLO_REQUEST = 0
    CLIENT_HELLO = 1
    SERVER_HELLO = 2
    NEW_SESSION_TICKET = 4
    CERTIFICATE = 11
    SERVER_KEY_EXCHANGE = 12
    CERTIFICATE_REQUEST = 13
    SERVER_HELLO_DONE = 14
    CERTIFICATE_VERIFY = 15
    CLIENT_KEY_EXCHANGE = 16
    FINISHED = 20
    CERTIFICATE_STATUS = 22


class NeedMore(enum.Enum):
    """The type of `NEED_MORE`, which a parser returns when it waits for bytes."""

    NEED_MORE = "need more"


NEED_MORE: Final[Literal[NeedMore.NEED_MORE]] = NeedMore.NEED_MORE


@dataclass(frozen=True, slots=True)
class Record:
    """One TLS record. `offset` is where its header starts in the bytes fed so far."""

    content_type: ContentType
    version: int
    payload: bytes
    offset: int = 0

    @property
    def size(self) -> int:
        """Bytes on the wire, header included."""
        return HEADER_SIZE + len(self.payload)


@dataclass(frozen=True, slots=True)
class HandshakeMessage:
    """One handshake message. `type` may be a number unknown to `HandshakeType`."""

    type: int
    body: bytes


class RecordParser:
    """Splits one direction of a connection into records (RFC 8446 section 5.1).

    `feed` bytes as they come, then call `next` until it returns `NEED_MORE`. It holds only what
    was fed and not yet returned. After a `MalformedTLS`, `next` raises the same again.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._start = 0  # of the next record within the buffer
        self._dropped = 0  # bytes gone from the front of the buffer

    def feed(self, data: bytes) -> None:
        """Add bytes that came next on the wire."""
        if self._start:
            del self._buffer[: self._start]
            self._dropped += self._start
            self._start = 0
        self._buffer += data

    @property
    def pending(self) -> int:
        """How many bytes were fed but not returned yet."""
        return len(self._buffer) - self._start

    @property
    def offset(self) -> int:
        """Where the next record starts in the bytes fed so far."""
        return self._dropped + self._start

    def next(self) -> Record | Literal[NeedMore.NEED_MORE]:
        """The next whole record, or `NEED_MORE`.

        A wrong byte is reported as soon as it is there, so that somebody who speaks another
        protocol is not waited for. Raises `MalformedTLS`.
        """
        head = self._buffer[self._start : self._start + HEADER_SIZE]
        content_type = self._check_header(head)
        if content_type is None:
            return NEED_MORE
        end = self._start + HEADER_SIZE + int.from_bytes(head[3:5])
        if len(self._buffer) < end:
            return NEED_MORE
        payload = bytes(self._buffer[self._start + HEADER_SIZE : end])
        record = Record(content_type, int.from_bytes(head[1:3]), payload, self.offset)
        self._start = end
        return record

    def _check_header(self, head: bytes | bytearray) -> ContentType | None:
        """The record's type, or None if the header is not whole; the bytes there must be right."""
        if head and not ContentType.CHANGE_CIPHER_SPEC <= head[0] <= ContentType.HEARTBEAT:
            raise MalformedTLS(f"{head[0]} is no TLS record type", offset=self.offset)
        if len(head) >= 2 and head[1] != 3:
            raise MalformedTLS(f"{head[1]} is no TLS major version", offset=self.offset + 1)
        if len(head) < HEADER_SIZE:
            return None
        content_type = ContentType(head[0])
        length = int.from_bytes(head[3:5])
        if length > MAX_RECORD_PAYLOAD:
            raise MalformedTLS(f"a record of {length} bytes is too long", offset=self.offset + 3)
        if length == 0 and content_type is not ContentType.APPLICATION_DATA:
            raise MalformedTLS(f"an empty {content_type.name} record", offset=self.offset + 3)
        return content_type


class HandshakeParser:
    """Puts handshake messages together from record payloads (RFC 8446 section 5.1).

    A message may span records and a record may hold several messages. Feed only plaintext
    records: after ChangeCipherSpec (TLS 1.2) or ServerHello (TLS 1.3) there are none.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._consumed = 0

    def feed(self, payload: bytes) -> None:
        """Add the payload of the next handshake record."""
        self._buffer += payload

    @property
    def pending(self) -> int:
        """Bytes fed but not returned yet: not zero means that a message is incomplete."""
        return len(self._buffer)

    def next(self) -> HandshakeMessage | Literal[NeedMore.NEED_MORE]:
        """The next whole message, or `NEED_MORE`. Raises `MalformedTLS` beyond the size limit."""
        if len(self._buffer) < HANDSHAKE_HEADER_SIZE:
            return NEED_MORE
        length = int.from_bytes(self._buffer[1:4])
        if length > MAX_HANDSHAKE_MESSAGE:
            raise MalformedTLS(
                f"a handshake message of {length} bytes is too long", offset=self._consumed + 1
            )
        end = HANDSHAKE_HEADER_SIZE + length
        if len(self._buffer) < end:
            return NEED_MORE
        message = HandshakeMessage(self._buffer[0], bytes(self._buffer[HANDSHAKE_HEADER_SIZE:end]))
        del self._buffer[:end]
        self._consumed += end
        return message


class Cursor:
    """Reads big-endian numbers and TLS vectors (RFC 8446 section 3) from bytes, never past the end.

    `base` is the offset of `data` in the message, so that errors name a place in the whole.
    """

    def __init__(self, data: bytes, base: int = 0) -> None:
        self._data = data
        self._base = base
        self._at = 0

    @property
    def offset(self) -> int:
        """Where the next byte lies in the whole message."""
        return self._base + self._at

    @property
    def at_end(self) -> bool:
        """Whether every byte was read."""
        return self._at == len(self._data)

    def take(self, size: int, what: str) -> bytes:
        """The next `size` bytes; `what` names them in the error."""
        end = self._at + size
        if end > len(self._data):
            raise MalformedTLS(f"{what} is cut short", offset=self.offset)
        value = self._data[self._at : end]
        self._at = end
        return value

    def number(self, size: int, what: str) -> int:
        """The next unsigned number of `size` bytes."""
        return int.from_bytes(self.take(size, what))

    def vector(self, length_size: int, what: str) -> Cursor:
        """A cursor over the next vector, whose length is in `length_size` bytes before it."""
        length = self.number(length_size, f"the length of {what}")
        start = self.offset
        return Cursor(self.take(length, what), start)

    def rest(self) -> bytes:
        """All bytes that are left."""
        return self.take(len(self._data) - self._at, "the rest")

    def numbers(self, size: int, what: str) -> tuple[int, ...]:
        """All that is left, as unsigned numbers of `size` bytes each."""
        values = []
        while not self.at_end:
            values.append(self.number(size, what))
        return tuple(values)

    def finish(self, what: str) -> None:
        """Raises `MalformedTLS` if bytes are left after `what`."""
        if not self.at_end:
            raise MalformedTLS(f"bytes are left after {what}", offset=self.offset)
