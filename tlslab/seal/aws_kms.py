"""A root of trust in AWS KMS, or in whatever speaks its API: a symmetric key that never leaves it.

Its key policy should allow the credentials `kms:Encrypt` (when a seal is made) and `kms:Decrypt`
(whenever it is opened), and can insist on the encryption context, in which the purpose and the
database's id are. When the key is disabled, nothing opens; when it is deleted, the data is lost.

Source: AWS KMS API Reference, Encrypt and Decrypt.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tlslab.errors import UsageError
from tlslab.http import Headers
from tlslab.iam.signing import Credentials, sign_v4
from tlslab.seal.service import Service

KIND = "aws-kms"

_KEY_ID = re.compile(r"[A-Za-z0-9:/_-]{1,2048}")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]")
_CODE = re.compile(r"[A-Za-z0-9]{1,64}")


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class AWSKMSRoot:
    """A root of trust that is a KMS key, named by its ARN (or id or alias) in a region."""

    service: Service
    key_id: str
    region: str
    credentials: Credentials = field(repr=False)
    now: Callable[[], datetime] = field(default=_now, repr=False)

    def __post_init__(self) -> None:
        """Raise UsageError for a key or region that could not be one."""
        if not _KEY_ID.fullmatch(self.key_id) or not _REGION.fullmatch(self.region):
            raise UsageError(
                "not a KMS key and its region",
                hint="the key's ARN, and a region such as eu-west-2",
            )

    @property
    def kind(self) -> str:
        """As in RootOfTrust."""
        return KIND

    async def wrap(self, secret: bytes, context: Mapping[str, str]) -> bytes:
        """As in RootOfTrust."""
        request = {"Plaintext": base64.b64encode(secret).decode()}
        return await self._ask("Encrypt", request, context, "CiphertextBlob")

    async def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """As in RootOfTrust. The key is named, so that another key's ciphertext does not open."""
        request = {"CiphertextBlob": base64.b64encode(wrapped).decode()}
        return await self._ask("Decrypt", request, context, "Plaintext")

    async def _ask(
        self, operation: str, request: Mapping[str, Any], context: Mapping[str, str], member: str
    ) -> bytes:
        full = {**request, "KeyId": self.key_id, "EncryptionContext": dict(context)}
        answer = await self.service.post("/", full, lambda body: self._headers(operation, body))
        if answer.status != 200:
            raise self._refused(operation, _code(answer.body, answer.status))
        try:
            return base64.b64decode(answer.body[member], validate=True)
        except (KeyError, TypeError, ValueError, binascii.Error):
            raise self._refused(operation, "an answer that is not its API's") from None

    def _headers(self, operation: str, body: bytes) -> Headers:
        return sign_v4(
            self.credentials,
            "POST",
            "/",
            [
                (b"Content-Type", b"application/x-amz-json-1.1"),
                (b"X-Amz-Target", f"TrentService.{operation}".encode()),
            ],
            host=self.service.host,
            service="kms",
            region=self.region,
            now=self.now(),
            payload_hash=hashlib.sha256(body).hexdigest(),
        )

    def _refused(self, operation: str, reason: str) -> UsageError:
        return UsageError(
            f"the root of trust {self.service.url} refused {operation}: {reason}",
            hint=f"it was asked for the key {self.key_id} in {self.region}",
        )


def _code(body: Mapping[str, Any], status: int) -> str:
    """The error's name, if it is one: what the answer's text says goes no further."""
    name = str(body.get("__type", "")).rpartition("#")[2]
    return name if _CODE.fullmatch(name) else f"status {status}"
