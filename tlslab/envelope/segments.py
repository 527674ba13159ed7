"""A payload of any size, sealed in segments of 64 KiB that can be written and read as a stream.

    sealed  = header segment* last-segment
    header  = "tlsenv" version(2) salt(32) commitment(32)                             72 bytes
    segment = AES-256-GCM(stream key, nonce, up to 65,536 bytes, no associated data)  +16 bytes

    stream key || commitment = derive(data key, salt, "segments", 64)
    nonce                    = segment number, 11 bytes big-endian || 1 if it is the last, else 0

This is the STREAM construction (Hoang, Reyhanitabar, Rogaway and Vizár, "Online
Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance", 2015), as age uses it.

Why the nonces are safe: the stream key is derived from a salt that SegmentSealer draws for itself,
so no two payloads share one, even if a caller uses a data key twice. Within a payload the segment
number only grows, so no nonce comes twice; at most MAX_SEGMENTS are sealed, far below 2^88.

What a reader is sure of: the number in the nonce catches segments swapped, dropped or doubled, the
mark on the last catches truncation and extension, and each tag its bytes. Every bit of the header
is checked: magic and version are compared, and a changed salt or commitment contradict each other.
The commitment makes the key the only one that opens the payload, which AES-GCM alone does not
promise. What a payload belongs to (its bucket, its name) is bound where its data key is wrapped.

There is one encoding: only the last segment may be short, and it is empty only in an empty payload.
Segment n begins at byte HEADER_BYTES + n * SEALED_SEGMENT_BYTES and opens without the others, so
ranges cost what they cover.
"""

from __future__ import annotations

import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tlslab.envelope.box import TAG_BYTES
from tlslab.envelope.keys import KEY_BYTES, SALT_BYTES, derive, new_salt
from tlslab.errors import IntegrityError

SEGMENT_BYTES = 64 * 1024
"""Plaintext in a segment. AES-GCM runs at full speed from about 16 KiB on; a reader holds back at
most one segment, and a range reads at most two too many. The size age and Tink chose as well."""

SEALED_SEGMENT_BYTES = SEGMENT_BYTES + TAG_BYTES

MAX_SEGMENTS = 2**32
"""256 TiB of plaintext. At this size the advantage against AES-GCM's confidentiality is below
2^-40 (2^44 blocks under one key); the number in the nonce would last longer."""

_COMMITMENT_BYTES = 32
_MAGIC = b"tlsenv\x00\x01"
HEADER_BYTES = len(_MAGIC) + SALT_BYTES + _COMMITMENT_BYTES


