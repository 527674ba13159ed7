"""Sealing and opening whole objects with an application key: bytes in, bytes out."""

from __future__ import annotations

from collections.abc import Mapping

from tlslab.clientside.application_key import ApplicationKey
from tlslab.envelope import (
    BOX_OVERHEAD,
    KEY_BYTES,
    SegmentOpener,
    SegmentSealer,
    encode_context,
    new_key,
    open_box,
    seal_box,
)
from tlslab.errors import IntegrityError

_MAGIC = b"tlscse\x00\x01"
_PURPOSE = "client-side data key"
_WRAPPED_BYTES = KEY_BYTES + BOX_OVERHEAD


def encrypt(plaintext: bytes, key: ApplicationKey, *, context: Mapping[str, str]) -> bytes:
    """Encrypt before upload.

    The same context must be given to `decrypt`; it is authenticated, not stored, and not secret.
    """
    data_key = new_key()
    bound = encode_context(context)
    sealer = SegmentSealer(data_key)
    wrapped = seal_box(key.secret, data_key, purpose=_PURPOSE, context=bound)
    return b"".join([_MAGIC, wrapped, sealer.seal(plaintext), sealer.finish()])


def decrypt(sealed: bytes, key: ApplicationKey, *, context: Mapping[str, str]) -> bytes:
    """The plaintext.

    Raises IntegrityError, and hands out nothing, if any bit changed, if something is missing or
    added, or for another key or context.
    """
    if not sealed.startswith(_MAGIC):
        raise IntegrityError("not an object encrypted here before upload")
    wrapped = sealed[len(_MAGIC) : len(_MAGIC) + _WRAPPED_BYTES]
    bound = encode_context(context)
    data_key = open_box(key.secret, wrapped, purpose=_PURPOSE, context=bound)
    opener = SegmentOpener(data_key)
    plaintext = opener.open(memoryview(sealed)[len(_MAGIC) + _WRAPPED_BYTES :])
    return plaintext + opener.finish()
