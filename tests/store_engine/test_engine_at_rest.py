"""At rest: what a thief of disk and database finds, under every kind of encryption.

Each search is a pair: the same objects in the plain twin are found by it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.store_engine.conftest import REGION, ROOT
from tlslab.capture.canary import Canary, search_file
from tlslab.store.model import (
    SSEC,
    SSEKMS,
    SSES3,
    Attributes,
    CompletedPart,
    CustomerKey,
    Encryption,
)

if TYPE_CHECKING:
    from tests.store_engine.conftest import World
    from tlslab.store.engine import ObjectStore

CUSTOMER_KEY = b"the customer's key has 32 bytes!"
PART = 5 * 1024**2


def filled(canary: Canary, size: int) -> bytes:
    block = canary.token + b" "
    return (block * (size // len(block) + 1))[:size]


async def write(store: ObjectStore, canary: Canary, wanted: Encryption | None) -> list[str]:
    """Objects of every shape with the canary in all that is said of them; their ETags."""
    attributes = Attributes(f"text/{canary.text}", metadata={"note": canary.text})
    tags = {"tag": canary.text}
    unlock = CustomerKey(wanted.key) if isinstance(wanted, SSEC) else None
    etags = []
    for key, size in (("small", 4096), ("large", 300_000)):
        info = await store.put(
            ROOT,
            "letters",
            key,
            filled(canary, size),
            attributes=attributes,
            tags=tags,
            encryption=wanted,
        )
        etags.append(info.etag)
    upload = await store.create_upload(
        ROOT, "letters", "parts", attributes=attributes, tags=tags, encryption=wanted
    )
    parts = [
        await store.put_part(
            ROOT, "letters", "parts", upload.id, number, filled(canary, size), unlock=unlock
        )
        for number, size in ((1, PART), (2, 1000))
    ]
    named = [CompletedPart(part.number, part.etag) for part in parts]
    await store.complete_upload(ROOT, "letters", "parts", upload.id, named)
    left = await store.create_upload(ROOT, "letters", "left", tags=tags, encryption=wanted)
    body = filled(canary, 50_000)
    await store.put_part(ROOT, "letters", "left", left.id, 1, body, unlock=unlock)
    return etags


async def prepared(world: World, canary: Canary) -> ObjectStore:
    store = world.store()
    await store.create_bucket("letters", owner="111122223333", region=REGION)
    policy = f'{{"Id": "{canary.text}"}}'
    await store.configure_bucket("letters", policy=policy, tags={"note": canary.text})
    return store


def found(directory: Path, canary: Canary) -> list[Path]:
    files = [path for path in directory.rglob("*") if path.is_file()]
    assert len(files) >= 3
    return [path for path in files if search_file(path, [canary])]


@pytest.mark.parametrize("kind", ["SSE-S3", "SSE-KMS", "bucket key", "dsse", "SSE-C"])
async def test_a_thief_of_everything_but_the_seal_finds_nothing(
    local: World, tmp_path: Path, kind: str
) -> None:
    canary = Canary.fresh("letter")
    store = await prepared(local, canary)
    arn = await local.key()
    kinds: dict[str, Encryption] = {
        "SSE-S3": SSES3(),
        "SSE-KMS": SSEKMS(arn),
        "bucket key": SSEKMS(arn, bucket_key=True),
        "dsse": SSEKMS(arn, dsse=True),
        "SSE-C": SSEC(CUSTOMER_KEY),
    }
    etags = await write(store, canary, kinds[kind])
    assert found(tmp_path, canary) == []
    assert found(tmp_path, Canary("the customer's key", CUSTOMER_KEY)) == []
    disk = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for etag in etags:  # a hash of the plaintext would confirm a guess
        assert etag.encode() not in disk
        assert bytes.fromhex(etag) not in disk
    assert b"letters" in disk


async def test_in_the_plain_twin_it_is_everywhere(plain: World, tmp_path: Path) -> None:
    canary = Canary.fresh("letter")
    store = await prepared(plain, canary)
    etags = await write(store, canary, SSEC(CUSTOMER_KEY))
    places = found(tmp_path, canary)
    assert any("blobs" in str(path) for path in places)
    assert any(path.name.startswith("db") for path in places)
    disk = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert all(etag.encode() in disk for etag in etags)


async def test_the_same_bytes_twice_look_different(local: World, plain: World) -> None:
    for world, equal in ((local, False), (plain, True)):
        store = world.store()
        await store.create_bucket("letters", owner="111122223333", region=REGION)
        for key in "ab":
            await store.put(ROOT, "letters", key, bytes(100_000))
        one, two = (path.read_bytes() for path in (world.directory / "blobs").iterdir())
        assert (one[-60_000:] == two[-60_000:]) == equal
