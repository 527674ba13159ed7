"""Volumes, snapshots and a database with the real KMS: its policies decide, its trail records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tlslab import audit
from tlslab import kms as kms_package
from tlslab.database import Database
from tlslab.iam import Caller, Principal
from tlslab.kms import KMS, KMSError
from tlslab.seal import Seal
from tlslab.volume import (
    BLOCK_BYTES,
    attach,
    copy_snapshot,
    create_volume,
    restore_snapshot,
    take_snapshot,
)
from tlslab.volume.embedded_database import create_database, open_database

ACCOUNT = "111122223333"
HERE, THERE = "eu-west-2", "ap-southeast-1"
SIZE = 64 * BLOCK_BYTES


def caller(name: str) -> Caller:
    if name == "root":
        principal = Principal(f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT, "root", "root", ACCOUNT)
    else:
        arn = f"arn:aws:iam::{ACCOUNT}:user/{name}"
        principal = Principal(arn, ACCOUNT, "user", name, f"AIDA{name.upper()}")
    return Caller(principal, None, "192.0.2.7", "tests", secure=True)


ROOT, ALICE = caller("root"), caller("alice")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path / 'kms.db'}", kms_package.metadata, audit.metadata)
    yield opened
    opened.close()


@pytest.fixture
def trail(database: Database) -> audit.Trail:
    return audit.Trail(database, Seal.ephemeral())


@pytest.fixture
def real_kms(database: Database, trail: audit.Trail) -> KMS:
    return KMS(database, Seal.ephemeral(), trail)


def policy(**condition: Any) -> str:
    """The account decides; alice may use the key under this condition."""
    allowed = {"Effect": "Allow", "Resource": "*"}
    user = {"AWS": f"arn:aws:iam::{ACCOUNT}:user/alice"}
    root = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    statements = [
        {**allowed, "Principal": root, "Action": "kms:*"},
        {
            **allowed, "Principal": user,
            "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Condition": condition,
        },
    ]  # fmt: skip
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


async def new_key(kms: KMS, region: str, **parameters: Any) -> str:
    answer = await kms.invoke(ROOT, "CreateKey", parameters, region=region)
    return str(answer["KeyMetadata"]["Arn"])


async def test_a_snapshot_crosses_regions_under_other_keys(real_kms: KMS, tmp_path: Path) -> None:
    keys = {region: await new_key(real_kms, region) for region in (HERE, THERE)}
    await create_volume(real_kms, ROOT, tmp_path / "vol", size=SIZE, region=HERE, key_id=keys[HERE])
    async with await attach(real_kms, ROOT, tmp_path / "vol") as volume:
        await volume.write(10, b"across")
        await take_snapshot(real_kms, ROOT, volume, tmp_path / "snap")
    await copy_snapshot(
        real_kms, ROOT, tmp_path / "snap", tmp_path / "copy", region=THERE, key_id=keys[THERE]
    )
    await real_kms.invoke(ROOT, "DisableKey", {"KeyId": keys[HERE]}, region=HERE)
    await restore_snapshot(real_kms, ROOT, tmp_path / "copy", tmp_path / "there")
    async with await attach(real_kms, ROOT, tmp_path / "there") as volume:
        assert volume.descriptor.region == THERE
        assert await volume.read(10, 6) == b"across"
    with pytest.raises(KMSError) as caught:
        await attach(real_kms, ROOT, tmp_path / "vol")
    assert caught.value.code == "DisabledException"
    await real_kms.invoke(ROOT, "EnableKey", {"KeyId": keys[HERE]}, region=HERE)
    await (await attach(real_kms, ROOT, tmp_path / "vol")).aclose()


async def test_a_rotated_key_still_opens_the_volume(real_kms: KMS, tmp_path: Path) -> None:
    key = await new_key(real_kms, HERE)
    await create_volume(real_kms, ROOT, tmp_path / "vol", size=SIZE, region=HERE, key_id=key)
    await real_kms.invoke(ROOT, "RotateKeyOnDemand", {"KeyId": key}, region=HERE)
    await (await attach(real_kms, ROOT, tmp_path / "vol")).aclose()


async def test_the_key_policy_may_allow_it_for_volumes_alone(real_kms: KMS, tmp_path: Path) -> None:
    condition = {"StringEquals": {"kms:ViaService": f"ec2.{HERE}.amazonaws.com"}}
    key = await new_key(real_kms, HERE, Policy=policy(**condition))
    descriptor = await create_volume(
        real_kms, ALICE, tmp_path / "vol", size=SIZE, region=HERE, key_id=key
    )
    await (await attach(real_kms, ALICE, tmp_path / "vol")).aclose()
    with pytest.raises(KMSError) as caught:  # not directly
        await real_kms.decrypt(
            ALICE, descriptor.data_key, region=HERE, context=descriptor.encryption_context
        )
    assert caught.value.code == "AccessDeniedException"
    with pytest.raises(KMSError):  # nor for a database
        await create_database(real_kms, ALICE, tmp_path / "db", region=HERE, key_id=key)


async def test_the_key_policy_may_allow_one_volume_alone(real_kms: KMS, tmp_path: Path) -> None:
    key = await new_key(real_kms, HERE)
    first, second = [
        await create_volume(real_kms, ROOT, tmp_path / name, size=SIZE, region=HERE, key_id=key)
        for name in ("first", "second")
    ]
    condition = {"StringEquals": {"kms:EncryptionContext:aws:ebs:id": first.id}}
    await real_kms.invoke(
        ROOT, "PutKeyPolicy", {"KeyId": key, "Policy": policy(**condition)}, region=HERE
    )
    await (await attach(real_kms, ALICE, tmp_path / "first")).aclose()
    with pytest.raises(KMSError) as caught:
        await attach(real_kms, ALICE, tmp_path / "second")
    assert caught.value.code == "AccessDeniedException"
    assert second.id != first.id


async def test_the_trail_tells_who_attached_which_volume(
    real_kms: KMS, database: Database, tmp_path: Path
) -> None:
    key = await new_key(real_kms, HERE)
    descriptor = await create_volume(
        real_kms, ROOT, tmp_path / "vol", size=SIZE, region=HERE, key_id=key
    )
    await (await attach(real_kms, ROOT, tmp_path / "vol")).aclose()
    records = await database.read(
        lambda connection: [
            json.loads(row.record)
            for row in connection.execute(audit.tables.records.select()).all()
        ]
    )
    last = records[-1]
    assert last["eventName"] == "Decrypt"
    assert last["requestParameters"]["encryptionContext"] == {"aws:ebs:id": descriptor.id}
    assert last["userIdentity"]["invokedBy"] == "ec2.amazonaws.com"
    assert [resource["ARN"] for resource in last["resources"]] == [key]


async def test_a_database_under_a_key_of_the_kms(real_kms: KMS, tmp_path: Path) -> None:
    pytest.importorskip("sqlcipher3", reason="sqlcipher3 is not installed")
    key = await new_key(real_kms, HERE)
    await create_database(real_kms, ROOT, tmp_path / "db", region=HERE, key_id=key)
    connection = await open_database(real_kms, ROOT, tmp_path / "db")
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    await real_kms.invoke(
        ROOT, "ScheduleKeyDeletion", {"KeyId": key, "PendingWindowInDays": 7}, region=HERE
    )
    with pytest.raises(KMSError) as caught:
        await open_database(real_kms, ROOT, tmp_path / "db")
    assert caught.value.code == "KMSInvalidStateException"
