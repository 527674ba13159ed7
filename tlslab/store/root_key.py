"""The root key: what wraps the data key of every object under SSE-S3.

It has versions. The newest wraps; all of them unwrap, so rotating moves no data and no object is
lost. An object names its version by the key's public id, never by a number that another key file
would have as well. This module knows nothing of objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tlslab.envelope import (
    create_key_file,
    encode_context,
    key_id,
    new_key,
    open_box,
    parse_key_file,
    read_key_file,
    replace_key_file,
    seal_box,
)
from tlslab.errors import IntegrityError

_KIND = "root-key"
_PURPOSE = "data key"


@dataclass(frozen=True)
class WrappedKey:
    """A data key that only the root key version `root_key` (its id) can unwrap."""

    root_key: str
    box: bytes


@dataclass(frozen=True)
class RootKey:
    """All versions of a root key, the oldest first. Its repr shows none of them."""

    versions: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def generate(cls) -> RootKey:
        """A fresh one with a single version, in memory only."""
        return cls((new_key(),))

    @classmethod
    def parse(cls, data: bytes) -> RootKey:
        """From the text of a key file, however it was come by. Raises UsageError."""
        return cls(parse_key_file(_KIND, data))

    @classmethod
    def load(cls, path: Path) -> RootKey:
        """From a key file. Raises UsageError if missing, malformed or open to others."""
        return cls(read_key_file(path, _KIND))

    def save(self, path: Path) -> None:
        """Write a new key file of mode 0600. Raises UsageError if the path exists."""
        create_key_file(path, _KIND, self.versions)

    @classmethod
    def rotate(cls, path: Path) -> RootKey:
        """Add a fresh version to a key file; from then on it wraps. Raises UsageError as `load`."""
        rotated = cls((*cls.load(path).versions, new_key()))
        replace_key_file(path, _KIND, rotated.versions)
        return rotated

    @property
    def ids(self) -> tuple[str, ...]:
        """The public ids of the versions, in order."""
        return tuple(key_id(version) for version in self.versions)

    def wrap(self, data_key: bytes, context: Mapping[str, str]) -> WrappedKey:
        """Wrap a data key with the newest version, bound to its context."""
        newest = self.versions[-1]
        box = seal_box(newest, data_key, purpose=_PURPOSE, context=encode_context(context))
        return WrappedKey(key_id(newest), box)

    def unwrap(self, wrapped: WrappedKey, context: Mapping[str, str]) -> bytes:
        """The data key.

        Raises IntegrityError if the version is not among these, if it was wrapped for another
        context, or if it was changed.
        """
        for version in self.versions:
            if key_id(version) == wrapped.root_key:
                bound = encode_context(context)
                return open_box(version, wrapped.box, purpose=_PURPOSE, context=bound)
        raise IntegrityError(
            f"wrapped by root key {wrapped.root_key[:16]}, which is not in the key file",
            hint=f"the key file has {', '.join(self.ids)}",
        )
