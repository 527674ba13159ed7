"""Who wraps the data keys: a key that the application holds, or a KMS.

    ApplicationKeyring   AES-256-GCM(application key, random IV, data key, AAD = suite)
    KMSKeyring           GenerateDataKey and Decrypt, with an encryption context

Both wrap as the Amazon S3 Encryption Client's public specification says. A KMS authenticates the
context together with the key. For a key that the application holds the format has no such thing,
so a context, if given, goes into the wrapping key itself: the key of that context is derived from
the application's. Without a context, any client of the format reads the object with the key as it
is; with one it needs the derived key (`ApplicationKey.bound_to`).

A keyring knows nothing of content, of metadata's encoding, or of how a KMS is reached.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tlslab.clientside.application_key import ApplicationKey
from tlslab.clientside.content import TAG_BYTES, Suite
from tlslab.clientside.metadata import Wrap
from tlslab.envelope import KEY_BYTES, new_key
from tlslab.errors import IntegrityError, UsageError

SUITE_IN_CONTEXT = "aws:x-amz-cek-alg"
"""The entry of a KMS context that binds the suite; nobody else may use it."""

_RESERVED = (SUITE_IN_CONTEXT, "kms_cmk_id")
_IV_BYTES = 12


@dataclass(frozen=True)
class DataKey:
    """A fresh data key, its wrapped form, and the context as it is to be stored with it."""

    plaintext: bytes = field(repr=False)
    wrapped: bytes
    context: Mapping[str, str]


class Keyring(Protocol):
    """What encryption needs of whoever wraps the data keys."""

    @property
    def wrap(self) -> Wrap:
        """How it wraps; what was wrapped otherwise it does not unwrap."""

    async def new_data_key(self, suite: Suite, context: Mapping[str, str]) -> DataKey:
        """A data key for one object. Raises UsageError for a context that cannot be used."""

    async def unwrap(
        self, wrapped: bytes, suite: Suite, stored: Mapping[str, str], context: Mapping[str, str]
    ) -> bytes:
        """The data key. `stored` is the context found with the object, `context` the reader's.

        Raises IntegrityError if key, suite or context are not those of the writer.
        """


@dataclass(frozen=True)
class ApplicationKeyring:
    """Wraps under a key that the application holds; whoever loses it loses the objects.

    IVs are random. Two of them are the same with a probability below 2^-32 as long as one key (of
    one context) wraps no more than 2^32 data keys (NIST SP 800-38D section 8.3).
    """

    key: ApplicationKey

    @property
    def wrap(self) -> Wrap:
        """AES-GCM."""
        return Wrap.AES_GCM

    async def new_data_key(self, suite: Suite, context: Mapping[str, str]) -> DataKey:
        """A data key that only this key (and context) opens."""
        data_key, iv = new_key(), os.urandom(_IV_BYTES)
        wrapped = iv + self._cipher(context).encrypt(iv, data_key, suite.value.encode())
        return DataKey(data_key, wrapped, {})

    async def unwrap(
        self, wrapped: bytes, suite: Suite, stored: Mapping[str, str], context: Mapping[str, str]
    ) -> bytes:
        """The data key. What is stored as a description is nobody's word, and is not looked at."""
        if len(wrapped) != _IV_BYTES + KEY_BYTES + TAG_BYTES:
            raise IntegrityError("the wrapped data key has not the length of one")
        iv, sealed = wrapped[:_IV_BYTES], wrapped[_IV_BYTES:]
        try:
            return self._cipher(context).decrypt(iv, sealed, suite.value.encode())
        except InvalidTag:
            raise IntegrityError(
                "the wrapped data key does not authenticate",
                hint="another key, another context than it was written with, or changed bytes",
            ) from None

    def _cipher(self, context: Mapping[str, str]) -> AESGCM:
        key = self.key.bound_to(context) if context else self.key
        return AESGCM(key.secret)


@dataclass(frozen=True)
class KMSKeyring:
    """Wraps by a KMS key, which never leaves the KMS.

    `generate` gets a context and returns a fresh 256-bit data key and its ciphertext; `decrypt`
    gets a ciphertext and its context. Both may be calls of a KMS in this process or over the wire
    (`tlslab.clientside.remote.KMSClient`); `decrypt` must accept ciphertexts of one KMS key only.
    """

    generate: Callable[[Mapping[str, str]], Awaitable[tuple[bytes, bytes]]]
    decrypt: Callable[[bytes, Mapping[str, str]], Awaitable[bytes]]

    @property
    def wrap(self) -> Wrap:
        """By a KMS, with a context."""
        return Wrap.KMS

    async def new_data_key(self, suite: Suite, context: Mapping[str, str]) -> DataKey:
        """A data key from the KMS; the suite goes into the context."""
        for name in _RESERVED:
            if name in context:
                raise UsageError(f"{name} is a reserved name in an encryption context")
        bound = {**context, SUITE_IN_CONTEXT: suite.value}
        plaintext, wrapped = await self.generate(bound)
        return DataKey(_checked(plaintext), wrapped, bound)

    async def unwrap(
        self, wrapped: bytes, suite: Suite, stored: Mapping[str, str], context: Mapping[str, str]
    ) -> bytes:
        """The data key, if the stored context is the reader's and names the suite."""
        given = {name: value for name, value in stored.items() if name not in _RESERVED}
        if given != dict(context):
            raise IntegrityError(
                "the object was written with another context than the one given",
                hint="give the context that the writer gave, with nothing added or left out",
            )
        if stored.get(SUITE_IN_CONTEXT) != suite.value:
            raise IntegrityError("the data key was not made for this way of encrypting")
        return _checked(await self.decrypt(wrapped, stored))


def _checked(data_key: bytes) -> bytes:
    if len(data_key) != KEY_BYTES:
        raise IntegrityError(f"the KMS gave a data key of {len(data_key)} bytes")
    return data_key
