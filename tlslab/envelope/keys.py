"""Fresh keys, and the derivation of a single-use key from a key and a salt.

No key made by `new_key` ever encrypts anything itself. Every encryption in this package first
derives a key of its own from it and a fresh random salt:

    single-use key = HKDF-SHA256(key, salt = 256 random bits, info = purpose)     (RFC 5869)

With it goes the whole bookkeeping of nonces. AES-GCM breaks when a (key, nonce) pair repeats; here
the key of every encryption is new, so a fixed nonce or a counter from zero is safe inside it. Two
salts collide with probability about n^2 / 2^257 after n encryptions under one long-lived key
(2^-129 after 2^64), so no count has to be kept and no limit on the number of wraps can be overrun,
unlike with random 96-bit nonces (2^32 per key, NIST SP 800-38D section 8.3). The purpose separates
the uses: a key derived for a box never opens segments.
"""

from __future__ import annotations

import os

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
"""AES-256 everywhere: also what SSE-S3 and SSE-KMS use, and enough against a quantum computer."""

SALT_BYTES = 32
"""As long as the key, so that collisions of salts can be left out of every account."""

KEY_ID_BYTES = 8


def new_key() -> bytes:
    """A fresh 256-bit key from the operating system's generator."""
    return os.urandom(KEY_BYTES)


def new_salt() -> bytes:
    """A fresh salt for one derivation."""
    return os.urandom(SALT_BYTES)


def derive(key: bytes, salt: bytes, purpose: str, length: int = KEY_BYTES) -> bytes:
    """`length` bytes that only this key, salt and purpose give."""
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key has {KEY_BYTES} bytes, not {len(key)}")
    info = b"tlslab envelope 1: " + purpose.encode()
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(key)


def key_id(key: bytes) -> str:
    """A public name for a secret key: 16 hex digits that tell nothing about it."""
    return derive(key, b"", "key id", KEY_ID_BYTES).hex()
