"""A state folder: where everything lies that an endpoint on one machine keeps.

    disk/store.sqlite     what objects there are, and the small ones themselves
    disk/objects/         the others' bytes
    kms/kms.sqlite        keys of the KMS, and the audit trail
    root-of-trust.key     what opens both, sealed by a passphrase
    passphrase            the passphrase, if nobody wanted to keep it elsewhere
    identities.toml       accounts, users, and what they sign with
    proxy.key             what a TLS-terminating proxy proves itself with

Disk and KMS are folders of their own so that they can lie on different disks, and be stolen apart.
A passphrase beside what it opens protects against nothing but the theft of one of the disks: it is
for labs. Nothing here is ever overwritten.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlslab.endpoint.backend import Settings
from tlslab.envelope import KEY_BYTES, create_private_file, new_key, read_private_file
from tlslab.errors import UsageError
from tlslab.iam import Identities
from tlslab.seal import Cost, PassphraseFile

if TYPE_CHECKING:
    from tlslab.seal import RootOfTrust

RANDOM_PASSPHRASE_COST = Cost(memory=8 * 1024, passes=1, lanes=1)
"""A passphrase of 256 random bits needs no stretching; that is for those that people think of."""


@dataclass(frozen=True)
class StateFolder:
    """The paths in a state folder, and how what is missing there is made."""

    path: Path

    @property
    def disk(self) -> Path:
        """The store's disk."""
        return self.path / "disk"

    @property
    def objects(self) -> Path:
        """The directory of larger objects' bytes."""
        return self.disk / "objects"

    @property
    def database(self) -> Path:
        """The store's database."""
        return self.disk / "store.sqlite"

    @property
    def kms_database(self) -> Path:
        """The database of the KMS and of the audit trail."""
        return self.path / "kms" / "kms.sqlite"

    @property
    def root_of_trust(self) -> Path:
        """The file that, with its passphrase, opens both databases."""
        return self.path / "root-of-trust.key"

    @property
    def passphrase(self) -> Path:
        """The passphrase, where it is kept here."""
        return self.path / "passphrase"

    @property
    def identities(self) -> Path:
        """Who may sign requests."""
        return self.path / "identities.toml"

    @property
    def proxy_key(self) -> Path:
        """What a proxy in front proves itself with."""
        return self.path / "proxy.key"

    @property
    def in_use(self) -> bool:
        """Whether something is kept in it that a new root of trust could not open."""
        return self.database.exists() or self.kms_database.exists()

    def settings(self, root: RootOfTrust, identities: Identities, **more: Any) -> Settings:
        """What opens it. `more` are further settings."""
        kept = {
            "database": str(self.database),
            "kms_database": str(self.kms_database),
            "objects": self.objects,
        }
        return Settings(root_of_trust=root, identities=identities, **{**kept, **more})

    async def open_root_of_trust(self, passphrase: bytes | None = None) -> PassphraseFile:
        """The root of trust; both it and a passphrase are made for a folder not yet in use.

        `passphrase` None takes the one that is kept here. Raises UsageError if something is missing
        although the folder is in use: a new root of trust would open nothing.
        """
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = not self.in_use and not self.root_of_trust.exists()
        if not fresh and not self.root_of_trust.exists():
            raise UsageError(
                f"the root of trust {self.root_of_trust} is missing, and data needs it",
                hint="restore the file from its copy; without it the data is lost",
            )
        cost = None
        if passphrase is None:
            if fresh and not self.passphrase.exists():
                text = secrets.token_urlsafe(KEY_BYTES)
                create_private_file(self.passphrase, "passphrase", f"{text}\n".encode())
                cost = RANDOM_PASSPHRASE_COST
            passphrase = read_private_file(self.passphrase, "passphrase").rstrip(b"\n")
        if fresh:
            return await PassphraseFile.create(self.root_of_trust, passphrase, cost)
        return PassphraseFile(self.root_of_trust, passphrase)

    def check_whole(self) -> None:
        """Raise UsageError if one database of the two is missing: a new one would hide the loss."""
        for there, lost in (
            (self.database, self.kms_database),
            (self.kms_database, self.database),
        ):
            if there.exists() and not lost.exists():
                raise UsageError(
                    f"{lost} is missing, and {there.name} needs it",
                    hint="restore it from its copy, or name a new state folder",
                )

    def open_identities(self) -> Identities:
        """Who may sign requests: those in the file, or a few with random keys in a new one.

        Raises UsageError if there is no file although the folder is in use: nobody's keys would be
        good any more.
        """
        if not self.identities.exists():
            if self.in_use:
                raise UsageError(
                    f"{self.identities} is missing, and clients sign with its keys",
                    hint="restore it from its copy, or put another file of identities there",
                )
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            Identities.generate().save(self.identities)
        return Identities.load(self.identities)

    def open_proxy_key(self) -> bytes:
        """What a proxy in front proves itself with, made if there is none."""
        if not self.proxy_key.exists():
            create_private_file(self.proxy_key, "proxy key", new_key())
        key = read_private_file(self.proxy_key, "proxy key")
        if len(key) != KEY_BYTES:
            raise UsageError(f"{self.proxy_key} is not a key of {KEY_BYTES} bytes")
        return key
