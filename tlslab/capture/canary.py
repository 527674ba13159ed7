"""Canaries: unique payloads, and the search for them in all that an adversary holds.

A canary that is found was readable. One that is not found proves something only if the search could
have found it: so every encoding and every layer named in `encodings` and `layers` is looked
through, and whatever a limit left out is added to `notes`, never passed over in silence.
"""

from __future__ import annotations

import mmap
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tlslab.capture.encodings import MAX_TOKEN, MIN_TOKEN, Pattern, patterns
from tlslab.capture.layers import MAX_OUTPUT, Budget, unpack
from tlslab.capture.reader import Capture, OtherBytes
from tlslab.errors import CaptureError, UsageError
from tlslab.net import Direction, Flow

# base32 in lower case: 5 bits a character, nothing that URLs, JSON or shells treat specially.
_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"
_RANDOM_CHARACTERS: Final = 20  # 100 bits

# Large data is searched in windows, so that memory does not grow with it. They overlap, so that
# nothing is cut in two that is shorter than the overlap.
WINDOW: Final = MAX_OUTPUT
OVERLAP: Final = 2**20

# Of one canary in one encoding, in one layer. A file full of it is found out by the first few.
MAX_HITS: Final = 1000

_SEPARATOR: Final = b"\xff"


@dataclass(frozen=True)
class Canary:
    """Bytes that occur nowhere else. `label` says for people what they stand for."""

    label: str
    token: bytes

    def __post_init__(self) -> None:
        if not MIN_TOKEN <= len(self.token) <= MAX_TOKEN:
            raise UsageError(
                f"a canary has {MIN_TOKEN} to {MAX_TOKEN} bytes, not {len(self.token)}",
                hint="a shorter text would be found by chance",
            )

    @classmethod
    def fresh(cls, label: str) -> Canary:
        """A new canary with 100 random bits, in printable ASCII that URLs and JSON leave alone."""
        words = re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")[:32]
        noise = "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_CHARACTERS))
        return cls(label, f"canary-{words}-{noise}".replace("--", "-").encode())

    @property
    def text(self) -> str:
        """The token as text."""
        return self.token.decode(errors="replace")


@dataclass(frozen=True)
class Hit:
    """A canary found in bytes, `length` of them from `offset` on.

    `encoding` is `"plain"`, one encoding (`"base64"`), or the layers around it from the outside in
    (`"chunked, gzip"`, `"gzip, hex"`). Of a compressed stream, offset and length are the stream's.
    """

    canary: Canary
    offset: int
    encoding: str
    length: int


@dataclass(frozen=True)
class CaptureHit:
    """A canary found in a capture.

    It starts in packet number `packet`, `offset` bytes into that packet's TCP payload, and
    `stream_offset` bytes into its direction of the flow. `flow` and `direction` are None for a
    packet that belongs to no flow; `offset` then counts from the start of the packet.
    """

    canary: Canary
    encoding: str
    length: int
    packet: int
    offset: int
    flow: Flow | None = None
    direction: Direction | None = None
    stream_offset: int = 0


def search(data: bytes, canaries: Iterable[Canary], *, notes: list[str] | None = None) -> list[Hit]:
    """Every place where a canary can be read, by offset.

    `notes` receives a sentence for whatever a limit left unsearched.
    """
    return _Search(canaries, notes).hits(data)


def search_file(
    path: str | os.PathLike[str], canaries: Iterable[Canary], *, notes: list[str] | None = None
) -> list[Hit]:
    """Like `search`, in a file of any size. Raises `CaptureError` if it cannot be read."""
    looking = _Search(canaries, notes)
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - also takes the number of a descriptor
            return looking.in_windows(_file_windows(file.fileno()))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CaptureError(f"{os.fspath(path)} cannot be searched: {reason}") from error


def search_capture(
    capture: Capture, canaries: Iterable[Canary], *, notes: list[str] | None = None
) -> list[CaptureHit]:
    """Every canary readable in a capture, by packet; also when it spans packets.

    Looks through both directions of every flow, then through all other packets.
    """
    looking = _Search(canaries, notes)
    found: list[CaptureHit] = []
    for record in capture.flows:
        for direction in Direction:
            stream = record.stream(direction)
            windows = ((run.offset, run.data) for run in stream.runs(WINDOW, OVERLAP))
            for hit in looking.in_windows(windows):
                place = stream.locate(hit.offset)
                found.append(
                    CaptureHit(
                        hit.canary,
                        hit.encoding,
                        hit.length,
                        place.packet,
                        place.offset,
                        record.flow,
                        direction,
                        hit.offset,
                    )
                )
    found += _in_others(capture, looking)
    return sorted(found, key=lambda hit: (hit.packet, hit.offset))


