"""Objects' bytes in another store, reached by S3: here, our own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.endpoint.conftest import Endpoint
from tlslab.endpoint import Backend, StateFolder, open_backend
from tlslab.endpoint.objects import open_objects
from tlslab.endpoint.serving import serve
from tlslab.errors import UsageError
from tlslab.iam import Caller
from tlslab.store.files import PART_BYTES
from tlslab.store.model import CompletedPart

ACCOUNT = "111122223333"
CANARY = b"a letter that nobody else should read "
LARGE = CANARY * (2 * PART_BYTES // len(CANARY) + 100)
"""More than two of the parts in which it goes on."""


@pytest.fixture
async def inner(
    endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Backend]:
    """A store that keeps its bytes in the other, by what the environment says of it."""
    outer, alice = endpoint.backend.store, endpoint.user("alice")
    await outer.create_bucket("blobs", owner=ACCOUNT, region="eu-west-2")
    state = StateFolder(tmp_path / "inner")
    settings = state.settings(await state.open_root_of_trust(), state.open_identities())
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        await nursery.start(partial(serve, endpoint.backend.answer, listeners))
        for name, value in (
            ("ENDPOINT_URL", f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"),
            ("ALLOW_HTTP", "true"),
            ("REGION", "eu-west-2"),
            ("ACCESS_KEY_ID", alice.id),
            ("SECRET_ACCESS_KEY", alice.secret),
        ):
            monkeypatch.setenv(f"AWS_{name}", value)
        objects: Any = open_objects("s3://blobs/inner")
        async with open_backend(replace(settings, objects=objects), create=True) as backend:
            await backend.store.create_bucket("letters", owner=ACCOUNT, region="eu-west-2")
            yield backend
        nursery.cancel_scope.cancel()


@pytest.fixture
def alice(inner: Backend) -> Caller:
    key = inner.settings.identities.user("alice")
    assert key is not None
    return Caller(key.principal, key.id, "127.0.0.1", "test", secure=True)


async def read(inner: Backend, by: Caller, key: str, *span: int) -> bytes:
    async with await inner.store.get(by, "letters", key) as stored:
        return b"".join([piece async for piece in stored.read(*span)])


async def blobs(endpoint: Endpoint) -> list[str]:
    page = await endpoint.backend.store.list_objects("blobs", prefix="inner/blobs/")
    return [info.key for info in page.objects]


async def test_objects_of_any_size_go_there_and_come_back(
    endpoint: Endpoint, inner: Backend, alice: Caller
) -> None:
    for size in (0, 100_000, PART_BYTES + 1, len(LARGE)):
        await inner.store.put(alice, "letters", "k", LARGE[:size])
        assert await read(inner, alice, "k") == LARGE[:size]
    edge = PART_BYTES
    assert await read(inner, alice, "k", edge - 9, edge + 9) == LARGE[edge - 9 : edge + 9]
    upload = await inner.store.create_upload(alice, "letters", "parts")
    part = await inner.store.put_part(alice, "letters", "parts", upload.id, 1, LARGE)
    named = [CompletedPart(1, part.etag)]
    await inner.store.complete_upload(alice, "letters", "parts", upload.id, named)
    assert await read(inner, alice, "parts") == LARGE

    (one, two) = await blobs(endpoint)  # all that was replaced is gone
    by = Caller(endpoint.user("alice").principal, None, "127.0.0.1", "test", secure=True)
    for name in (one, two):
        async with await endpoint.backend.store.get(by, "blobs", name) as stored:
            assert CANARY not in await stored.body()
    for key in ("k", "parts"):
        await inner.store.delete(alice, "letters", key)
    assert await blobs(endpoint) == []


async def test_a_store_of_another_database_does_not_take_them_for_leftovers(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    """It would remove them all: here they are older than an hour."""
    alice = endpoint.user("alice")
    await endpoint.send("PUT", "/letters", user=alice)
    body = LARGE[:100_000]
    await endpoint.send("PUT", "/letters/k", body, user=alice)
    (blob,) = (endpoint.state.objects / "blobs").iterdir()
    os.utime(blob, (1, 1))
    other = StateFolder(tmp_path / "other")
    settings = other.settings(await other.open_root_of_trust(), other.open_identities())
    (mark,) = (endpoint.state.objects / "owner").iterdir()
    for _ in range(2):  # with the mark, and if it was lost
        with pytest.raises(UsageError):
            async with open_backend(replace(settings, objects=endpoint.state.objects), create=True):
                raise AssertionError
        mark.unlink(missing_ok=True)
    assert blob.exists()
    assert (await endpoint.send("GET", "/letters/k", user=alice)).body == body


async def test_what_breaks_off_leaves_nothing_there(
    endpoint: Endpoint, inner: Backend, alice: Caller
) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield LARGE
        raise trio.BrokenResourceError

    with pytest.raises(trio.BrokenResourceError):
        await inner.store.put(alice, "letters", "k", broken())
    stale = f"inner/blobs/{os.urandom(16).hex()}"
    by = Caller(endpoint.user("alice").principal, None, "127.0.0.1", "test", secure=True)
    await endpoint.backend.store.put(by, "blobs", stale, b"left by a crash")
    await inner.store.put(alice, "letters", "k", LARGE)
    assert await inner.store.collect_leftovers(older_than=timedelta(0)) == 1
    assert await read(inner, alice, "k") == LARGE
    assert len(await blobs(endpoint)) == 1
    assert not (await endpoint.backend.store.list_uploads("blobs")).uploads
