"""The tree of cells: which version of each block is the present one.

A cell alone proves that it was once written to its place, not that nothing was written there since.
So the node above keeps its reference, the node above that keeps the node's, and the root stands for
all blocks at once. Setting any cell back to an older one, or to a hole, breaks the chain.

What was written waits here in plain memory until `seal` gives it out as cells with the new root. It
does no I/O itself: where cells are read from is a function.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict
from collections.abc import Callable, Iterator

from tlslab.errors import IntegrityError
from tlslab.volume.cells import (
    BLOCK_BYTES,
    FANOUT,
    NEVER_WRITTEN,
    REFERENCE_BYTES,
    Address,
    Geometry,
    Sealing,
    reference,
)

MAX_NODES = 1024
"""Nodes kept open: 4 MiB of memory, for 1 GiB of blocks."""

_ZEROS = bytes(BLOCK_BYTES)


class Tree:
    """The blocks below a root, and those written since."""

    def __init__(
        self,
        geometry: Geometry,
        sealing: Sealing,
        read_cell: Callable[[Address], bytes],
        root: bytes,
    ) -> None:
        self.root = root
        self._geometry = geometry
        self._sealing = sealing
        self._read_cell = read_cell
        self._blocks: dict[int, bytes] = {}  # written, not sealed yet
        self._nodes: OrderedDict[Address, bytearray] = OrderedDict()  # the last used last
        self._pinned = False  # between seal and sealed, changed nodes are nowhere but here

    @property
    def unsealed(self) -> int:
        """How many blocks wait for `seal`."""
        return len(self._blocks)

    def block(self, number: int) -> bytes:
        """A block; zeros if it was never written.

        Raises IntegrityError if its cell, or a node above, is not the one written last.
        """
        waiting = self._blocks.get(number)
        return self._open((0, number)) if waiting is None else waiting

    def put(self, number: int, block: bytes) -> None:
        """Write a block."""
        self._blocks[number] = block

    def seal(self) -> list[tuple[Address, bytes]]:
        """Cells for all that was written, the nodes above included; `root` stands for them then."""
        self._pinned = True
        cells: list[tuple[Address, bytes]] = []
        changed: dict[int, bytes | bytearray] = dict(sorted(self._blocks.items()))
        for level in range(self._geometry.top + 1):
            parents: dict[int, bytes | bytearray] = {}
            for number, plaintext in changed.items():
                cell = self._sealing.seal((level, number), plaintext)
                cells.append(((level, number), cell))
                if level == self._geometry.top:
                    self.root = reference(cell)
                else:
                    parents[number // FANOUT] = self._refer((level, number), reference(cell))
            changed = parents
        return cells

    def sealed(self) -> None:
        """The cells that `seal` gave out can be read now: nothing waits any more."""
        self._blocks.clear()
        self._pinned = False
        self._drop_nodes()

    def written(self) -> Iterator[int]:
        """The numbers of the blocks that were ever written and sealed, in order."""
        return self._written(self._geometry.top, 0)

    def _written(self, level: int, number: int) -> Iterator[int]:
        if self._reference((level, number)) == NEVER_WRITTEN:
            return
        if level == 0:
            yield number
            return
        last = min((number + 1) * FANOUT, self._geometry.counts[level - 1])
        for child in range(number * FANOUT, last):
            yield from self._written(level - 1, child)

    def _reference(self, address: Address) -> bytes:
        level, number = address
        if level == self._geometry.top:
            return self.root
        start = number % FANOUT * REFERENCE_BYTES
        return bytes(self._node((level + 1, number // FANOUT))[start : start + REFERENCE_BYTES])

    def _refer(self, address: Address, to: bytes) -> bytearray:
        level, number = address
        node = self._node((level + 1, number // FANOUT))
        start = number % FANOUT * REFERENCE_BYTES
        node[start : start + REFERENCE_BYTES] = to
        return node

    def _node(self, address: Address) -> bytearray:
        node = self._nodes.get(address)
        if node is None:
            node = self._nodes[address] = bytearray(self._open(address))
            self._drop_nodes()
        else:
            self._nodes.move_to_end(address)
        return node

    def _drop_nodes(self) -> None:
        while len(self._nodes) > MAX_NODES and not self._pinned:
            self._nodes.popitem(last=False)

    def _open(self, address: Address) -> bytes:
        wanted = self._reference(address)
        if wanted == NEVER_WRITTEN:
            return _ZEROS
        cell = self._read_cell(address)
        if not hmac.compare_digest(reference(cell), wanted):
            level, number = address
            raise IntegrityError(
                f"{'a node' if level else 'block'} {number} of a volume is not the one written last"
            )
        return self._sealing.open(address, cell)
