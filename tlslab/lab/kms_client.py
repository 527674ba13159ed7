"""A lab's client of a KMS: requests signed by its user, over the lab's network and its proxies.

With it a client encrypts before upload under a key of the KMS, which hands out data keys; and an
insider, who has the ciphertext, asks for such a data key by telling a context.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tlslab.clientside import KMSKeyring
from tlslab.clientside.keyrings import SUITE_IN_CONTEXT
from tlslab.clientside.metadata import Format
from tlslab.kms import KMSError
from tlslab.lab.client import Client

_CONTENT_TYPE = b"application/x-amz-json-1.1"


@dataclass(frozen=True)
class KMSClient:
    """Asks the KMS at `url` for data keys under one key (ARN), as the user of `client`."""

    client: Client
    url: str
    key: str

    @property
    def keyring(self) -> KMSKeyring:
        """What encrypts and decrypts objects before and after they pass the network."""
        return KMSKeyring(self.generate, self.decrypt)

    def claiming(self, context: Mapping[str, str]) -> KMSKeyring:
        """One that tells the KMS this context, whatever the object's is."""

        async def decrypt(ciphertext: bytes, stored: Mapping[str, str]) -> bytes:
            suite = stored.get(SUITE_IN_CONTEXT, Format.V3.suite.value)
            return await self.decrypt(ciphertext, {**context, SUITE_IN_CONTEXT: suite})

        return KMSKeyring(self.generate, decrypt)

    async def generate(self, context: Mapping[str, str]) -> tuple[bytes, bytes]:
        """A data key and its ciphertext. Raises KMSError."""
        wanted = {"KeyId": self.key, "KeySpec": "AES_256", "EncryptionContext": dict(context)}
        made = await self._invoke("GenerateDataKey", wanted)
        return base64.b64decode(made["Plaintext"]), base64.b64decode(made["CiphertextBlob"])

    async def decrypt(self, ciphertext: bytes, context: Mapping[str, str]) -> bytes:
        """What is in a ciphertext that was made with this context. Raises KMSError."""
        wanted = {
            "KeyId": self.key,
            "CiphertextBlob": base64.b64encode(ciphertext).decode(),
            "EncryptionContext": dict(context),
        }
        return base64.b64decode((await self._invoke("Decrypt", wanted))["Plaintext"])

    async def _invoke(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        answer = await self.client.request(
            "POST",
            self.url,
            json.dumps(parameters).encode(),
            headers=[
                (b"content-type", _CONTENT_TYPE),
                (b"x-amz-target", f"TrentService.{operation}".encode()),
            ],
            service="kms",
        )
        found: dict[str, Any] = json.loads(answer.body)
        if answer.status != 200:
            raise KMSError(found["__type"], found.get("message", ""), status=answer.status)
        return found
