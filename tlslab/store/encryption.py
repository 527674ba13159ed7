"""How an object's data key comes about and is kept: one class per kind of encryption.

`Encryption` is the seam at which kinds are added: with a KMS, `new` asks it for a data key and the
envelope holds the KMS's ciphertext; with a key the customer provides, the class holds that key for
one request. What happens with the data key afterwards (segments, sealed metadata) is the same for
all, and lies in record.py and payload.py.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from tlslab.envelope import new_key
from tlslab.errors import IntegrityError
from tlslab.store.root_key import RootKey, WrappedKey


class Encryption(Protocol):
    """Makes data keys and gets them back."""

    @property
    def scheme(self) -> str:
        """Its name in records and in object facts, such as "SSE-S3"."""

    def new(self, context: Mapping[str, str]) -> tuple[bytes, Mapping[str, str]]:
        """A fresh data key, and the envelope from which `recover` gets it back."""

    def recover(self, envelope: Mapping[str, str], context: Mapping[str, str]) -> bytes:
        """The data key. Raises IntegrityError for anything but what `new` gave for this context."""


@dataclass(frozen=True)
class SSES3:
    """Server-side encryption with a root key of the store's own: SSE-S3.

    Each object has a fresh 256-bit data key, wrapped by the newest version of the root key and
    bound to bucket and object name. The store reads everything; a thief of its disk does not,
    unless he has the key file too.
    """

    root_key: RootKey

    scheme = "SSE-S3"

    def new(self, context: Mapping[str, str]) -> tuple[bytes, Mapping[str, str]]:
        """A fresh data key and its envelope."""
        data_key = new_key()
        wrapped = self.root_key.wrap(data_key, context)
        box = base64.b64encode(wrapped.box).decode()
        return data_key, {"root_key": wrapped.root_key, "wrapped_data_key": box}

    def recover(self, envelope: Mapping[str, str], context: Mapping[str, str]) -> bytes:
        """The data key. Raises IntegrityError."""
        try:
            box = base64.b64decode(envelope["wrapped_data_key"], validate=True)
            wrapped = WrappedKey(envelope["root_key"], box)
        except (KeyError, binascii.Error, ValueError):
            raise IntegrityError("the envelope of an object is malformed") from None
        return self.root_key.unwrap(wrapped, context)
