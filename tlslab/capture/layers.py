"""What lies inside bytes: bodies without chunks, WebSocket messages, joined lines, inflated data.

A `Layer` is bytes taken out of others, with a map back to where they lay. Layers are found anywhere
in arbitrary data, without knowing the protocol, so that nothing is missed because a head was not
understood. All work has a budget, shared by everything that is found in one search: a compression
bomb costs at most `MAX_OUTPUT` bytes, and what was left out is said in `Budget.notes`.
"""

from __future__ import annotations

import bisect
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

# Reasons: 64 MiB is more than any honest body in a lab; three layers are a compressed, chunked
# body with one more encoding inside; what looks like a header of zlib occurs by chance once in
# 16 KiB of ciphertext, 4,000 times in the largest window searched.
MAX_OUTPUT: Final = 64 * 2**20
MAX_LAYERS: Final = 3
MAX_STREAMS: Final = 20_000

_MAX_HEAD: Final = 64 * 1024
_MAX_CHUNK_LINE: Final = 4096
_FEED: Final = 16 * 1024
_FIRST_FEED: Final = 256
# A gzip header has at most 64 KiB of extra field, then names. Whatever gives nothing for longer is
# no stream, but made to waste our time.
_MAX_SILENCE: Final = 2**17

_GZIP, _ZLIB, _RAW = 31, 15, -15  # zlib's window bits say which format is expected
_COMPRESSED: Final = re.compile(rb"\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]")
_HEAD_FIELD: Final = re.compile(
    rb"\n(?:transfer-encoding:[^\r\n]*(chunked)|content-encoding:[^\r\n]*(deflate)"
    rb"|upgrade:[ \t]*(websocket))",
    re.IGNORECASE,
)
_CHUNK_SIZE: Final = re.compile(rb"[0-9A-Fa-f]{1,15}(?=[ \t;\r])")
# Base64 in lines of 64 (PEM, RFC 7468) or 76 characters (MIME, RFC 2045), two lines at least.
# A line's end is looked for first, since it is rare in ciphertext and so quickly found.
_FOLDED: Final = re.compile(rb"(?:[A-Za-z0-9+/_-]{60,76}\r?\n)+[A-Za-z0-9+/_-]+")
_FOLD: Final = re.compile(rb"\n(?:(?<=[A-Za-z0-9+/_-]{60}\n)|(?<=[A-Za-z0-9+/_-]{60}\r\n))")
_LONGEST_LINE: Final = 77
_SYNC_FLUSH: Final = b"\x00\x00\xff\xff"  # RFC 7692 section 7.2.2
# Between messages of one layer stands a byte that no text has, so that nothing is found across.
_SEPARATOR: Final = b"\xff"


@dataclass
class Budget:
    """How much may still be unpacked in one search, and what had to be left out."""

    output: int = MAX_OUTPUT
    streams: int = MAX_STREAMS
    notes: list[str] = field(default_factory=list)

    def take_stream(self) -> bool:
        """Whether one more candidate may be tried."""
        if self.streams <= 0:
            self.note("too many compressed streams: the rest was not unpacked")
            return False
        self.streams -= 1
        return True

    def spend(self, size: int) -> None:
        """Count output; notes when nothing is left."""
        self.output -= size
        if self.output <= 0:
            self.note("unpacking stopped at its limit: the rest was not searched")

    def note(self, text: str) -> None:
        """Say once what was left out."""
        if text not in self.notes:
            self.notes.append(text)


class Span(NamedTuple):
    """`length` bytes at `offset` in a layer came from `source_length` bytes at `source`."""

    offset: int
    length: int
    source: int
    source_length: int


@dataclass(frozen=True)
class Layer:
    """Bytes, the names of what was taken off to get them, and where they came from.

    In an `opaque` layer (inflated) single bytes have no place in the source, only whole spans.
    """

    data: bytes = field(repr=False)
    names: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()
    opaque: bool = False
    parent: Layer | None = field(default=None, repr=False)
    deflate_at: tuple[int, ...] = ()

    def origin(self, offset: int, length: int) -> tuple[int, int]:
        """Offset and length, in the outermost bytes, of what `length` bytes here were made from."""
        if self.parent is None:
            return offset, length
        start, _ = self._source(offset)
        last, last_length = self._source(offset + length - 1)
        return self.parent.origin(start, last + last_length - start)

    def _source(self, offset: int) -> tuple[int, int]:
        index = bisect.bisect_right(self.spans, offset, key=lambda span: span.offset) - 1
        span = self.spans[index]
        if self.opaque:
            return span.source, span.source_length
        return span.source + offset - span.offset, 1


