"""Signature Version 2, as S3 has it: HMAC-SHA1 over a few header fields and the resource.

Old clients and default presigned URLs still use it. It is weaker than Version 4: it covers neither
the body nor the host, and of the query only subresources. So every parameter that chooses what is
done must be in SUBRESOURCES, or a holder of one signed URL could do something else with it.

Source: "Signing and authenticating REST requests" (Amazon S3 User Guide, Appendix).
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

# fmt: off
SUBRESOURCES: Final = frozenset(
    {
        "accelerate", "acl", "analytics", "attributes", "cors", "defaultObjectAcl",
        "delete", "encryption", "intelligent-tiering", "inventory", "legal-hold",
        "lifecycle", "location", "logging", "metadataConfiguration", "metadataTable",
        "metrics", "notification", "object-lock", "ownershipControls", "partNumber",
        "policy", "policyStatus", "publicAccessBlock", "rename", "renameObject",
        "replication", "requestPayment", "restore", "retention", "select", "select-type",
        "session", "storageClass", "tagging", "torrent", "uploadId", "uploads",
        "versionId", "versioning", "versions", "website", "response-cache-control",
        "response-content-disposition", "response-content-encoding",
        "response-content-language", "response-content-type", "response-expires",
    }
)
# fmt: on
"""The parameters that are signed: all that choose an operation, a version or a part."""


def string_to_sign(method: str, resource: str, headers: Mapping[str, bytes], date: str) -> bytes:
    """`date` is the Date field, the expiry of a presigned URL, or empty beside `x-amz-date`."""
    amz = sorted(name for name in headers if name.startswith("x-amz-"))
    lines = [
        method.encode(),
        headers.get("content-md5", b""),
        headers.get("content-type", b""),
        date.encode(),
        *(b"%s:%s" % (name.encode(), headers[name].strip()) for name in amz),
        resource.encode(),
    ]
    return b"\n".join(lines)


def canonical_resource(
    path: str, parameters: Mapping[str, str | None], bucket: str | None = None
) -> str:
    """The path as it came, with its subresources; `bucket` if the host names it.

    A parameter without `=` has the value None; one without a value is signed as its name alone.
    """
    signed = [(name, parameters[name]) for name in sorted(SUBRESOURCES & parameters.keys())]
    shown = [f"{name}={unquote(value)}" if value else name for name, value in signed]
    start = f"/{bucket}{path}" if bucket is not None else path
    return f"{start}?{'&'.join(shown)}" if shown else start


def sign(secret: str, message: bytes) -> str:
    """The signature: base64 of an HMAC-SHA1 (20 bytes)."""
    return base64.b64encode(hmac.digest(secret.encode(), message, "sha1")).decode("ascii")
