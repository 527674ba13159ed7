"""Who gets at what a store keeps: thieves of its disks and keys, and who works there.

A thief has copies and all the time in the world; what he makes of them is `loot`. An insider has
the right to ask, and gets what he is answered.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from tlslab.clientside import decrypt
from tlslab.clientside.keyrings import SUITE_IN_CONTEXT
from tlslab.clientside.metadata import decode_metadata
from tlslab.endpoint import StateFolder
from tlslab.iam import AccessKey
from tlslab.kms import KMSError
from tlslab.lab.adversaries import Adversary, written
from tlslab.lab.client import Answer, Client
from tlslab.lab.kms_client import KMSClient
from tlslab.lab.loot import opened_with_its_keys
from tlslab.lab.object_store import LabKey, Store
from tlslab.lab.parties import Service


class DiskThief(Adversary):
    """Carries the store's disk away, with or without the root of trust that opens it.

    The KMS's disk is another one, elsewhere; a thief with `kms_disk` was there as well. What he
    takes is how it is when all is over, unless he copied it before. `early` is where such copies
    lie until then.
    """

    kind = "thief"

    def __init__(
        self, name: str, store: Store, early: Path, *, key_file: bool, kms_disk: bool
    ) -> None:
        taken = ["the store's disk"]
        taken += ["the KMS's disk"] if kms_disk else []
        taken += ["its key file" if not kms_disk else "the key file of both"] if key_file else []
        words = " and ".join([", ".join(taken[:-1]), taken[-1]] if taken[1:] else taken)
        super().__init__(name, f"has stolen {words}")
        self._store = store
        self._early = StateFolder(early)
        self._with_key = key_file
        self._with_kms = kms_disk

    def copy_disk(self) -> None:
        """Take the store's disk as it is now: what happens to it later comes too late."""
        _copy(self._store.disk, self._early.disk)

    def copy_kms_disk(self) -> None:
        """Take the KMS's disk as it is now."""
        _copy(self._store.kms_disk, self._early.kms_database.parent)

    async def take(self, folder: Path) -> list[Path]:
        """Copy every file of the disks; with the key, open every object that it opens."""
        loot = StateFolder(folder)
        self._carry_off(self._store.disk, self._early.disk, loot.disk)
        if self._with_kms:
            there, earlier = self._store.kms_disk, self._early.kms_database.parent
            self._carry_off(there, earlier, loot.kms_database.parent)
        stolen = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        if self._with_key and self._store.key_files:
            for path in self._store.key_files:
                shutil.copy2(path, folder)
            for number, data in enumerate(await opened_with_its_keys(loot, list(stolen)), 1):
                stolen.append(written(folder / f"opened-{number}", data))
        return stolen

    def _carry_off(self, there: Path, earlier: Path, here: Path) -> None:
        if earlier.exists():
            earlier.rename(here)
        else:
            _copy(there, here)


class HasDisk(Protocol):
    """A server with a disk."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def disk(self) -> Path:
        """The folder that its disk is."""


class ServerDiskThief(Adversary):
    """Carries a server's disk away, with whatever lies there."""

    kind = "thief"

    def __init__(self, name: str, server: HasDisk) -> None:
        super().__init__(name, f"has stolen the disk of {server.name}")
        self._server = server

    async def take(self, folder: Path) -> list[Path]:
        """Copy every file."""
        loot = folder / "disk"
        _copy(self._server.disk, loot)
        return [path for path in sorted(loot.rglob("*")) if path.is_file()]


class Insider(Adversary):
    """May read every bucket through the store's front door, as many employees may.

    It is a user of the store: by the account's policies, `bob` may use no key of the KMS. What he
    asks for in time he may get, whatever changes later; in the end he asks for everything.
    """

    kind = "insider"

    def __init__(self, name: str, store: Store, client: Client) -> None:
        super().__init__(
            name, f"may read every bucket, as the store's {_user_of(client).principal.name}"
        )
        self._store = store
        self._client = client
        self._user = _user_of(client)
        self._decrypted: list[bytes] = []

    async def get(self, url: str) -> Answer:
        """Ask for an object now, over the network as everybody does."""
        return await self._client.get(url)

    async def open(
        self, url: str, *, by: LabKey, at: Service, claiming: Mapping[str, str]
    ) -> Answer:
        """Ask for an object that was encrypted before upload, and the KMS for its data key.

        The KMS is told the context that he is `claiming`.
        """
        answer = await self.get(url)
        kms = KMSClient(self._client, at.url(), by.arn)
        metadata = answer.metadata
        stored = dict(decode_metadata(metadata).context)
        del stored[SUITE_IN_CONTEXT]
        with contextlib.suppress(KMSError):
            keyring = kms.claiming(claiming)
            self._decrypted.append(await decrypt(metadata, answer.body, keyring, context=stored))
        return answer

    async def take(self, folder: Path) -> list[Path]:
        """Ask for every object, signed; write down what came, refusals included."""
        taken = self._answers(folder)
        async with self._store.reopened() as store:
            for number, path in enumerate(await store.paths(), 1):
                answer = await store.at_the_front_door("GET", path, self._user)
                kind = "object" if answer.status == 200 else "refusal"
                taken.append(written(folder / f"{kind}-{number}", answer.body))
        return taken

    def _answers(self, folder: Path) -> list[Path]:
        """Files with what he was answered in time, and what he decrypted."""
        kept = {"answer": self._client.received, "decrypted": self._decrypted}
        return [
            written(folder / f"{kind}-{number}", data)
            for kind, found in kept.items()
            for number, data in enumerate(found, 1)
        ]


def _user_of(client: Client) -> AccessKey:
    assert client.user is not None, "the store answers nobody else"
    return client.user


def _copy(there: Path, here: Path) -> None:
    shutil.copytree(there, here)
