"""The journal: what makes a flush whole or not at all.

    journal = magic (8) || size of the box (4) || box(head) || cells
    head    = generation (8) || root (16) || SHA-256(cells) || address (8) per cell

Two files take turns. A flush first makes sure that the cells of earlier ones are in their places on
the disk, then writes all its cells to the journal of the older flush; once that is durable the
flush has happened, and only then are the cells put in their places. After a crash the newest whole
journal is put in place again. A journal torn by the crash is no journal: the other one is whole.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tlslab.envelope import encode_context, open_box, seal_box
from tlslab.errors import IntegrityError
from tlslab.volume.cells import CELL_BYTES, REFERENCE_BYTES, Address

_MAGIC = b"tlsjnl\x00\x01"
_SIZE_BYTES = 4
_PREFIX_BYTES = len(_MAGIC) + _SIZE_BYTES
_GENERATION_BYTES = 8
_DIGEST_BYTES = 32
_FIXED_BYTES = _GENERATION_BYTES + REFERENCE_BYTES + _DIGEST_BYTES
_ADDRESS_BYTES = 8

MAX_CELLS = 2**16
"""Three times what a flush writes at most: 4,096 blocks, each with a node of its own per level."""

MAX_JOURNAL_BYTES = MAX_CELLS * (CELL_BYTES + _ADDRESS_BYTES) + 1024


@dataclass(frozen=True)
class State:
    """Which flush was the last, and the root that stands for all blocks after it.

    Whoever keeps it away from the disk can tell whether the disk was set back.
    """

    generation: int
    root: bytes


@dataclass(frozen=True)
class Journal:
    """One flush: the state after it, and the cells that make it."""

    state: State
    addresses: Sequence[Address]
    data: bytes

    def cells(self) -> Iterator[tuple[Address, bytes]]:
        """The cells with their addresses."""
        for index, address in enumerate(self.addresses):
            yield address, self.data[index * CELL_BYTES : (index + 1) * CELL_BYTES]


def encode_journal(
    key: bytes, volume_id: str, size: int, state: State, cells: Sequence[tuple[Address, bytes]]
) -> bytes:
    """A journal as bytes."""
    data = b"".join(cell for _, cell in cells)
    head = state.generation.to_bytes(_GENERATION_BYTES, "big") + state.root
    head += hashlib.sha256(data).digest()
    head += b"".join(
        level.to_bytes(1, "big") + number.to_bytes(_ADDRESS_BYTES - 1, "big")
        for (level, number), _ in cells
    )
    box = seal_box(key, head, purpose="volume journal", context=_context(volume_id, size))
    return _MAGIC + len(box).to_bytes(_SIZE_BYTES, "big") + box + data


def decode_journal(key: bytes, volume_id: str, size: int, encoded: bytes) -> Journal:
    """A journal from bytes.

    Raises IntegrityError for anything that `encode_journal` did not write with this key for this
    volume (`size` in bytes), and for one that is not whole.
    """
    box_size = int.from_bytes(encoded[len(_MAGIC) : _PREFIX_BYTES], "big")
    if encoded[: len(_MAGIC)] != _MAGIC or len(encoded) < _PREFIX_BYTES + box_size:
        raise IntegrityError("a volume's journal is not whole")
    data = encoded[_PREFIX_BYTES + box_size :]
    box = encoded[_PREFIX_BYTES : _PREFIX_BYTES + box_size]
    head = open_box(key, box, purpose="volume journal", context=_context(volume_id, size))
    digest = head[_FIXED_BYTES - _DIGEST_BYTES : _FIXED_BYTES]
    if not hmac.compare_digest(hashlib.sha256(data).digest(), digest):
        raise IntegrityError("a volume's journal is not whole")
    state = State(
        int.from_bytes(head[:_GENERATION_BYTES], "big"),
        head[_GENERATION_BYTES : _GENERATION_BYTES + REFERENCE_BYTES],
    )
    addresses = [
        (head[at], int.from_bytes(head[at + 1 : at + _ADDRESS_BYTES], "big"))
        for at in range(_FIXED_BYTES, len(head), _ADDRESS_BYTES)
    ]
    return Journal(state, addresses, data)


def _context(volume_id: str, size: int) -> bytes:
    return encode_context({"volume": volume_id, "size": str(size)})
