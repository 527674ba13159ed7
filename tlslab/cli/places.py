"""Where a store lies, as commands are told: a state folder, or each thing somewhere else."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any, TypeVar

import click
import trio

from tlslab.cli.roots import open_named_root, read_passphrase, root_options
from tlslab.endpoint import Settings, StateFolder
from tlslab.endpoint.objects import open_objects
from tlslab.errors import UsageError
from tlslab.iam import Identities
from tlslab.seal import PassphraseFile, RootOfTrust

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Place:
    """Where a store keeps what it keeps, and what opens it."""

    state: StateFolder
    database: str | None
    kms_database: str | None
    objects: str | None
    root_of_trust: Path | None
    passphrase_file: Path | None
    identities: Path | None

    @property
    def root_path(self) -> Path:
        """The root of trust's file."""
        return self.root_of_trust or self.state.root_of_trust

    def new_root(self) -> RootOfTrust:
        """The root of trust for a new store: an external one, or a fresh file. Raises UsageError.

        A file is never made beside data: it would open none of it.
        """
        if self.root_of_trust is not None and self.root_of_trust.exists():
            return open_named_root(self.root_of_trust, self.passphrase_file)
        if self.root_path.exists():
            raise UsageError(f"{self.root_path} exists already", hint="it is never overwritten")
        if self.state.in_use:
            raise UsageError(
                f"{self.state.path} keeps data, but its root of trust is missing",
                hint="restore it from its copy; without it the data is lost",
            )
        passphrase = read_passphrase(self.passphrase_file, twice=True)
        self.state.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return trio.run(PassphraseFile.create, self.root_path, passphrase)

    def open_root(self) -> RootOfTrust:
        """The root of trust of a store that is set up. Raises UsageError."""
        if not self.root_path.exists():
            raise UsageError(
                f"there is no root of trust {self.root_path}",
                hint=f"a new store: tlslab store init --state {quote(str(self.state.path))}; "
                "an old one: restore the file from its copy",
            )
        passphrase = self.passphrase_file
        if passphrase is None and self.state.passphrase.exists():
            passphrase = self.state.passphrase
        return open_named_root(self.root_path, passphrase)

    def new_root_in_its_place(self, path: Path, passphrase_file: Path | None) -> RootOfTrust:
        """Another root of trust: the one in a file, or a fresh one in a file to be made."""
        if path.exists():
            return open_named_root(path, passphrase_file)
        passphrase = read_passphrase(passphrase_file, twice=True)
        return trio.run(PassphraseFile.create, path, passphrase)

    def open_identities(self) -> Identities:
        """Who may use it. Raises UsageError."""
        if self.identities is not None:
            return Identities.load(self.identities)
        return self.state.open_identities()

    def settings(self, root: RootOfTrust, identities: Identities, **more: Any) -> Settings:
        """What opens it. Raises UsageError."""
        if self.database is not None:
            more |= {"database": self.database, "kms_database": self.database}
        if self.kms_database is not None:
            more["kms_database"] = self.kms_database
        if self.objects is not None:
            more["objects"] = open_objects(self.objects)
        return self.state.settings(root, identities, **more)


def place_options(command: F) -> F:
    """Options that say where a store is; the command gets them as `place`."""

    @functools.wraps(command)
    def wrapped(
        *args: Any,
        state: Path,
        database: str | None,
        kms_database: str | None,
        objects: str | None,
        root_of_trust: Path | None,
        passphrase_file: Path | None,
        identities: Path | None,
        **more: Any,
    ) -> Any:
        place = Place(
            StateFolder(state.resolve()), database, kms_database, objects,
            root_of_trust, passphrase_file, identities,
        )  # fmt: skip
        return command(*args, place=place, **more)

    options = [
        click.option(
            "--state",
            type=click.Path(path_type=Path, file_okay=False),
            required=True,
            help="Folder in which everything is kept that is not named otherwise.",
        ),
        click.option(
            "--database", metavar="URL", help="Of objects and keys: postgresql://… or a path."
        ),
        click.option("--kms-database", metavar="URL", help="Of the keys alone."),
        click.option(
            "--objects", metavar="URL", help="Of objects' bytes: a folder, s3://…, gs://… or az://…"
        ),
        root_options,
        click.option(
            "--identities",
            type=click.Path(path_type=Path, dir_okay=False),
            help="TOML file with accounts, users, their keys and policies.",
        ),
    ]
    return functools.reduce(lambda inner, option: option(inner), reversed(options), wrapped)  # type: ignore[return-value]
