"""A device behaves as bytes do: any offset, any size, any order; and a flush lasts."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tlslab.errors import IntegrityError, StoreError, UsageError
from tlslab.volume import device as device_module
from tlslab.volume import tree as tree_module
from tlslab.volume.cells import BLOCK_BYTES, CELL_BYTES
from tlslab.volume.device import Device, create_device

Open = Callable[..., Device]

BLOCKS = 300  # three levels
SIZE = BLOCKS * BLOCK_BYTES


@pytest.mark.parametrize(
    ("offset", "size"),
    [
        (0, 1),
        (0, BLOCK_BYTES),
        (1, BLOCK_BYTES),
        (BLOCK_BYTES - 1, 2),
        (BLOCK_BYTES - 1, BLOCK_BYTES + 2),
        (5, 3 * BLOCK_BYTES - 10),
        (SIZE - 1, 1),
        (SIZE - BLOCK_BYTES - 1, BLOCK_BYTES + 1),
        (SIZE, 0),
    ],
)
def test_what_was_written_is_read_and_nothing_beside_it_changed(
    offset: int, size: int, open_device: Open
) -> None:
    device = open_device(blocks=BLOCKS)
    background, data = os.urandom(SIZE), os.urandom(size)
    device.write(0, background)
    device.write(offset, data)
    expected = background[:offset] + data + background[offset + size :]
    assert device.read(0, SIZE) == expected
    device.flush()
    device.close()
    device = open_device(blocks=BLOCKS)
    assert device.read(offset, size) == data
    assert device.read(0, SIZE) == expected
    device.close()


@pytest.mark.parametrize(("offset", "size"), [(-1, 1), (0, SIZE + 1), (SIZE, 1), (SIZE - 1, 2)])
def test_outside_the_volume(offset: int, size: int, open_device: Open) -> None:
    device = open_device(blocks=BLOCKS)
    with pytest.raises(ValueError, match="not within"):
        device.read(offset, size)
    with pytest.raises(ValueError, match="not within"):
        device.write(offset, bytes(size))
    device.close()


def test_what_was_never_written_is_zeros_and_takes_no_space(open_device: Open) -> None:
    device = open_device(blocks=2**28)  # 1 TiB
    assert device.read(2**39 - 3, 10_000) == bytes(10_000)
    device.write(2**39, b"x")
    device.flush()
    assert device.read(2**39 - 1, 3) == b"\0x\0"
    used = (device._directory / "blocks").stat().st_blocks * 512
    assert used < 20 * CELL_BYTES
    device.close()


def test_what_was_not_flushed_is_gone_when_it_is_closed(open_device: Open) -> None:
    device = open_device()
    device.write(0, b"kept")
    device.flush()
    device.write(0, b"lost")
    assert device.read(0, 4) == b"lost"
    device.close()
    device = open_device()
    assert device.read(0, 4) == b"kept"
    device.close()


def test_a_flush_of_nothing_changes_nothing(open_device: Open) -> None:
    device = open_device()
    assert device.flush() == device.flush()
    device.write(0, b"")
    assert device.flush().generation == 0
    device.write(0, b"x")
    assert device.flush().generation == 1
    device.close()


def test_much_is_flushed_without_being_asked(
    open_device: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_module, "MAX_UNFLUSHED", 16)
    device = open_device()
    device.write(0, bytes(15 * BLOCK_BYTES))
    assert device.state.generation == 0
    device.write(15 * BLOCK_BYTES, bytes(BLOCK_BYTES))
    assert device.state.generation == 1
    device.close()


def test_few_nodes_are_kept_open(open_device: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_module, "MAX_NODES", 3)
    device = open_device(blocks=20 * 256)
    for number in range(20):
        device.write(number * 256 * BLOCK_BYTES, bytes([number]) * 10)
    device.flush()
    assert len(device._tree._nodes) <= 3
    for number in range(20):
        assert device.read(number * 256 * BLOCK_BYTES, 10) == bytes([number]) * 10
    assert len(device._tree._nodes) <= 3
    device.close()


def test_only_one_has_it_open(open_device: Open) -> None:
    device = open_device()
    with pytest.raises(UsageError):
        open_device()
    device.close()
    open_device().close()


def test_another_key_opens_nothing(open_device: Open) -> None:
    open_device().close()
    with pytest.raises(IntegrityError):
        open_device(key=b"x" * 32)
    open_device().close()  # and the lock was given back


def test_another_size_or_id_opens_nothing(open_device: Open, tmp_path: Path) -> None:
    open_device().close()
    with pytest.raises(IntegrityError):
        open_device(blocks=601)
    with pytest.raises(IntegrityError):
        Device(tmp_path / "device", key=b"k" * 32, volume_id="vol-2", size=600 * BLOCK_BYTES)


def test_after_a_failed_flush_it_is_of_no_use_until_opened_again(
    open_device: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = open_device()
    device.write(0, b"old")
    device.flush()
    device.write(0, b"new")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(StoreError):
            device.flush()
    for use in (lambda: device.read(0, 3), lambda: device.write(0, b"x"), device.flush):
        with pytest.raises(StoreError):
            use()
    device.close()
    device = open_device()
    assert device.read(0, 3) in {b"old", b"new"}  # the journal may have reached the disk
    device.close()


def test_files_are_for_their_owner_alone(open_device: Open) -> None:
    device = open_device()
    device.write(0, b"x")
    device.flush()
    modes = {path.name: path.stat().st_mode & 0o777 for path in device._directory.iterdir()}
    assert modes == {"blocks": 0o600, "journal.0": 0o600, "journal.1": 0o600}
    device.close()


class DeviceMachine(RuleBasedStateMachine):
    """Writes, flushes, crashes and openings in any order, against plain bytes."""

    directory: Path

    @initialize()
    def begin(self) -> None:
        self.directory.mkdir()
        create_device(self.directory, key=b"k" * 32, volume_id="vol-1", size=SIZE)
        self.now, self.durable = bytearray(SIZE), bytes(SIZE)
        self.open_again()

    def open_again(self) -> None:
        self.device = Device(self.directory, key=b"k" * 32, volume_id="vol-1", size=SIZE)

    @rule(
        offset=st.integers(0, SIZE - 1),
        size=st.integers(0, 3 * BLOCK_BYTES),
        fill=st.binary(max_size=1),
    )
    def write(self, offset: int, size: int, fill: bytes) -> None:
        data = ((fill or b"\0") * size)[: SIZE - offset]
        self.device.write(offset, data)
        self.now[offset : offset + len(data)] = data

    @rule(offset=st.integers(0, SIZE - 1), size=st.integers(0, 3 * BLOCK_BYTES))
    def read(self, offset: int, size: int) -> None:
        size = min(size, SIZE - offset)
        assert self.device.read(offset, size) == self.now[offset : offset + size]

    @rule()
    def flush(self) -> None:
        self.device.flush()
        self.durable = bytes(self.now)

    @rule()
    def crash(self) -> None:
        self.device.close()
        self.open_again()
        self.now = bytearray(self.durable)

    @rule()
    def read_all(self) -> None:
        assert self.device.read(0, SIZE) == self.now

    def teardown(self) -> None:
        if hasattr(self, "device"):
            self.device.close()


def test_any_sequence(tmp_path_factory: pytest.TempPathFactory) -> None:
    class Machine(DeviceMachine):
        def __init__(self) -> None:
            super().__init__()
            self.directory = tmp_path_factory.mktemp("machine") / "device"

    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        Machine, settings=settings(max_examples=25, stateful_step_count=25, deadline=None)
    )
