"""Single objects: put, get, head, delete, versions, conditions, tags, checksums."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
import trio

from tlslab.store.bodies import MAX_BODY_BYTES
from tlslab.store.model import (
    SSEC,
    SSES3,
    Attributes,
    CustomerKey,
    Encryption,
    ExpectedChecksum,
    ObjectInfo,
)
from tlslab.store.pieces import BATCH_BYTES, INLINE_BYTES
from tlslab.store.refusals import Refused

if TYPE_CHECKING:
    from tests.store_engine.conftest import World
    from tlslab.iam import Caller
    from tlslab.store.engine import ObjectStore

SEGMENT = 64 * 1024
SIZES = [
    0, 1, INLINE_BYTES, INLINE_BYTES + 1, SEGMENT - 1, SEGMENT, SEGMENT + 1,
    BATCH_BYTES - 1, BATCH_BYTES, BATCH_BYTES + 1, 2 * BATCH_BYTES + 5,
]  # fmt: skip


def message(size: int) -> bytes:
    block = bytes(range(251)) * 261
    return (block * (size // len(block) + 1))[:size]


async def read(store: ObjectStore, caller: Caller, key: str, **arguments: object) -> bytes:
    async with await store.get(caller, "letters", key, **arguments) as stored:  # type: ignore[arg-type]
        return await stored.body()


async def refused(awaitable: object) -> Refused:
    with pytest.raises(Refused) as caught:
        await awaitable  # type: ignore[misc]
    return caught.value


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("encryption", [SSES3(), SSEC(b"k" * 32)], ids=["SSE-S3", "SSE-C"])
async def test_what_was_put_comes_back(
    local_store: ObjectStore, root: Caller, size: int, encryption: Encryption
) -> None:
    body = message(size)
    info = await local_store.put(root, "letters", "k", body, encryption=encryption)
    unlock = CustomerKey(encryption.key) if isinstance(encryption, SSEC) else None
    async with await local_store.get(root, "letters", "k", unlock=unlock) as stored:
        assert stored.info == info
        assert await stored.body() == body
        for start, stop in ((0, 1), (size // 2, size), (size - 1, size), (5, size - 5), (0, 0)):
            if 0 <= start <= stop:
                got = b"".join([batch async for batch in stored.read(start, stop)])
                assert got == body[start:stop]
    assert info.size == size
    assert info.checksum is not None
    assert info.checksum.algorithm == "CRC64NVME"
    md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
    assert (info.etag == md5) == (unlock is None)


async def test_what_an_object_is_stored_with_comes_back(store: ObjectStore, root: Caller) -> None:
    attributes = Attributes(
        "text/plain", "no-store", "inline", "gzip", "en", "0", metadata={"a": "ä"}
    )
    tags = {"kind": "letter", "leer": ""}
    put = await store.put(root, "letters", "k", b"x", attributes=attributes, tags=tags)
    head = await store.head(root, "letters", "k")
    assert head == put
    assert head.attributes == attributes
    assert head.tag_count == 2
    assert await store.tags("letters", "k") == (tags, "null")
    await store.put_tags("letters", "k", {})
    assert (await store.head(root, "letters", "k")).tag_count == 0
    assert await read(store, root, "k") == b"x"


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ({str(n): "" for n in range(11)}, "BadRequest"),
        ({"": "x"}, "InvalidTag"),
        ({"k" * 129: ""}, "InvalidTag"),
        ({"k": "v" * 257}, "InvalidTag"),
        ({"aws:x": ""}, "InvalidTag"),
    ],
)
async def test_tags_have_limits(
    local_store: ObjectStore, root: Caller, tags: dict[str, str], code: str
) -> None:
    await local_store.put(root, "letters", "k", b"x", tags={"k" * 128: "v" * 256})
    assert (await refused(local_store.put(root, "letters", "k", b"", tags=tags))).code == code
    assert (await refused(local_store.put_tags("letters", "k", tags))).code == code


async def test_what_is_not_there_is_refused(store: ObjectStore, root: Caller) -> None:
    assert (await refused(store.get(root, "letters", "k"))).code == "NoSuchKey"
    for bucket in ("none", "a\x00b", "\ud800", "", "B" * 100):
        assert (await refused(store.head(root, bucket, "k"))).code == "NoSuchBucket"
    assert (await refused(store.put(root, "none", "k", b""))).code == "NoSuchBucket"
    assert (await refused(store.put_tags("letters", "k", {}))).code == "NoSuchKey"
    missing = await refused(store.get(root, "letters", "k", version_id="xyz"))
    assert (missing.code, missing.status) == ("InvalidArgument", 400)
    unknown = base64.b64encode(bytes(24), altchars=b"._").decode()
    assert (
        await refused(store.get(root, "letters", "k", version_id=unknown))
    ).code == "NoSuchVersion"
    assert (await store.delete(root, "letters", "k")).version_id is None


@pytest.mark.parametrize(
    ("key", "code"), [("k" * 1025, "KeyTooLongError"), ("\ud800", "InvalidURI")]
)
async def test_keys_have_limits(
    local_store: ObjectStore, root: Caller, key: str, code: str
) -> None:
    assert (await refused(local_store.put(root, "letters", key, b""))).code == code
    await local_store.put(root, "letters", "k" * 1024, b"")


@pytest.mark.parametrize("key", ["../../etc/passwd", "/", "a//b", "%2e", "\n", "é", "😀", "\x00"])
async def test_any_text_is_a_key(store: ObjectStore, root: Caller, key: str) -> None:
    await store.put(root, "letters", key, key.encode())
    assert await read(store, root, key) == key.encode()
    page = await store.list_objects("letters")
    assert [info.key for info in page.objects] == [key]


async def test_replacing_removes_what_was_there(
    local_store: ObjectStore, root: Caller, local: World
) -> None:
    for size in (100_000, 10, 200_000, 0):
        await local_store.put(root, "letters", "k", message(size))
        blobs = list((local.directory / "blobs").iterdir())
        assert len(blobs) == (1 if size > INLINE_BYTES else 0)
        assert await read(local_store, root, "k") == message(size)
    await local_store.put(root, "letters", "k", message(100_000))
    await local_store.delete(root, "letters", "k")
    assert not list((local.directory / "blobs").iterdir())


async def test_a_reader_keeps_what_it_opened(local_store: ObjectStore, root: Caller) -> None:
    old = message(3 * BATCH_BYTES)
    await local_store.put(root, "letters", "k", old)
    async with await local_store.get(root, "letters", "k") as stored:
        await local_store.put(root, "letters", "k", b"new")
        assert await stored.body() == old
    assert await read(local_store, root, "k") == b"new"


async def body_that_fails() -> AsyncIterator[bytes]:
    for _ in range(30):
        yield bytes(100_000)
    raise ValueError("the client is gone")


async def test_a_body_that_breaks_off_leaves_nothing(
    local_store: ObjectStore, root: Caller, local: World
) -> None:
    await local_store.put(root, "letters", "k", b"old")
    with pytest.raises(ValueError, match="gone"):
        await local_store.put(root, "letters", "k", body_that_fails())
    assert await read(local_store, root, "k") == b"old"
    assert not list((local.directory / "blobs").iterdir())


async def test_a_cancelled_put_leaves_nothing(
    local_store: ObjectStore, root: Caller, local: World
) -> None:
    async def stuck() -> AsyncIterator[bytes]:
        yield bytes(2 * BATCH_BYTES)
        scope.cancel()
        await trio.sleep_forever()

    with trio.CancelScope() as scope:
        await local_store.put(root, "letters", "k", stuck())
    assert scope.cancelled_caught
    assert not list((local.directory / "blobs").iterdir())
    assert (await refused(local_store.head(root, "letters", "k"))).code == "NoSuchKey"


@pytest.mark.parametrize("size", [10, 3 * BATCH_BYTES])
async def test_a_body_must_be_what_it_was_announced_as(
    local_store: ObjectStore, root: Caller, local: World, size: int
) -> None:
    body = message(size)
    md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    crc = base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()
    wrong = base64.b64encode(zlib.crc32(body + b"x").to_bytes(4, "big")).decode()
    put = await local_store.put(
        root,
        "letters",
        "k",
        body,
        content_md5=md5,
        checksum=ExpectedChecksum("CRC32", lambda: crc),
        encryption=SSEC(b"k" * 32),
    )
    assert put.checksum is not None
    assert (put.checksum.algorithm, put.checksum.value) == ("CRC32", crc)
    for arguments in (
        {"content_md5": base64.b64encode(bytes(16)).decode()},
        {"checksum": ExpectedChecksum("CRC32", wrong)},
        {"checksum": ExpectedChecksum("CRC32", lambda: wrong)},
    ):
        error = await refused(local_store.put(root, "letters", "no", body, **arguments))
        assert (error.code, error.status) == ("BadDigest", 400)
    assert len(list((local.directory / "blobs").iterdir())) == (size > INLINE_BYTES)


async def test_a_body_has_a_limit(
    local_store: ObjectStore, root: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MAX_BODY_BYTES == 5 * 1024**3
    monkeypatch.setattr("tlslab.store.bodies.MAX_BODY_BYTES", BATCH_BYTES)
    await local_store.put(root, "letters", "k", message(BATCH_BYTES))
    error = await refused(local_store.put(root, "letters", "k", message(BATCH_BYTES + 1)))
    assert error.code == "EntityTooLarge"


async def test_writes_on_conditions(store: ObjectStore, root: Caller) -> None:
    assert (await refused(store.put(root, "letters", "k", b"", if_match="x"))).code == "NoSuchKey"
    first = await store.put(root, "letters", "k", b"1", if_none_match="*")
    assert (
        await refused(store.put(root, "letters", "k", b"2", if_none_match="*"))
    ).code == "PreconditionFailed"
    second = await store.put(root, "letters", "k", b"2", if_match=f'"{first.etag}"')
    for call in (
        store.put(root, "letters", "k", b"3", if_match=first.etag),
        store.delete(root, "letters", "k", if_match=first.etag),
    ):
        assert (await refused(call)).code == "PreconditionFailed"
    assert await read(store, root, "k") == b"2"
    await store.delete(root, "letters", "k", if_match=second.etag)
    await store.put(root, "letters", "k", b"4", if_none_match="*")


async def test_of_many_that_create_one_wins(store: ObjectStore, root: Caller) -> None:
    outcomes: list[ObjectInfo | str] = []

    async def create(number: int) -> None:
        try:
            outcomes.append(
                await store.put(root, "letters", "k", f"{number}".encode(), if_none_match="*")
            )
        except Refused as error:
            outcomes.append(error.code)

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(create, number)
    won = [outcome for outcome in outcomes if isinstance(outcome, ObjectInfo)]
    assert len(won) == 1
    assert outcomes.count("PreconditionFailed") == 19
    assert (await store.head(root, "letters", "k")).etag == won[0].etag


async def test_versions_stay_until_they_are_removed(store: ObjectStore, root: Caller) -> None:
    await store.put(root, "letters", "k", b"before")
    await store.configure_bucket("letters", versioning="Enabled")
    one = await store.put(root, "letters", "k", b"one")
    two = await store.put(root, "letters", "k", message(100_000))
    marker = await store.delete(root, "letters", "k")
    assert marker.delete_marker
    gone = await refused(store.get(root, "letters", "k"))
    assert gone.code == "NoSuchKey"
    assert gone.headers["x-amz-delete-marker"] == "true"
    by_id = await refused(store.head(root, "letters", "k", version_id=marker.version_id))
    assert (by_id.code, by_id.status) == ("MethodNotAllowed", 405)
    assert await read(store, root, "k", version_id=one.version_id) == b"one"
    assert await read(store, root, "k", version_id="null") == b"before"
    shown = (await store.list_versions("letters")).versions
    assert [info.version_id for info in shown] == [
        marker.version_id, two.version_id, one.version_id, "null",
    ]  # fmt: skip
    assert [info.is_latest for info in shown] == [True, False, False, False]
    assert not (await store.list_objects("letters")).objects
    undeleted = await store.delete(root, "letters", "k", version_id=marker.version_id)
    assert undeleted.delete_marker
    assert await read(store, root, "k") == message(100_000)
    assert len((await store.list_objects("letters")).objects) == 1
    await store.delete(root, "letters", "k", version_id=two.version_id)
    assert (await store.head(root, "letters", "k")).version_id == one.version_id
    assert (await refused(store.delete_bucket("letters"))).code == "BucketNotEmpty"


async def test_suspended_the_null_version_is_replaced(store: ObjectStore, root: Caller) -> None:
    await store.configure_bucket("letters", versioning="Enabled")
    one = await store.put(root, "letters", "k", b"one")
    await store.configure_bucket("letters", versioning="Suspended")
    for body in (b"two", b"three"):
        assert (await store.put(root, "letters", "k", body)).version_id == "null"
    shown = (await store.list_versions("letters")).versions
    assert [info.version_id for info in shown] == ["null", one.version_id]
    await store.configure_bucket("letters", versioning="Enabled")
    two = await store.put(root, "letters", "k", b"four")
    await store.configure_bucket("letters", versioning="Suspended")
    deleted = await store.delete(root, "letters", "k")
    assert (deleted.version_id, deleted.delete_marker) == ("null", True)
    shown = (await store.list_versions("letters")).versions
    assert [info.version_id for info in shown] == ["null", two.version_id, one.version_id]
    assert await read(store, root, "k", version_id=one.version_id) == b"one"
    await store.delete(root, "letters", "k", version_id="null")
    assert await read(store, root, "k") == b"four"


async def test_versions_of_one_moment_keep_their_order(store: ObjectStore, root: Caller) -> None:
    """The clock stands still."""
    await store.configure_bucket("letters", versioning="Enabled")
    put = [await store.put(root, "letters", "k", f"{n}".encode()) for n in range(5)]
    shown = (await store.list_versions("letters")).versions
    assert [info.version_id for info in shown] == [info.version_id for info in reversed(put)]
    assert await read(store, root, "k") == b"4"


async def test_only_one_region_takes_a_bucket_twice(store: ObjectStore) -> None:
    made = await store.create_bucket("twice", owner="111122223333", region="us-east-1")
    kept = await store.configure_bucket("twice", versioning="Enabled")
    again = await store.create_bucket("twice", owner="111122223333", region="us-east-1")
    assert (again, again.created) == (kept, made.created)
    for owner, region, code in (
        ("111122223333", "eu-west-2", "BucketAlreadyOwnedByYou"),
        ("444455556666", "us-east-1", "BucketAlreadyExists"),
    ):
        error = await refused(store.create_bucket("twice", owner=owner, region=region))
        assert (error.code, error.status) == (code, 409)
    await store.create_bucket("there", owner="111122223333", region="eu-west-2")
    error = await refused(store.create_bucket("there", owner="111122223333", region="us-east-1"))
    assert error.code == "BucketAlreadyOwnedByYou"


async def test_buckets(store: ObjectStore, world: World, root: Caller) -> None:
    assert (
        await refused(store.create_bucket("letters", owner="111122223333", region="x"))
    ).code == "BucketAlreadyOwnedByYou"
    other = await refused(store.create_bucket("letters", owner="444455556666", region="x"))
    assert (other.code, other.status) == ("BucketAlreadyExists", 409)
    for name in ("ab", "Letters", "a..b", "a.-b", "-ab", "a" * 64, "192.168.5.123"):
        error = await refused(store.create_bucket(name, owner="444455556666", region="x"))
        assert error.code == "InvalidBucketName"
    for name in ("abc", "a--b", "a.b", "a" * 63, "192.168.5.1234a"):
        await store.create_bucket(name, owner="444455556666", region="x")
        await store.delete_bucket(name)
    await store.create_bucket("archive", owner="111122223333", region="eu-west-2")
    assert [one.name for one in await store.buckets("111122223333")] == ["archive", "letters"]
    assert await store.buckets("444455556666") == []
    changed = await store.configure_bucket("archive", policy='{"x": 1}', tags={"a": "b"})
    assert await store.bucket("archive") == changed
    second = world.store()
    assert await second.bucket("archive") == changed
    await store.delete_bucket("archive")
    assert (await refused(second.bucket("archive"))).code == "NoSuchBucket"
