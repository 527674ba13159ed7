"""Named byte strings on a backend of obstore: written whole or not at all, durable once written.

What is guaranteed. obstore's LocalStore writes under a temporary name and renames, so that a name
never shows half a file, but it calls no fsync. Here, for a local directory,
  - `BlobWriter.complete` returns after the file and its directory entry were fsynced. The name is
    fresh and nothing refers to it before, so it does not matter that a power cut just before the
    fsync could leave it empty;
  - `replace` writes under a staging name, fsyncs, renames, and fsyncs the directory: after a crash
    at any point the name holds the old bytes or the new ones.
On other backends (S3, memory) a single put is atomic and as durable as the service makes it.

Reading a local file goes through one descriptor, not through obstore: its streams read 8 KiB at a
time (0.3 GiB/s against 4 and more), and its ranges open the name anew each time, so a reader would
lose an object that is replaced meanwhile; an open descriptor keeps it to the end.

This module knows nothing of objects, records or encryption. It blocks; callers use threads.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import weakref
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore

from tlslab.envelope import sync_directory
from tlslab.errors import StoreError
from tlslab.store.errors import NotDurable, StorageFull

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Backend

WRITE_BUFFER_BYTES = 1024 * 1024
"""What obstore gathers before it writes: with it 1.4 GiB/s here, with 256 KiB half of that."""

PART_BYTES = 5 * 1024 * 1024
"""... and before it uploads a part to S3 or GCS, which take no smaller ones but the last."""

_STAGING = "staging"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_OS_ERROR = re.compile(r"\(os error (\d+)\)")


class Reader(Protocol):
    """One stored byte string, open for reading; it stays whole even if its name is removed."""

    size: int

    def read_at(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes; fewer only at the end."""

    def close(self) -> None:
        """Let go of it; also done when the reader is garbage."""


class Files:
    """Named byte strings in a directory or another backend of obstore."""

    def __init__(self, backend: Backend | Path, *, create: bool = False) -> None:
        """`create` makes the directory if it is missing, for its owner alone."""
        if isinstance(backend, Path):
            with _translated():
                if create:
                    _make_directory(backend)
                backend = LocalStore(prefix=backend)
        self.backend = backend
        self.root: Path | None = None
        if isinstance(backend, LocalStore):
            if backend.prefix is None:
                raise ValueError("a LocalStore needs a prefix: without one it is the whole disk")
            self.root = Path(backend.prefix)

    def make_directory(self, path: str) -> None:
        """Make a directory durable before files are put in it; nothing to do but on disk."""
        if self.root is not None:
            with _translated():
                _make_directory(self.root / path)

    def open_writer(self, path: str) -> BlobWriter:
        """Write a new file under a name that was never used. Nothing is visible before the end."""
        return BlobWriter(self, path)

    def replace(self, path: str, data: bytes) -> None:
        """Give a name new content, in one step. Its directory was made by `make_directory`.

        Raises NotDurable if the content is new but may not stay; StorageFull or StoreError with
        nothing changed and nothing left behind.
        """
        if self.root is None:
            with _translated():
                self.backend.put(path, data)
            return
        staged = f"{_STAGING}/{secrets.token_hex(16)}"
        try:
            with _translated():
                self.backend.put(staged, data)
                self._sync_file(staged)
                self.backend.rename(staged, path)
        except BaseException:
            self.remove(staged)
            raise
        try:
            self._sync_parent(path)
        except OSError as error:
            raise NotDurable("stored, but the disk did not confirm it") from error

    def create(self, path: str) -> bool:
        """Make an empty file, durably; False if the name exists already."""
        try:
            with _translated(AlreadyExistsError, FileExistsError):
                if self.root is None:
                    self.backend.put(path, b"", mode="create")
                else:  # for its owner alone
                    (self.root / path).touch(0o600, exist_ok=False)
                self._sync_parent(path)
        except (AlreadyExistsError, FileExistsError):
            return False
        return True

    def read(self, path: str) -> bytes | None:
        """All bytes under a name, None if there is no such name."""
        try:
            with _translated(FileNotFoundError):
                return bytes(self.backend.get(path).bytes())
        except FileNotFoundError:
            return None

    def exists(self, path: str) -> bool:
        """Whether there is such a name."""
        try:
            with _translated(FileNotFoundError):
                self.backend.head(path)
        except FileNotFoundError:
            return False
        return True

    def open_reader(self, path: str) -> Reader | None:
        """Open a name for reading, None if there is no such name."""
        try:
            with _translated(FileNotFoundError):
                if self.root is not None:
                    return _LocalReader(self.root / path)
                return _BackendReader(self.backend, path)
        except FileNotFoundError:
            return None

    def remove(self, path: str) -> None:
        """Remove a name durably; no error if there is none."""
        with contextlib.suppress(FileNotFoundError), _translated(FileNotFoundError):
            self.backend.delete(path)
            self._sync_parent(path)

    def names(self, directory: str) -> list[str]:
        """The names directly or indirectly in a directory, in no order."""
        with _translated():
            return [meta["path"] for meta in self.backend.list(directory).collect()]

    def older_than(self, directory: str, moment: datetime) -> list[str]:
        """Names in a directory last written before `moment`; on disk unfinished files as well."""
        if self.root is None:
            metas = self.backend.list(directory).collect()
            return [meta["path"] for meta in metas if meta["last_modified"] < moment]
        with os.scandir(self.root / directory) as entries:
            return [
                f"{directory}/{entry.name}"
                for entry in entries
                if datetime.fromtimestamp(entry.stat().st_mtime, UTC) < moment
            ]

    def unlink_leftover(self, path: str) -> None:
        """Remove a name that `older_than` gave; obstore's own unfinished files are among them."""
        if self.root is None:
            self.remove(path)
        else:
            with _translated():
                (self.root / path).unlink(missing_ok=True)

    def _sync_file(self, path: str) -> None:
        if self.root is not None:
            descriptor = os.open(self.root / path, os.O_RDONLY)
            try:
                os.fchmod(descriptor, 0o600)  # obstore leaves it to the umask
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _sync_parent(self, path: str) -> None:
        if self.root is not None:
            sync_directory((self.root / path).parent)


