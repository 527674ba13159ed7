"""The content of an object, encrypted by AES-256-GCM with the tag at the end, piece by piece.

    committing suite (115)   key || commitment = HKDF-SHA512(data key, salt = message id)
                             AES-256-GCM(key, IV = twelve bytes 01, AAD = suite number)
    plain suite              AES-256-GCM(data key, IV in the metadata, no AAD)

Both are those of the Amazon S3 Encryption Client (its public specification, "key derivation" and
"encryption"). The commitment makes the data key the only one that opens the object, which AES-GCM
alone does not promise. It knows nothing of how data keys are wrapped or where metadata is kept.

Why the IVs are safe: every object has a data key of its own, drawn for it alone. In the plain suite
that key encrypts once; in the committing one it is not used itself, but a key derived from it and a
random message id, and that one encrypts once.

What the format does not have is a place to stop: there is one tag, behind the last byte. Whoever
hands out what `ContentOpener.open` returns before `finish` has returned, hands out bytes that
nobody vouches for.
"""

from __future__ import annotations

import hmac
import os
from enum import Enum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tlslab.envelope import KEY_BYTES
from tlslab.errors import IntegrityError, UsageError

TAG_BYTES = 16

MAX_CONTENT_BYTES = 2**36 - 32
"""Plaintext in an object: the bound of GCM for one key and IV (NIST SP 800-38D section 5.2.1.1)."""

_COMMITTING_SUITE = b"\x00\x73"
_COMMITTING_IV = b"\x01" * 12
_COMMITMENT_BYTES = 28


class Suite(Enum):
    """How content is encrypted; the value is what metadata calls it."""

    COMMITTING = "115"
    PLAIN = "AES/GCM/NoPadding"

    @property
    def nonce_bytes(self) -> int:
        """The length of what is random in each object: the message id, or the IV."""
        return 28 if self is Suite.COMMITTING else 12


def new_nonce(suite: Suite) -> bytes:
    """A fresh message id, or IV."""
    return os.urandom(suite.nonce_bytes)


def commitment_of(data_key: bytes, message_id: bytes) -> bytes:
    """The public value that only this data key gives for this message id."""
    return _derive(data_key, message_id, b"COMMITKEY", _COMMITMENT_BYTES)


def _derive(data_key: bytes, message_id: bytes, purpose: bytes, length: int) -> bytes:
    if len(data_key) != KEY_BYTES:
        raise IntegrityError(f"a data key has {KEY_BYTES} bytes, not {len(data_key)}")
    info = _COMMITTING_SUITE + purpose
    return HKDF(algorithm=SHA512(), length=length, salt=message_id, info=info).derive(data_key)


def _key_and_iv(suite: Suite, data_key: bytes, nonce: bytes) -> tuple[bytes, bytes]:
    if suite is Suite.COMMITTING:
        return _derive(data_key, nonce, b"DERIVEKEY", KEY_BYTES), _COMMITTING_IV
    return data_key, nonce


class ContentSealer:
    """Encrypts one object: `seal` as often as there are bytes, then `finish`; join the results."""

    def __init__(self, suite: Suite, data_key: bytes, nonce: bytes) -> None:
        key, iv = _key_and_iv(suite, data_key, nonce)
        self._cipher = Cipher(algorithms.AES256(key), modes.GCM(iv)).encryptor()
        if suite is Suite.COMMITTING:
            self._cipher.authenticate_additional_data(_COMMITTING_SUITE)
        self._size = 0

    def seal(self, plaintext: bytes) -> bytes:
        """The ciphertext of the next bytes. Raises UsageError beyond `MAX_CONTENT_BYTES`."""
        self._size += len(plaintext)
        check_size(self._size)
        return self._cipher.update(plaintext)

    def finish(self) -> bytes:
        """The tag, which ends the object."""
        return self._cipher.finalize() + self._cipher.tag


def check_size(size: int) -> None:
    """Raise UsageError if an object of `size` bytes cannot be encrypted as one."""
    if size > MAX_CONTENT_BYTES:
        raise UsageError(
            f"an object encrypted before upload has at most {MAX_CONTENT_BYTES} bytes",
            hint="AES-GCM allows no more for one key; split the file",
        )


class ContentOpener:
    """Decrypts one object: `open` as often as there are bytes, then `finish`.

    For the committing suite `commitment` is compared first, so no byte is decrypted with a key
    other than the one that the writer committed to.
    """

    def __init__(
        self, suite: Suite, data_key: bytes, nonce: bytes, commitment: bytes | None
    ) -> None:
        if suite is Suite.COMMITTING and not hmac.compare_digest(
            commitment or b"", commitment_of(data_key, nonce)
        ):
            raise IntegrityError(
                "the object was not encrypted with this data key",
                hint="its metadata was changed, or belongs to another object",
            )
        key, iv = _key_and_iv(suite, data_key, nonce)
        self._cipher = Cipher(algorithms.AES256(key), modes.GCM(iv)).decryptor()
        if suite is Suite.COMMITTING:
            self._cipher.authenticate_additional_data(_COMMITTING_SUITE)
        self._held = b""
        self._size = 0

    def open(self, ciphertext: bytes) -> bytes:
        """The plaintext of what is certainly not the tag; NOT verified yet."""
        self._size += len(ciphertext)
        if self._size > MAX_CONTENT_BYTES + TAG_BYTES:
            raise IntegrityError("the object is longer than any that can be encrypted as one")
        available = self._held + ciphertext
        self._held = available[-TAG_BYTES:]
        return self._cipher.update(available[:-TAG_BYTES])

    def finish(self) -> None:
        """Return if every byte since the start is authentic; raise IntegrityError otherwise."""
        try:
            self._cipher.finalize_with_tag(self._held)
        except (InvalidTag, ValueError):  # ValueError: shorter than a tag
            raise IntegrityError(
                "the object does not authenticate",
                hint="its bytes were changed or cut off, or its metadata belongs to another object",
            ) from None
