"""Several processes on one database, and what is left of a key on the disk."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import trio
from sqlalchemy import select

from tlslab import audit, kms
from tlslab.audit import Trail
from tlslab.database import Database
from tlslab.kms import KMS, KMSError, tables
from tlslab.kms.cache import Cache

World: TypeAlias = Any


def _beside(world: World, url: str) -> Iterator[KMS]:
    """Another process's KMS: its own connections, cache and head of the trail."""
    database = Database(url, kms.metadata, audit.metadata)
    yield KMS(database, world.seal, Trail(database, world.seal), now=lambda: world.now)
    database.close()


@pytest.fixture
def beside(world: World, sqlite_url: str) -> Iterator[KMS]:
    yield from _beside(world, sqlite_url)


@pytest.fixture
def beside_either(either: World, database_url: str) -> Iterator[KMS]:
    yield from _beside(either, database_url)


async def test_what_one_process_changes_all_know_at_once(either: World, beside_either: KMS) -> None:
    world, beside = either, beside_either

    async def there(operation: str, **given: Any) -> dict[str, Any]:
        return await beside.invoke(world.root, operation, given, region=world.region)

    key = await world.key()
    blob = (await world.do("Encrypt", KeyId=key, Plaintext=b"x"))["CiphertextBlob"]
    assert (await there("Decrypt", CiphertextBlob=blob))["Plaintext"] == b"x"
    await there("DisableKey", KeyId=key)
    assert (await world.refused("Decrypt", CiphertextBlob=blob)).code == "DisabledException"
    await world.do("EnableKey", KeyId=key)
    assert (await there("Decrypt", CiphertextBlob=blob))["Plaintext"] == b"x"
    await there("RotateKeyOnDemand", KeyId=key)
    newer = (await world.do("Encrypt", KeyId=key, Plaintext=b"y"))["CiphertextBlob"]
    assert (await there("Decrypt", CiphertextBlob=newer))["Plaintext"] == b"y"
    grant = await there("CreateGrant", KeyId=key, GranteePrincipal=world.bob.principal.arn,
                        Operations=["Decrypt"])  # fmt: skip
    await world.do("Decrypt", world.bob, CiphertextBlob=blob)
    await there("RevokeGrant", KeyId=key, GrantId=grant["GrantId"])
    refused = await world.refused("Decrypt", world.bob, CiphertextBlob=blob)
    assert refused.code == "AccessDeniedException"
    assert (await world.trail.verify()).finding is None


async def test_a_cache_that_trusted_itself_would_serve_a_disabled_key(
    world: World, beside: KMS, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await world.key()
    await world.do("Encrypt", KeyId=key, Plaintext=b"x")
    with monkeypatch.context() as patched:
        patched.setattr(Cache, "changed", lambda self, connection: self.forget())
        await beside.invoke(world.root, "DisableKey", {"KeyId": key}, region=world.region)
    await world.do("Encrypt", KeyId=key, Plaintext=b"x")  # wrong: what the generation prevents


_DISABLE = """
import sys, trio
from conftest import ROOT
from tlslab import audit, kms
from tlslab.database import Database
from tlslab.seal import Seal

async def main(url, key):
    database = Database(url, kms.metadata, audit.metadata)
    seal = Seal(sys.stdin.buffer.read())
    service = kms.KMS(database, seal, audit.Trail(database, seal))
    await service.invoke(ROOT, "DisableKey", {"KeyId": key}, region="eu-west-2")
    database.close()

trio.run(main, *sys.argv[1:])
"""


async def test_a_real_other_process(world: World, sqlite_url: str) -> None:
    key = await world.key()
    await world.do("Encrypt", KeyId=key, Plaintext=b"x")
    command = [sys.executable, "-c", _DISABLE, sqlite_url, key]
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here), str(here.parents[1])])
    done = await trio.to_thread.run_sync(
        lambda: subprocess.run(
            command,
            input=world.seal._master,
            env=os.environ | {"PYTHONPATH": paths},
            capture_output=True,
            check=False,
        )
    )
    assert done.returncode == 0, done.stderr
    error = await world.refused("Encrypt", KeyId=key, Plaintext=b"x")
    assert error.code == "DisabledException"


async def test_a_refused_request_changes_nothing_but_the_trail(world: World) -> None:
    key = await world.key(MultiRegion=True)
    before = await world.describe(key)
    error = await world.refused(
        "ReplicateKey", KeyId=key, ReplicaRegion="us-east-1", Policy='{"Version": "2012-10-17"}'
    )
    assert error.code == "MalformedPolicyDocumentException"
    assert await world.describe(key) == before
    missing = await world.refused("DescribeKey", region="us-east-1", KeyId=key)
    assert missing.code == "NotFoundException"


def _files(url: str) -> bytes:
    path = Path(url.removeprefix("sqlite:///"))
    return b"".join(each.read_bytes() for each in path.parent.iterdir() if each.is_file())


async def _sealed(world: World) -> list[bytes]:
    return list(
        await world.database.read(
            lambda link: [
                row.sealed for row in link.execute(select(tables.materials.c.sealed)) if row.sealed
            ]
        )
    )


