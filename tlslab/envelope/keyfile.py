"""Keys in files: readable by their owner alone, never overwritten by accident, never half-written.

    tlslab-key-file 1 root-key
    <base64 of 32 bytes>          one line per version, the oldest first

The kind in the first line keeps a root key from being used as an application key. There is one
encoding: whatever differs from it by a byte is refused. A key file is the whole protection of what
it wraps; who has it reads everything, and who loses it has lost everything.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import stat
from collections.abc import Sequence
from pathlib import Path

from tlslab.envelope.keys import KEY_BYTES
from tlslab.errors import UsageError

_FILE_MODE = 0o600
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_MAX_FILE_BYTES = 1024 * 1024
"""More than 20,000 versions; keeps a wrong path (a disk image) from being read into memory."""


def encode_keys(kind: str, keys: Sequence[bytes]) -> bytes:
    """The text of a key file."""
    lines = [f"tlslab-key-file 1 {kind}", *(base64.b64encode(key).decode() for key in keys)]
    return "".join(line + "\n" for line in lines).encode()


def parse_key_file(kind: str, data: bytes) -> tuple[bytes, ...]:
    """The keys in the text of a key file, the oldest first.

    Raises UsageError if it is not exactly what `encode_keys` writes for this kind, or has no key.
    """
    lines = data.split(b"\n")[1:-1]  # what is not a key file in full is caught below
    try:
        keys = tuple(base64.b64decode(line, validate=True) for line in lines)
    except binascii.Error:
        keys = ()
    right_sizes = all(len(key) == KEY_BYTES for key in keys)
    if not keys or not right_sizes or encode_keys(kind, keys) != data:
        raise UsageError(
            f"not a key file of kind {kind}",
            hint=f"its first line is 'tlslab-key-file 1 {kind}', each further line a key in base64",
        )
    return keys


def read_key_file(path: Path, kind: str) -> tuple[bytes, ...]:
    """The keys in a file that nobody but its owner may touch.

    Raises UsageError if it is missing, has loose permissions or is malformed.
    """
    return parse_key_file(kind, read_private_file(path, kind))


def create_key_file(path: Path, kind: str, keys: Sequence[bytes]) -> None:
    """Write a new key file of mode 0600, durably.

    Raises UsageError if the path exists; it is never overwritten. Raises OSError if the disk does.
    """
    create_private_file(path, kind, encode_keys(kind, keys))


def read_private_file(path: Path, kind: str) -> bytes:
    """The bytes of a file that holds a key in whatever form; `kind` names it in errors.

    Raises UsageError if it is missing or has loose permissions.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(_MAX_FILE_BYTES)
    except OSError as error:
        raise UsageError(
            f"cannot read the {kind} file {path}: {(error.strerror or 'error').lower()}",
            hint="there is no default key and no way around it; restore it from its backup",
        ) from error
    if mode & _OTHERS:
        raise UsageError(
            f"the {kind} file {path} is open to others (mode {stat.S_IMODE(mode):04o})",
            hint=f"chmod 600 {path}, and rotate the key if others may have read it",
        )
    return data


def create_private_file(path: Path, kind: str, data: bytes) -> None:
    """Write a new file of mode 0600, durably; errors as `create_key_file`."""
    try:
        _write_new(path, data)
    except FileExistsError:
        raise UsageError(
            f"the {kind} file {path} exists already",
            hint="what it has wrapped is lost without it: move it away, do not overwrite it",
        ) from None
    sync_directory(path.parent)


def replace_private_file(path: Path, data: bytes) -> None:
    """Put new bytes in the place of `path`, of mode 0600: afterwards it is the old or the new."""
    new = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    _write_new(new, data)
    new.replace(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make the directory's entries durable, such as a file just created or renamed in it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_new(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
