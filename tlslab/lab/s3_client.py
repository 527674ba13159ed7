"""What a client of the lab's store says of itself: signatures, and keys that it provides.

The store believes neither who sends a request nor what it asks for without the first; it forgets
the second with the request.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tlslab.endpoint import REGIONS
from tlslab.http import Headers
from tlslab.iam import AccessKey
from tlslab.iam.signing import Credentials, sign_v4
from tlslab.lab.url import URL


@dataclass(frozen=True)
class CustomerKey:
    """A key of 32 bytes that comes with every request for an object (SSE-C)."""

    secret: bytes = field(repr=False)

    @classmethod
    def generate(cls) -> CustomerKey:
        """A fresh one. Who made it keeps it: nobody else does."""
        return cls(os.urandom(32))

    @property
    def headers(self) -> Headers:
        """What uploads and downloads say to use it."""
        digest = hashlib.md5(self.secret, usedforsecurity=False).digest()
        prefix = b"x-amz-server-side-encryption-customer-"
        return [
            (prefix + b"algorithm", b"AES256"),
            (prefix + b"key", base64.b64encode(self.secret)),
            (prefix + b"key-md5", base64.b64encode(digest)),
        ]


def signed(
    user: AccessKey,
    method: str,
    url: URL,
    headers: Iterable[tuple[bytes, bytes]] = (),
    body: bytes = b"",
    *,
    service: str = "s3",
    region: str = REGIONS[0],
    now: datetime | None = None,
) -> Headers:
    """The headers of a request to a store, signed by one of its users (Signature Version 4).

    `service` is `"kms"` for its KMS; `now` is the time that the signature names.
    """
    return sign_v4(
        Credentials(user.id, user.secret, user.token),
        method,
        url.target,
        headers,
        host=url.authority,
        service=service,
        region=region,
        now=now or datetime.now(UTC),
        payload_hash=hashlib.sha256(body).hexdigest(),
    )
