"""The ciphertexts of symmetric keys: one format, versioned, that names its key.

    blob   = header || check || box
    header = version (1) || kind of id (1) || key id (16) || material id (32)
    check  = the first 16 bytes of HMAC-SHA256(service key, header)
    box    = AES-256-GCM under the named material (envelope/box.py), bound to the header and to the
             encryption context

`check` tells bytes that this KMS never made from a ciphertext whose key is gone: without it, a
changed key id would look like a key that does not exist, and answering that would tell strangers
which ids exist. The region is not named, because a ciphertext of a multi-region key belongs to all
of its regions.

It knows neither states nor permissions.
"""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from tlslab.envelope import encode_context, open_box, seal_box
from tlslab.errors import IntegrityError
from tlslab.kms.errors import KMSError

VERSION = 1
CHECK_BYTES = 16
HEADER_BYTES = 1 + 1 + 16 + 32

_SINGLE, _MULTI = 0, 1
_MULTI_PREFIX = "mrk-"
_PURPOSE = "kms ciphertext"


@dataclass(frozen=True)
class Blob:
    """A ciphertext taken apart. Its header is authentic; the box is not opened yet."""

    key_id: str
    material_id: str
    header: bytes
    box: bytes

    def open(self, secret: bytes, context: Mapping[str, str]) -> bytes:
        """The plaintext. Raises KMSError (InvalidCiphertextException, without a word why)."""
        try:
            bound = self.header + encode_context(context)
            return open_box(secret, self.box, purpose=_PURPOSE, context=bound)
        except IntegrityError:
            raise invalid_ciphertext() from None


def seal_blob(
    service_key: bytes,
    key_id: str,
    material_id: str,
    secret: bytes,
    plaintext: bytes,
    context: Mapping[str, str],
) -> bytes:
    """Encrypt under key material. `service_key` is the same for all keys of a KMS."""
    header = _header(key_id, material_id)
    box = seal_box(secret, plaintext, purpose=_PURPOSE, context=header + encode_context(context))
    return header + _check(service_key, header) + box


def parse_blob(service_key: bytes, blob: bytes) -> Blob:
    """Take a ciphertext apart.

    Raises KMSError (InvalidCiphertextException) unless its header was made with `service_key`.
    """
    header, rest = blob[:HEADER_BYTES], blob[HEADER_BYTES:]
    check, box = rest[:CHECK_BYTES], rest[CHECK_BYTES:]
    if not hmac.compare_digest(check, _check(service_key, header)):
        raise invalid_ciphertext()
    version, kind, key_bytes, material = header[0], header[1], header[2:18], header[18:]
    if version != VERSION:
        raise invalid_ciphertext()
    key_id = _MULTI_PREFIX + key_bytes.hex() if kind == _MULTI else str(uuid.UUID(bytes=key_bytes))
    return Blob(key_id, material.hex(), header, box)


def invalid_ciphertext() -> KMSError:
    """What is said of a ciphertext that is wrong in whatever way."""
    return KMSError("InvalidCiphertextException")


def _header(key_id: str, material_id: str) -> bytes:
    multi = key_id.startswith(_MULTI_PREFIX)
    key_bytes = bytes.fromhex(key_id[len(_MULTI_PREFIX) :]) if multi else uuid.UUID(key_id).bytes
    return bytes((VERSION, _MULTI if multi else _SINGLE)) + key_bytes + bytes.fromhex(material_id)


def _check(service_key: bytes, header: bytes) -> bytes:
    return hmac.digest(service_key, header, hashlib.sha256)[:CHECK_BYTES]
