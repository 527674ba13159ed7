"""Durability and crashes: real processes killed, real limits and a real full disk."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tlslab.errors import StoreError
from tlslab.store import NotDurable, ObjectStore, StorageFull, open_store

WRITER = """
import sys, trio
from pathlib import Path
from tlslab.store import open_store

async def main(directory, key_file, seed):
    store = open_store(directory, root_key_file=key_file)
    if not await store.buckets():
        await store.create_bucket("letters")
    print("ready", flush=True)
    n = 0
    while True:
        key = f"{seed}-{n}" if n % 3 else "replaced"
        size = (0, 100, 70_000, 1_500_000)[n % 4]
        await store.put("letters", key, f"{seed}-{n}:".encode() + bytes(size))
        print(key, f"{seed}-{n}", flush=True)
        n += 1

trio.run(main, Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
"""

FILLER = """
import resource, sys, trio
from pathlib import Path
from tlslab.errors import NotFound
from tlslab.store import StorageFull, open_store

async def pieces(total):
    for _ in range(total // 65536):
        yield bytes(65536)

async def main(directory, key_file, limit):
    store = open_store(directory, root_key_file=key_file)
    await store.create_bucket("letters")
    await store.put("letters", "x", b"old")
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    for size in (2 << 20, 8 << 20):
        for key in ("x", "y"):
            try:
                await store.put("letters", key, pieces(size))
                print("stored", key, size)
            except StorageFull as error:
                print("full", key, size)
    _, body = await store.get("letters", "x")
    print("x is", (await body.read() == b"old") and "old" or "new")
    print("files", sum(1 for path in directory.rglob("*") if path.is_file()))
    if not limit:  # the disk is full to the last byte, and still says so
        ballast = directory.parent / "ballast"
        with ballast.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                pass
        try:
            await store.put("letters", "x", bytes(10_000))
        except StorageFull:
            print("full to the last byte")
        try:
            await store.put("letters", "x", b"")
        except StorageFull:
            print("not even a record")
        _, body = await store.get("letters", "x")
        print("x is", (await body.read() == b"old") and "old" or "new")
        ballast.unlink()
    await store.put("letters", "x", b"after")
    print("and goes on")

trio.run(main, Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
"""

LIMIT = 1 << 20


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "root.key"


def killed_after(directory: Path, key_file: Path, seed: str, lines: int) -> Iterator[list[str]]:
    """Start a writer, kill -9 it once it acknowledged so many puts; what it acknowledged."""
    command = [sys.executable, "-c", WRITER, str(directory), str(key_file), seed]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        for _ in range(lines):
            yield process.stdout.readline().split()
        process.send_signal(signal.SIGKILL)
        for line in process.stdout.read().splitlines(keepends=True):
            if line.endswith("\n"):
                yield line.split()
    assert process.returncode == -signal.SIGKILL


async def test_killed_while_writing_every_acknowledged_object_is_there(
    directory: Path, key_file: Path
) -> None:
    acknowledged: dict[str, str] = {}
    for seed, lines in (("a", 1), ("b", 6), ("c", 13), ("d", 24)):
        for key, text in killed_after(directory, key_file, seed, lines):
            acknowledged[key] = text
        store = open_store(directory, root_key_file=key_file)
        listed = [info.key for info in await store.list("letters")]
        assert set(acknowledged) <= set(listed)
        for key in listed:
            _, body = await store.get("letters", key)
            text = (await body.read()).rstrip(b"\0").decode()
            assert text.endswith(":")
            if key != "replaced":  # written once: there whole, acknowledged or just not yet
                assert text == f"{key}:"
            elif text != f"{acknowledged[key]}:":  # the next one, whose acknowledgement died
                assert int(text[2:-1]) == int(acknowledged[key][2:]) + 3
                acknowledged[key] = text[:-1]
    await store.collect_leftovers(older_than=timedelta(0))
    blobs = list((directory / "blobs").iterdir())
    assert len(blobs) == len(listed)
    assert not list((directory / "staging").iterdir())


def run_filler(prefix: list[str], directory: Path, key_file: Path, limit: int) -> list[str]:
    command = [*prefix, sys.executable, "-c", FILLER, str(directory), str(key_file), str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_a_file_size_limit_stores_nothing_and_leaves_nothing(
    directory: Path, key_file: Path
) -> None:
    assert run_filler([], directory, key_file, LIMIT) == [
        f"full x {2 << 20}",
        f"full y {2 << 20}",
        f"full x {8 << 20}",
        f"full y {8 << 20}",
        "x is old",
        "files 3",  # the bucket, the record and the blob of the old object
        "and goes on",
    ]


def test_below_the_limit_it_is_stored(directory: Path, key_file: Path) -> None:
    """The failing twin: the same script with room enough."""
    lines = run_filler([], directory, key_file, 64 << 20)
    assert lines[:2] == [f"stored x {2 << 20}", f"stored y {2 << 20}"]
    assert "x is new" in lines


def test_a_full_disk_stores_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    """A tmpfs of 1 MiB in a mount namespace of its own, filled to its last byte."""
    unshare = ["unshare", "--user", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed")
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("user and mount namespaces are not allowed here")
    mount = f'mount -t tmpfs -o size={LIMIT} none {tmp_path} && exec "$@"'
    prefix = [*unshare, "sh", "-c", mount, "sh"]
    assert run_filler(prefix, tmp_path / "disk", tmp_path / "root.key", 0) == [
        f"full x {2 << 20}",
        f"full y {2 << 20}",
        f"full x {8 << 20}",
        f"full y {8 << 20}",
        "x is old",
        "files 3",
        "full to the last byte",
        "not even a record",
        "x is old",
        "and goes on",
    ]


Listen = Callable[[str], None]


@pytest.fixture
def on_fsync(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Listen], None]:
    """Have a listener told what is about to be synced; if it raises, the disk failed."""

    def install(listen: Listen) -> None:
        def listening(descriptor: int) -> None:
            inode = os.fstat(descriptor).st_ino
            path = next(path for path in directory.rglob("*") if path.stat().st_ino == inode)
            listen(str(path.relative_to(directory)))
            fsync(descriptor)

        fsync = os.fsync
        monkeypatch.setattr(os, "fsync", listening)

    return install


async def test_what_is_acknowledged_was_synced_in_the_right_order(
    encrypted: ObjectStore, directory: Path, on_fsync: Callable[[Listen], None]
) -> None:
    """Blob, its directory, the record while still staged, the directory that names it."""
    await encrypted.create_bucket("letters")
    synced: list[str] = []
    on_fsync(synced.append)
    await encrypted.put("letters", "x", b"hello")
    blob = next((directory / "blobs").iterdir()).name
    assert synced[:2] == [f"blobs/{blob}", "blobs"]
    assert synced[2].startswith("staging/")
    assert synced[3:] == ["records/letters"]
    synced.clear()
    await encrypted.put("letters", "x", b"hello again")
    assert synced[3:] == ["records/letters", "blobs"]
    synced.clear()
    await encrypted.delete("letters", "x")
    assert synced == ["records/letters", "blobs"]
    synced.clear()
    await encrypted.create_bucket("more")
    assert synced == ["records", "buckets"]


@pytest.mark.parametrize(
    ("failing", "error", "kept"),
    [
        ("blobs/", StoreError, b"old"),
        ("blobs", StoreError, b"old"),
        ("staging/", StoreError, b"old"),
        ("records/letters", NotDurable, b"new"),
    ],
)
async def test_a_disk_that_fails_to_sync_is_told_and_nothing_breaks(
    encrypted: ObjectStore,
    directory: Path,
    on_fsync: Callable[[Listen], None],
    monkeypatch: pytest.MonkeyPatch,
    failing: str,
    error: type[StoreError],
    kept: bytes,
) -> None:
    await encrypted.create_bucket("letters")
    await encrypted.put("letters", "x", b"old")

    def fail(path: str) -> None:
        if path == failing or (failing.endswith("/") and path.startswith(failing)):
            raise OSError(errno.EIO, "injected")

    on_fsync(fail)
    with pytest.raises(error) as caught:
        await encrypted.put("letters", "x", b"new")
    assert type(caught.value) is error
    monkeypatch.undo()
    _, body = await encrypted.get("letters", "x")
    assert await body.read() == kept
    assert not list((directory / "staging").iterdir())
    assert await encrypted.collect_leftovers(older_than=timedelta(0)) == (kept == b"new")
    assert len(list((directory / "blobs").iterdir())) == 1


async def test_a_directory_that_cannot_be_written_is_an_error_and_no_loss(
    encrypted: ObjectStore, directory: Path
) -> None:
    """The record's directory is gone: the put fails, and what was there before stays."""
    await encrypted.create_bucket("letters")
    await encrypted.put("letters", "x", b"old")
    shutil.move(directory / "staging", directory / "elsewhere")
    (directory / "staging").write_bytes(b"in the way")
    with pytest.raises(StoreError) as caught:
        await encrypted.put("letters", "x", b"new")
    assert not isinstance(caught.value, StorageFull)
    _, body = await encrypted.get("letters", "x")
    assert await body.read() == b"old"
