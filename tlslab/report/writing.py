"""Files written whole or not at all.

A reader never sees half a report: it is written beside its place and then renamed into it. Devices
and pipes (`--junit /dev/stdout`) are written to, not replaced.
"""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path

from tlslab.errors import UsageError


def write_atomically(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`, replacing what was there.

    Raises `UsageError` if that is not possible; what was there before is then unchanged.
    """
    try:
        target = Path(os.path.realpath(path))  # a link stays a link, its target is replaced
        if target.exists() and not target.is_file() and not target.is_dir():
            target.write_text(text, encoding="utf-8")
        else:
            _replace(target, text)
    except OSError as error:
        # a failed rename names two files; only the one asked for means something to the user
        raise UsageError(
            f"cannot write {path}: {(error.strerror or str(error)).lower()}",
            hint="choose a path in a folder that exists and that you may write to",
        ) from error
    except ValueError as error:  # a NUL in the name never reaches the operating system
        raise UsageError(f"cannot write {str(path)!r}: {error}") from error


def _replace(target: Path, text: str) -> None:
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    # not tempfile: its files are private (0600), and a report is to be read by whom umask allows
    draft = target.with_name(f".tlslab-{secrets.token_hex(8)}.tmp")
    try:
        with draft.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
