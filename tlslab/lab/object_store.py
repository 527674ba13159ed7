"""The object store of a lab: the real backend, as a party with a front door, two disks and users.

It is `tlslab.endpoint`'s: S3 and KMS. The objects lie on one disk and the KMS's keys on another,
beside them the root of trust. `alice` may do everything; `bob` may read every bucket, and was given
no key of the KMS.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import trio
from trio.testing import memory_stream_pair

from tlslab.endpoint import Backend, Door, Settings, StateFolder, open_backend
from tlslab.errors import ScenarioError, StoreError
from tlslab.http import Headers, HTTPClient
from tlslab.iam import ACCOUNT, AccessKey, Caller, Hop, Identities
from tlslab.lab.client import Answer
from tlslab.lab.parties import Service
from tlslab.lab.s3_client import signed
from tlslab.lab.url import URL
from tlslab.net import Connection
from tlslab.net.forwarded import Gate
from tlslab.store.model import DefaultEncryption

INSIDE = "127.0.0.1"
"""Where requests come from that are made in the store's own building."""


@dataclass(frozen=True)
class LabKey:
    """A key of the store's KMS, by its ARN."""

    arn: str
    _store: Store = field(repr=False)

    @property
    def headers(self) -> Headers:
        """What an upload says to be encrypted with it (SSE-KMS)."""
        return [
            (b"x-amz-server-side-encryption", b"aws:kms"),
            (b"x-amz-server-side-encryption-aws-kms-key-id", self.arn.encode()),
        ]

    async def disable(self) -> None:
        """Disable it: nothing is decrypted with it until it is enabled again."""
        await self._store.invoke("DisableKey", KeyId=self.arn)

    async def enable(self) -> None:
        """Enable it again."""
        await self._store.invoke("EnableKey", KeyId=self.arn)

    async def schedule_deletion(self, days: int = 7) -> None:
        """Have it deleted in so many days; from now on it serves nobody."""
        await self._store.invoke("ScheduleKeyDeletion", KeyId=self.arn, PendingWindowInDays=days)


@dataclass(kw_only=True)
class Store(Service):
    """An object store, with its HTTP face over its service.

    `state` is the folder in which all of it lies; `settings` opens it. Without TLS of its own it
    believes a proxy that knows `proxy_key`, and nobody else, that a request came over TLS.
    """

    state: StateFolder
    settings: Settings
    backend: Backend
    proxy_key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    kind = "store"

    def __post_init__(self) -> None:
        self._door = Door(self.backend.answer, gate=Gate(self.proxy_key))

    @property
    def disk(self) -> Path:
        """The folder in which the objects lie."""
        return self.state.disk

    @property
    def key_files(self) -> tuple[Path, ...]:
        """What opens it: the root of trust and its passphrase; none if it encrypts nothing."""
        if self.settings.plain:
            return ()
        return self.state.root_of_trust, self.state.passphrase

    def user(self, name: str) -> AccessKey:
        """What `alice` or `bob` signs with."""
        key = self.settings.identities.user(name)
        if key is None:
            raise ScenarioError(f"{self.name} has no user called {name}")
        return key

    async def make_bucket(self, name: str, *, encryption: LabKey | None = None) -> None:
        """Make a bucket of alice's account; with `encryption`, by default encrypted with it."""
        principal = self.user("alice").principal
        await self.backend.store.create_bucket(
            name, owner=principal.account, region=self.settings.regions[0]
        )
        if encryption is not None:
            default = DefaultEncryption("aws:kms", encryption.arn, bucket_key=False)
            await self.backend.store.configure_bucket(name, encryption=default)

    async def kms_key(self, alias: str, *, policy: str | None = None) -> LabKey:
        """A fresh key of its KMS, for whom the account's policies let: alice, not bob."""
        wanted = {} if policy is None else {"Policy": policy}
        created = await self.invoke("CreateKey", **wanted)
        key = LabKey(created["KeyMetadata"]["Arn"], self)
        await self.invoke("CreateAlias", AliasName=f"alias/{alias}", TargetKeyId=key.arn)
        return key

    async def invoke(
        self, operation: str, *, by: str = "alice", **parameters: Any
    ) -> dict[str, Any]:
        """An operation of the KMS, asked for by one of its users. Raises KMSError."""
        key = self.user(by)
        caller = Caller(key.principal, key.id, INSIDE, "tlslab", secure=True)
        return await self.backend.kms.invoke(
            caller, operation, parameters, region=self.settings.regions[0]
        )

    async def serve(self, connection: Connection) -> None:
        """Serve one client, knowing whether its TLS ended here and where it came from."""
        async with await self.terminated(connection) as stream:
            hop = Hop(secure=self.policy is not None, source_ip=connection.source)
            await self._door.serve(stream, hop, on_exchange=self.log)

    @asynccontextmanager
    async def reopened(self) -> AsyncIterator[Store]:
        """The store, opened again when the lab has closed, by who works there."""
        async with open_backend(self.settings, create=False) as backend:
            yield Store(
                host=self.host, journal=self.journal, keylog=None, port=self.port, policy=None,
                state=self.state, settings=self.settings, backend=backend,
            )  # fmt: skip

    async def paths(self) -> list[str]:
        """The path of every object."""
        found = []
        objects = self.backend.store
        for bucket in await objects.buckets(self.user("alice").principal.account):
            after: str | None = ""
            while after is not None:
                page = await objects.list_objects(bucket.name, after=after)
                found += [f"/{bucket.name}/{quote(info.key)}" for info in page.objects]
                after = page.next
        return found

    async def at_the_front_door(self, method: str, path: str, key: AccessKey) -> Answer:
        """The answer to a signed request, through the same face that serves the network."""
        url = URL.parse(f"https://{self.name}{path}")
        ours, theirs = memory_stream_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._door.serve, theirs, Hop(secure=True, source_ip=INSIDE))
            http = HTTPClient(ours, host=url.authority)
            response = await http.request(method, url.target, headers=signed(key, method, url))
            body = await response.read()
            await http.aclose()
        return Answer(response.status, list(response.headers), body)


async def opened_with_its_key(loot: StateFolder) -> list[bytes]:
    """What comes to light when the store's own program is run on a copy of its disk.

    The copy lies beside a copy of the root of trust, where one was got hold of; the KMS is another
    one, without keys. Objects that do not open are left out.
    """
    root = await loot.open_root_of_trust()
    identities = Identities.generate()
    owner = identities.root(ACCOUNT)
    assert owner is not None
    caller = Caller(owner.principal, owner.id, INSIDE, "tlslab", secure=True)
    opened = []
    async with open_backend(loot.settings(root, identities), create=True) as backend:
        for bucket in await backend.store.buckets(ACCOUNT):
            page = await backend.store.list_objects(bucket.name)
            for info in page.objects:
                with contextlib.suppress(StoreError):
                    stored = await backend.store.get(caller, bucket.name, info.key)
                    opened.append(b"".join([part async for part in stored.read()]))
    return opened
