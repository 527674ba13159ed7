"""Crashes and several processes: real ones, killed, and two that write to the same objects."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio

from tests.store_engine.conftest import ROOT
from tlslab.database import Database
from tlslab.errors import IntegrityError
from tlslab.seal import Seal
from tlslab.store import tables
from tlslab.store.engine import ObjectStore
from tlslab.store.model import CompletedPart
from tlslab.store.pieces import INLINE_BYTES
from tlslab.store.refusals import Refused

if TYPE_CHECKING:
    from tests.store_engine.conftest import World

PROGRAM = """
import sys, trio
from pathlib import Path
from tlslab.database import Database
from tlslab.errors import IntegrityError
from tlslab.iam import Caller
from tlslab.seal import Seal
from tlslab.store import tables
from tlslab.store.engine import ObjectStore
from tlslab.store.model import CompletedPart
from tlslab.store.refusals import Refused

mode, url, directory, name = sys.argv[1:5]
caller = Caller(None, None, "192.0.2.7", "tests", secure=True)

async def main():
    database = Database(url, tables.metadata)
    store = ObjectStore(database, Path(directory), Seal(bytes(32)))
    print("ready", flush=True)
    sys.stdin.readline()
    await {"crash": crash, "count": count}[mode](store)
    store.close()
    database.close()

async def crash(store):
    async def writer(lane):
        n = 0
        while True:
            key = f"{name}-{lane}-{n}" if n % 3 else "replaced"
            size = (0, 100, 40_000, 1_500_000)[n % 4]
            text = f"{name}-{lane}-{n}"
            if n % 5 == 4:
                upload = await store.create_upload(caller, "letters", key)
                part = await store.put_part(
                    caller, "letters", key, upload.id, 1, text.encode() + b":" + bytes(size)
                )
                named = [CompletedPart(1, part.etag)]
                await store.complete_upload(caller, "letters", key, upload.id, named)
            else:
                await store.put(caller, "letters", key, text.encode() + b":" + bytes(size))
            print(key, text, flush=True)
            n += 1

    async with trio.open_nursery() as nursery:
        for lane in range(3):
            nursery.start_soon(writer, lane)

