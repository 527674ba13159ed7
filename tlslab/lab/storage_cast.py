"""The storage cast: how a lab makes the parties and adversaries of the lessons on data at rest.

The store itself is of the main cast. Each is described in the module of its concept; here they are
put on a lab's network, or before a disk.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from tlslab.iam import AccessKey
from tlslab.lab.adversaries import file_name
from tlslab.lab.client import Client
from tlslab.lab.database_server import DatabaseServer, open_encrypted, open_plain
from tlslab.lab.kms_client import KMSClient
from tlslab.lab.object_store import LabKey, Store
from tlslab.lab.parties import Service
from tlslab.lab.pretence import Claim, ClaimingClient
from tlslab.lab.stage import Stage
from tlslab.lab.thieves import DiskThief, HasDisk, Insider, ServerDiskThief
from tlslab.lab.trace_eraser import TraceEraser
from tlslab.lab.volume_server import (
    Blocks,
    SnapshotReader,
    Snapshots,
    VolumeServer,
    encrypted_volume,
    plain_volume,
)
from tlslab.tls import ClientPolicy


class StorageCast(Stage):
    """The part of a lab that makes them."""

    # -- who steals, and who works there ---------------------------------------------------------

    def disk_thief(
        self,
        store: Store,
        *,
        key_file: bool = False,
        kms_disk: bool = False,
        name: str | None = None,
    ) -> DiskThief:
        """A thief of the store's disk, and of its key file and of the KMS's disk if so."""
        default = "disk thief" if not key_file else "thief of disk and key"
        name = name or ("thief of all" if key_file and kms_disk else default)
        early = self.folder / f"{file_name(name)}-early"
        thief = DiskThief(name, store, early, key_file=key_file, kms_disk=kms_disk)
        self.adversaries.append(thief)
        return thief

    def insider(self, store: Store, name: str = "insider", *, user: str = "bob") -> Insider:
        """A user of the store, who may read every object through its front door."""
        insider = Insider(name, store, self._user_of(store, user, name))
        self.adversaries.append(insider)
        return insider

    def trace_eraser(
        self, store: Store, name: str = "insider", *, user: str = "bob"
    ) -> TraceEraser:
        """A user of the store, who removes from logs and trail what he was seen doing."""
        client = self._user_of(store, user, name)
        eraser = TraceEraser(name, store, client, self._logging_services)
        self.adversaries.append(eraser)
        return eraser

    def server_disk_thief(self, server: HasDisk, name: str = "disk thief") -> ServerDiskThief:
        """A thief of the disk of a server with a database or a volume."""
        thief = ServerDiskThief(name, server)
        self.adversaries.append(thief)
        return thief

    def snapshot_reader(
        self, store: Store, snapshot: Path, name: str = "insider", *, user: str = "bob"
    ) -> SnapshotReader:
        """A user of the store's KMS to whom a snapshot's file came."""
        reader = SnapshotReader(name, store, snapshot, user=user)
        self.adversaries.append(reader)
        return reader

    # -- clients of a store ----------------------------------------------------------------------

    def kms_client(self, client: Client, at: Service, key: LabKey) -> KMSClient:
        """The `client` as one of a store's KMS, reached `at` a service, for one of its keys."""
        return KMSClient(client, at.url(), key.arn)

    def claiming_client(
        self, claim: Claim, user: AccessKey, name: str = "client"
    ) -> ClaimingClient:
        """A client of a store that claims its plain connections to be TLS; see `pretence`."""
        policy = ClientPolicy(trust=self.ca.trust)
        return self._join(
            ClaimingClient(policy=policy, user=user, claim=claim, **self._basics(name))
        )

    # -- servers with disks ----------------------------------------------------------------------

    async def database_server(self, name: str, *, key_from: Store | None = None) -> DatabaseServer:
        """A web server that keeps what it is sent in a database on a disk of its own.

        The database is encrypted under a key of the KMS of `key_from`, or is plain SQLite.
        """
        disk = self.folder / name
        opened = open_plain(disk) if key_from is None else open_encrypted(disk, key_from)
        connection = self._kept_open.enter_context(closing(await opened))
        server = DatabaseServer(
            policy=self.server_policy(name),
            port=443,
            disk=disk,
            connection=connection,
            **self._basics(name),
        )
        await self.start(server)
        return server

    async def volume_server(
        self, name: str, store: Store, *, key: LabKey | None = None
    ) -> VolumeServer:
        """A web server that writes what it is sent to a volume.

        The volume is encrypted under `key`, one of the store's KMS, or is plain.
        """
        disk = self.folder / name
        blocks: Blocks
        if key is None:
            blocks = plain_volume(disk)
        else:
            volume = await encrypted_volume(disk, store, key)
            blocks = await self._kept_open.enter_async_context(volume)
        server = VolumeServer(
            policy=self.server_policy(name),
            port=443,
            disk=disk,
            blocks=blocks,
            **self._basics(name),
        )
        await self.start(server)
        return server

    def snapshots(self, store: Store) -> Snapshots:
        """Who takes and copies snapshots, with keys of the store's KMS."""
        folder = self.folder / "snapshots"
        folder.mkdir()
        return Snapshots(store, folder)

    def _user_of(self, store: Store, user: str, name: str) -> Client:
        """A careful client that signs as a user of the store."""
        policy = ClientPolicy(trust=self.ca.trust)
        return Client(policy=policy, user=store.user(user), **self._basics(name))

    def _logging_services(self) -> list[Service]:
        return [party for party in self.parties if isinstance(party, Service)]