def unpack(data: bytes, budget: Budget) -> Iterator[Layer]:
    """The data itself, then every layer found inside it, outermost first."""
    level = [Layer(data)]
    for _ in range(MAX_LAYERS):
        yield from level
        level = [inner for layer in level for inner in _inside(layer, budget)]
    yield from level
    if any(_COMPRESSED.search(layer.data) for layer in level if layer.opaque):
        budget.note(f"more than {MAX_LAYERS} layers: the innermost was not unpacked")


def _inside(layer: Layer, budget: Budget) -> Iterator[Layer]:
    data = layer.data
    for match in _HEAD_FIELD.finditer(data):
        head_end = data.find(b"\r\n\r\n", match.end() - 2, match.end() + _MAX_HEAD)
        if head_end < 0 or not budget.take_stream():
            continue
        body = head_end + 4
        if match[1]:
            yield from _dechunked(layer, body, budget)
        elif match[2]:
            yield from _inflated(layer, body, _RAW, budget)
        else:
            yield from _websocket(layer, body, budget)
    done = 0
    for fold in _FOLD.finditer(data):
        if fold.start() >= done:
            folded = _FOLDED.search(data, max(done, fold.start() - _LONGEST_LINE))
            if folded is None:
                break
            done = folded.end()
            yield _unfolded(layer, folded, budget)
    for start in layer.deflate_at:
        yield from _inflated(layer, start, _RAW, budget)
    at = 0
    while (candidate := _COMPRESSED.search(data, at)) and budget.take_stream():
        at = candidate.start() + 1
        bits = _GZIP if candidate[0][0] == 0x1F else _ZLIB
        for inner in _inflated(layer, candidate.start(), bits, budget):
            yield inner
            at = candidate.start() + inner.spans[0].source_length


def _dechunked(layer: Layer, at: int, budget: Budget) -> Iterator[Layer]:
    """A body in chunks (RFC 9112 section 7.1), as far as it is one."""
    data = layer.data
    parts: list[bytes] = []
    spans: list[Span] = []
    total = 0
    while budget.output > 0:
        size_match = _CHUNK_SIZE.match(data, at, at + _MAX_CHUNK_LINE)
        line_end = data.find(b"\r\n", at, at + _MAX_CHUNK_LINE)
        if size_match is None or line_end < 0:
            break
        size, start = int(size_match[0], 16), line_end + 2
        part = data[start : start + size]
        if not part:
            break
        parts.append(part)
        spans.append(Span(total, len(part), start, len(part)))
        total += len(part)
        budget.spend(len(part))
        at = start + size + 2
    if parts:
        names = (*layer.names, "chunked")
        yield Layer(b"".join(parts), names, tuple(spans), parent=layer, deflate_at=(0,))


def _unfolded(layer: Layer, folded: re.Match[bytes], budget: Budget) -> Layer:
    """Lines joined."""
    spans: list[Span] = []
    total, source = 0, folded.start()
    for line in folded[0].splitlines(keepends=True):
        length = len(line.rstrip(b"\r\n"))
        spans.append(Span(total, length, source, length))
        total, source = total + length, source + len(line)
    budget.spend(total)
    joined = folded[0].replace(b"\r", b"").replace(b"\n", b"")
    return Layer(joined, (*layer.names, "folded"), tuple(spans), parent=layer)


