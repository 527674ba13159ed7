"""Everything behind an endpoint, opened: databases, seals, audit trail, KMS, object store.

The KMS has a database of its own unless it is told to share the store's. With two, whoever carries
off the disk of the store, and even the root of trust, has none of the KMS's keys: they lie on
another disk. It opens all or nothing, and fails closed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import trio
from sqlalchemy import MetaData

from tlslab import audit, kms, seal, store
from tlslab.audit import Trail
from tlslab.audit.face import CloudTrail
from tlslab.database import Database
from tlslab.endpoint.dispatch import Dispatch
from tlslab.endpoint.objects import claim
from tlslab.iam import Identities
from tlslab.kms import KMS
from tlslab.seal import RootOfTrust, Seal, open_seal
from tlslab.store import ObjectStore
from tlslab.store.files import Files
from tlslab.store.s3 import S3

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Objects

REGIONS = ("eu-west-2", "eu-west-1", "us-east-1")
"""Served unless told otherwise, the default first: two near each other and the one that old tools
take for granted."""

Clock: TypeAlias = Callable[[], datetime]


def _clock() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Settings:
    """What a backend is opened with.

    `database` and `kms_database` are URLs or paths (the same text: one database for both).
    `objects` is a directory or a backend of obstore. `plain` stores without any encryption: only
    for showing what that leads to. `domains` are the suffixes of virtual-host style names.
    """

    database: str
    kms_database: str
    objects: Path | Objects
    root_of_trust: RootOfTrust
    identities: Identities
    regions: tuple[str, ...] = REGIONS
    compat: Literal["ceph"] | None = None
    plain: bool = False
    domains: tuple[str, ...] = ()
    now: Clock = field(default=_clock, repr=False)


@dataclass(frozen=True)
class Backend:
    """An opened backend. `answer` serves a request that came over a hop."""

    settings: Settings
    kms: KMS
    trail: Trail
    store: ObjectStore
    answer: Dispatch = field(repr=False)


@asynccontextmanager
async def open_backend(settings: Settings, *, create: bool) -> AsyncIterator[Backend]:
    """Open everything, and close it at the end of the block.

    With `create`, empty databases are set up. Raises UsageError for a root of trust that is missing
    or not the one, for objects without their database, and for whatever else cannot be opened.
    """
    databases: list[Database] = []

    async def opened(url: str, *tables: MetaData) -> Database:
        databases.append(await trio.to_thread.run_sync(lambda: Database(url, *tables)))
        return databases[-1]

    try:
        of_store_tables = (seal.metadata, store.metadata)
        kms_tables = (seal.metadata, audit.metadata, kms.metadata)
        if settings.kms_database == settings.database:
            both = await opened(settings.database, *dict.fromkeys(of_store_tables + kms_tables))
            of_store, of_kms = both, both
        else:
            of_store = await opened(settings.database, *of_store_tables)
            of_kms = await opened(settings.kms_database, *kms_tables)
        backend = await _assemble(settings, of_store, of_kms, create)
        try:
            yield backend
        finally:
            backend.store.close()
    finally:
        for database in databases:
            database.close()


async def _assemble(
    settings: Settings, of_store: Database, of_kms: Database, create: bool
) -> Backend:
    root = settings.root_of_trust
    kms_seal = await open_seal(of_kms, root, create=create, begin=_begin_trail(of_kms))
    store_seal = kms_seal
    if of_store is not of_kms:
        store_seal = await open_seal(of_store, root, create=create)
    trail = Trail(of_kms, kms_seal, begun=True)
    keys = KMS(
        of_kms,
        kms_seal,
        trail,
        now=settings.now,
        principal_exists=settings.identities.principal_exists,
        regions=settings.regions,
    )
    files = await trio.to_thread.run_sync(lambda: Files(settings.objects, create=True))
    await trio.to_thread.run_sync(claim, files, store_seal)
    objects = ObjectStore(
        of_store,
        files,
        store_seal,
        keys,
        now=settings.now,
        plain=settings.plain,
        compat=settings.compat,
    )
    await objects.collect_leftovers()
    s3 = S3(
        objects,
        settings.identities,
        region=settings.regions[0],
        regions=settings.regions,
        domains=settings.domains,
        compat=settings.compat,
        now=settings.now,
    )
    dispatch = Dispatch(
        s3=s3,
        kms=keys,
        cloudtrail=CloudTrail(trail, kms_seal),
        identities=settings.identities,
        regions=settings.regions,
        now=settings.now,
    )
    return Backend(settings, keys, trail, objects, dispatch)


def _begin_trail(database: Database) -> seal.Begin:
    def begin(connection: object, opened: Seal) -> None:
        Trail(database, opened).begin(connection)  # type: ignore[arg-type]

    return begin
