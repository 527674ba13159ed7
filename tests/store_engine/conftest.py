"""Stores on both databases, with a KMS, a clock that tests move, and callers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tlslab import audit, kms
from tlslab.audit import Trail
from tlslab.database import Database
from tlslab.iam import Caller, Policy, Principal
from tlslab.kms import KMS
from tlslab.seal import Seal
from tlslab.store import tables
from tlslab.store.engine import ObjectStore

ACCOUNT = "111122223333"
REGION = "eu-west-2"
START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def caller(name: str, *actions: str) -> Caller:
    """A user who may do these actions, or the account's root."""
    if name == "root":
        principal = Principal(f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT, "root", "root", ACCOUNT)
    else:
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
        policies: tuple[Policy, ...] = ()
        if actions:
            policies = (Policy.parse({"Version": "2012-10-17", "Statement": [statement]}),)
        arn = f"arn:aws:iam::{ACCOUNT}:user/{name}"
        principal = Principal(arn, ACCOUNT, "user", name, f"AIDA{name.upper()}", policies)
    return Caller(principal, f"AKIA{name.upper()}", "192.0.2.7", "tests", secure=True)


ROOT = caller("root")


@dataclass
class World:
    """A database, a directory, a seal; and stores that share them, as processes would."""

    url: str
    directory: Path
    seal: Seal = field(repr=False)
    now: datetime = START
    plain: bool = False
    opened: list[Any] = field(default_factory=list, repr=False)
    kms: KMS = field(init=False, repr=False)
    trail: Trail = field(init=False, repr=False)
    database: Database = field(init=False, repr=False)

    def store(self, **options: Any) -> ObjectStore:
        """Another process's store: nothing shared but the database and the directory."""
        all_tables = (tables.metadata, kms.metadata, audit.metadata)
        self.database = Database(self.url, *all_tables)
        self.trail = Trail(self.database, self.seal, begun=bool(self.opened))
        self.kms = KMS(self.database, self.seal, self.trail, now=lambda: self.now)
        options = {"plain": self.plain, "now": lambda: self.now, **options}
        store = ObjectStore(self.database, self.directory, self.seal, self.kms, **options)
        self.opened += [store, self.database]
        return store

    def later(self, **delta: float) -> None:
        """Move the clock."""
        self.now += timedelta(**delta)

    async def key(self, **parameters: Any) -> str:
        """The ARN of a new KMS key."""
        answer = await self.kms.invoke(ROOT, "CreateKey", parameters, region=REGION)
        return str(answer["KeyMetadata"]["Arn"])

    async def do(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """An operation of the KMS."""
        return await self.kms.invoke(ROOT, operation, parameters, region=REGION)

    def close(self) -> None:
        """Close all of them."""
        for one in self.opened:
            one.close()


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    """On either database."""
    world = World(database_url, tmp_path / "objects", Seal.ephemeral())
    yield world
    world.close()


@pytest.fixture
def local(tmp_path: Path) -> Iterator[World]:
    """On SQLite, for what does not depend on the database."""
    world = World(str(tmp_path / "state" / "db"), tmp_path / "objects", Seal.ephemeral())
    yield world
    world.close()


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[World]:
    """The twin that encrypts nothing."""
    path = tmp_path / "plain"
    world = World(str(path / "db"), path / "objects", Seal.ephemeral(), plain=True)
    yield world
    world.close()


@pytest.fixture
def root() -> Caller:
    """The account's root."""
    return ROOT


@pytest.fixture
async def store(world: World) -> ObjectStore:
    """A store with a bucket."""
    store = world.store()
    await store.create_bucket("letters", owner=ACCOUNT, region=REGION)
    return store


@pytest.fixture
async def local_store(local: World) -> ObjectStore:
    """A store with a bucket, on SQLite."""
    store = local.store()
    await store.create_bucket("letters", owner=ACCOUNT, region=REGION)
    return store


@pytest.fixture
def files_of() -> Callable[[Path], list[Path]]:
    """The files below a directory, whatever made them."""
    return lambda directory: sorted(path for path in directory.rglob("*") if path.is_file())