def _websocket(layer: Layer, at: int, budget: Budget) -> Iterator[Layer]:
    """The messages of a WebSocket connection (RFC 6455 section 5), unmasked and joined.

    Messages compressed by permessage-deflate (RFC 7692) make a layer of their own.
    """
    plain, inflated = _Messages(), _Messages()
    inflater = zlib.decompressobj(_RAW)
    compressed = False
    for frame in _frames(layer.data, at):
        if budget.output <= 0:
            break
        if frame.opcode:
            compressed = frame.compressed
        if compressed:
            tail = _SYNC_FLUSH if frame.final else b""
            try:
                out = inflater.decompress(frame.payload + tail, budget.output)
            except zlib.error:
                break
            inflated.add(out, frame)
            budget.spend(len(out))
        else:
            plain.add(frame.payload, frame)
            budget.spend(len(frame.payload))
    names = (*layer.names, "websocket")
    if plain.spans:
        yield Layer(b"".join(plain.parts), names, tuple(plain.spans), parent=layer)
    if inflated.spans:
        names = (*names, "deflate")
        yield Layer(b"".join(inflated.parts), names, tuple(inflated.spans), True, layer)


class _Frame(NamedTuple):
    opcode: int
    final: bool
    compressed: bool
    start: int
    payload: bytes


class _Messages:
    """Payloads of frames one after another, with a separator after each message."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.spans: list[Span] = []
        self._size = 0

    def add(self, data: bytes, frame: _Frame) -> None:
        if data:
            self.spans.append(Span(self._size, len(data), frame.start, len(frame.payload)))
            self.parts.append(data)
            self._size += len(data)
        if frame.final:
            self.parts.append(_SEPARATOR)
            self._size += 1


def _frames(data: bytes, at: int) -> Iterator[_Frame]:
    """Data frames, unmasked; control frames are left out. Ends where the bytes are no frames."""
    while at + 2 <= len(data):
        first, second = data[at], data[at + 1]
        opcode, length = first & 15, second & 127
        if first & 0x30 or opcode not in (0, 1, 2, 8, 9, 10):
            return
        at += 2
        if length >= 126:
            size = 2 if length == 126 else 8
            length = int.from_bytes(data[at : at + size])
            at += size
        key = b""
        if second & 0x80:
            key = data[at : at + 4]
            at += 4
        payload = data[at : at + length]
        if opcode < 8:
            final, compressed = bool(first & 0x80), bool(first & 0x40)
            yield _Frame(opcode, final, compressed, at, _unmask(payload, key))
        at += length


def _unmask(payload: bytes, key: bytes) -> bytes:
    if len(key) < 4 or not payload:
        return payload
    mask = (key * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload) ^ int.from_bytes(mask)).to_bytes(len(payload))


def _inflated(layer: Layer, start: int, bits: int, budget: Budget) -> Iterator[Layer]:
    out, consumed = _inflate(layer.data, start, bits, budget)
    if out:
        name = {_GZIP: "gzip", _ZLIB: "deflate", _RAW: "deflate"}[bits]
        spans = (Span(0, len(out), start, consumed),)
        yield Layer(out, (*layer.names, name), spans, opaque=True, parent=layer)


def _inflate(data: bytes, start: int, bits: int, budget: Budget) -> tuple[bytes, int]:
    """What inflates from `start`, up to the end, an error or the budget; and what it consumed.

    A damaged stream gives what comes before the damage, since an adversary reads that, too.
    """
    inflater = zlib.decompressobj(bits)
    parts: list[bytes] = []
    at, feed = start, _FIRST_FEED
    while at < len(data) and not inflater.eof and budget.output > 0:
        piece = data[at : at + feed]
        before = inflater.copy()
        try:
            out = inflater.decompress(piece, budget.output)
        except zlib.error:
            out, used = _inflate_to_damage(before, piece, budget.output)
            parts.append(out)
            budget.spend(len(out))
            at += used
            break
        parts.append(out)
        budget.spend(len(out))
        at += len(piece) - len(inflater.unused_data) - len(inflater.unconsumed_tail)
        feed = _FEED
        if at - start > _MAX_SILENCE and not any(parts):
            budget.note("what looked like a compressed stream gave nothing and was given up")
            break
    return b"".join(parts), at - start


def _inflate_to_damage(inflater: zlib._Decompress, piece: bytes, limit: int) -> tuple[bytes, int]:
    out = bytearray()
    for used in range(len(piece)):
        try:
            out += inflater.decompress(piece[used : used + 1], limit)
        except zlib.error:
            return bytes(out[:limit]), used
    return bytes(out[:limit]), len(piece)
