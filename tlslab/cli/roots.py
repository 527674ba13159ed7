"""What commands share that open a sealed state: where it lies, its root of trust, its passphrase.

A passphrase never comes from the command line's arguments, which everybody on the machine can read.
"""

from __future__ import annotations

import functools
import getpass
import os
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from tlslab.envelope import read_private_file
from tlslab.errors import UsageError
from tlslab.seal import RootOfTrust, open_root

PASSPHRASE_FILE = "TLSLAB_PASSPHRASE_FILE"  # noqa: S105 (a name, no passphrase)
"""The environment's variable with the passphrase's file."""

MAX_PASSPHRASE_BYTES = 4096

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Sealed:
    """A sealed database, and how its root of trust is found."""

    database: str
    root_of_trust: Path | None
    passphrase_file: Path | None

    def open_root(self) -> RootOfTrust:
        """Its root of trust. Raises UsageError if none is named."""
        if self.root_of_trust is None:
            raise UsageError(
                "the root of trust is not named",
                hint="--root-of-trust FILE, or --state FOLDER for all in one",
            )
        return open_named_root(self.root_of_trust, self.passphrase_file)


def sealed_options(command: F) -> F:
    """Options that name a sealed database; the command gets them as `sealed`."""

    @functools.wraps(command)
    def wrapped(
        *args: Any,
        state: Path | None,
        database: str | None,
        root_of_trust: Path | None,
        passphrase_file: Path | None,
        **more: Any,
    ) -> Any:
        sealed = _sealed(state, database, root_of_trust, passphrase_file)
        return command(*args, sealed=sealed, **more)

    options = [
        click.option(
            "--state",
            type=click.Path(path_type=Path, file_okay=False),
            help="Folder in which `tlslab up` or `tlslab store serve` keeps everything.",
        ),
        click.option(
            "--database", metavar="URL", help="Its database, if it is not there: a path or a URL."
        ),
        *_root_options(),
    ]
    return functools.reduce(lambda inner, option: option(inner), reversed(options), wrapped)  # type: ignore[return-value]


def root_options(command: F) -> F:
    """Options that name a root of trust; the command gets `root_of_trust`, `passphrase_file`."""
    return functools.reduce(lambda inner, option: option(inner), reversed(_root_options()), command)


def _root_options() -> list[Callable[[Any], Any]]:
    return [
        click.option(
            "--root-of-trust",
            type=click.Path(path_type=Path, dir_okay=False),
            help="Key file, or TOML file that names a key of AWS KMS or Vault.",
        ),
        click.option(
            "--passphrase-file",
            type=click.Path(path_type=Path, dir_okay=False),
            envvar=PASSPHRASE_FILE,
            show_envvar=True,
            help="File with the passphrase; /dev/fd/N for an open descriptor.  [default: asked]",
        ),
    ]


def open_named_root(root_of_trust: Path, passphrase_file: Path | None) -> RootOfTrust:
    """The root of trust that a file stands for, with its passphrase. Raises UsageError."""
    return open_root(
        root_of_trust,
        ask_passphrase=lambda: read_passphrase(passphrase_file),
        environment=os.environ,
    )


def read_passphrase(file: Path | None, *, twice: bool = False) -> bytes:
    """The passphrase in a file, in what an open descriptor delivers, or typed at the terminal.

    Raises UsageError if there is none, and for a file that others may read. One line break at the
    end does not count. `twice` has it typed twice, for a new one.
    """
    if file is None:
        return _typed(twice=twice)
    if stat.S_ISREG(_mode(file)):
        data = read_private_file(file, "passphrase")
    else:
        with file.open("rb") as pipe:
            data = pipe.read(MAX_PASSPHRASE_BYTES + 2)
    return data.removesuffix(b"\n")


def _mode(file: Path) -> int:
    try:
        return file.stat().st_mode
    except OSError as error:
        raise UsageError(
            f"cannot read the passphrase file {file}: {(error.strerror or 'error').lower()}"
        ) from error


def _typed(*, twice: bool) -> bytes:
    if not sys.stdin.isatty():
        raise UsageError(
            "there is nobody to ask for the passphrase",
            hint=f"name a file with --passphrase-file, or in {PASSPHRASE_FILE}",
        )
    passphrase = getpass.getpass("passphrase: ")
    if twice and getpass.getpass("again: ") != passphrase:
        raise UsageError("the two passphrases differ", hint="nothing was changed")
    return passphrase.encode()


def _sealed(
    state: Path | None, database: str | None, root_of_trust: Path | None, passphrase: Path | None
) -> Sealed:
    if state is None:
        if database is None:
            raise UsageError("no state is named", hint="with --state FOLDER or --database URL")
        return Sealed(database, root_of_trust, passphrase)
    from tlslab.endpoint import StateFolder  # slow to import: with all that an endpoint serves

    folder = StateFolder(state)
    if database is None and not folder.kms_database.exists():
        raise UsageError(f"nothing is kept in {state}", hint="the folder that --state named before")
    if passphrase is None and folder.passphrase.exists():
        passphrase = folder.passphrase
    return Sealed(
        database or str(folder.kms_database), root_of_trust or folder.root_of_trust, passphrase
    )