class _Search:
    """Canaries made ready to be looked for, in several pieces of data one after another."""

    def __init__(self, canaries: Iterable[Canary], notes: list[str] | None) -> None:
        self._wanted: list[tuple[Canary, Sequence[Pattern]]] = [
            (canary, patterns(canary.token)) for canary in dict.fromkeys(canaries)
        ]
        self._notes = notes

    def hits(self, data: bytes) -> list[Hit]:
        if not self._wanted:
            return []
        budget = Budget()
        # An inner layer repeats what was readable outside it, such as the bytes of one chunk: keep
        # the shortest way to read what lies in one place.
        found: dict[tuple[Canary, int, int, str], Hit] = {}
        for layer in unpack(data, budget):
            for canary, ways in self._wanted:
                for way in ways:
                    for start, size in self._bounded(way.find(layer.data), budget):
                        offset, length = layer.origin(start, size)
                        encoding = _describe(layer.names, way.encoding)
                        key = (canary, offset, length, way.encoding)
                        found.setdefault(key, Hit(canary, offset, encoding, length))
        for note in budget.notes:
            self._note(note)
        return sorted(found.values(), key=lambda hit: hit.offset)

    def in_windows(self, windows: Iterable[tuple[int, bytes]]) -> list[Hit]:
        """Hits in data that comes in overlapping parts, each with its offset."""
        found: dict[tuple[Canary, int, str], Hit] = {}
        before = 0
        for start, data in windows:
            if start < before:
                self._note(
                    f"data beyond {WINDOW >> 20} MiB was searched in parts: "
                    "a compressed or chunked body across two parts was not unpacked whole"
                )
            before = start + len(data)
            for hit in self.hits(data):
                moved = Hit(hit.canary, hit.offset + start, hit.encoding, hit.length)
                found.setdefault((hit.canary, moved.offset, moved.encoding), moved)
        return list(found.values())

    def _bounded(
        self, places: Iterator[tuple[int, int]], budget: Budget
    ) -> Iterator[tuple[int, int]]:
        for count, place in enumerate(places):
            if count >= MAX_HITS:
                budget.note(f"a canary occurs more than {MAX_HITS} times: the rest is not listed")
                return
            yield place

    def _note(self, text: str) -> None:
        if self._notes is not None and text not in self._notes:
            self._notes.append(text)


def _describe(layers: tuple[str, ...], encoding: str) -> str:
    if layers and encoding == "plain":
        return ", ".join(layers)
    return ", ".join((*layers, encoding))


def _file_windows(descriptor: int) -> Iterator[tuple[int, bytes]]:
    if os.fstat(descriptor).st_size == 0:
        return
    with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as data:
        start = 0
        while True:
            yield start, data[start : start + WINDOW]
            if start + WINDOW >= len(data):
                return
            start += WINDOW - OVERLAP


def _in_others(capture: Capture, looking: _Search) -> Iterator[CaptureHit]:
    """Hits in packets outside the flows; many small packets are searched in one go."""
    batch: list[OtherBytes] = []
    size = 0
    for other in capture.others:
        batch.append(other)
        size += other.length
        if size >= WINDOW:
            yield from _in_batch(capture, batch, looking)
            batch, size = [], 0
    yield from _in_batch(capture, batch, looking)


def _in_batch(capture: Capture, batch: list[OtherBytes], looking: _Search) -> Iterator[CaptureHit]:
    source = capture.source
    data = _SEPARATOR.join([source[other.at : other.at + other.length] for other in batch])
    hits = looking.hits(data)
    start = 0
    for other in batch:
        end = start + other.length
        while hits and hits[0].offset < end:
            hit = hits.pop(0)
            yield CaptureHit(hit.canary, hit.encoding, hit.length, other.packet, hit.offset - start)
        start = end + len(_SEPARATOR)
