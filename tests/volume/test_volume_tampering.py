"""What a thief of the disk who comes back can do to a volume, and what is noticed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import XTS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tlslab.errors import IntegrityError
from tlslab.volume.cells import BLOCK_BYTES, CELL_BYTES, Geometry, Sealing
from tlslab.volume.device import Device

Open = Callable[..., Device]

BLOCKS = 300
TOP = Geometry(BLOCKS).top


@pytest.fixture
def disk(open_device: Open, tmp_path: Path) -> Path:
    """Every block written once, then block 5 again; journals hold block 200 alone."""
    device = open_device(blocks=BLOCKS)
    device.write(0, b"1" * BLOCKS * BLOCK_BYTES)
    device.flush()
    shutil.copy(tmp_path / "device" / "blocks", tmp_path / "old")
    device.write(5 * BLOCK_BYTES, b"2" * BLOCK_BYTES)
    for _ in range(3):
        device.flush()
        device.write(200 * BLOCK_BYTES, b"1")
    device.close()
    return tmp_path / "device"


def cell_of(path: Path, level: int, number: int) -> bytes:
    with path.open("rb") as file:
        file.seek(Geometry(BLOCKS).offset(level, number))
        return file.read(CELL_BYTES)


def put_cell(path: Path, level: int, number: int, cell: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(Geometry(BLOCKS).offset(level, number))
        file.write(cell)


def test_untouched_it_reads(disk: Path, open_device: Open) -> None:
    device = open_device(blocks=BLOCKS)
    expected = bytearray(b"1" * BLOCKS * BLOCK_BYTES)
    expected[5 * BLOCK_BYTES : 6 * BLOCK_BYTES] = b"2" * BLOCK_BYTES
    assert device.read(0, device.size) == expected
    device.close()


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, CELL_BYTES * 8 - 1))
def test_a_changed_bit_is_noticed(at: int, disk: Path, open_device: Open) -> None:
    cell = cell_of(disk / "blocks", 0, 5)
    changed = bytearray(cell)
    changed[at // 8] ^= 1 << at % 8
    put_cell(disk / "blocks", 0, 5, bytes(changed))
    device = open_device(blocks=BLOCKS)
    with pytest.raises(IntegrityError):
        device.read(5 * BLOCK_BYTES, 1)
    with pytest.raises(IntegrityError):  # nor is half of it taken over
        device.write(5 * BLOCK_BYTES, b"x")
    assert device.read(6 * BLOCK_BYTES, 1) == b"1"  # the others are as they were
    device.close()
    put_cell(disk / "blocks", 0, 5, cell)


def test_swapped_blocks_are_noticed(disk: Path, open_device: Open) -> None:
    first, second = (cell_of(disk / "blocks", 0, number) for number in (5, 6))
    put_cell(disk / "blocks", 0, 5, second)
    put_cell(disk / "blocks", 0, 6, first)
    device = open_device(blocks=BLOCKS)
    for number in (5, 6):
        with pytest.raises(IntegrityError):
            device.read(number * BLOCK_BYTES, 1)
    device.close()


def test_a_block_of_another_volume_is_noticed(
    disk: Path, open_device: Open, tmp_path: Path
) -> None:
    other = open_device(directory=tmp_path / "other", blocks=BLOCKS, key=b"o" * 32)
    other.write(0, b"3" * BLOCKS * BLOCK_BYTES)
    other.flush()
    other.close()
    put_cell(disk / "blocks", 0, 5, cell_of(tmp_path / "other" / "blocks", 0, 5))
    device = open_device(blocks=BLOCKS)
    with pytest.raises(IntegrityError):
        device.read(5 * BLOCK_BYTES, 1)
    device.close()


def test_a_block_set_back_is_noticed(disk: Path, open_device: Open, tmp_path: Path) -> None:
    put_cell(disk / "blocks", 0, 5, cell_of(tmp_path / "old", 0, 5))
    device = open_device(blocks=BLOCKS)
    with pytest.raises(IntegrityError):
        device.read(5 * BLOCK_BYTES, 1)
    device.close()


def test_without_the_tree_a_block_set_back_is_taken(
    disk: Path, open_device: Open, tmp_path: Path
) -> None:
    """The twin: the cell itself is genuine, only not the present one."""
    old = cell_of(tmp_path / "old", 0, 5)
    assert Sealing(b"k" * 32, "vol-1").open((0, 5), old) == b"1" * BLOCK_BYTES


@pytest.mark.parametrize("level", range(TOP + 1))
def test_the_path_to_a_block_set_back_is_noticed_at_the_top(
    level: int, disk: Path, open_device: Open, tmp_path: Path
) -> None:
    """The block and the nodes above it, up to `level`; only the journal knows better."""
    for below in range(level + 1):
        number = 5 // 256**below
        put_cell(disk / "blocks", below, number, cell_of(tmp_path / "old", below, number))
    device = open_device(blocks=BLOCKS)
    if level == TOP:  # opening put the journal's own cells back, the top among them
        assert cell_of(disk / "blocks", TOP, 0) != cell_of(tmp_path / "old", TOP, 0)
    with pytest.raises(IntegrityError):
        device.read(5 * BLOCK_BYTES, 1)
    device.close()


@pytest.mark.parametrize("level", range(TOP))
def test_a_hole_in_the_place_of_a_cell_is_noticed(
    level: int, disk: Path, open_device: Open
) -> None:
    """Otherwise what was written would read as zeros."""
    put_cell(disk / "blocks", level, 0, bytes(CELL_BYTES))
    device = open_device(blocks=BLOCKS)
    if level < 1:
        with pytest.raises(IntegrityError):
            device.read(0, 1)
    else:  # opening puts the journal's cells back; block 200 has the same node
        assert device.read(0, 1) == b"1"
    device.close()


def test_a_file_cut_short_is_noticed(disk: Path, open_device: Open) -> None:
    os.truncate(disk / "blocks", 0)
    device = open_device(blocks=BLOCKS)
    with pytest.raises(IntegrityError):
        device.read(0, 1)
    device.close()


def test_both_journals_gone_or_changed_is_noticed(disk: Path, open_device: Open) -> None:
    (disk / "journal.0").unlink()
    content = bytearray((disk / "journal.1").read_bytes())
    content[40] ^= 1
    (disk / "journal.1").write_bytes(content)
    with pytest.raises(IntegrityError):
        open_device(blocks=BLOCKS)


def test_one_journal_gone_sets_back_one_flush_and_no_further(
    open_device: Open, tmp_path: Path
) -> None:
    """What a crash leaves and what a thief leaves look alike here: see `not_before`."""
    device = open_device(blocks=BLOCKS)
    for text in (b"1", b"2", b"3"):
        device.write(5 * BLOCK_BYTES, text * BLOCK_BYTES)
        device.flush()
    device.close()
    (tmp_path / "device" / "journal.1").unlink()  # that of flush 3
    device = open_device(blocks=BLOCKS)
    assert device.state.generation == 2
    assert device.read(5 * BLOCK_BYTES, 1) == b"2"
    device.close()


def test_xts_notices_none_of_it() -> None:
    """The twin of the whole design: the other way to encrypt a disk."""
    key = os.urandom(64)

    def xts(number: int) -> Cipher[XTS]:
        return Cipher(AES(key), XTS(number.to_bytes(16, "little")))

    def seal(number: int, block: bytes) -> bytes:
        return xts(number).encryptor().update(block)

    def read(number: int, sealed: bytes) -> bytes:
        return xts(number).decryptor().update(sealed)

    old, new = seal(5, b"1" * BLOCK_BYTES), seal(5, b"2" * BLOCK_BYTES)
    assert read(5, old) == b"1" * BLOCK_BYTES  # set back: taken
    assert seal(5, b"2" * BLOCK_BYTES) == new  # written again: seen to be the same
    changed = bytes([new[0] ^ 1]) + new[1:]
    garbled = read(5, changed)
    assert garbled[:16] != b"2" * 16  # noise, 16 bytes of it, taken for data
    assert garbled[16:] == b"2" * (BLOCK_BYTES - 16)
    mixed = old[:1024] + new[1024:]  # halves of two versions
    assert read(5, mixed) == b"1" * 1024 + b"2" * (BLOCK_BYTES - 1024)
