"""The service: what was put is got back, listed and deleted; what fails leaves nothing."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from obstore.store import LocalStore, MemoryStore

from tlslab.errors import NotFound
from tlslab.store import (
    SSES3,
    BucketExists,
    InvalidName,
    ObjectStore,
    RootKey,
    TooLarge,
)
from tlslab.store.names import record_name
from tlslab.store.payload import BATCH_BYTES

SEGMENT = 64 * 1024
EDGES = [0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 5 * SEGMENT - 1, 5 * SEGMENT, 5 * SEGMENT + 1]
EDGES += [BATCH_BYTES + d for d in (-1, 0, 1)] + [3 * BATCH_BYTES + 17]
NASTY_KEYS = [
    "..",
    ".",
    "../../etc/passwd",
    "/etc/passwd",
    "/",
    "//",
    "a//b",
    "a/b",
    "a/",
    "a",
    "A",
    "a\\b",
    "a%2fb",
    "a%252fb",
    "%",
    "#1",
    "a#1",
    "\x00",
    "\n",
    "\x7f",
    "a b",
    " a",
    "é",  # composed ...
    "e\u0301",  # ... and decomposed: one name to some file systems
    "😀",
    "CON",
    "x" * 1024,
    "é" * 512,
]


async def pieces(data: bytes, step: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), step):
        yield data[start : start + step]


@pytest.mark.parametrize("size", EDGES)
@pytest.mark.parametrize("step", [7919, 65_536, 2_500_000])
async def test_every_edge_comes_back(either_store: ObjectStore, size: int, step: int) -> None:
    await either_store.create_bucket("letters")
    data = (b"0123456789abcdef!" * (size // 17 + 1))[:size]
    info = await either_store.put("letters", "x", pieces(data, step), content_type="text/plain")
    got, body = await either_store.get("letters", "x")
    assert await body.read() == data
    assert got == info == await either_store.head("letters", "x")
    assert (info.size, info.etag) == (size, hashlib.md5(data).hexdigest())


async def test_a_body_may_be_bytes(either_store: ObjectStore) -> None:
    await either_store.create_bucket("letters")
    await either_store.put("letters", "x", b"hello")
    _, body = await either_store.get("letters", "x")
    assert [part async for part in body] == [b"hello"]


async def test_facts_are_kept(directory: Path, root_key: RootKey) -> None:
    moment = datetime(2026, 11, 20, 12, 30, 5, 123_999, UTC)
    store = ObjectStore(directory, encryption=SSES3(root_key), now=lambda: moment)
    await store.create_bucket("letters")
    metadata = {"author": "alice", "mood": "", "x-y.z_1": "a  b"}
    await store.put("letters", "x", b"hello", content_type="text/plain", metadata=metadata)
    info = await ObjectStore(directory, encryption=SSES3(root_key)).head("letters", "x")
    assert (info.bucket, info.key, info.size) == ("letters", "x", 5)
    assert info.modified == datetime(2026, 11, 20, 12, 30, 5, 123_000, UTC)
    assert (info.content_type, info.metadata) == ("text/plain", metadata)
    assert info.encryption == "SSE-S3"


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.sets(st.sampled_from(NASTY_KEYS) | st.text(min_size=1, max_size=40), min_size=2))
def test_distinct_keys_stay_distinct_and_inside(keys: set[str]) -> None:
    async def put_and_get(directory: Path) -> None:
        disk = directory / "disk"
        store = ObjectStore(disk, encryption=SSES3(RootKey.generate()))
        await store.create_bucket("letters")
        for key in keys:
            await store.put("letters", key, key.encode())
        for key in keys:
            _, body = await store.get("letters", key)
            assert await body.read() == key.encode()
        listed = [info.key for info in await store.list("letters")]
        assert listed == sorted(keys, key=str.encode)
        assert await trio.to_thread.run_sync(lambda: list(directory.iterdir())) == [disk]
        for key in keys:
            await store.delete("letters", key)
        assert await store.list("letters") == []

    with tempfile.TemporaryDirectory() as temporary:
        trio.run(put_and_get, Path(temporary))


async def test_all_nasty_keys_at_once(
    either_store: ObjectStore, files_in: Callable[[str], list[Path]]
) -> None:
    await either_store.create_bucket("letters")
    for key in NASTY_KEYS:
        await either_store.put("letters", key, key.encode())
    for key in NASTY_KEYS:
        info, body = await either_store.get("letters", key)
        assert (info.key, await body.read()) == (key, key.encode())
    names = [path.name for path in files_in("records/letters")]
    assert sorted(names) == sorted(record_name(key) for key in NASTY_KEYS)


@pytest.mark.parametrize("key", ["", "x" * 1025, "é" * 512 + "x", "\ud800"])
async def test_impossible_keys_are_refused(either_store: ObjectStore, key: str) -> None:
    await either_store.create_bucket("letters")
    with pytest.raises(InvalidName):
        await either_store.put("letters", key, b"")
    for call in (either_store.get, either_store.head, either_store.delete):
        with pytest.raises(InvalidName):
            await call("letters", key)


@pytest.mark.parametrize(
    "bucket",
    [
        "",
        "ab",
        "x" * 64,
        "..",
        "a/b",
        "../a",
        "A-b",
        "a_b",
        "-ab",
        "ab-",
        "a..b",
        "a.-b",
        "ab\n",
        "é-a",
    ],
)
async def test_impossible_buckets_are_refused(plain: ObjectStore, bucket: str) -> None:
    with pytest.raises(InvalidName):
        await plain.create_bucket(bucket)
    with pytest.raises(InvalidName):
        await plain.put(bucket, "x", b"")
    with pytest.raises(InvalidName):
        await plain.list(bucket)
    assert await plain.buckets() == []


async def test_possible_buckets(plain: ObjectStore) -> None:
    names = ["abc", "a-b", "a.b.c", "0" * 63]
    for name in names:
        await plain.create_bucket(name)
        with pytest.raises(BucketExists):
            await plain.create_bucket(name)
    assert await plain.buckets() == sorted(names)


@pytest.mark.parametrize(
    ("content_type", "metadata"),
    [
        ("", {}),
        ("text/plain\r\nSet-Cookie: x", {}),
        ("x" * 257, {}),
        ("text/plain", {"Upper": "x"}),
        ("text/plain", {"": "x"}),
        ("text/plain", {"a b": "x"}),
        ("text/plain", {"a": "x\r\ny"}),
        ("text/plain", {"a": " x"}),
        ("text/plain", {"a": "é"}),
        ("text/plain", {"a": "x" * 2048}),
    ],
)
async def test_impossible_metadata_is_refused(
    plain: ObjectStore, content_type: str, metadata: dict[str, str]
) -> None:
    await plain.create_bucket("letters")
    with pytest.raises(InvalidName):
        await plain.put("letters", "x", b"", content_type=content_type, metadata=metadata)
    assert await plain.list("letters") == []


async def test_metadata_at_its_limit(plain: ObjectStore) -> None:
    await plain.create_bucket("letters")
    metadata = {"a": "x" * 2047}
    await plain.put("letters", "x", b"", content_type="x" * 256, metadata=metadata)
    assert (await plain.head("letters", "x")).metadata == metadata


async def test_what_is_missing_is_not_found(either_store: ObjectStore) -> None:
    for call in (either_store.get, either_store.head, either_store.delete):
        with pytest.raises(NotFound, match="bucket"):
            await call("letters", "x")
    with pytest.raises(NotFound, match="bucket"):
        await either_store.put("letters", "x", b"")
    with pytest.raises(NotFound, match="bucket"):
        await either_store.list("letters")
    await either_store.create_bucket("letters")
    with pytest.raises(NotFound, match="object"):
        await either_store.get("letters", "x")
    await either_store.delete("letters", "x")


async def test_replacing_and_deleting_leave_no_old_bytes(
    either_store: ObjectStore, files_in: Callable[[str], list[Path]]
) -> None:
    await either_store.create_bucket("letters")
    for text in (b"first", b"second", b"third"):
        await either_store.put("letters", "x", text)
        assert len(files_in("blobs")) == len(files_in("records")) == 1
    _, body = await either_store.get("letters", "x")
    assert await body.read() == b"third"
    await either_store.delete("letters", "x")
    assert [path.name for path in files_in("")] == ["letters"]


async def test_a_listing_has_prefix_and_pages_in_order_of_utf8(either_store: ObjectStore) -> None:
    await either_store.create_bucket("letters")
    await either_store.create_bucket("letters2")
    keys = ["a", "a/1", "a/2", "b", "\ue000", "\U00010000"]  # UTF-16 would order the last two apart
    for key in reversed(keys):
        await either_store.put("letters", key, b"")

    async def listed(prefix: str = "", after: str = "", limit: int | None = None) -> list[str]:
        page = await either_store.list("letters", prefix, after=after, limit=limit)
        return [info.key for info in page]

    assert await listed() == keys
    assert await listed("a") == keys[:3]
    assert await listed("a/") == keys[1:3]
    assert await listed(limit=2) == keys[:2]
    assert await listed(after="a/1", limit=2) == keys[2:4]
    assert await listed("zz") == []
    assert await either_store.list("letters2") == []


async def test_a_reader_keeps_the_object_it_began(either_store: ObjectStore) -> None:
    """Replacing or deleting an object does not touch a download under way."""
    await either_store.create_bucket("letters")
    old = b"old!" * BATCH_BYTES
    await either_store.put("letters", "x", old)
    _, one = await either_store.get("letters", "x")
    _, two = await either_store.get("letters", "x")
    start = await anext(one)
    await either_store.put("letters", "x", b"new")
    await either_store.delete("letters", "x")
    assert start + await one.read() == old
    assert await two.read() == old


async def test_nothing_shows_before_the_body_is_complete(either_store: ObjectStore) -> None:
    await either_store.create_bucket("letters")
    await either_store.put("letters", "x", b"old")

    async def body() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield bytes(BATCH_BYTES)
            assert [info.size for info in await either_store.list("letters")] == [3]
            _, old = await either_store.get("letters", "x")
            assert await old.read() == b"old"

    await either_store.put("letters", "x", body())
    assert (await either_store.head("letters", "x")).size == 3 * BATCH_BYTES


@pytest.mark.parametrize("size", [10, BATCH_BYTES, 3 * BATCH_BYTES])
async def test_a_body_that_breaks_leaves_nothing(
    either_store: ObjectStore, files_in: Callable[[str], list[Path]], size: int
) -> None:
    class Broken(Exception):
        pass

    async def body() -> AsyncIterator[bytes]:
        for start in range(0, size, SEGMENT):
            yield bytes(min(SEGMENT, size - start))
        raise Broken

    await either_store.create_bucket("letters")
    await either_store.put("letters", "x", b"old")
    before = {path: path.read_bytes() for path in files_in("")}
    with pytest.raises(Broken):
        await either_store.put("letters", "x", body())
    assert {path: path.read_bytes() for path in files_in("")} == before


@pytest.mark.parametrize("size", [10, 3 * BATCH_BYTES])
async def test_a_cancelled_upload_leaves_nothing(
    either_store: ObjectStore, files_in: Callable[[str], list[Path]], size: int
) -> None:
    stalled = trio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield bytes(size)
        stalled.set()
        await trio.sleep_forever()

    await either_store.create_bucket("letters")
    before = files_in("")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(either_store.put, "letters", "x", body())
        await stalled.wait()
        nursery.cancel_scope.cancel()
    assert files_in("") == before
    assert await either_store.list("letters") == []


async def test_the_size_limit_from_both_sides(directory: Path) -> None:
    store = ObjectStore(directory, encryption=None, max_object_bytes=2 * BATCH_BYTES + 1)
    await store.create_bucket("letters")
    await store.put("letters", "x", pieces(bytes(2 * BATCH_BYTES + 1), SEGMENT))
    with pytest.raises(TooLarge):
        await store.put("letters", "y", pieces(bytes(2 * BATCH_BYTES + 2), SEGMENT))
    assert [info.key for info in await store.list("letters")] == ["x"]
    assert len(list((directory / "blobs").iterdir())) == 1


async def test_writers_of_one_key_at_once_leave_one_whole_object(
    either_store: ObjectStore, files_in: Callable[[str], list[Path]]
) -> None:
    await either_store.create_bucket("letters")
    texts = [bytes([n]) * 100_000 for n in range(12)]
    async with trio.open_nursery() as nursery:
        for text in texts:
            nursery.start_soon(either_store.put, "letters", "x", text)
    _, body = await either_store.get("letters", "x")
    assert await body.read() in texts
    assert len(files_in("blobs")) == 1


async def test_readers_during_replacement_see_one_or_the_other(either_store: ObjectStore) -> None:
    await either_store.create_bucket("letters")
    texts = {bytes([n]) * 1000 for n in range(20)}
    await either_store.put("letters", "x", min(texts))

    async def replace() -> None:
        for text in sorted(texts):
            await either_store.put("letters", "x", text)

    async def read() -> None:
        for _ in range(20):
            _, body = await either_store.get("letters", "x")
            assert await body.read() in texts

    async with trio.open_nursery() as nursery:
        nursery.start_soon(replace)
        nursery.start_soon(read)
        nursery.start_soon(read)


async def test_leftovers_are_collected_and_nothing_else(
    either_store: ObjectStore, directory: Path
) -> None:
    await either_store.create_bucket("letters")
    await either_store.put("letters", "x", b"kept")
    for name in ("blobs/" + "0" * 32, "blobs/" + "1" * 32 + "#1", "staging/" + "2" * 32):
        (directory / name).write_bytes(b"half")
    assert await either_store.collect_leftovers(older_than=timedelta(hours=1)) == 0
    assert await either_store.collect_leftovers(older_than=timedelta(0)) == 3
    assert await either_store.collect_leftovers(older_than=timedelta(0)) == 0
    _, body = await either_store.get("letters", "x")
    assert await body.read() == b"kept"


async def test_an_upload_under_way_is_no_leftover(either_store: ObjectStore) -> None:
    await either_store.create_bucket("letters")

    async def body() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield bytes(BATCH_BYTES)
            assert await either_store.collect_leftovers(older_than=timedelta(0)) == 0

    await either_store.put("letters", "x", body())
    _, got = await either_store.get("letters", "x")
    assert await got.read() == bytes(3 * BATCH_BYTES)


@pytest.mark.parametrize("encrypted", [True, False])
async def test_other_backends_do_the_same(root_key: RootKey, encrypted: bool) -> None:
    store = ObjectStore(MemoryStore(), encryption=SSES3(root_key) if encrypted else None)
    await store.create_bucket("letters")
    with pytest.raises(BucketExists):
        await store.create_bucket("letters")
    data = b"0123456789" * 300_000
    await store.put("letters", "../x", b"old")
    await store.put("letters", "../x", pieces(data, 100_000), metadata={"a": "b"})
    info, body = await store.get("letters", "../x")
    assert (await body.read(), info.metadata) == (data, {"a": "b"})
    assert [info.key for info in await store.list("letters", "..")] == ["../x"]
    assert await store.collect_leftovers(older_than=timedelta(0)) == 0
    await store.delete("letters", "../x")
    with pytest.raises(NotFound):
        await store.head("letters", "../x")


def test_a_local_store_of_the_whole_disk_is_refused() -> None:
    with pytest.raises(ValueError, match="whole disk"):
        ObjectStore(LocalStore(), encryption=None)


def test_the_directory_is_private(encrypted: ObjectStore, directory: Path) -> None:
    assert directory.stat().st_mode & 0o777 == 0o700
