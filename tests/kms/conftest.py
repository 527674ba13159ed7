"""A KMS with a clock that tests move, and callers to ask it."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tlslab import audit, kms
from tlslab.audit import Trail
from tlslab.database import Database
from tlslab.iam import Caller, Policy, Principal
from tlslab.kms import KMS, KMSError
from tlslab.seal import Seal

ACCOUNT = "111122223333"
OTHER_ACCOUNT = "444455556666"
REGION = "eu-west-2"
START = datetime.datetime(2026, 11, 20, 12, 0, tzinfo=datetime.UTC)


def allow(*actions: str, effect: str = "Allow", resource: str = "*", **condition: Any) -> Policy:
    """An identity-based policy of one statement."""
    statement = {"Effect": effect, "Action": list(actions), "Resource": resource, **condition}
    return Policy.parse({"Version": "2012-10-17", "Statement": [statement]})


def key_policy(*statements: Mapping[str, Any], root: bool = True) -> str:
    """A key policy; with `root` it also leaves everything to the account."""
    found = [{"Resource": "*", "Effect": "Allow", **statement} for statement in statements]
    if root:
        principal = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
        found.append(
            {"Effect": "Allow", "Principal": principal, "Action": "kms:*", "Resource": "*"}
        )
    return json.dumps({"Version": "2012-10-17", "Statement": found})


def caller(name: str, *policies: Policy, account: str = ACCOUNT) -> Caller:
    """A user of that name, or the account's root."""
    if name == "root":
        principal = Principal(f"arn:aws:iam::{account}:root", account, "root", "root", account)
    else:
        arn = f"arn:aws:iam::{account}:user/{name}"
        principal = Principal(arn, account, "user", name, f"AIDA{name.upper():X<16}", policies)
    return Caller(principal, f"AKIA{name.upper():X<16}", "192.0.2.7", "tests", secure=True)


ROOT = caller("root")
ALICE = caller("alice", allow("kms:*"))
BOB = caller("bob")  # nothing of his own
BOB_ADMIN = caller("bob", allow("kms:*"))
MALLORY = caller("mallory", allow("kms:*"), account=OTHER_ACCOUNT)


@dataclass
class World:
    """A KMS, its database and its clock."""

    database: Database
    kms: KMS
    trail: Trail
    seal: Seal = field(repr=False)
    now: datetime.datetime = START

    account, other_account, region = ACCOUNT, OTHER_ACCOUNT, REGION
    root, alice, bob, bob_admin, mallory = ROOT, ALICE, BOB, BOB_ADMIN, MALLORY
    allow, caller, policy = staticmethod(allow), staticmethod(caller), staticmethod(key_policy)

    def later(self, **delta: float) -> None:
        """Move the clock."""
        self.now += datetime.timedelta(**delta)

    async def do(
        self, operation: str, by: Caller = ROOT, region: str = REGION, **parameters: Any
    ) -> dict[str, Any]:
        """An operation."""
        return await self.kms.invoke(by, operation, parameters, region=region)

    async def refused(
        self, operation: str, by: Caller = ROOT, region: str = REGION, **parameters: Any
    ) -> KMSError:
        """The error of an operation that must not succeed."""
        with pytest.raises(KMSError) as caught:
            await self.kms.invoke(by, operation, parameters, region=region)
        return caught.value

    async def key(self, by: Caller = ROOT, region: str = REGION, **parameters: Any) -> str:
        """A new key's id."""
        answer = await self.do("CreateKey", by, region, **parameters)
        return str(answer["KeyMetadata"]["KeyId"])

    async def describe(self, key: str, region: str = REGION) -> Mapping[str, Any]:
        """A key's metadata."""
        answer = await self.do("DescribeKey", ROOT, region, KeyId=key)
        metadata: Mapping[str, Any] = answer["KeyMetadata"]
        return metadata

    def arn(self, key: str, region: str = REGION, account: str = ACCOUNT) -> str:
        """The ARN of a key."""
        return f"arn:aws:kms:{region}:{account}:key/{key}"

    def again(self) -> World:
        """Another process's KMS on the same database: nothing shared but that."""
        trail = Trail(self.database, self.seal)
        other = World(self.database, self.kms, trail, self.seal, self.now)
        other.kms = KMS(self.database, self.seal, trail, now=lambda: self.now)
        return other


def _world(url: str) -> Iterator[World]:
    database = Database(url, kms.metadata, audit.metadata)
    seal = Seal.ephemeral()
    trail = Trail(database, seal)
    made = World(database, None, trail, seal)  # type: ignore[arg-type]
    made.kms = KMS(database, seal, trail, now=lambda: made.now)
    yield made
    database.close()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A database of the quick kind."""
    return f"sqlite:///{tmp_path / 'state' / 'database'}"


@pytest.fixture
def world(sqlite_url: str) -> Iterator[World]:
    """A KMS that nobody has used yet."""
    yield from _world(sqlite_url)


@pytest.fixture
def either(database_url: str) -> Iterator[World]:
    """The same on either kind of database, for what is about the database."""
    yield from _world(database_url)
