"""TCP reassembly: the bytes of one direction of a connection, and the packet each came in.

Segments may come out of order, twice, overlapping or not at all. What is missing stays missing: a
gap is noted and bytes on its two sides are never joined. Knows nothing of files or of what the
bytes mean.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tlslab.capture.formats import Buffer

_HALF: Final = 1 << 31
_FULL: Final = 1 << 32


class Piece(NamedTuple):
    """A stretch of the stream that one packet brought.

    It starts at `offset` in the stream; its bytes lie at `at` in the file and at `skip` in the
    packet's payload (not 0 if an earlier packet had brought its first bytes already).
    """

    offset: int
    length: int
    packet: int
    at: int
    skip: int = 0


class Location(NamedTuple):
    """A byte's place in the capture: the packet's number, and the offset in its TCP payload."""

    packet: int
    offset: int


class Run(NamedTuple):
    """Bytes without a gap, starting at `offset` in the stream."""

    offset: int
    data: bytes


@dataclass(frozen=True)
class Stream:
    """One direction of a connection.

    `pieces` are in order and do not overlap. `gaps` are stretches (offset, length) that the capture
    lacks. `conflicts` are pieces left out because a packet before them had brought other bytes for
    the same place (of which an endpoint may have taken either).
    """

    pieces: tuple[Piece, ...]
    gaps: tuple[tuple[int, int], ...]
    conflicts: tuple[Piece, ...]
    _source: Buffer = field(repr=False, compare=False)

    @property
    def size(self) -> int:
        """How many bytes there are, gaps not counted."""
        return sum(piece.length for piece in self.pieces)

    @property
    def data(self) -> bytes:
        """The bytes up to the first gap: all of them, if there is none."""
        return self.head(None)

    def head(self, limit: int | None) -> bytes:
        """The bytes up to the first gap, but hardly more than `limit` (whole packets)."""
        run = next(self.runs(limit), None)
        return run.data if run is not None and run.offset == 0 else b""

    def runs(self, limit: int | None = None, overlap: int = 0) -> Iterator[Run]:
        """The stream as stretches without gaps.

        With a `limit`, a longer stretch comes in parts of about that size, each of which starts
        `overlap` bytes (less than the limit, rounded up to whole packets) before the end of the
        one before.
        """
        part: list[Piece] = []
        size = 0
        for piece in self.pieces:
            if part and part[-1].offset + part[-1].length != piece.offset:
                yield self._run(part)
                part, size = [], 0
            elif part and limit is not None and size + piece.length > limit:
                yield self._run(part)
                part = self._tail(part, overlap)
                size = sum(kept.length for kept in part)
            part.append(piece)
            size += piece.length
        if part:
            yield self._run(part)

    def read(self, start: int, end: int) -> bytes:
        """The bytes from `start` up to `end`, or up to the first gap after `start`."""
        index = max(bisect.bisect_right(self.pieces, start, key=lambda old: old.offset) - 1, 0)
        parts: list[bytes] = []
        for piece in itertools.islice(self.pieces, index, None):
            skip = start - piece.offset
            if skip >= piece.length:
                continue
            if skip < 0 or start >= end:
                break
            parts.append(
                self._source[piece.at + skip : piece.at + min(piece.length, end - piece.offset)]
            )
            start = piece.offset + piece.length
        return b"".join(parts)

    def locate(self, offset: int) -> Location:
        """Where the byte at `offset` was captured. Raises IndexError in a gap or past the end."""
        index = bisect.bisect_right(self.pieces, offset, key=lambda piece: piece.offset) - 1
        if index >= 0:
            piece = self.pieces[index]
            if offset < piece.offset + piece.length:
                return Location(piece.packet, offset - piece.offset + piece.skip)
        raise IndexError(f"the capture holds no byte {offset} of this stream")

    def _run(self, part: list[Piece]) -> Run:
        source = self._source
        data = b"".join([source[piece.at : piece.at + piece.length] for piece in part])
        return Run(part[0].offset, data)

    @staticmethod
    def _tail(part: list[Piece], overlap: int) -> list[Piece]:
        start = len(part)
        while start > 0 and overlap > 0:
            start -= 1
            overlap -= part[start].length
        return part[start:]


class Reassembler:
    """Collects the segments of one direction; `stream` puts them in order."""

    def __init__(self) -> None:
        self.initial: int | None = None  # the sequence number of SYN
        self.first: int | None = None  # the sequence number of the stream's byte 0
        self._last_sequence = 0
        self._last_offset = 0
        self._acknowledged = 0
        self._pieces: list[Piece] = []
        self._missing_end = 0
        self.finished = False

    def synchronize(self, sequence: int) -> bool:
        """A SYN was seen. False if it cannot belong to this stream: another one starts."""
        if self.initial is not None:
            return self.initial == sequence
        following = (sequence + 1) % _FULL
        if self.first is not None and self.first != following:
            return False
        self.initial = sequence
        self._anchor(following)
        return True

    def add(self, sequence: int, packet: int, at: int, length: int, missing: int) -> None:
        """A segment with payload: `length` bytes at `at` in the file, `missing` not captured."""
        if self.first is None:
            self._anchor(sequence)
        # Sequence numbers wrap around: count from the segment before.
        delta = (sequence - self._last_sequence) % _FULL
        offset = self._last_offset + (delta - _FULL if delta >= _HALF else delta)
        self._last_sequence, self._last_offset = sequence, offset
        if length:
            self._pieces.append(Piece(offset, length, packet, at))
        if missing:
            self._missing_end = max(self._missing_end, offset + length + missing)

    def acknowledge(self, number: int) -> None:
        """The peer acknowledged everything before `number`, captured or not."""
        if self.first is not None:
            delta = (number - self._last_sequence) % _FULL
            if delta < _HALF:
                self._acknowledged = max(self._acknowledged, self._last_offset + delta)

    def finish(self, sequence: int) -> None:
        """A FIN was seen: the stream ends before `sequence`."""
        if self.first is not None:
            delta = (sequence - self._last_sequence) % _FULL
            if delta < _HALF:
                self._missing_end = max(self._missing_end, self._last_offset + delta)
        self.finished = True

    def _anchor(self, sequence: int) -> None:
        self.first = self._last_sequence = sequence
        self._last_offset = 0

    def stream(self, source: Buffer) -> Stream:
        """All that was collected, in order.

        Where segments overlap, the one that starts earlier keeps its bytes, and of two that start
        together the one that was captured earlier.
        """
        pieces = self._pieces
        in_order = all(
            before.offset + before.length == after.offset
            for before, after in itertools.pairwise(pieces)
        )
        # Without SYN byte 0 is the lowest one seen; with it, what lies before is no data (probes).
        lowest = min((piece.offset for piece in pieces), default=0)
        base = 0 if self.initial is not None else min(lowest, 0)
        conflicts: list[Piece] = []
        if not in_order or lowest < 0:
            pieces, conflicts = _merge(pieces, base, source)
        # FIN takes one sequence number of its own.
        wanted = max(self._missing_end, self._acknowledged - 1) - base
        return Stream(tuple(pieces), tuple(_gaps(pieces, wanted)), tuple(conflicts), source)


def _merge(pieces: list[Piece], base: int, source: Buffer) -> tuple[list[Piece], list[Piece]]:
    kept: list[Piece] = []
    conflicts: list[Piece] = []
    end = 0
    for piece in sorted(pieces, key=lambda piece: (piece.offset, piece.packet)):
        piece = piece._replace(offset=piece.offset - base)  # noqa: PLW2901
        known = end - piece.offset
        if known > 0:
            if _differs(kept, piece, source):
                conflicts.append(piece)
            if known >= piece.length:
                continue
            piece = Piece(  # noqa: PLW2901
                end, piece.length - known, piece.packet, piece.at + known, known
            )
        kept.append(piece)
        end = piece.offset + piece.length
    return kept, conflicts


def _differs(kept: list[Piece], piece: Piece, source: Buffer) -> bool:
    """Whether a piece brings other bytes than the pieces kept before it, where they overlap."""
    index = max(bisect.bisect_right(kept, piece.offset, key=lambda old: old.offset) - 1, 0)
    for old in kept[index:]:
        start = max(old.offset, piece.offset)
        end = min(old.offset + old.length, piece.offset + piece.length)
        if start >= end:
            continue
        mine, theirs = piece.at - piece.offset, old.at - old.offset
        if source[mine + start : mine + end] != source[theirs + start : theirs + end]:
            return True
    return False


def _gaps(pieces: list[Piece], wanted: int) -> Iterator[tuple[int, int]]:
    end = 0
    for piece in pieces:
        if piece.offset > end:
            yield end, piece.offset - end
        end = piece.offset + piece.length
    if wanted > end:
        yield end, wanted - end
