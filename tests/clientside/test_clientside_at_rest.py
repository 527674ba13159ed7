"""Encrypted before upload: nowhere in the clear, even in a store that encrypts nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tlslab.capture.canary import Canary, search_file
from tlslab.clientside import ApplicationKey, ApplicationKeyring, Keyring, encrypt_stream
from tlslab.clientside.keyrings import DataKey
from tlslab.clientside.objects import OVERHEAD_BYTES
from tlslab.clientside.remote import KMSClient, S3Client

SMALL, LARGE = 40, 20_000
"""Times the canary: what a store keeps in its database, and what it keeps in a file."""


async def once(data: bytes) -> AsyncIterator[bytes]:
    yield data


class Watched:
    """A keyring, and the data keys that it gave."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self.wrap = keyring.wrap
        self.unwrap = keyring.unwrap
        self.given: list[bytes] = []

    async def new_data_key(self, *arguments: Any) -> DataKey:
        """A data key, remembered."""
        made = await self._keyring.new_data_key(*arguments)
        self.given.append(made.plaintext)
        return made


@pytest.mark.parametrize("times", [SMALL, LARGE])
@pytest.mark.parametrize("kind", ["application key", "KMS key"])
async def test_the_disks_have_neither_content_nor_keys(
    plain_services: Any, kind: str, times: int
) -> None:
    key, content = ApplicationKey.generate(), Canary.fresh("letter")
    keyring = Watched(
        ApplicationKeyring(key)
        if kind == "application key"
        else KMSClient(plain_services.settings, plain_services.kms_key).keyring
    )

    def found(*canaries: Canary) -> set[str]:
        files = [path for path in plain_services.disks.rglob("*") if path.is_file()]
        return {hit.canary.label for path in files for hit in search_file(path, canaries)}

    client, secret = S3Client(plain_services.settings), content.token * times
    done = await encrypt_stream(once(secret), keyring)
    size = len(secret) + OVERHEAD_BYTES
    await client.put("letters", "sealed", done.body, size, metadata=done.metadata)
    (data_key,) = keyring.given
    secrets = (content, Canary("data key", data_key), Canary("application key", key.secret))
    assert found(*secrets) == set()

    # What is sent in the clear is found, so the search would have seen the rest.
    metadata = {"one": data_key.hex(), "two": key.secret.hex()}
    await client.put("letters", "open", once(secret), len(secret), metadata=metadata)
    assert found(*secrets) == {"letter", "data key", "application key"}
