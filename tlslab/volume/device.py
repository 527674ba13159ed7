"""A volume as a disk: bytes at any offset, a flush that is durable and whole. It blocks.

    blocks      the cells, each in its place (cells.py)
    journal.0   journal.1   the last two flushes, in turns (journal.py)

What is written waits in memory, sealed by nothing, until a flush; there it is sealed before it goes
to the disk, so that no plaintext ever does. All writes since the last flush become durable together
or, after a crash, not at all: more than a disk promises. (Above MAX_UNFLUSHED blocks they become so
in several flushes.)

It knows the key, and not where it came from.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from tlslab.envelope import sync_directory
from tlslab.errors import IntegrityError, StoreError, UsageError
from tlslab.volume.cells import BLOCK_BYTES, CELL_BYTES, NEVER_WRITTEN, Address, Geometry, Sealing
from tlslab.volume.journal import (
    MAX_JOURNAL_BYTES,
    Journal,
    State,
    decode_journal,
    encode_journal,
)
from tlslab.volume.tree import Tree

MAX_UNFLUSHED = 4096
"""Blocks written, not flushed: 16 MiB of memory. More are flushed without being asked."""

_BLOCKS = "blocks"
_JOURNALS = ("journal.0", "journal.1")


def create_device(directory: Path, *, key: bytes, volume_id: str, size: int) -> None:
    """Files of a volume that was never written. Raises OSError; nothing may be there yet."""
    first = encode_journal(key, volume_id, size, State(0, NEVER_WRITTEN), [])
    for name, content in ((_BLOCKS, b""), (_JOURNALS[0], first)):
        descriptor = os.open(directory / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    sync_directory(directory)


class Device:
    """An open volume. One at a time: the files are locked until `close`."""

    def __init__(self, directory: Path, *, key: bytes, volume_id: str, size: int) -> None:
        """Open it, and finish the flush that a crash may have cut short.

        Raises UsageError if it is open elsewhere, IntegrityError if no journal is whole.
        """
        self.size = size
        self._directory = directory
        self._key = key
        self._volume_id = volume_id
        self._geometry = Geometry(size // BLOCK_BYTES)
        self._failed = False
        self._file = _open_locked(directory / _BLOCKS)
        try:
            journal = self._newest_journal()
            self.state = journal.state
            self._put_in_place(journal.cells())
        except BaseException:
            os.close(self._file)
            raise
        sealing = Sealing(key, volume_id)
        self._tree = Tree(self._geometry, sealing, self._read_cell, self.state.root)

    def close(self) -> None:
        """Give the files back. What was not flushed is gone."""
        self._failed = True
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def read(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset` on; zeros where nothing was written.

        Raises ValueError outside the volume, IntegrityError for blocks that are not what was
        written last.
        """
        self._check(offset, size)
        numbers = range(offset // BLOCK_BYTES, -(-(offset + size) // BLOCK_BYTES))
        blocks = b"".join(self._tree.block(number) for number in numbers)
        start = offset % BLOCK_BYTES
        return blocks[start : start + size]

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Write bytes from `offset` on. They are durable after the next `flush`.

        Raises ValueError outside the volume; IntegrityError, with nothing written, where the rest
        of a block written in part is not what was written last.
        """
        self._check(offset, len(data))
        if not data:
            return
        first, last = offset // BLOCK_BYTES, (offset + len(data) - 1) // BLOCK_BYTES
        edges = {n: self._tree.block(n) for n in {first, last} if self._in_part(n, offset, data)}
        for number in range(first, last + 1):
            start = number * BLOCK_BYTES - offset
            block = bytes(data[max(start, 0) : start + BLOCK_BYTES])
            if number in edges:
                at = max(-start, 0)
                block = edges[number][:at] + block + edges[number][at + len(block) :]
            self._tree.put(number, block)
            if self._tree.unsealed >= MAX_UNFLUSHED:
                self.flush()

    def flush(self) -> State:
        """Make all that was written durable; the state it makes.

        Raises StoreError if the disk fails. The device is of no use then; open it again, and it is
        as after the last flush that came about.
        """
        self._check(0, 0)
        if self._tree.unsealed:
            try:
                self._flush()
            except BaseException as error:
                self._failed = True
                if isinstance(error, OSError):
                    reason = (error.strerror or "error").lower()
                    raise StoreError(f"a volume could not be written: {reason}") from error
                raise
        return self.state

    def written(self) -> Iterator[tuple[int, bytes]]:
        """Number and content of every block ever written, in order. Flushes first."""
        self.flush()
        for number in self._tree.written():
            yield number, self._tree.block(number)

    def _flush(self) -> None:
        os.fdatasync(self._file)  # the cells of the flush whose journal is about to go
        cells = self._tree.seal()
        state = State(self.state.generation + 1, self._tree.root)
        encoded = encode_journal(self._key, self._volume_id, self.size, state, cells)
        path = self._directory / _JOURNALS[state.generation % 2]
        is_new = not path.exists()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(encoded)
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            sync_directory(self._directory)
        self.state = state  # from here on it has happened
        self._put_in_place(cells)
        self._tree.sealed()

    def _newest_journal(self) -> Journal:
        found = []
        for name in _JOURNALS:
            with suppress(FileNotFoundError, IntegrityError):
                path = self._directory / name
                if path.stat().st_size <= MAX_JOURNAL_BYTES:
                    encoded = path.read_bytes()
                    found.append(decode_journal(self._key, self._volume_id, self.size, encoded))
        if not found:
            raise IntegrityError(
                "no journal of the volume is whole",
                hint="another key than the volume's, or files that were changed",
            )
        return max(found, key=lambda journal: journal.state.generation)

    def _put_in_place(self, cells: Iterable[tuple[Address, bytes]]) -> None:
        for address, cell in cells:
            offset = self._geometry.offset(*address)
            if os.pwrite(self._file, cell, offset) != len(cell):
                raise OSError("short write")

    def _read_cell(self, address: Address) -> bytes:
        return os.pread(self._file, CELL_BYTES, self._geometry.offset(*address))

    def _check(self, offset: int, size: int) -> None:
        if self._failed:
            raise StoreError("the volume is closed, or failed before", hint="attach it again")
        if offset < 0 or size < 0 or offset + size > self.size:
            raise ValueError(f"{size} bytes at {offset} are not within {self.size}")

    @staticmethod
    def _in_part(number: int, offset: int, data: bytes | memoryview) -> bool:
        start, stop = number * BLOCK_BYTES, (number + 1) * BLOCK_BYTES
        return start < offset or stop > offset + len(data)


def _open_locked(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise UsageError("the volume is attached already") from None
    return descriptor
