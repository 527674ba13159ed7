"""A web server that keeps what it is told on a volume: encrypted under a key of a KMS, or plain.

Snapshots of the volume are files, which go to wherever they are copied; who reads one there is the
second part. The KMS is a store's, in another house, and serves several regions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import trio

from tlslab.errors import TlslabError
from tlslab.http import Request, Response
from tlslab.lab.adversaries import Adversary, written
from tlslab.lab.object_store import LabKey, Store
from tlslab.lab.services import Server
from tlslab.volume import (
    BLOCK_BYTES,
    Volume,
    attach,
    copy_snapshot,
    create_volume,
    restore_snapshot,
    take_snapshot,
)

VOLUME_BYTES = 256 * BLOCK_BYTES


class Blocks(Protocol):
    """What a server writes to."""

    async def write(self, offset: int, data: bytes) -> None:
        """Write at an offset."""

    async def flush(self) -> object:
        """Make it last."""


@dataclass(frozen=True)
class PlainVolume:
    """A volume that encrypts nothing: a file."""

    path: Path

    async def write(self, offset: int, data: bytes) -> None:
        """Write at an offset."""
        with self.path.open("r+b") as file:
            file.seek(offset)
            file.write(data)

    async def flush(self) -> None:
        """Nothing waits."""


@dataclass(kw_only=True)
class VolumeServer(Server):
    """Writes the body of every request to its volume. `disk` is the folder in which that lies."""

    disk: Path
    blocks: Blocks
    _used: int = field(default=0)

    async def _handle(self, stream: trio.abc.Stream, peer: str, request: Request) -> Response:
        response = await super()._handle(stream, peer, request)
        await self.blocks.write(self._used, self.received[-1])
        await self.blocks.flush()
        self._used += -(-len(self.received[-1]) // BLOCK_BYTES) * BLOCK_BYTES
        return response


@dataclass(frozen=True)
class Snapshots:
    """Takes and copies snapshots as alice, into a folder."""

    store: Store
    folder: Path

    async def take(self, server: VolumeServer) -> Path:
        """The server's volume as it is now, under its own key; the path of the file."""
        assert isinstance(server.blocks, Volume), "plain volumes are just copied"
        path = self.folder / f"{server.name}.snapshot"
        alice = self.store.caller("alice")
        await take_snapshot(self.store.backend.kms, alice, server.blocks, path)
        return path

    async def copy(self, snapshot: Path, key: LabKey) -> Path:
        """The snapshot in the region of `key`, encrypted anew under it; the path of the file."""
        path = snapshot.with_name(f"{key.region}.snapshot")
        kms, alice = self.store.backend.kms, self.store.caller("alice")
        await copy_snapshot(kms, alice, snapshot, path, region=key.region, key_id=key.arn)
        return path


class SnapshotReader(Adversary):
    """A user of the KMS to whom the file of a snapshot came: attaches it, if the KMS lets him."""

    kind = "insider"

    def __init__(self, name: str, store: Store, snapshot: Path, *, user: str) -> None:
        super().__init__(name, f"has the snapshot, and may use the keys that {user} may use")
        self._store = store
        self._snapshot = snapshot
        self._user = user

    async def take(self, folder: Path) -> list[Path]:
        """Copy the file; restore it to a volume, and read that; or write down why not."""
        copy = written(folder / self._snapshot.name, self._snapshot.read_bytes())
        caller, disk = self._store.caller(self._user), folder / "volume"
        async with self._store.reopened() as store:
            kms = store.backend.kms
            try:
                await restore_snapshot(kms, caller, copy, disk)
                async with await attach(kms, caller, disk) as volume:
                    content = await volume.read(0, volume.size)
            except TlslabError as refusal:
                return [copy, written(folder / "refusal", refusal.message.encode())]
        return [copy, written(folder / "content", content)]


async def encrypted_volume(disk: Path, store: Store, key: LabKey) -> Volume:
    """A fresh volume, attached by alice."""
    kms, caller = store.backend.kms, store.caller("alice")
    await create_volume(kms, caller, disk, size=VOLUME_BYTES, region=key.region, key_id=key.arn)
    return await attach(kms, caller, disk)


def plain_volume(disk: Path) -> PlainVolume:
    """A fresh volume that encrypts nothing."""
    disk.mkdir()
    return PlainVolume(written(disk / "volume.raw", bytes(VOLUME_BYTES)))
