"""Multipart uploads and copies, under every kind of encryption."""

from __future__ import annotations

import base64
import hashlib
import zlib
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.store_engine.conftest import REGION, ROOT
from tlslab.errors import IntegrityError
from tlslab.store.completion import MIN_PART_BYTES
from tlslab.store.model import (
    SSEC,
    SSEKMS,
    SSES3,
    Attributes,
    Checksum,
    CompletedPart,
    CopySource,
    CustomerKey,
    Encryption,
    ExpectedChecksum,
    ObjectInfo,
    PartInfo,
    Upload,
)
from tlslab.store.multipart import MAX_PARTS
from tlslab.store.refusals import Refused

if TYPE_CHECKING:
    from tests.store_engine.conftest import World
    from tlslab.store.engine import ObjectStore

KEY, OTHER = CustomerKey(b"k" * 32), CustomerKey(b"o" * 32)
BIG = (bytes(range(253)) * 20_800)[: MIN_PART_BYTES + 1]
LAST = b"the last part"
KINDS = ["SSE-S3", "SSE-KMS", "bucket key", "dsse", "SSE-C"]


async def wanted_of(world: World, kind: str) -> Encryption:
    if kind == "SSE-S3":
        return SSES3()
    if kind == "SSE-C":
        return SSEC(KEY.key)
    arn = await world.key()
    return SSEKMS(arn, {"a": "b"}, bucket_key=kind == "bucket key", dsse=kind == "dsse")


