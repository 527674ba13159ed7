"""Data keys from a KMS over the wire: GenerateDataKey and Decrypt, and nothing else."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tlslab.clientside.keyrings import KMSKeyring
from tlslab.clientside.remote.exchange import ServiceError, exchange
from tlslab.clientside.remote.settings import Settings
from tlslab.errors import IntegrityError, NetworkError

_ANSWER_BYTES = 64 * 1024

_NOT_AUTHENTIC = ("InvalidCiphertextException", "IncorrectKeyException")
"""What a KMS says of a ciphertext, or a context with it, that is not what it made itself."""


@dataclass(frozen=True)
class KMSClient:
    """One KMS key (id, ARN or alias), used over the wire."""

    settings: Settings
    key_id: str

    @property
    def keyring(self) -> KMSKeyring:
        """The key as a keyring."""
        return KMSKeyring(self.generate_data_key, self.decrypt)

    async def generate_data_key(self, context: Mapping[str, str]) -> tuple[bytes, bytes]:
        """A fresh 256-bit key and its ciphertext. Raises ServiceError, NetworkError, TLSError."""
        answer = await self._invoke(
            "GenerateDataKey",
            {"KeyId": self.key_id, "KeySpec": "AES_256", "EncryptionContext": dict(context)},
        )
        return _blob(answer, "Plaintext"), _blob(answer, "CiphertextBlob")

    async def decrypt(self, ciphertext: bytes, context: Mapping[str, str]) -> bytes:
        """The key in a ciphertext of this KMS key.

        Raises IntegrityError where the KMS says that ciphertext, context and key do not belong
        together; otherwise as above.
        """
        try:
            answer = await self._invoke(
                "Decrypt",
                {
                    "KeyId": self.key_id,
                    "CiphertextBlob": base64.b64encode(ciphertext).decode(),
                    "EncryptionContext": dict(context),
                },
            )
        except ServiceError as error:
            if error.code not in _NOT_AUTHENTIC:
                raise
            raise IntegrityError(
                f"the KMS does not open the wrapped data key ({error.code})",
                hint="another KMS key than it was written with, or changed bytes",
            ) from error
        return _blob(answer, "Plaintext")

    async def _invoke(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        body = json.dumps(parameters).encode()
        headers = [
            (b"content-type", b"application/x-amz-json-1.1"),
            (b"x-amz-target", b"TrentService." + operation.encode()),
        ]
        endpoint, digest = self.settings.kms, hashlib.sha256(body).hexdigest()
        async with exchange(
            self.settings, endpoint, "kms", "POST", "/", headers, body, payload_hash=digest
        ) as answer:
            text = await answer.read(_ANSWER_BYTES)
        try:
            value = json.loads(text)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise NetworkError(
                "the KMS answered with something else than JSON",
                hint=f"is {endpoint.authority} a KMS? AWS_ENDPOINT_URL_KMS names it",
            )
        return value


def _blob(answer: Mapping[str, Any], name: str) -> bytes:
    try:
        return base64.b64decode(answer[name], validate=True)
    except (KeyError, TypeError, binascii.Error):
        raise NetworkError(f"the KMS answered without a proper {name}") from None