async def test_key_material_is_sealed_on_the_disk(world: World, sqlite_url: str) -> None:
    key = await world.key()
    keyring = world.kms._services.keyring
    secret = await world.database.write(
        lambda link: keyring.current_secret(link, keyring.find(link, world.region, key))[1]
    )
    made = await world.do("GenerateDataKey", KeyId=key, KeySpec="AES_256")
    stored = _files(sqlite_url)
    for found in (secret, made["Plaintext"], made["CiphertextBlob"]):
        assert found not in stored
    (sealed,) = await _sealed(world)
    assert sealed in stored  # the search does find what is there


@pytest.mark.parametrize("how", ["erased", "log kept", "only freed"])
async def test_deleted_material_is_gone_from_the_disk(
    world: World, sqlite_url: str, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """At once, while the KMS runs: the thief need not wait for it to be closed."""
    if how == "log kept":
        monkeypatch.setattr("tlslab.database.database.empty_log", lambda connection: None)
    if how == "only freed":
        monkeypatch.setattr("tlslab.kms.keyring.erasing", _only_free)
    doomed, kept = await world.key(), await world.key()
    sealed = await _sealed(world)
    await world.do("ScheduleKeyDeletion", KeyId=doomed, PendingWindowInDays=7)
    world.later(days=7)
    await world.kms.sweep()
    (rest,) = await _sealed(world)
    (gone,) = set(sealed) - {rest}
    assert (await world.describe(kept))["KeyState"] == "Enabled"
    if how == "only freed":
        world.database.close()  # which moves the log into the file: zeroing is the file's business
    stored = _files(sqlite_url)
    assert rest in stored
    # the tail is what a freed cell keeps: its first bytes become a link of the free list
    assert (gone[8:] in stored) == (how != "erased")


async def test_a_reader_only_delays_what_is_erased(world: World, sqlite_url: str) -> None:
    doomed = await world.key()
    (sealed,) = await _sealed(world)
    await world.do("ScheduleKeyDeletion", KeyId=doomed, PendingWindowInDays=7)
    world.later(days=7)
    reader = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    with contextlib.closing(reader):
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM kms_keys").fetchone()
        await world.kms.sweep()
        assert sealed in _files(sqlite_url)
    await world.key()  # any write
    assert sealed[8:] not in _files(sqlite_url)


def _only_free(connection: Any) -> None:
    """What SQLite does unless it is told, or built, otherwise."""
    connection.exec_driver_sql("PRAGMA secure_delete = OFF")


async def test_material_moved_to_another_row_does_not_open(world: World) -> None:
    key, other = await world.key(), await world.key()

    def swap(link: Any) -> None:
        theirs = select(tables.materials.c.sealed).where(tables.materials.c.key == other)
        sealed = link.execute(theirs).scalar()
        ours = tables.materials.c.key == key
        link.execute(tables.materials.update().where(ours).values(sealed=sealed))

    await world.database.write(swap)
    error = await world.refused("Encrypt", KeyId=key, Plaintext=b"x")
    assert (error.code, error.status) == ("KMSInternalException", 500)
    await world.do("Encrypt", KeyId=other, Plaintext=b"x")


async def test_many_at_a_time(either: World) -> None:
    world = either
    key = await world.key()
    made: list[dict[str, Any]] = []

    async def ask(number: int) -> None:
        if number % 10 == 5:
            with pytest.raises(KMSError):
                await world.do("Encrypt", world.bob, KeyId=key, Plaintext=b"x")
        else:
            made.append(await world.do("GenerateDataKey", KeyId=key, NumberOfBytes=32))

    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(ask, number)
    assert len({each["Plaintext"] for each in made}) == 45
    assert (await world.trail.verify()).finding is None


async def test_one_of_everything_on_either_database(either: World) -> None:
    world, bob = either, either.bob.principal.arn
    key = await world.key(MultiRegion=True, Tags=[{"TagKey": "a", "TagValue": "b"}])
    for name in ("alias/b", "alias/a"):
        await world.do("CreateAlias", AliasName=name, TargetKeyId=key)
    page = await world.do("ListAliases", Limit=1)
    assert page["Aliases"][0]["AliasName"] == "alias/a"
    rest = await world.do("ListAliases", Marker=page["NextMarker"])
    assert [each["AliasName"] for each in rest["Aliases"]] == ["alias/b"]
    blob = (await world.do("Encrypt", KeyId="alias/a", Plaintext=b"x"))["CiphertextBlob"]
    await world.do("EnableKeyRotation", KeyId=key, RotationPeriodInDays=90)
    await world.do("ReplicateKey", KeyId=key, ReplicaRegion="us-east-1")
    await world.do("CreateGrant", KeyId=key, GranteePrincipal=bob, Operations=["Decrypt"])
    world.later(days=90)
    assert (await world.do("Decrypt", world.bob, CiphertextBlob=blob))["Plaintext"] == b"x"
    assert len((await world.do("ListKeyRotations", KeyId=key))["Rotations"]) == 1
    assert (await world.do("GetKeyLastUsage", KeyId=key))["KeyLastUsage"]["Operation"] == "Decrypt"
    await world.do("ScheduleKeyDeletion", region="us-east-1", KeyId=key, PendingWindowInDays=7)
    await world.do("ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=7)
    world.later(days=7)
    await world.kms.sweep()
    world.later(days=7)
    await world.kms.sweep()
    assert (await world.do("ListKeys"))["Keys"] == []
    assert (await world.do("ListAliases"))["Aliases"] == []
    for table in (tables.materials, tables.grants, tables.usage):
        assert await world.database.read(lambda link, t=table: link.execute(select(t)).all()) == []
    assert (await world.trail.verify()).finding is None
