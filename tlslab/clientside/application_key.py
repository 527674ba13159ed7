"""The key an application holds itself, and its file. It knows nothing of what it encrypts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from tlslab.envelope import KEY_BYTES, create_key_file, encode_context, new_key, read_key_file
from tlslab.envelope.keys import derive
from tlslab.errors import UsageError

_KIND = "application-key"


@dataclass(frozen=True)
class ApplicationKey:
    """A 256-bit key. Its repr does not show it."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_BYTES:
            raise UsageError(f"an application key has {KEY_BYTES} bytes, not {len(self.secret)}")

    @classmethod
    def generate(cls) -> ApplicationKey:
        """A fresh one, in memory only: save it before anything encrypted with it is relied on."""
        return cls(new_key())

    @classmethod
    def load(cls, path: Path) -> ApplicationKey:
        """From a key file. Raises UsageError if missing, malformed or open to others."""
        keys = read_key_file(path, _KIND)
        if len(keys) != 1:
            raise UsageError(f"{path} has {len(keys)} keys where an application key is one")
        return cls(keys[0])

    def bound_to(self, context: Mapping[str, str]) -> ApplicationKey:
        """The key for one context: another one for each, and none of them tells another.

        Raises UsageError for a context that is not Unicode text.
        """
        try:
            # Hashed, because HMAC pads a short salt with zeros: two encodings would be one.
            salt = sha256(encode_context(context)).digest()
        except ValueError as error:
            raise UsageError("a context is text, which this is not") from error
        return ApplicationKey(derive(self.secret, salt, "application key of a context"))

    def save(self, path: Path) -> None:
        """Write a new key file of mode 0600. Raises UsageError if the path exists."""
        create_key_file(path, _KIND, [self.secret])
