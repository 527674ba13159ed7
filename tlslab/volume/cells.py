"""Cells: the sealed blocks of a volume and of the tree above them, and where each lies in its file.

    cell      = box(volume key, 4,096 bytes)            4,144 bytes: salt (32), ciphertext, tag (16)
    level 0   = the volume's blocks
    level k   = nodes: each the references of 256 cells of level k-1
    top       = one node; its reference is the root
    reference = the last 16 bytes of a cell, its tag; zeros stand for a cell never written

The box's context names the volume, the level and the number, so no cell opens in another place. Its
salt is drawn at each sealing, so a block written again under the same key shares nothing with the
one before: no nonce to count, none to repeat when a disk is set back (see tlslab.envelope.keys).

All levels lie in one file, one after the other; what was never written is a hole in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from tlslab.envelope import BOX_OVERHEAD, encode_context, open_box, seal_box

BLOCK_BYTES = 4096
"""What file systems write at a time. Larger blocks would seal faster (16 KiB: three times as fast)
and cost a file system that changes 4 KiB four times the writing."""

REFERENCE_BYTES = 16
FANOUT = BLOCK_BYTES // REFERENCE_BYTES
CELL_BYTES = BLOCK_BYTES + BOX_OVERHEAD

NEVER_WRITTEN = bytes(REFERENCE_BYTES)
"""A real tag is all zeros with probability 2^-128."""

MAX_VOLUME_BYTES = 16 * 2**40
"""16 TiB, as large as an EBS volume of the common kinds: 2^32 blocks, four levels of nodes."""

Address: TypeAlias = tuple[int, int]
"""Level and number of a cell."""


@dataclass(frozen=True)
class Geometry:
    """Where the cells of a volume of this many blocks lie."""

    blocks: int

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """How many cells each level has; the last has one."""
        counts = [self.blocks]
        while len(counts) < 2 or counts[-1] > 1:
            counts.append(-(-counts[-1] // FANOUT))
        return tuple(counts)

    @property
    def top(self) -> int:
        """The level of the one node that the root refers to."""
        return len(self.counts) - 1

    def offset(self, level: int, number: int) -> int:
        """Where a cell begins in the file. Raises ValueError for one that the volume has not."""
        if not (0 <= level <= self.top and 0 <= number < self.counts[level]):
            raise ValueError(f"a volume of {self.blocks} blocks has no cell {level}/{number}")
        return (sum(self.counts[:level]) + number) * CELL_BYTES


@dataclass(frozen=True)
class Sealing:
    """Seals and opens the cells of one volume."""

    key: bytes
    volume_id: str

    def __repr__(self) -> str:
        return f"Sealing({self.volume_id!r})"

    def seal(self, address: Address, plaintext: bytes | bytearray) -> bytes:
        """A cell with these 4,096 bytes."""
        context = self._context(address)
        return seal_box(self.key, bytes(plaintext), purpose="volume cell", context=context)

    def open(self, address: Address, cell: bytes) -> bytes:
        """The 4,096 bytes in a cell. Raises IntegrityError."""
        return open_box(self.key, cell, purpose="volume cell", context=self._context(address))

    def _context(self, address: Address) -> bytes:
        level, number = address
        return encode_context(
            {"volume": self.volume_id, "level": str(level), "number": str(number)}
        )


def reference(cell: bytes) -> bytes:
    """What a node keeps of a cell: enough to know it again."""
    return cell[-REFERENCE_BYTES:]
