"""Where cells lie, and what a cell is bound to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlslab.errors import IntegrityError
from tlslab.volume.cells import (
    BLOCK_BYTES,
    CELL_BYTES,
    FANOUT,
    MAX_VOLUME_BYTES,
    Geometry,
    Sealing,
    reference,
)

BLOCK = b"b" * BLOCK_BYTES


@pytest.mark.parametrize(
    ("blocks", "counts"),
    [
        (1, (1, 1)),
        (FANOUT, (FANOUT, 1)),
        (FANOUT + 1, (FANOUT + 1, 2, 1)),
        (FANOUT**2, (FANOUT**2, FANOUT, 1)),
        (FANOUT**2 + 1, (FANOUT**2 + 1, FANOUT + 1, 2, 1)),
        (MAX_VOLUME_BYTES // BLOCK_BYTES, (2**32, 2**24, 2**16, 2**8, 1)),
    ],
)
def test_levels(blocks: int, counts: tuple[int, ...]) -> None:
    assert Geometry(blocks).counts == counts


@given(st.integers(1, 200_000))
def test_no_two_cells_share_a_place(blocks: int) -> None:
    geometry = Geometry(blocks)
    assert geometry.offset(0, 0) == 0
    for level, count in enumerate(geometry.counts):
        last = geometry.offset(level, count - 1)
        assert last == geometry.offset(level, 0) + (count - 1) * CELL_BYTES
        if level < geometry.top:
            assert geometry.offset(level + 1, 0) == last + CELL_BYTES


@pytest.mark.parametrize("address", [(-1, 0), (0, -1), (0, 10), (1, 1), (2, 0)])
def test_a_cell_that_there_is_not(address: tuple[int, int]) -> None:
    Geometry(10).offset(0, 9)
    with pytest.raises(ValueError, match="no cell"):
        Geometry(10).offset(*address)


def test_a_cell_opens_in_its_place_alone() -> None:
    sealing = Sealing(b"k" * 32, "vol-1")
    cell = sealing.seal((0, 7), BLOCK)
    assert len(cell) == CELL_BYTES
    assert sealing.open((0, 7), cell) == BLOCK
    for address in [(0, 8), (1, 7)]:
        with pytest.raises(IntegrityError):
            sealing.open(address, cell)
    for other in [Sealing(b"k" * 32, "vol-2"), Sealing(b"x" * 32, "vol-1")]:
        with pytest.raises(IntegrityError):
            other.open((0, 7), cell)


def test_the_same_block_never_looks_the_same() -> None:
    sealing = Sealing(b"k" * 32, "vol-1")
    first, second = sealing.seal((0, 0), BLOCK), sealing.seal((0, 0), BLOCK)
    assert first[:64] != second[:64]
    assert reference(first) != reference(second)


def test_the_key_is_not_shown() -> None:
    assert "kkk" not in repr(Sealing(b"k" * 32, "vol-1"))
