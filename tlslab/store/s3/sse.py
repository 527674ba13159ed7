"""Server-side encryption in header fields: what a request wants or unlocks, what a response tells.

The order of checks, codes and messages are those that AWS was recorded to give. Keys that customers
send never appear in an error. SSE-C is refused on a connection that is not secure, which only the
hop can tell: no header that a client could send has a say. The module knows no objects.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping

from tlslab.http import Headers
from tlslab.store.model import (
    SSEC,
    SSEKMS,
    SSES3,
    CustomerKey,
    DefaultEncryption,
    Encryption,
    EncryptionFacts,
)
from tlslab.store.refusals import Refused

SSE = "x-amz-server-side-encryption"
CUSTOMER = f"{SSE}-customer-"
SOURCE_CUSTOMER = "x-amz-copy-source-server-side-encryption-customer-"

CUSTOMER_KEY_BYTES = 32

MAX_CONTEXT_BYTES = 8192
"""Of the encoded context. KMS takes 8 KiB of it decoded; header fields are bounded besides."""

_METHODS = {"AES256", "aws:kms", "aws:kms:dsse"}
_ARGUMENT = {"ArgumentName": SSE}


def wanted(
    fields: Mapping[str, str], *, secure: bool, default: DefaultEncryption | None = None
) -> Encryption | None:
    """The encryption that a write asks for, None for its bucket's `default`.

    Raises Refused: InvalidArgument, InvalidEncryptionAlgorithmError, InvalidRequest.
    """
    key = customer_key(fields, secure=secure, writing=True)
    if key is not None:
        return SSEC(key.key)
    method = fields.get(SSE)
    if method is not None and method not in _METHODS:
        raise _argument("The encryption method specified is not supported", method)
    bucket_key = _flag(fields, f"{SSE}-bucket-key-enabled")
    if method is None and bucket_key is not None and default and default.algorithm != "AES256":
        dsse = default.algorithm == "aws:kms:dsse"
        return SSEKMS(default.kms_key_id, bucket_key=bucket_key, dsse=dsse)
    if method in {None, "AES256"}:
        for part in ("aws-kms-key-id", "context", "bucket-key-enabled"):
            if f"{SSE}-{part}" in fields:
                raise _argument(
                    "Server Side Encryption with AWS KMS managed key requires HTTP header "
                    f"{SSE} : aws:kms",
                    method,
                )
        return None if method is None else SSES3()
    return SSEKMS(
        key_id=fields.get(f"{SSE}-aws-kms-key-id") or None,
        context=_context(fields.get(f"{SSE}-context")),
        bucket_key=bucket_key,
        dsse=method == "aws:kms:dsse",
    )


def customer_key(
    fields: Mapping[str, str], *, secure: bool, writing: bool = False, prefix: str = CUSTOMER
) -> CustomerKey | None:
    """The customer's key that a request brings (of a copy's source with `SOURCE_CUSTOMER`).

    Raises Refused as AWS does; a key without its MD5 is InvalidArgument for a write and
    AccessDenied for a read.
    """
    algorithm = fields.get(f"{prefix}algorithm")
    key, md5 = fields.get(f"{prefix}key"), fields.get(f"{prefix}key-md5")
    if algorithm is None and key is None and md5 is None:
        return None
    if not secure:
        raise Refused(
            "InvalidRequest",
            "Requests specifying Server Side Encryption with Customer provided keys must be made "
            "over a secure connection.",
        )
    if writing and SSE in fields:
        raise _argument(
            "Server Side Encryption with Customer provided key is incompatible with the "
            "encryption method specified",
            fields[SSE],
        )
    if algorithm is not None and algorithm != "AES256":
        raise Refused(
            "InvalidEncryptionAlgorithmError",
            "The Encryption request you specified is not valid. Supported value: AES256.",
            details={**_ARGUMENT, "ArgumentValue": algorithm},
        )
    start = "Requests specifying Server Side Encryption with Customer provided keys must provide"
    if algorithm is None:
        raise _argument(f"{start} a valid encryption algorithm.")
    if key is None:
        raise _argument(f"{start} an appropriate secret key.")
    return CustomerKey(_checked_key(key, md5, writing=writing, start=start))


def _checked_key(encoded: str, md5: str | None, *, writing: bool, start: str) -> bytes:
    invalid = _argument("The secret key was invalid for the specified algorithm.")
    if md5 is None:
        raise invalid if writing else Refused("AccessDenied", f"{start} the correct secret key.")
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise invalid from None
    if len(key) != CUSTOMER_KEY_BYTES:
        raise invalid
    if not hmac.compare_digest(md5_of(key).encode(), md5.encode()):
        raise _argument(
            "The calculated MD5 hash of the key did not match the hash that was provided."
        )
    return key


def md5_of(key: bytes) -> str:
    """The MD5 that stands for a customer's key on the wire: base64. It protects nothing."""
    return base64.b64encode(hashlib.md5(key, usedforsecurity=False).digest()).decode()


def told(facts: EncryptionFacts, *, with_context: bool = False) -> Headers:
    """How a response tells the encryption of what it is about; the context only after a write."""
    if facts.algorithm is None:
        return []
    if facts.algorithm == "SSE-C":
        return _headers(
            {f"{CUSTOMER}algorithm": "AES256", f"{CUSTOMER}key-MD5": facts.customer_key_md5}
        )
    context = None
    if with_context and facts.context:
        context = base64.b64encode(json.dumps(dict(facts.context)).encode()).decode()
    return _headers(
        {
            SSE: facts.algorithm,
            f"{SSE}-aws-kms-key-id": facts.kms_key_arn,
            f"{SSE}-context": context,
            f"{SSE}-bucket-key-enabled": "true" if facts.bucket_key else None,
        }
    )


def _headers(values: Mapping[str, str | None]) -> Headers:
    return [(name.encode(), value.encode()) for name, value in values.items() if value is not None]


def _context(encoded: str | None) -> Mapping[str, str]:
    if encoded is None:
        return {}
    try:
        if len(encoded) > MAX_CONTEXT_BYTES:
            raise ValueError("too long")
        context = json.loads(base64.b64decode(encoded, validate=True))
    except (ValueError, RecursionError):
        context = None
    if not isinstance(context, dict) or not all(isinstance(v, str) for v in context.values()):
        raise Refused(
            "InvalidArgument",
            f"The header '{SSE}-context' shall be Base64-encoded UTF-8 string holding JSON which "
            "represents a string-string map",
            details={"ArgumentName": f"{SSE}-context"},
        )
    return context


def _flag(fields: Mapping[str, str], name: str) -> bool | None:
    value = fields.get(name)
    if value is None:
        return None
    if value.lower() not in {"true", "false"}:
        message = "The value is neither true nor false."
        raise Refused(
            "InvalidArgument", message, details={"ArgumentName": name, "ArgumentValue": value}
        )
    return value.lower() == "true"


def _argument(message: str, value: str | None = None) -> Refused:
    details = dict(_ARGUMENT)
    if value is not None:
        details["ArgumentValue"] = value
    return Refused("InvalidArgument", message, details=details)
