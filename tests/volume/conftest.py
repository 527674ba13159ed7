"""Devices on a temporary disk, and a KMS of two regions that keeps its keys in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tlslab.envelope import encode_context, new_key, open_box, seal_box
from tlslab.errors import IntegrityError
from tlslab.iam.caller import Caller
from tlslab.kms.errors import KMSError
from tlslab.volume.cells import BLOCK_BYTES
from tlslab.volume.device import Device, create_device

Open = Callable[..., Device]


@dataclass(frozen=True)
class DataKey:
    plaintext: bytes
    ciphertext: bytes
    key_arn: str


@dataclass
class MemoryKMS:
    """Really wraps, really binds the context, and refuses what is disabled or elsewhere."""

    keys: dict[str, bytes] = field(default_factory=dict)
    disabled: set[str] = field(default_factory=set)
    calls: list[tuple[str, str, str | None]] = field(default_factory=list)

    def create_key(self, region: str) -> str:
        arn = f"arn:aws:kms:{region}:111122223333:key/{len(self.keys)}"
        self.keys[arn] = new_key()
        return arn

    async def generate_data_key(
        self,
        caller: Caller,
        key_id: str,
        *,
        region: str,
        context: Mapping[str, str],
        size: int = 32,
    ) -> DataKey:
        key = self._key("GenerateDataKey", caller, key_id, region)
        plaintext = new_key()
        box = seal_box(key, plaintext, purpose="data key", context=encode_context(context))
        return DataKey(plaintext, box, key_id)

    async def decrypt(
        self,
        caller: Caller,
        ciphertext: bytes,
        *,
        region: str,
        context: Mapping[str, str],
        key_id: str | None = None,
    ) -> DataKey:
        assert key_id is not None
        key = self._key("Decrypt", caller, key_id, region)
        try:
            encoded = encode_context(context)
            plaintext = open_box(key, ciphertext, purpose="data key", context=encoded)
        except IntegrityError:
            raise KMSError("InvalidCiphertextException") from None
        return DataKey(plaintext, ciphertext, key_id)

    def _key(self, operation: str, caller: Caller, key_id: str, region: str) -> bytes:
        self.calls.append((operation, region, caller.via))
        if key_id not in self.keys or f":{region}:" not in key_id:
            raise KMSError("NotFoundException")
        if key_id in self.disabled:
            raise KMSError("DisabledException")
        return self.keys[key_id]


@pytest.fixture
def kms() -> MemoryKMS:
    return MemoryKMS()


@pytest.fixture
def caller() -> Caller:
    return Caller(None, None, source_ip="127.0.0.1", user_agent="tests", secure=True)


@pytest.fixture
def open_device(tmp_path: Path) -> Open:
    """Opens the device in `directory`, made on first use; the size is in blocks."""

    def open_it(directory: Path = tmp_path / "device", blocks: int = 600, key: bytes = b"k" * 32):  # type: ignore[no-untyped-def]
        size = blocks * BLOCK_BYTES
        if not directory.exists():
            directory.mkdir()
            create_device(directory, key=key, volume_id="vol-1", size=size)
        return Device(directory, key=key, volume_id="vol-1", size=size)

    return open_it
