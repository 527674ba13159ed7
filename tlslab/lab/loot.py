"""What a thief makes of what he carried off: the store's own program, run on copies elsewhere.

There nobody refuses him anything; what he needs are keys. Those of the store and of its KMS he has
if he has the files in which they lie, opened by the root of trust. Keys of customers and of
applications he looks for in every file, and in every object that comes to light.
"""

from __future__ import annotations

import base64
import contextlib
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tlslab.clientside import ApplicationKey, decrypt
from tlslab.clientside.metadata import is_encrypted
from tlslab.endpoint import Backend, StateFolder, open_backend
from tlslab.envelope import KEY_BYTES
from tlslab.errors import IntegrityError, StoreError
from tlslab.iam import ACCOUNT, Caller, Identities
from tlslab.store.model import CustomerKey, ObjectInfo

MAX_KEYS = 100
"""Candidates that are tried: random bytes look like keys too, now and then."""

_BASE64 = re.compile(rb"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{43}=")
_HEX = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


async def opened_with_its_keys(loot: StateFolder, files: Iterable[Path]) -> list[bytes]:
    """Every object that opens with what is in `loot`, which holds a root of trust.

    Without a copy of the KMS's disk, the KMS is another one, without keys. `files` are looked
    through for keys. The loot stays as it is: it is a copy of it that is opened.
    """
    workshop = StateFolder(loot.path.with_name(f"{loot.path.name}-opened"))
    shutil.copytree(loot.path, workshop.path)
    try:
        keys = dict.fromkeys(key for path in files for key in keys_within(path.read_bytes()))
        return await _opened(workshop, keys)
    finally:
        shutil.rmtree(workshop.path)


async def _opened(loot: StateFolder, keys: dict[bytes, None]) -> list[bytes]:
    root = await loot.open_root_of_trust()
    identities = Identities.generate()
    owner = identities.root(ACCOUNT)
    assert owner is not None
    caller = Caller(owner.principal, owner.id, "127.0.0.1", "tlslab", secure=True)
    async with open_backend(loot.settings(root, identities), create=True) as backend:
        burglary = _Burglary(backend, caller, keys)
        while await burglary.goes_on():
            pass  # what came to light last may have held keys
    return [*burglary.opened.values(), *burglary.decrypted]


def keys_within(data: bytes) -> Iterator[bytes]:
    """What could be a key of 32 bytes: as it is, in base64, or in hex."""
    if len(data) == KEY_BYTES:
        yield data
    for match in _BASE64.finditer(data):
        yield base64.b64decode(match[0])
    for match in _HEX.finditer(data):
        yield bytes.fromhex(match[0].decode())


@dataclass
class _Burglary:
    """What has come to light so far, by bucket and key, and the keys to try (in their order)."""

    backend: Backend
    caller: Caller
    keys: dict[bytes, None]
    opened: dict[tuple[str, str], bytes] = field(default_factory=dict)
    decrypted: list[bytes] = field(default_factory=list)

    async def goes_on(self) -> bool:
        """Try every object that is still shut with every key; whether any came to light."""
        before = len(self.opened) + len(self.decrypted)
        for bucket in await self.backend.store.buckets(ACCOUNT):
            page = await self.backend.store.list_objects(bucket.name)
            for info in page.objects:
                if (bucket.name, info.key) not in self.opened:
                    await self._open(bucket.name, info.key)
        return len(self.opened) + len(self.decrypted) > before

    async def _open(self, bucket: str, key: str) -> None:
        for candidate in (None, *list(self.keys)[:MAX_KEYS]):
            unlock = None if candidate is None else CustomerKey(candidate)
            with contextlib.suppress(StoreError):
                stored = await self.backend.store.get(self.caller, bucket, key, unlock=unlock)
                content = b"".join([part async for part in stored.read()])
                self.opened[bucket, key] = content
                self.keys |= dict.fromkeys(keys_within(content))
                await self._decrypt(stored.info, content)
                return

    async def _decrypt(self, info: ObjectInfo, content: bytes) -> None:
        """What was encrypted before it was uploaded, with an application's key."""
        metadata = info.attributes.metadata
        if not is_encrypted(metadata):
            return
        for candidate in list(self.keys)[:MAX_KEYS]:
            with contextlib.suppress(IntegrityError):
                plaintext = await decrypt(metadata, content, ApplicationKey(candidate))
                self.decrypted.append(plaintext)