def sealed_size(size: int) -> int:
    """How many bytes a payload of `size` bytes has when sealed."""
    segments = max(1, -(-size // SEGMENT_BYTES))
    return HEADER_BYTES + size + segments * TAG_BYTES


def _stream_key(data_key: bytes, salt: bytes) -> tuple[bytes, bytes]:
    derived = derive(data_key, salt, "segments", KEY_BYTES + _COMMITMENT_BYTES)
    return derived[:KEY_BYTES], derived[KEY_BYTES:]


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if last else b"\x00")


class SegmentSealer:
    """Seals one payload: `seal` as often as there are bytes, then `finish`, and join the results.

    Holds at most one segment back, because only `finish` shows which one is the last.
    """

    def __init__(self, data_key: bytes) -> None:
        salt = new_salt()
        key, commitment = _stream_key(data_key, salt)
        self._cipher = AESGCM(key)
        self._header = _MAGIC + salt + commitment
        self._pending = bytearray()
        self._number = 0
        self._finished = False

    def seal(self, plaintext: bytes | bytearray | memoryview) -> bytes | bytearray:
        """Take more of the payload; returns the sealed bytes that are ready, the caller's own."""
        if self._finished:
            raise ValueError("this payload is finished")
        count = max(0, len(self._pending) + len(plaintext) - 1) // SEGMENT_BYTES
        if self._number + count >= MAX_SEGMENTS:
            raise ValueError("a payload has at most 2**32 segments")
        # Straight from what was given, but for what was held back, into where it goes: a piece of
        # memory for each segment, and joining them, cost ten times what sealing does.
        at = len(self._header)
        sealed = bytearray(at + count * SEALED_SEGMENT_BYTES)
        sealed[:at] = self._take_header()
        with memoryview(plaintext) as view, memoryview(sealed) as room:
            start = 0
            for _ in range(count):
                stop = start + SEGMENT_BYTES - len(self._pending)
                with view[start:stop] as segment, room[at : at + SEALED_SEGMENT_BYTES] as place:
                    self._seal_segment(segment, place)
                start, at = stop, at + SEALED_SEGMENT_BYTES
            with view[start:] as rest:
                self._pending += rest
        return sealed

    def _seal_segment(self, segment: memoryview, place: memoryview) -> None:
        nonce = _nonce(self._number, last=False)
        self._number += 1
        if not self._pending:
            self._cipher.encrypt_into(nonce, segment, None, place)
            return
        self._pending += segment
        self._cipher.encrypt_into(nonce, self._pending, None, place)
        self._pending.clear()

    def finish(self) -> bytes:
        """The last segment, marked as such."""
        if self._finished:
            raise ValueError("this payload is finished")
        self._finished = True
        nonce = _nonce(self._number, last=True)
        return self._take_header() + self._cipher.encrypt(nonce, bytes(self._pending), None)

    def _take_header(self) -> bytes:
        header, self._header = self._header, b""
        return header


class SegmentOpener:
    """Opens one payload: `open` as often as there are bytes, then `finish`.

    Every byte returned is authenticated, as is its place in the payload. Only `finish` returning
    shows that nothing is missing at the end. After an IntegrityError the opener stays unusable.
    """

    def __init__(self, data_key: bytes) -> None:
        self._data_key = data_key
        self._cipher: AESGCM | None = None
        self._pending = bytearray()
        self._number = 0
        self._finished = False

    def open(self, sealed: bytes | memoryview) -> bytes:
        """Take more sealed bytes; returns the plaintext of all segments known not to be the last.

        Raises IntegrityError as soon as one of them does not authenticate.
        """
        if self._finished:
            raise ValueError("this payload is finished")
        self._pending += sealed
        if self._cipher is None:
            if len(self._pending) < HEADER_BYTES:
                return b""
            self._cipher = _open_header(self._data_key, bytes(self._pending[:HEADER_BYTES]))
            del self._pending[:HEADER_BYTES]
        count = max(0, len(self._pending) - 1) // SEALED_SEGMENT_BYTES
        plaintext = []
        with memoryview(self._pending) as pending:
            for index in range(count):
                start = index * SEALED_SEGMENT_BYTES
                with pending[start : start + SEALED_SEGMENT_BYTES] as segment:
                    plaintext.append(_open_segment(self._cipher, segment, self._number + index))
        del self._pending[: count * SEALED_SEGMENT_BYTES]
        self._number += count
        return b"".join(plaintext)

    def finish(self) -> bytes:
        """The rest of the plaintext, once all sealed bytes were given to `open`.

        Raises IntegrityError if the last segment is missing, cut or not marked as the last.
        """
        if self._finished:
            raise ValueError("this payload is finished")
        if self._cipher is None or len(self._pending) < TAG_BYTES:
            raise IntegrityError("a sealed payload is cut short")
        if len(self._pending) == TAG_BYTES and self._number:
            raise IntegrityError("a sealed payload ends with an empty segment")
        plaintext = _open_segment(self._cipher, self._pending, self._number, last=True)
        self._finished = True
        return plaintext


class SegmentAccess:
    """Opens any range of one sealed payload whose size is known from elsewhere.

    Each byte returned is authenticated, as is its place. That nothing is missing at the end is as
    sure as `size` is: it must come from where the payload's data key does.
    """

    def __init__(self, data_key: bytes, header: bytes, size: int) -> None:
        """`header` is the sealed payload's first HEADER_BYTES, `size` the plaintext's.

        Raises IntegrityError for another key's header or a changed one.
        """
        if len(header) != HEADER_BYTES:
            raise IntegrityError("a sealed payload is cut short")
        self._cipher = _open_header(data_key, header)
        self.size = size
        self._last = max(0, size - 1) // SEGMENT_BYTES

    def covering(self, start: int, stop: int) -> tuple[int, int]:
        """Which sealed bytes hold the plaintext from `start` to `stop`: whole segments."""
        first, last = self._segments(start, stop)
        end = sealed_size(self.size) if last == self._last else _offset(last + 1)
        return _offset(first), end

    def open(self, start: int, stop: int, sealed: bytes | memoryview) -> bytearray:
        """The plaintext from `start` to `stop`, given what `covering` asked for; the caller's own.

        Raises IntegrityError.
        """
        first, last = self._segments(start, stop)
        count = last - first + 1
        opened = bytearray(max(0, len(sealed) - count * TAG_BYTES))
        with memoryview(sealed) as view, memoryview(opened) as room:
            for index, number in enumerate(range(first, last + 1)):
                at, to = index * SEALED_SEGMENT_BYTES, index * SEGMENT_BYTES
                with (
                    view[at : at + SEALED_SEGMENT_BYTES] as segment,
                    room[to : to + SEGMENT_BYTES] as place,
                ):
                    _open_into(self._cipher, segment, number, place, last=number == self._last)
        del opened[stop - first * SEGMENT_BYTES :]
        del opened[: start - first * SEGMENT_BYTES]
        if len(opened) != stop - start:
            raise IntegrityError("a sealed payload has another size than it should have")
        return opened

    def _segments(self, start: int, stop: int) -> tuple[int, int]:
        if not 0 <= start <= stop <= self.size:
            raise ValueError(f"{start} to {stop} is no range of {self.size} bytes")
        first = min(start // SEGMENT_BYTES, self._last)
        return first, max(first, (stop - 1) // SEGMENT_BYTES)


def _offset(number: int) -> int:
    return HEADER_BYTES + number * SEALED_SEGMENT_BYTES


def _open_header(data_key: bytes, header: bytes) -> AESGCM:
    magic, salt = header[: len(_MAGIC)], header[len(_MAGIC) : len(_MAGIC) + SALT_BYTES]
    if magic != _MAGIC:
        raise IntegrityError("not a sealed payload of a version known here")
    key, commitment = _stream_key(data_key, salt)
    if not hmac.compare_digest(commitment, header[-_COMMITMENT_BYTES:]):
        raise IntegrityError("a sealed payload belongs to another key, or its header changed")
    return AESGCM(key)


def _open_segment(
    cipher: AESGCM, segment: bytearray | memoryview, number: int, *, last: bool = False
) -> bytes:
    try:
        return cipher.decrypt(_nonce(number, last=last), segment, None)
    except (InvalidTag, ValueError):  # ValueError: shorter than a tag
        raise IntegrityError(f"segment {number} of a payload does not authenticate") from None


def _open_into(
    cipher: AESGCM, segment: memoryview, number: int, place: memoryview, *, last: bool
) -> None:
    """As `_open_segment`, straight into where it goes. What does not authenticate is not there."""
    try:
        cipher.decrypt_into(_nonce(number, last=last), segment, None, place)
    except (InvalidTag, ValueError):  # ValueError: shorter than a tag, or not of the place's size
        raise IntegrityError(f"segment {number} of a payload does not authenticate") from None