class BlobWriter:
    """Writes one new file piece by piece; visible, whole and durable after `complete`."""

    def __init__(self, files: Files, path: str) -> None:
        self.path = path
        self._files = files
        gathered = PART_BYTES if files.root is None else WRITE_BUFFER_BYTES
        self._writer: obstore.WritableFile | None = obstore.open_writer(
            files.backend, path, buffer_size=gathered, max_concurrency=1
        )

    def write(self, data: bytes | bytearray) -> None:
        """Append. Raises StorageFull or StoreError; `abort` afterwards."""
        if self._writer is None:
            raise ValueError("this file is complete or aborted")
        with _translated():
            self._writer.write(data)

    def complete(self) -> None:
        """Make the file visible and durable. Raises StorageFull or StoreError; then `abort`."""
        if self._writer is None:
            raise ValueError("this file is complete or aborted")
        with _translated():
            self._writer.close()
            self._files._sync_file(self.path)
            self._files._sync_parent(self.path)
        self._writer = None

    def abort(self) -> None:
        """Leave nothing behind, whether it was complete or not."""
        if self._writer is not None and self._files.root is None:
            # obstore cannot abort an upload. Dropped, its parts would stay: unseen, and paid for.
            with contextlib.suppress(OSError, BaseError):
                self._writer.close()
        self._writer = None  # obstore removes its temporary file when the writer is dropped
        self._files.remove(self.path)


class _LocalReader:
    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        self._descriptor = descriptor
        self.close = weakref.finalize(self, os.close, descriptor)
        self.size = os.fstat(descriptor).st_size

    def read_at(self, offset: int, length: int) -> bytes:
        with _translated():
            return os.pread(self._descriptor, length, offset)


class _BackendReader:
    def __init__(self, backend: Backend, path: str) -> None:
        self._backend, self._path = backend, path
        self.size = backend.head(path)["size"]

    def read_at(self, offset: int, length: int) -> bytes:
        length = min(length, self.size - offset)
        if length <= 0:
            return b""
        with _translated():
            return bytes(self._backend.get_range(self._path, start=offset, length=length))

    def close(self) -> None:
        pass


def _make_directory(path: Path) -> None:
    if not path.is_dir():
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync_directory(path.parent)


@contextlib.contextmanager
def _translated(*answers: type[Exception]) -> Iterator[None]:
    """Errors of obstore and the system as StorageFull or StoreError, by the system's number.

    obstore hands the number on only inside its message ("(os error 28)"), also in its OSErrors, so
    it is read from there. `answers` pass: to the caller they are no failures.
    """
    try:
        yield
    except answers:
        raise
    except (OSError, BaseError) as error:
        found = _OS_ERROR.search(str(error))
        number = int(found[1]) if found else getattr(error, "errno", None)
        if number in _FULL:
            raise StorageFull(
                f"no space to store it: {os.strerror(number or 0).lower()}",
                hint="nothing was stored; free space and send it again",
            ) from error
        reason = os.strerror(number).lower() if number else type(error).__name__.lower()
        raise StoreError(f"the backend failed: {reason}") from error
