"""Files and folders that appear whole or not at all, and never in the place of another.

A file is written under a temporary name in the same folder, made durable, and then linked to its
name, which fails if the name is taken; a folder is filled under a temporary name and renamed. A
crash leaves at most a hidden temporary one. Knows nothing of what is in the files.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tlslab.errors import PKIError, UsageError

PRIVATE_FILE = 0o600  # its owner reads and writes it, nobody else does anything
PUBLIC_FILE = 0o644
PRIVATE_FOLDER = 0o700

MAX_FILE_SIZE = 4 * 1024 * 1024
"""Bytes; a certificate has about 1,000, the roots of a browser 250,000, hostile 1.4 million."""


def is_file(path: Path) -> bool:
    """Whether there is a file at `path`; a path that cannot be looked at has none."""
    try:
        return path.is_file()
    except OSError:  # a name too long, a folder that is closed to us
        return False


def is_folder(path: Path) -> bool:
    """Whether there is a folder at `path`; a path that cannot be looked at has none."""
    try:
        return path.is_dir()
    except OSError:  # as above
        return False


def names_file(path: Path) -> bool:
    """Whether reading `path` makes sense: a file, a pipe or a device, or what is closed to us."""
    try:
        return path.exists() and not path.is_dir()
    except PermissionError:  # reading it says so
        return True
    except OSError:  # a name too long
        return False


def read_file(path: Path, *, limit: int = MAX_FILE_SIZE) -> bytes:
    """The bytes of a file, a pipe or a device, if they are at most `limit`.

    Raises UsageError if there is none or if it is larger, PKIError if it cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except FileNotFoundError as error:
        raise UsageError(
            f"there is no file {str(path)!r}",
            hint="check the path; one that does not begin with / starts in the current folder",
        ) from error
    except IsADirectoryError as error:
        raise UsageError(f"{path} is a folder", hint="name a file in it") from error
    except OSError as error:
        raise PKIError(
            f"cannot read {path}: {error.strerror}", hint="check who may read it: ls -l shows it"
        ) from error
    if len(data) > limit:
        raise UsageError(
            f"{path} is larger than the {limit} bytes that are read of such a file",
            hint="check that it is the file you mean",
        )
    return data


def read_private_file(path: Path) -> bytes:
    """Like `read_file`, but raises PKIError if anyone but the owner could read it."""
    data = read_file(path)
    if path.stat().st_mode & 0o077:
        raise PKIError(
            f"others may read the private key {path}", hint=f"chmod 600 {path}, or make a new key"
        )
    return data


def write_new(path: Path, data: bytes, *, mode: int) -> None:
    """Write a file that must not exist yet, atomically and durably.

    Raises UsageError if `path` is taken, PKIError if it cannot be written (disk full, say).
    """
    with _as_our_errors(path):
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name[:32]}.", dir=path.parent)
        try:
            _fill(handle, data, mode)
            os.link(temporary, path)  # unlike a rename, never replaces
        finally:
            Path(temporary).unlink()
        _sync_folder(path.parent)


def create_folder(path: Path, files: Mapping[str, tuple[bytes, int]]) -> None:
    """Make a folder of mode 0700 with `files` (name to content and mode), whole or not at all.

    An empty folder may be there already. Raises UsageError if anything else is, PKIError if it
    cannot be written.
    """
    path = path.absolute()  # gives even "." a name and a parent
    with _as_our_errors(path):
        path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name[:32]}.", dir=path.parent))
        try:
            for name, (data, mode) in files.items():
                _fill(
                    os.open(temporary / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600),
                    data,
                    mode,
                )
            _sync_folder(temporary)
            temporary.rename(path)  # fails if `path` is a file or a folder with anything in it
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        _sync_folder(path.parent)


def _fill(handle: int, data: bytes, mode: int) -> None:
    with open(handle, "wb") as file:
        os.fchmod(handle, mode)
        file.write(data)
        file.flush()
        os.fsync(handle)


def _sync_folder(path: Path) -> None:
    """Make the folder's entries durable: a name lives in the folder, not in the file."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)  # what link and rename say of a taken name


@contextlib.contextmanager
def _as_our_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _TAKEN and (path.exists() or path.is_symlink()):
            raise UsageError(
                f"{path} is there already, and nothing is ever overwritten",
                hint="choose another name, or move it away",
            ) from error
        raise PKIError(f"cannot write {path}: {error.strerror}") from error
