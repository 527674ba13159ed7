"""The header fields by which a client asks the store to encrypt (API reference of PutObject)."""

from __future__ import annotations

import base64
import hashlib

from tlslab.envelope import KEY_BYTES
from tlslab.errors import UsageError
from tlslab.http import Headers

_SSE = b"x-amz-server-side-encryption"
CUSTOMER_KEY = _SSE + b"-customer-key"


def sse_headers(algorithm: str, kms_key_id: str | None = None) -> Headers:
    """For a key of the store's (`AES256`) or of a KMS (`aws:kms`, `aws:kms:dsse`)."""
    headers = [(_SSE, algorithm.encode())]
    if kms_key_id is not None:
        if algorithm == "AES256":
            raise UsageError("AES256 takes no KMS key", hint="ask for aws:kms")
        headers.append((_SSE + b"-aws-kms-key-id", kms_key_id.encode()))
    return headers


def customer_key_headers(key: bytes) -> Headers:
    """For a key that comes with each request and that the store does not keep (SSE-C)."""
    if len(key) != KEY_BYTES:
        raise UsageError(
            f"a key for SSE-C has {KEY_BYTES} bytes, not {len(key)}",
            hint="make one with: (umask 077; openssl rand 32 > sse-c.key)",
        )
    digest = hashlib.md5(key, usedforsecurity=False).digest()  # the protocol's check on its way
    return [
        (_SSE + b"-customer-algorithm", b"AES256"),
        (CUSTOMER_KEY, base64.b64encode(key)),
        (CUSTOMER_KEY + b"-md5", base64.b64encode(digest)),
    ]