async def count(store):
    done = 0
    while done < 10:
        async with await store.get(caller, "letters", "counter") as stored:
            number = int(await stored.body())
            etag = stored.info.etag
        try:
            body = f"{number + 1}".encode()
            await store.put(caller, "letters", "counter", body, if_match=etag)
            done += 1
        except Refused as error:
            assert error.code == "PreconditionFailed"
        body = f"{name}{done}".encode() * 20_000
        await store.put(caller, "letters", "shared", body)
        async with await store.get(caller, "letters", "shared") as stored:
            text = await stored.body()
        assert text == text[: len(text) // 20_000] * 20_000

trio.run(main)
"""


def start(mode: str, url: str, directory: Path, name: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, mode, url, str(directory), name]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def killed_after(url: str, directory: Path, name: str, lines: int) -> Iterator[list[str]]:
    """Start a writer, kill -9 it once it acknowledged so many puts; what it acknowledged."""
    with start("crash", url, directory, name) as process:
        go(process)
        assert process.stdout is not None
        for _ in range(lines):
            yield process.stdout.readline().split()
        process.send_signal(signal.SIGKILL)
        for line in process.stdout.read().splitlines(keepends=True):
            if line.endswith("\n"):
                yield line.split()
    assert process.returncode == -signal.SIGKILL


async def test_killed_while_writing_every_acknowledged_object_is_there(
    database_url: str, tmp_path: Path
) -> None:
    directory = tmp_path / "objects"
    database = Database(database_url, tables.metadata)
    store = ObjectStore(database, directory, Seal(bytes(32)))
    await store.create_bucket("letters", owner="111122223333", region="eu-west-2")
    acknowledged: dict[str, str] = {}
    for name, lines in (("a", 1), ("b", 11), ("c", 40)):
        for key, text in killed_after(database_url, directory, name, lines):
            acknowledged[key] = text
        seen = set()
        for info in (await store.list_objects("letters")).objects:
            async with await store.get(ROOT, "letters", info.key) as stored:
                body = await stored.body()
            name_of_it, _, rest = body.partition(b":")
            assert rest.count(0) == len(rest)
            assert len(rest) in {0, 100, 40_000, 1_500_000}
            if info.key != "replaced":
                assert name_of_it.decode() == info.key
            seen.add(info.key)
        assert acknowledged.keys() <= seen
    for upload in (await store.list_uploads("letters")).uploads:
        await store.abort_upload("letters", upload.key, upload.id)
    await store.collect_leftovers(older_than=timedelta(0))
    blobs = list((directory / "blobs").iterdir())
    large = [o for o in (await store.list_objects("letters")).objects if o.size > INLINE_BYTES]
    assert len(blobs) == len(large)
    store.close()
    database.close()


async def test_two_processes_share_objects(database_url: str, tmp_path: Path) -> None:
    """Each adds to one counter on condition, and replaces one object that both read."""
    directory = tmp_path / "objects"
    database = Database(database_url, tables.metadata)
    store = ObjectStore(database, directory, Seal(bytes(32)))
    await store.create_bucket("letters", owner="111122223333", region="eu-west-2")
    await store.put(ROOT, "letters", "counter", b"0")
    processes = [start("count", database_url, directory, name) for name in "xy"]
    for process in processes:
        go(process)
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    async with await store.get(ROOT, "letters", "counter") as stored:
        assert await stored.body() == b"20"
    assert len(list((directory / "blobs").iterdir())) == 1
    store.close()
    database.close()


async def test_leftovers_are_collected_and_nothing_else(local: World) -> None:
    store = local.store()
    await store.create_bucket("letters", owner="111122223333", region="eu-west-2")
    await store.put(ROOT, "letters", "k", bytes(100_000))
    upload = await store.create_upload(ROOT, "letters", "u")
    await store.put_part(ROOT, "letters", "u", upload.id, 1, bytes(100_000))
    done = await store.create_upload(ROOT, "letters", "d")
    part = await store.put_part(ROOT, "letters", "d", done.id, 1, bytes(100_000))
    named = [CompletedPart(1, part.etag)]
    await store.complete_upload(ROOT, "letters", "d", done.id, named)
    blobs = local.directory / "blobs"
    before = set(blobs.iterdir())
    old = time.time() - 7200
    for name in ("f" * 32, "e" * 32 + "#1"):
        (blobs / name).write_bytes(b"x")
        os.utime(blobs / name, (old, old))
    (blobs / ("d" * 32)).write_bytes(b"young")
    for path in before:
        os.utime(path, (old, old))
    assert await store.collect_leftovers() == 2
    assert set(blobs.iterdir()) == before | {blobs / ("d" * 32)}
    assert await store.collect_leftovers(older_than=timedelta(0)) == 1
    assert set(blobs.iterdir()) == before


async def test_what_is_being_uploaded_is_no_leftover(local: World) -> None:
    store = local.store()
    await store.create_bucket("letters", owner="111122223333", region="eu-west-2")
    waiting, going_on = trio.Event(), trio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield bytes(3_000_000)
        waiting.set()
        await going_on.wait()
        yield b"end"

    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.put, ROOT, "letters", "k", slow())
        await waiting.wait()
        assert await store.collect_leftovers(older_than=timedelta(0)) == 0
        going_on.set()
    async with await store.get(ROOT, "letters", "k") as stored:
        assert await stored.body() == bytes(3_000_000) + b"end"


async def test_a_failed_database_takes_no_acknowledged_blob_along(
    local: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit whose outcome is unknown: the blob stays, to be read or to be collected."""
    from tlslab.database import DatabaseUnavailable

    store = local.store()
    await store.create_bucket("letters", owner="111122223333", region="eu-west-2")
    write = store.database.write

    async def committed_but_broken(work: Any) -> None:
        await write(work)
        raise DatabaseUnavailable("the connection broke just after")

    with monkeypatch.context() as patched:
        patched.setattr(store.database, "write", committed_but_broken)
        with pytest.raises(DatabaseUnavailable):
            await store.put(ROOT, "letters", "k", bytes(100_000))
    async with await store.get(ROOT, "letters", "k") as stored:
        assert await stored.body() == bytes(100_000)
    with pytest.raises(Refused):
        await store.get(ROOT, "letters", "n")


async def test_a_blob_that_is_gone_is_said_so(local: World) -> None:
    store = local.store()
    await store.create_bucket("letters", owner="111122223333", region="eu-west-2")
    await store.put(ROOT, "letters", "k", bytes(100_000))
    (blob,) = (local.directory / "blobs").iterdir()
    blob.unlink()
    with pytest.raises(IntegrityError):
        await store.get(ROOT, "letters", "k")
