"""Bytes as rows of hex beside text, with one stretch highlighted.

Rows come in halves of eight bytes, so that a narrow screen can stack what a wide one shows side by
side. This module makes values; drawing them is others' business.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

HALF = 8
"""Bytes in half a row: 8 hex pairs beside 8 characters fit a phone 360 pixels wide."""


@dataclass(frozen=True)
class Stretch:
    """Bytes that follow each other and are all highlighted, or all not."""

    data: bytes
    highlighted: bool

    @property
    def hex(self) -> str:
        """Two lower-case digits per byte, separated by spaces."""
        return self.data.hex(" ")

    @property
    def text(self) -> str:
        """One character per byte: itself where printable ASCII, otherwise a middle dot."""
        return "".join(chr(byte) if 0x20 <= byte < 0x7F else "·" for byte in self.data)


@dataclass(frozen=True)
class Half:
    """Up to eight bytes and where they start."""

    offset: int
    stretches: tuple[Stretch, ...]


def halves(data: bytes, *, offset: int = 0, start: int = 0, length: int = 0) -> Iterator[Half]:
    """Cut `data`, whose first byte lies at `offset`, highlighting `length` bytes from `start`.

    A stretch that lies partly or wholly outside `data` is highlighted as far as it lies inside.
    """
    end = start + length
    for first in range(0, len(data), HALF):
        last = min(first + HALF, len(data))
        cuts = sorted({first, last, *(cut for cut in (start, end) if first < cut < last)})
        stretches = tuple(
            Stretch(data[low:high], highlighted=start <= low < end) for low, high in pairwise(cuts)
        )
        yield Half(offset + first, stretches)