async def refused(awaitable: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        await awaitable
    return caught.value


def named(*parts: PartInfo) -> list[CompletedPart]:
    return [CompletedPart(part.number, f'"{part.etag}"') for part in parts]


async def upload_two(
    store: ObjectStore, wanted: Encryption | None = None, key: str = "k"
) -> ObjectInfo:
    unlock = KEY if isinstance(wanted, SSEC) else None
    upload = await store.create_upload(ROOT, "letters", key, encryption=wanted)
    parts = [
        await store.put_part(ROOT, "letters", key, upload.id, number, body, unlock=unlock)
        for number, body in ((3, LAST), (1, BIG))
    ]
    return await store.complete_upload(
        ROOT, "letters", key, upload.id, named(*reversed(parts)), unlock=unlock
    )


async def read(store: ObjectStore, key: str = "k", **arguments: Any) -> bytes:
    async with await store.get(ROOT, "letters", key, **arguments) as stored:
        return await stored.body()


@pytest.mark.parametrize("kind", KINDS)
async def test_parts_become_an_object(store: ObjectStore, world: World, kind: str) -> None:
    wanted = await wanted_of(world, kind)
    unlock = KEY if kind == "SSE-C" else None
    info = await upload_two(store, wanted)
    assert (info.size, info.part_count) == (len(BIG) + len(LAST), 2)
    assert info.etag.endswith("-2")
    assert await read(store, unlock=unlock) == BIG + LAST
    async with await store.get(ROOT, "letters", "k", part=3, unlock=unlock) as stored:
        assert stored.info.part_range == (len(BIG), len(BIG) + len(LAST))
        start, stop = stored.info.part_range
        assert b"".join([batch async for batch in stored.read(start, stop)]) == LAST
        across = b"".join([batch async for batch in stored.read(start - 7, start + 7)])
        assert across == (BIG + LAST)[start - 7 : start + 7]
        assert [part.number for part in stored.info.parts] == [3]
    head = await store.head(ROOT, "letters", "k", unlock=unlock, with_parts=True)
    assert [(part.number, part.size) for part in head.parts] == [(1, len(BIG)), (3, len(LAST))]
    missing = await refused(store.head(ROOT, "letters", "k", part=2, unlock=unlock))
    assert (missing.code, missing.status) == ("InvalidPartNumber", 416)
    if unlock is not None:
        assert (await refused(store.get(ROOT, "letters", "k", part=1))).code == "InvalidRequest"
        wrong = store.get(ROOT, "letters", "k", part=1, unlock=OTHER)
        assert (await refused(wrong)).code == "AccessDenied"
    assert not (await store.list_uploads("letters")).uploads
    await store.delete(ROOT, "letters", "k")
    assert not list((world.directory / "blobs").iterdir())


@pytest.mark.parametrize("kind", KINDS)
async def test_a_part_that_is_sent_again_has_the_same_etag(
    store: ObjectStore, world: World, kind: str
) -> None:
    """So a client that got the answer of either attempt can complete."""
    wanted = await wanted_of(world, kind)
    unlock = KEY if kind == "SSE-C" else None
    first, second = [
        await store.create_upload(ROOT, "letters", "k", encryption=wanted) for _ in range(2)
    ]

    async def etag(upload: Upload, number: int, body: bytes) -> str:
        put = partial(store.put_part, ROOT, "letters", "k", upload.id, number, body)
        return (await put(unlock=unlock)).etag

    one = await etag(first, 1, LAST)
    assert await etag(first, 1, BIG) != one
    assert await etag(first, 1, LAST) == one
    md5 = hashlib.md5(LAST, usedforsecurity=False).hexdigest()
    others = {await etag(first, 2, LAST), await etag(second, 1, LAST)}
    if kind == "SSE-S3":
        assert {one} | others == {md5}
    else:  # who knows the bytes cannot tell where they lie
        assert len({one, md5} | others) == 4
    done = await store.complete_upload(
        ROOT, "letters", "k", first.id, [CompletedPart(1, one)], unlock=unlock
    )
    assert done.size == len(LAST)


async def test_etag_and_checksum_of_parts(local_store: ObjectStore) -> None:
    info = await upload_two(local_store)
    digests = [hashlib.md5(body, usedforsecurity=False).digest() for body in (BIG, LAST)]
    whole = hashlib.md5(b"".join(digests), usedforsecurity=False).hexdigest()
    assert info.etag == f"{whole}-2"
    single = await local_store.put(ROOT, "letters", "s", BIG + LAST)
    assert info.checksum == single.checksum


def crc(body: bytes) -> str:
    return base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()


async def test_checksums_of_both_types(local_store: ObjectStore) -> None:
    bad: Any
    kind: Any
    for kind in ("COMPOSITE", "FULL_OBJECT"):
        upload = await local_store.create_upload(
            ROOT,
            "letters",
            "k",
            checksum_algorithm="CRC32",
            checksum_type=kind,
        )
        parts = []
        for number, body in ((1, BIG), (2, LAST)):
            expected = ExpectedChecksum("CRC32", crc(body))
            part = await local_store.put_part(
                ROOT, "letters", "k", upload.id, number, body, checksum=expected
            )
            parts.append(CompletedPart(number, part.etag, part.checksum))
        for checksum in (None, ExpectedChecksum("CRC32C")):
            bad = local_store.put_part(ROOT, "letters", "k", upload.id, 2, LAST, checksum=checksum)
            assert (await refused(bad)).code == "InvalidRequest"
        whole = crc(BIG + LAST)
        if kind == "COMPOSITE":
            raw = b"".join(zlib.crc32(body).to_bytes(4, "big") for body in (BIG, LAST))
            whole = crc(raw) + "-2"
            without = [CompletedPart(part.number, part.etag) for part in parts]
            bad = local_store.complete_upload(ROOT, "letters", "k", upload.id, without)
            assert (await refused(bad)).code == "InvalidRequest"
        for arguments, code in (
            ({"checksum": Checksum("CRC32", "AAAAAA==")}, "BadDigest"),
            ({"size": 5}, "InvalidRequest"),
            (
                {"checksum_type": "FULL_OBJECT" if kind == "COMPOSITE" else "COMPOSITE"},
                "InvalidRequest",
            ),
        ):
            bad = local_store.complete_upload(
                ROOT,
                "letters",
                "k",
                upload.id,
                parts,
                **arguments,
            )
            assert (await refused(bad)).code == code
        info = await local_store.complete_upload(
            ROOT, "letters", "k", upload.id, parts, checksum=Checksum("CRC32", whole)
        )
        assert info.checksum == Checksum("CRC32", whole, kind)


@pytest.mark.parametrize(
    ("algorithm", "kind"),
    [(None, "FULL_OBJECT"), ("CRC64NVME", "COMPOSITE"), ("SHA256", "FULL_OBJECT")],
)
async def test_checksums_that_cannot_be(
    local_store: ObjectStore, algorithm: str | None, kind: Any
) -> None:
    call = local_store.create_upload(
        ROOT, "letters", "k", checksum_algorithm=algorithm, checksum_type=kind
    )
    assert (await refused(call)).code == "InvalidRequest"


async def test_what_does_not_complete(store: ObjectStore, world: World) -> None:
    upload = await store.create_upload(ROOT, "letters", "k")
    one = await store.put_part(ROOT, "letters", "k", upload.id, 1, LAST)
    two = await store.put_part(ROOT, "letters", "k", upload.id, 2, LAST)
    for parts, code in (
        ([], "MalformedXML"),
        (named(two, one), "InvalidPartOrder"),
        (named(one, one), "InvalidPartOrder"),
        ([CompletedPart(1, "0" * 32)], "InvalidPart"),
        ([CompletedPart(3, one.etag)], "InvalidPart"),
        ([CompletedPart(1, one.etag, Checksum("CRC32", crc(LAST)))], "InvalidPart"),
        (named(one, two), "EntityTooSmall"),
    ):
        call = store.complete_upload(ROOT, "letters", "k", upload.id, parts)
        assert (await refused(call)).code == code
    again = await store.put_part(ROOT, "letters", "k", upload.id, 2, b"again")
    page = await store.list_parts("letters", "k", upload.id, limit=1)
    assert ([part.number for part in page.parts], page.next) == ([1], 1)
    page = await store.list_parts("letters", "k", upload.id, after=1)
    assert ([part.etag for part in page.parts], page.next) == ([again.etag], None)
    done = await store.complete_upload(ROOT, "letters", "k", upload.id, named(again))
    assert done == await store.complete_upload(ROOT, "letters", "k", upload.id, named(again))
    assert await read(store) == b"again"
    late: Any
    for late in (
        store.put_part(ROOT, "letters", "k", upload.id, 1, b""),
        store.list_parts("letters", "k", upload.id),
        store.abort_upload("letters", "k", upload.id),
        store.abort_upload("letters", "k", "x"),
    ):
        assert (await refused(late)).code == "NoSuchUpload"


async def test_parts_have_numbers_from_1_to_10000(local_store: ObjectStore) -> None:
    upload = await local_store.create_upload(ROOT, "letters", "k")
    for number in (0, MAX_PARTS + 1, -1):
        call = local_store.put_part(ROOT, "letters", "k", upload.id, number, b"")
        assert (await refused(call)).code == "InvalidArgument"
    await local_store.put_part(ROOT, "letters", "k", upload.id, MAX_PARTS, b"")


async def test_all_parts_but_the_last_have_a_smallest_size(local_store: ObjectStore) -> None:
    for size, code in ((MIN_PART_BYTES - 1, "EntityTooSmall"), (MIN_PART_BYTES, None)):
        upload = await local_store.create_upload(ROOT, "letters", "k")
        parts = [
            await local_store.put_part(ROOT, "letters", "k", upload.id, number, BIG[:length])
            for number, length in ((1, size), (2, 0))
        ]
        call = local_store.complete_upload(ROOT, "letters", "k", upload.id, named(*parts))
        if code is None:
            assert (await call).size == size
        else:
            assert (await refused(call)).code == code


async def test_parts_come_with_the_key_that_the_upload_began_with(store: ObjectStore) -> None:
    locked = await store.create_upload(ROOT, "letters", "k", encryption=SSEC(KEY.key))
    unlocked = await store.create_upload(ROOT, "letters", "k")
    for upload, unlock in ((locked, None), (locked, OTHER), (unlocked, KEY)):
        call = store.put_part(ROOT, "letters", "k", upload.id, 1, b"x", unlock=unlock)
        error = await refused(call)
        assert (error.code, error.status) == ("InvalidRequest", 400)


async def test_an_aborted_upload_leaves_nothing(store: ObjectStore, world: World) -> None:
    upload = await store.create_upload(ROOT, "letters", "k")
    for number in (1, 2):
        await store.put_part(ROOT, "letters", "k", upload.id, number, BIG)
    await store.put_part(ROOT, "letters", "k", upload.id, 2, BIG)
    assert len(list((world.directory / "blobs").iterdir())) == 2
    await store.abort_upload("letters", "k", upload.id)
    assert not list((world.directory / "blobs").iterdir())
    gone = await store.create_upload(ROOT, "letters", "k")
    await store.put_part(ROOT, "letters", "k", gone.id, 1, BIG)
    await store.delete_bucket("letters")
    assert not list((world.directory / "blobs").iterdir())


@pytest.mark.parametrize("target", KINDS)
@pytest.mark.parametrize("source", KINDS)
async def test_copies_between_all_kinds(
    local_store: ObjectStore, local: World, source: str, target: str
) -> None:
    store, body = local_store, b"a letter" * 10_000
    attributes = Attributes("text/plain", metadata={"a": "b"})
    put = await store.put(
        ROOT,
        "letters",
        "from",
        body,
        encryption=await wanted_of(local, source),
        attributes=attributes,
        tags={"t": "1"},
    )
    unlock = KEY if source == "SSE-C" else None
    copied = await store.copy(
        ROOT,
        CopySource("letters", "from"),
        "letters",
        "to",
        source_unlock=unlock,
        encryption=await wanted_of(local, target),
    )
    assert (copied.attributes, copied.tag_count, copied.checksum) == (attributes, 1, put.checksum)
    assert await read(store, "to", unlock=KEY if target == "SSE-C" else None) == body
    if unlock is not None:
        for wrong in (None, OTHER):
            call = store.copy(
                ROOT, CopySource("letters", "from"), "letters", "x", source_unlock=wrong
            )
            assert (await refused(call)).code in {"InvalidRequest", "AccessDenied"}


async def test_a_copy_to_itself_must_change_something(store: ObjectStore) -> None:
    await store.put(ROOT, "letters", "k", BIG, tags={"t": "1"})
    source = CopySource("letters", "k")
    assert (await refused(store.copy(ROOT, source, "letters", "k"))).code == "InvalidRequest"
    new = Attributes("text/html")
    info = await store.copy(ROOT, source, "letters", "k", attributes=new, tags={})
    assert (info.attributes, info.tag_count) == (new, 0)
    assert await read(store) == BIG


async def test_a_copy_is_stopped_by_its_sources_conditions(local_store: ObjectStore) -> None:
    await local_store.put(ROOT, "letters", "k", b"x")

    def stop(info: ObjectInfo) -> None:
        raise Refused("PreconditionFailed")

    call = local_store.copy(ROOT, CopySource("letters", "k"), "letters", "n", check_source=stop)
    assert (await refused(call)).code == "PreconditionFailed"
    assert (await refused(local_store.head(ROOT, "letters", "n"))).code == "NoSuchKey"


@pytest.mark.parametrize("kind", KINDS)
async def test_parts_that_are_copies(local_store: ObjectStore, local: World, kind: str) -> None:
    store = local_store
    source = CopySource("letters", "source")
    await upload_two(store, SSEC(KEY.key), key="source")
    whole = BIG + LAST
    wanted = await wanted_of(local, kind)
    unlock = KEY if kind == "SSE-C" else None
    upload = await store.create_upload(ROOT, "letters", "k", encryption=wanted)
    parts = []
    for number, span in ((1, None), (2, (len(BIG) - 5, len(BIG) + 5))):
        parts.append(
            await store.copy_part(
                ROOT,
                source,
                "letters",
                "k",
                upload.id,
                number,
                byte_range=span,
                source_unlock=KEY,
                unlock=unlock,
            )
        )
    await store.complete_upload(ROOT, "letters", "k", upload.id, named(*parts))
    assert await read(store, unlock=unlock) == whole + whole[len(BIG) - 5 : len(BIG) + 6]
    for span, code in (
        ((0, len(whole)), "InvalidArgument"),
        ((len(whole), len(whole) + 1), "InvalidRequest"),
    ):
        other = await store.create_upload(ROOT, "letters", "n")
        call = store.copy_part(
            ROOT, source, "letters", "n", other.id, 1, byte_range=span, source_unlock=KEY
        )
        assert (await refused(call)).code == code


async def test_the_plain_twin_serves_parts_too(plain: World) -> None:
    store = plain.store()
    await store.create_bucket("letters", owner="111122223333", region=REGION)
    await upload_two(store)
    assert await read(store) == BIG + LAST


def blobs(world: World) -> int:
    return len(list((world.directory / "blobs").iterdir()))


@pytest.mark.parametrize("how", ["replaced", "deleted"])
async def test_what_is_being_read_is_read_to_its_end(
    local_store: ObjectStore, local: World, how: str
) -> None:
    store = local_store
    await upload_two(store)
    before = blobs(local)
    async with await store.get(ROOT, "letters", "k") as first:
        readers = [first.read(), (await store.get(ROOT, "letters", "k")).read(10, len(BIG) + 2)]
        begun = [await anext(reader) for reader in readers]
        if how == "replaced":
            await store.put(ROOT, "letters", "k", b"new")
        else:
            await store.delete(ROOT, "letters", "k")
        await store.collect_leftovers(older_than=timedelta(0))
        assert blobs(local) == before
        rest = [b"".join([part async for part in reader]) for reader in readers]
    assert begun[0] + rest[0] == BIG + LAST
    assert begun[1] + rest[1] == (BIG + LAST)[10 : len(BIG) + 2]
    assert blobs(local) == 0


async def test_a_reader_that_leaves_lets_go(local_store: ObjectStore, local: World) -> None:
    store = local_store
    await upload_two(store)
    async with await store.get(ROOT, "letters", "k") as stored:
        reader = stored.read()
        await anext(reader)
        await store.delete(ROOT, "letters", "k")
        await reader.aclose()
    assert blobs(local) == 0


async def test_what_another_process_replaces_is_seen_to_be_gone(
    local_store: ObjectStore, local: World
) -> None:
    """There the other process knows of no reader."""
    upload = await local_store.create_upload(ROOT, "letters", "k")
    parts = [
        await local_store.put_part(ROOT, "letters", "k", upload.id, number, BIG)
        for number in (1, 2)
    ]
    await local_store.complete_upload(ROOT, "letters", "k", upload.id, named(*parts))
    async with await local_store.get(ROOT, "letters", "k") as stored:
        reader = stored.read()
        await anext(reader)
        await local.store().put(ROOT, "letters", "k", b"new")
        with pytest.raises(IntegrityError):
            async for _ in reader:
                pass
