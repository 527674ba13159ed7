"""After a crash at any moment of a flush, a volume is as before it or as after it."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tlslab.errors import IntegrityError
from tlslab.volume.cells import BLOCK_BYTES, CELL_BYTES
from tlslab.volume.device import Device
from tlslab.volume.journal import State, decode_journal, encode_journal

Open = Callable[..., Device]

BLOCKS = 300
WRITES = {0: b"one", 7: b"two", 299: b"three"}


@pytest.fixture
def flush(tmp_path: Path, open_device: Open) -> tuple[Path, Path]:
    """The disk before and after a flush that changes three blocks."""
    before, after = tmp_path / "before", tmp_path / "after"
    device = open_device(directory=before, blocks=BLOCKS)
    device.write(0, b"-" * BLOCKS * BLOCK_BYTES)
    device.flush()
    device.write(100 * BLOCK_BYTES, b"-")  # the journal of the first flush gives way
    device.flush()
    device.close()
    shutil.copytree(before, after)
    device = open_device(directory=after, blocks=BLOCKS)
    for number, text in WRITES.items():
        device.write(number * BLOCK_BYTES, text)
    device.flush()
    device.close()
    return before, after


def contents(device: Device) -> list[bytes]:
    return [device.read(number * BLOCK_BYTES, 5).rstrip(b"-") for number in WRITES]


OLD, NEW = [b""] * 3, list(WRITES.values())


def crashed(directory: Path, before: Path, journal: bytes, blocks: bytes) -> Path:
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(before, directory)
    (directory / "journal.1").write_bytes(journal)  # flush 3 takes turn 1
    (directory / "blocks").write_bytes(blocks)
    return directory


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_crash_while_the_journal_is_written(
    data: st.DataObject, flush: tuple[Path, Path], tmp_path: Path, open_device: Open
) -> None:
    before, after = flush
    journal = (after / "journal.1").read_bytes()
    cut = data.draw(st.integers(0, len(journal) - 1))
    hole = data.draw(st.integers(0, cut))  # pages reach the disk in any order
    torn = journal[:hole] + bytes(cut - hole) + (journal[cut:] if hole < cut else b"")
    disk = crashed(tmp_path / "crashed", before, torn, (before / "blocks").read_bytes())
    device = open_device(directory=disk, blocks=BLOCKS)
    expected = NEW if torn == journal else OLD
    assert contents(device) == expected
    device.close()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tear=st.integers(0, 310 * CELL_BYTES), backwards=st.booleans())
def test_a_crash_while_cells_are_put_in_place(
    tear: int, backwards: bool, flush: tuple[Path, Path], tmp_path: Path, open_device: Open
) -> None:
    before, after = flush
    old, new = (before / "blocks").read_bytes(), (after / "blocks").read_bytes()
    mixed = old[:tear] + new[tear:] if backwards else new[:tear] + old[tear:]
    journal = (after / "journal.1").read_bytes()
    disk = crashed(tmp_path / "crashed", before, journal, mixed)
    device = open_device(directory=disk, blocks=BLOCKS)
    assert contents(device) == NEW
    device.close()


def test_without_the_journal_a_torn_cell_is_lost(
    flush: tuple[Path, Path], tmp_path: Path, open_device: Open
) -> None:
    """The twin: what the journal is for."""
    before, after = flush
    old, new = (before / "blocks").read_bytes(), (after / "blocks").read_bytes()
    mixed = new[:100] + old[100:]
    disk = crashed(tmp_path / "crashed", before, (before / "journal.1").read_bytes(), mixed)
    device = open_device(directory=disk, blocks=BLOCKS)
    with pytest.raises(IntegrityError):
        device.read(0, 1)
    device.close()


def test_it_goes_on_after_a_crash(
    flush: tuple[Path, Path], tmp_path: Path, open_device: Open
) -> None:
    before, after = flush
    journal = (after / "journal.1").read_bytes()
    disk = crashed(tmp_path / "crashed", before, journal, (before / "blocks").read_bytes())
    for number in range(5):
        device = open_device(directory=disk, blocks=BLOCKS)
        device.write(BLOCK_BYTES * 50, bytes([number]))
        device.flush()
        device.close()
    device = open_device(directory=disk, blocks=BLOCKS)
    assert contents(device) == NEW
    assert device.read(BLOCK_BYTES * 50, 1) == b"\x04"
    assert device.state.generation == 8
    device.close()


WRITER = """
import sys
from pathlib import Path
from tlslab.volume.device import Device
device = Device(Path(sys.argv[1]), key=b"k" * 32, volume_id="vol-1", size=600 * 4096)
for number in range(1, 1_000_000):
    device.write(0, number.to_bytes(8, "big"))
    device.write(599 * 4096, number.to_bytes(8, "big"))
    device.flush()
    print(number, flush=True)
"""


def test_killed_while_it_writes(open_device: Open, tmp_path: Path) -> None:
    """Every flush that was acknowledged is there, and both its blocks are."""
    open_device().close()
    last = 0
    for lines in (3, 20, 50):
        command = [sys.executable, "-c", WRITER, str(tmp_path / "device")]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for _ in range(lines):
                last = int(process.stdout.readline())
            process.send_signal(signal.SIGKILL)
            last = max([last, *map(int, process.stdout.read().splitlines())])
        device = open_device()
        first = int.from_bytes(device.read(0, 8), "big")
        assert first == int.from_bytes(device.read(599 * BLOCK_BYTES, 8), "big")
        assert first in {last, last + 1}
        device.close()


cells = st.lists(
    st.tuples(
        st.tuples(st.integers(0, 4), st.integers(0, 2**32)),
        st.integers(0, 255).map(lambda n: bytes([n]) * CELL_BYTES),
    ),
    max_size=3,
)


@settings(max_examples=30)
@given(generation=st.integers(0, 2**64 - 1), root=st.binary(min_size=16, max_size=16), cells=cells)
def test_a_journal_comes_back(
    generation: int, root: bytes, cells: list[tuple[tuple[int, int], bytes]]
) -> None:
    state = State(generation, root)
    encoded = encode_journal(b"k" * 32, "vol-1", 4096, state, cells)
    journal = decode_journal(b"k" * 32, "vol-1", 4096, encoded)
    assert journal.state == state
    assert list(journal.cells()) == cells


@given(data=st.data(), extra=st.binary(max_size=3))
def test_a_journal_with_any_other_bytes_is_none(data: st.DataObject, extra: bytes) -> None:
    cells = [((0, 1), b"c" * CELL_BYTES)]
    encoded = bytearray(encode_journal(b"k" * 32, "vol-1", 4096, State(3, bytes(16)), cells))
    if not extra:
        encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(IntegrityError):
        decode_journal(b"k" * 32, "vol-1", 4096, bytes(encoded) + extra)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_no_journal(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        decode_journal(b"k" * 32, "vol-1", 4096, data)
