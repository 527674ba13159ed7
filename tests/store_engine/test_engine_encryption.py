"""Encryption of every kind: who can read, who cannot, and that it is at once."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select, update

from tests.store_engine.conftest import REGION, caller
from tlslab.errors import IntegrityError
from tlslab.store import tables
from tlslab.store.keyring import REFRESH, ROTATE_AFTER
from tlslab.store.model import (
    SSEC,
    SSEKMS,
    SSES3,
    Algorithm,
    CustomerKey,
    DefaultEncryption,
    Encryption,
    EncryptionFacts,
)
from tlslab.store.refusals import Refused

if TYPE_CHECKING:
    from tests.store_engine.conftest import World
    from tlslab.iam import Caller
    from tlslab.store.engine import ObjectStore

BODY = bytes(range(256)) * 1000
KEY, OTHER = CustomerKey(b"k" * 32), CustomerKey(b"o" * 32)


async def read(store: ObjectStore, by: Caller, key: str = "k", **arguments: Any) -> bytes:
    async with await store.get(by, "letters", key, **arguments) as stored:
        return await stored.body()


async def refused(awaitable: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await awaitable
    return caught.value


@pytest.mark.parametrize("bucket_key", [False, True])
@pytest.mark.parametrize("dsse", [False, True])
async def test_under_a_kms_key(
    store: ObjectStore, world: World, root: Caller, bucket_key: bool, dsse: bool
) -> None:
    arn = await world.key()
    wanted = SSEKMS(arn, {"team": "red"}, bucket_key, dsse)
    info = await store.put(root, "letters", "k", BODY, encryption=wanted)
    algorithm: Algorithm = "aws:kms:dsse" if dsse else "aws:kms"
    assert info.encryption == EncryptionFacts(
        algorithm,
        arn,
        bucket_key and not dsse,
        context={"team": "red"},
    )
    assert await store.head(root, "letters", "k") == info
    assert info.etag != hashlib.md5(BODY, usedforsecurity=False).hexdigest()
    assert await read(store, root) == BODY
    assert await read(world.store(), root) == BODY  # nothing in memory
    async with await store.get(root, "letters", "k") as stored:
        ranged = b"".join([batch async for batch in stored.read(65_530, 131_100)])
    assert ranged == BODY[65_530:131_100]


@pytest.mark.parametrize("bucket_key", [False, True])
async def test_a_disabled_key_is_refused_at_once_and_enabled_again(
    store: ObjectStore, world: World, root: Caller, bucket_key: bool
) -> None:
    arn = await world.key()
    wanted = SSEKMS(arn, bucket_key=bucket_key)
    for _ in range(2):
        await store.put(root, "letters", "k", BODY, encryption=wanted)
    assert await read(store, root) == BODY
    await world.do("DisableKey", KeyId=arn)
    for call in (read(store, root), store.put(root, "letters", "n", b"", encryption=wanted)):
        error = await refused(call)
        assert (error.code, error.status) == ("KMS.DisabledException", 400)
        assert error.message == f"{arn} is disabled."
    await store.head(root, "letters", "k")
    await world.do("EnableKey", KeyId=arn)
    assert await read(store, root) == BODY
    await world.do("ScheduleKeyDeletion", KeyId=arn, PendingWindowInDays=7)
    assert (await refused(read(store, root))).code == "KMS.KMSInvalidStateException"
    world.later(days=8)
    assert (await refused(read(store, root))).code.startswith("KMS.")


@pytest.mark.parametrize("bucket_key", [False, True])
async def test_an_insider_who_may_not_use_the_key_reads_nothing(
    store: ObjectStore, world: World, root: Caller, bucket_key: bool
) -> None:
    arn = await world.key()
    await store.put(root, "letters", "k", BODY, encryption=SSEKMS(arn, bucket_key=bucket_key))
    assert await read(store, root) == BODY
    insider = caller("insider", "s3:*")
    error = await refused(read(store, insider))
    assert (error.code, error.status) == ("AccessDenied", 403)
    writing = store.put(insider, "letters", "n", b"", encryption=SSEKMS(arn, bucket_key=bucket_key))
    assert (await refused(writing)).code == "AccessDenied"
    reader = caller("reader", "s3:*", "kms:Decrypt")
    assert await read(store, reader) == BODY


@pytest.mark.parametrize(
    "key_id", ["fake-key-id", "134f2428-cec1-4b25-a1ae-9048164dba47", "alias/none"]
)
@pytest.mark.parametrize("bucket_key", [False, True])
async def test_an_unknown_key_is_refused_and_nothing_is_stored(
    local_store: ObjectStore, root: Caller, key_id: str, bucket_key: bool
) -> None:
    wanted = SSEKMS(key_id, bucket_key=bucket_key)
    for call in (
        local_store.put(root, "letters", "k", BODY, encryption=wanted),
        local_store.create_upload(root, "letters", "k", encryption=wanted),
    ):
        error = await refused(call)
        assert (error.code, error.status) == ("KMS.NotFoundException", 400)
    assert not (await local_store.list_objects("letters")).objects


async def test_without_a_key_id_s3s_own_key_is_used(
    store: ObjectStore, world: World, root: Caller
) -> None:
    info = await store.put(root, "letters", "k", b"x", encryption=SSEKMS())
    described = await world.do("DescribeKey", KeyId="alias/aws/s3")
    assert info.encryption.kms_key_arn == described["KeyMetadata"]["Arn"]
    ceph = world.store(compat="ceph")
    assert (await refused(ceph.put(root, "letters", "k", b"x", encryption=SSEKMS()))).status == 400


async def test_a_bucket_key_spares_data_keys_but_no_decision(
    store: ObjectStore, world: World, root: Caller
) -> None:
    arn = await world.key()

    async def calls(bucket_key: bool) -> tuple[list[str], list[str]]:
        before = (await world.trail.head()).count
        for number in range(3):
            wanted = SSEKMS(arn, bucket_key=bucket_key)
            await store.put(root, "letters", f"k{number}", b"x", encryption=wanted)
            await read(store, root, f"k{number}")
        found = [json.loads(one.record) for one in await world.trail.read_after(before)]
        arns = [one["requestParameters"]["encryptionContext"]["aws:s3:arn"] for one in found]
        return [one["eventName"] for one in found], arns

    names, arns = await calls(bucket_key=False)
    assert names == ["GenerateDataKey", "Decrypt"] * 3
    assert sorted(set(arns)) == [f"arn:aws:s3:::letters/k{number}" for number in range(3)]
    names, arns = await calls(bucket_key=True)
    assert names == ["GenerateDataKey", "Decrypt"] * 3
    assert set(arns) == {"arn:aws:s3:::letters"}


async def test_the_context_is_part_of_it(
    local_store: ObjectStore, local: World, root: Caller
) -> None:
    arn = await local.key()
    other = SSEKMS(arn, {"aws:s3:arn": "arn:aws:s3:::letters/other"})
    assert (
        await refused(local_store.put(root, "letters", "k", b"", encryption=other))
    ).status == 400
    same = SSEKMS(arn, {"aws:s3:arn": "arn:aws:s3:::letters/k"})
    await local_store.put(root, "letters", "k", b"x", encryption=same)
    assert await read(local_store, root) == b"x"


@pytest.mark.parametrize("body", [b"", b"x", BODY], ids=["empty", "small", "large"])
async def test_under_a_customers_key(local_store: ObjectStore, root: Caller, body: bytes) -> None:
    info = await local_store.put(root, "letters", "k", body, encryption=SSEC(KEY.key))
    md5 = base64.b64encode(hashlib.md5(KEY.key, usedforsecurity=False).digest()).decode()
    assert info.encryption == EncryptionFacts("SSE-C", customer_key_md5=md5)
    assert await read(local_store, root, unlock=KEY) == body
    assert await local_store.head(root, "letters", "k", unlock=KEY) == info
    for call in (local_store.head, local_store.get):
        wrong = await refused(call(root, "letters", "k", unlock=OTHER))
        assert (wrong.code, wrong.status) == ("AccessDenied", 403)
        none = await refused(call(root, "letters", "k"))
        assert (none.code, none.status) == ("InvalidRequest", 400)
    (listed,) = (await local_store.list_objects("letters")).objects
    assert listed.encryption == EncryptionFacts("SSE-C")
    plain = await local_store.put(root, "letters", "p", body)
    assert plain.encryption == EncryptionFacts("AES256")
    assert (
        await refused(local_store.get(root, "letters", "p", unlock=KEY))
    ).code == "InvalidRequest"


async def test_ceph_answers_a_wrong_customers_key_otherwise(world: World, root: Caller) -> None:
    store = world.store(compat="ceph")
    await store.create_bucket("letters", owner="111122223333", region=REGION)
    await store.put(root, "letters", "k", b"x", encryption=SSEC(KEY.key))
    assert (await refused(store.get(root, "letters", "k", unlock=OTHER))).status == 400


@pytest.mark.parametrize("length", [0, 16, 31, 33])
async def test_a_customers_key_has_32_bytes(
    local_store: ObjectStore, root: Caller, length: int
) -> None:
    wanted = SSEC(bytes(length))
    error = await refused(local_store.put(root, "letters", "k", b"", encryption=wanted))
    assert error.code == "InvalidArgument"


async def test_a_bucket_decides_what_comes_without_instructions(
    store: ObjectStore, world: World, root: Caller
) -> None:
    arn = await world.key()
    default = DefaultEncryption("aws:kms", arn, bucket_key=True)
    await store.configure_bucket("letters", encryption=default)
    info = await store.put(root, "letters", "k", b"x")
    assert info.encryption == EncryptionFacts("aws:kms", arn, True, context={})
    asked = await store.put(root, "letters", "k", b"x", encryption=SSES3())
    assert asked.encryption.algorithm == "AES256"
    await store.put(root, "letters", "k", b"x", encryption=SSEC(KEY.key))
    blocked = replace(default, blocked=frozenset({"SSE-C"}))
    await store.configure_bucket("letters", encryption=blocked)
    for call in (
        store.put(root, "letters", "k", b"x", encryption=SSEC(KEY.key)),
        store.create_upload(root, "letters", "k", encryption=SSEC(KEY.key)),
    ):
        assert (await refused(call)).code == "AccessDenied"
    assert await read(store, root, unlock=KEY) == b"x"


async def test_the_encryption_of_an_object_changes_without_its_data(
    store: ObjectStore, world: World, root: Caller
) -> None:
    before = await store.put(root, "letters", "k", BODY)
    blobs = {path: path.stat().st_mtime_ns for path in (world.directory / "blobs").iterdir()}
    for bucket_key in (False, True):
        arn = await world.key()
        await store.update_encryption(
            root, "letters", "k", encryption=SSEKMS(arn, bucket_key=bucket_key)
        )
        after = await store.head(root, "letters", "k")
        assert after.encryption == EncryptionFacts("aws:kms", arn, bucket_key, context={})
        assert replace(after, encryption=before.encryption) == before
        assert await read(store, root) == BODY
        await world.do("DisableKey", KeyId=arn)
        assert (await refused(read(store, root))).code == "KMS.DisabledException"
        await world.do("EnableKey", KeyId=arn)
    now = {path: path.stat().st_mtime_ns for path in (world.directory / "blobs").iterdir()}
    assert now == blobs


async def test_what_changes_no_encryption(
    local_store: ObjectStore, local: World, root: Caller
) -> None:
    arn = await local.key()
    kms = SSEKMS(arn)
    await local_store.put(root, "letters", "c", BODY, encryption=SSEC(KEY.key))
    await local_store.put(root, "letters", "d", BODY, encryption=SSEKMS(arn, dsse=True))
    await local_store.put(root, "letters", "s", BODY)
    for key, wanted, code in (
        ("c", kms, "InvalidRequest"),
        ("d", kms, "InvalidRequest"),
        ("s", SSES3(), "InvalidRequest"),
        ("s", SSEC(KEY.key), "InvalidRequest"),
        ("s", SSEKMS(arn, dsse=True), "InvalidRequest"),
        ("none", kms, "NoSuchKey"),
        ("s", SSEKMS("alias/none"), "KMS.NotFoundException"),
    ):
        error = await refused(
            local_store.update_encryption(root, "letters", key, encryption=wanted)
        )
        assert error.code == code
    assert (await local_store.head(root, "letters", "s")).encryption.algorithm == "AES256"
    assert await read(local_store, root, "s") == BODY


async def test_rotated_and_rewrapped_everything_stays_readable(
    store: ObjectStore, world: World, root: Caller
) -> None:
    arn = await world.key()
    kinds: dict[str, Encryption] = {"s": SSES3(), "d": SSEKMS(arn, dsse=True), "k": SSEKMS(arn)}
    for key, wanted in kinds.items():
        await store.put(root, "letters", key, BODY, encryption=wanted)
    upload = await store.create_upload(root, "letters", "u")
    other = world.store()
    assert await read(other, root, "s") == BODY
    new = await store.rotate_root_key()
    assert await store.rotate_root_key() != new
    for one in (store, other):
        assert await read(one, root, "s") == BODY
    told: list[int] = []
    assert await store.rewrap(progress=told.append) == 2
    assert told == [2]
    assert await store.rewrap("letters") == 0

    # Only the newest version is needed any more.
    def forget(connection: Any) -> None:
        newest = connection.execute(select(func.max(tables.root_keys.c.number))).scalar_one()
        connection.execute(tables.root_keys.delete().where(tables.root_keys.c.number != newest))

    await world.database.write(forget)
    fresh = world.store()
    for key in kinds:
        assert await read(fresh, root, key) == BODY
    part = await fresh.put_part(root, "letters", "u", upload.id, 1, BODY)
    assert part.size == len(BODY)


async def test_a_store_that_lost_its_root_key_makes_no_new_one(
    store: ObjectStore, world: World, root: Caller
) -> None:
    await store.put(root, "letters", "k", BODY)
    await world.database.write(lambda connection: connection.execute(tables.root_keys.delete()))
    fresh = world.store()
    for call in (read(fresh, root), fresh.put(root, "letters", "n", b"")):
        with pytest.raises(IntegrityError):
            await call


async def test_another_seal_opens_nothing(store: ObjectStore, world: World, root: Caller) -> None:
    from tlslab.seal import Seal

    await store.put(root, "letters", "k", BODY)
    world.seal = Seal.ephemeral()
    with pytest.raises(IntegrityError):
        await read(world.store(), root)


@pytest.mark.parametrize("column", ["size", "modified", "version", "uid", "marker", "blob"])
async def test_a_row_that_was_changed_does_not_open(
    local_store: ObjectStore, local: World, root: Caller, column: str
) -> None:
    await local_store.put(root, "letters", "k", BODY)
    values = {
        "size": 5, "modified": 5, "version": "x", "uid": bytes(24), "marker": True, "blob": "x",
    }  # fmt: skip
    changed = update(tables.objects).values({column: values[column]})
    await local.database.write(lambda connection: connection.execute(changed) and None)
    with pytest.raises(IntegrityError):
        await local_store.list_versions("letters")


async def test_payloads_that_were_swapped_do_not_open(
    local_store: ObjectStore, local: World, root: Caller
) -> None:
    for key in "ab":
        await local_store.put(root, "letters", key, BODY + key.encode())
    one, two = sorted((local.directory / "blobs").iterdir())
    swapped = one.read_bytes(), two.read_bytes()
    two.write_bytes(swapped[0])
    one.write_bytes(swapped[1])
    for key in "ab":
        with pytest.raises(IntegrityError):
            await read(local_store, root, key)
    two.write_bytes(swapped[1][:-1])
    one.write_bytes(swapped[0] + b"x")
    for key in "ab":
        with pytest.raises(IntegrityError):
            await read(local_store, root, key)


async def test_the_plain_twin_is_fooled(plain: World, root: Caller) -> None:
    store = plain.store()
    await store.create_bucket("letters", owner="111122223333", region=REGION)
    await store.put(root, "letters", "k", BODY)
    (blob,) = (plain.directory / "blobs").iterdir()
    blob.write_bytes(bytes(len(BODY)))
    assert await read(store, root) == bytes(len(BODY))


async def test_the_root_key_rotates_by_itself_once_it_is_old(
    store: ObjectStore, world: World, root: Caller
) -> None:
    other = world.store()

    async def versions() -> list[str]:
        order = tables.root_keys.c.number
        wanted = select(tables.root_keys.c.id).order_by(order)
        return [row.id for row in await world.database.read(lambda c: c.execute(wanted).all())]

    await store.put(root, "letters", "old", BODY)
    await other.put(root, "letters", "old too", BODY)
    first = await versions()
    world.now += ROTATE_AFTER - timedelta(seconds=1)
    await store.put(root, "letters", "still", BODY)
    assert await versions() == first
    world.now += REFRESH
    await store.put(root, "letters", "new", BODY)
    await other.put(root, "letters", "new too", BODY)  # which makes no third
    assert (await versions())[:-1] == first
    for key in ("old", "old too", "still", "new", "new too"):
        assert await read(store, root, key) == await read(other, root, key) == BODY
