"""A file that appears under its name only when all of it is there, and verified.

Until then the bytes are in a file of another name beside it, which only its owner may read, and
which goes away if the stream fails, as it does at the last byte of an object that does not
authenticate. It knows nothing of where the bytes come from.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO

import trio

from tlslab.envelope import sync_directory
from tlslab.errors import UsageError
from tlslab.http.messages import iterating

_TAKEN = "choose another name, or move it away"


def check_free(path: Path, *, replace: bool, hint: str = _TAKEN) -> None:
    """Raise UsageError if nothing can be placed at `path`: said before the work, not after it.

    `hint` is what to do if it is taken.
    """
    if not path.absolute().parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}", hint="make it first")
    if not replace and (path.exists() or path.is_symlink()):
        raise UsageError(f"{path} is there already", hint=hint)
    if path.exists() and not path.is_file():  # a rename would remove a device, a pipe, a socket
        raise UsageError(f"{path} is not a file", hint="name a file, or - for stdout")


async def place(stream: AsyncIterator[bytes], path: Path, *, replace: bool = False) -> int:
    """Write `stream` to `path`, durably, and with mode 0600; return how many bytes it had.

    If the stream raises, the error goes on and there is no file. Raises UsageError if `path` is
    taken (unless `replace`), OSError where the disk does.
    """
    check_free(path, replace=replace)
    temporary = path.with_name(f".{path.name[:64]}.{secrets.token_hex(8)}.unverified")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            size = await _write(stream, file)
            await trio.to_thread.run_sync(os.fsync, file.fileno())
        if replace:
            temporary.replace(path)
        else:
            _link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.absolute().parent)
    return size


async def _write(stream: AsyncIterator[bytes], file: IO[bytes]) -> int:
    size = 0
    async with iterating(stream) as parts:
        async for part in parts:
            left = memoryview(part)
            while left:  # a write may take a part only
                left = left[await trio.to_thread.run_sync(file.write, left) :]
            size += len(part)
    return size


def _link(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)  # unlike a rename, never replaces
    except FileExistsError:
        raise UsageError(f"{path} has come into being meanwhile", hint="get it again") from None
