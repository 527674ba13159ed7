"""No plaintext on a disk at any time: all files are searched whenever one is synced or removed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tlslab.capture.canary import Canary, search, search_file
from tlslab.iam.caller import Caller
from tlslab.volume import attach, copy_snapshot, create_volume, restore_snapshot, take_snapshot
from tlslab.volume.cells import BLOCK_BYTES

HERE, THERE = "eu-west-2", "ap-southeast-1"
SIZE = 300 * BLOCK_BYTES
CANARY = Canary.fresh("volume")


class Watch:
    """Searches all files below a directory, temporary ones included."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.found: set[str] = set()
        self.looks = 0
        self.files: set[str] = set()

    def look(self) -> None:
        self.looks += 1
        for path in self.root.rglob("*"):
            if path.is_file():
                self.files.add(path.name)
                if search_file(path, [CANARY]):
                    self.found.add(path.name)


@pytest.fixture
def watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watch:
    watch = Watch(tmp_path)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))

    def watched(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            watch.look()
            return function(*args, **options)

        return call

    for owner, name in [
        (os, "fsync"), (os, "fdatasync"), (os, "close"), (os, "link"),
        (Path, "unlink"), (Path, "rename"), (shutil, "rmtree"),
    ]:  # fmt: skip
        monkeypatch.setattr(owner, name, watched(getattr(owner, name)))
    return watch


async def test_nothing_of_a_volume_or_snapshot_is_ever_readable(
    watch: Watch, kms: Any, caller: Caller, tmp_path: Path
) -> None:
    keys = {region: kms.create_key(region) for region in (HERE, THERE)}
    await create_volume(kms, caller, tmp_path / "vol", size=SIZE, region=HERE, key_id=keys[HERE])
    written = CANARY.token * 3000
    async with await attach(kms, caller, tmp_path / "vol") as volume:
        await volume.write(1000, written)
        await volume.flush()
        await volume.write(1000, written)
        await take_snapshot(kms, caller, volume, tmp_path / "snap")
    await copy_snapshot(
        kms, caller, tmp_path / "snap", tmp_path / "copy", region=THERE, key_id=keys[THERE]
    )
    await restore_snapshot(kms, caller, tmp_path / "copy", tmp_path / "restored")
    watch.look()
    async with await attach(kms, caller, tmp_path / "restored") as volume:
        assert await volume.read(1000, len(written)) == written  # it was there all the time
    assert watch.found == set()
    assert watch.looks > 10
    assert {"blocks", "journal.0", "journal.1", "snap", "copy"} <= watch.files
    assert any(name.startswith(".copy.") for name in watch.files)  # also while it was written


def test_the_watch_finds_a_plain_volume(watch: Watch, tmp_path: Path) -> None:
    """The twin."""
    with (tmp_path / "plain").open("wb") as file:
        file.write(bytes(1000) + CANARY.token)
        file.flush()
        os.fsync(file.fileno())
    assert watch.found == {"plain"}


def test_the_watch_finds_a_temporary_file_that_is_gone(watch: Watch) -> None:
    """The twin for copies by way of a decrypted file."""
    with tempfile.NamedTemporaryFile(prefix="decrypted") as file:
        file.write(CANARY.token)
        file.flush()
        os.fsync(file.fileno())
    watch.look()
    assert len(watch.found) == 1


def test_the_search_sees_through_a_volumes_own_content() -> None:
    """The canary is found in what the volume was given, so it was there to be found."""
    assert search(CANARY.token * 3, [CANARY])
