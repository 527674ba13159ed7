"""A small value sealed as a whole: a wrapped data key, or an object's metadata.

    box = salt (32) || AES-256-GCM(derive(key, salt, purpose), nonce = 0, value, context)

Nonce: always zero, which is safe because the key is used for this one encryption: it is derived
from a salt drawn here, at the moment of sealing (see keys.py).
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tlslab.envelope.keys import SALT_BYTES, derive, new_salt
from tlslab.errors import IntegrityError

TAG_BYTES = 16
BOX_OVERHEAD = SALT_BYTES + TAG_BYTES

_NONCE = bytes(12)


def seal_box(key: bytes, value: bytes, *, purpose: str, context: bytes) -> bytes:
    """Seal a value so that it opens only with the same key, purpose and context."""
    salt = new_salt()
    return salt + AESGCM(derive(key, salt, "box " + purpose)).encrypt(_NONCE, value, context)


def open_box(key: bytes, box: bytes, *, purpose: str, context: bytes) -> bytes:
    """The value in a box.

    Raises IntegrityError for another key, purpose or context, and for changed bytes; which of
    these it was cannot be told.
    """
    if len(box) < BOX_OVERHEAD:
        raise IntegrityError(f"a sealed {purpose} is too short to be one")
    salt, sealed = box[:SALT_BYTES], box[SALT_BYTES:]
    try:
        return AESGCM(derive(key, salt, "box " + purpose)).decrypt(_NONCE, sealed, context)
    except InvalidTag:
        raise IntegrityError(
            f"a sealed {purpose} does not authenticate",
            hint="another key, another place than it was sealed for, or changed bytes",
        ) from None
