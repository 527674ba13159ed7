"""The object store of a lab: the real backend, as a party with a front door, two disks and users.

It is `tlslab.endpoint`'s: S3 and KMS. The objects lie on one disk and the KMS's keys on another,
beside them the root of trust. `alice` may do everything; `bob` may read every bucket, and was given
no key of the KMS.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import trio
from trio.testing import memory_stream_pair

from tlslab.audit import Attribute, Query
from tlslab.endpoint import REGIONS, Backend, Settings, StateFolder, open_backend
from tlslab.errors import ScenarioError
from tlslab.http import Headers, HTTPClient
from tlslab.iam import AccessKey, Caller, Hop
from tlslab.lab.client import Answer
from tlslab.lab.parties import Service
from tlslab.lab.pretence import Claim, door
from tlslab.lab.s3_client import signed
from tlslab.lab.url import URL
from tlslab.net import Connection
from tlslab.store.model import DefaultEncryption

_REWRAP = """<ObjectEncryption xmlns="http://s3.amazonaws.com/doc/2006-03-01/">\
<SSE-KMS><KMSKeyArn>{arn}</KMSKeyArn></SSE-KMS></ObjectEncryption>"""

INSIDE = "127.0.0.1"
"""Where requests come from that are made in the store's own building."""


@dataclass
class Clock:
    """The store's clock. It can be set ahead, for what takes days."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        """The time there."""
        return datetime.now(UTC) + self.ahead


@dataclass(frozen=True)
class LabKey:
    """A key of the store's KMS, by its ARN."""

    arn: str
    _store: Store = field(repr=False)

    @property
    def region(self) -> str:
        """The region in which it is."""
        return self.arn.split(":")[3]

    @property
    def headers(self) -> Headers:
        """What an upload says to be encrypted with it (SSE-KMS)."""
        return [
            (b"x-amz-server-side-encryption", b"aws:kms"),
            (b"x-amz-server-side-encryption-aws-kms-key-id", self.arn.encode()),
        ]

    async def invoke(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """An operation of the KMS in the key's region, asked for by alice. Raises KMSError."""
        return await self._store.invoke(operation, region=self.region, **parameters)

    async def disable(self) -> None:
        """Disable it: nothing is decrypted with it until it is enabled again."""
        await self.invoke("DisableKey", KeyId=self.arn)

    async def enable(self) -> None:
        """Enable it again."""
        await self.invoke("EnableKey", KeyId=self.arn)

    async def rotate(self) -> None:
        """Give it new material, which encrypts from now on; the old one decrypts what is old."""
        await self.invoke("RotateKeyOnDemand", KeyId=self.arn)

    async def schedule_deletion(self, days: int = 7) -> None:
        """Have it deleted in so many days; from now on it serves nobody."""
        await self.invoke("ScheduleKeyDeletion", KeyId=self.arn, PendingWindowInDays=days)


@dataclass(kw_only=True)
class Store(Service):
    """An object store, with its HTTP face over its service.

    `state` is the folder in which all of it lies; `settings` opens it, and goes by `clock`. Without
    TLS of its own it believes a proxy that knows `proxy_key`, and nobody else, that a request came
    over TLS; unless it is one that `believes` what any client can say (`pretence`).
    """

    state: StateFolder
    settings: Settings
    backend: Backend
    clock: Clock = field(default_factory=Clock)
    believes: Claim | None = None
    proxy_key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    kind = "store"

    def __post_init__(self) -> None:
        self._door = door(self.backend.answer, self.proxy_key, believes=self.believes)

    @property
    def disk(self) -> Path:
        """The folder in which the objects lie."""
        return self.state.disk

    @property
    def kms_disk(self) -> Path:
        """The folder in which the KMS's keys lie, and the audit trail."""
        return self.state.kms_database.parent

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

    async def make_bucket(
        self, name: str, *, encryption: LabKey | None = None, bucket_key: bool = False
    ) -> None:
        """Make a bucket of alice's account; with `encryption`, by default encrypted with it.

        With a `bucket_key` the KMS is asked for a data key for the bucket, not for each object.
        """
        principal = self.user("alice").principal
        await self.backend.store.create_bucket(
            name, owner=principal.account, region=self.settings.regions[0]
        )
        if encryption is not None:
            default = DefaultEncryption("aws:kms", encryption.arn, bucket_key=bucket_key)
            await self.backend.store.configure_bucket(name, encryption=default)

    async def set_policy(self, bucket: str, policy: Mapping[str, Any]) -> None:
        """Have alice give a bucket a policy."""
        await self._as_alice(f"/{bucket}?policy", json.dumps(policy).encode())

    async def rotate_root_key(self) -> None:
        """Have new objects encrypted under a new root key (SSE-S3), and old data keys as well."""
        await self.backend.store.rotate_root_key()
        await self.backend.store.rewrap()

    async def rewrap(self, path: str, key: LabKey) -> None:
        """Have alice wrap an object's data key anew, under a key as it is now."""
        await self._as_alice(f"{path}?encryption", _REWRAP.format(arn=key.arn).encode())

    async def _as_alice(self, path: str, document: bytes) -> None:
        answer = await self.at_the_front_door("PUT", path, self.user("alice"), document)
        if answer.status >= 300:
            raise ScenarioError(f"{self.name} answered {answer.status}: {answer.body.decode()}")

    async def kms_key(
        self, alias: str, *, policy: Mapping[str, Any] | None = None, region: str = REGIONS[0]
    ) -> LabKey:
        """A fresh key of its KMS; its `policy` leaves it to the account's: to alice, not to bob."""
        wanted = {} if policy is None else {"Policy": json.dumps(policy)}
        created = await self.invoke("CreateKey", region=region, **wanted)
        key = LabKey(created["KeyMetadata"]["Arn"], self)
        await key.invoke("CreateAlias", AliasName=f"alias/{alias}", TargetKeyId=key.arn)
        return key

    async def invoke(self, operation: str, *, region: str, **parameters: Any) -> dict[str, Any]:
        """An operation of the KMS, asked for by alice. Raises KMSError."""
        return await self.backend.kms.invoke(
            self.caller("alice"), operation, parameters, region=region
        )

    def caller(self, name: str) -> Caller:
        """One of its users, asking from inside the store's building."""
        key = self.user(name)
        return Caller(key.principal, key.id, INSIDE, "tlslab", secure=True)

    async def who_decrypted(self, path: str) -> list[str]:
        """Who had an object's data key decrypted, by name, as the audit trail has it."""
        arn = f"arn:aws:s3:::{path.removeprefix('/')}"
        decryptions = Query(attribute=Attribute.EVENT_NAME, value="Decrypt")
        found = await self.backend.trail.lookup(decryptions)
        records = [json.loads(one.record) for one in found.found]
        return [
            record["userIdentity"]["userName"]
            for record in records
            if record["requestParameters"]["encryptionContext"].get("aws:s3:arn") == arn
        ]

    async def days_later(self, days: int) -> None:
        """Let time pass, and have the KMS do what is due by then.

        Clients' clocks stay behind, so that it takes none of their signatures any more.
        """
        self.clock.ahead += timedelta(days=days)
        await self.backend.kms.sweep()

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
                state=self.state, settings=self.settings, backend=backend, clock=self.clock,
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

    async def at_the_front_door(
        self, method: str, path: str, key: AccessKey, body: bytes = b""
    ) -> Answer:
        """The answer to a signed request, through the same face that serves the network."""
        url = URL.parse(f"https://{self.name}{path}")
        ours, theirs = memory_stream_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._door.serve, theirs, Hop(secure=True, source_ip=INSIDE))
            http = HTTPClient(ours, host=url.authority)
            checked = [
                (
                    b"content-md5",
                    base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()),
                )
            ]
            fields = signed(key, method, url, checked if body else [], body, now=self.clock())
            response = await http.request(method, url.target, headers=fields, body=body or None)
            content = await response.read()
            await http.aclose()
        return Answer(response.status, list(response.headers), content)
