"""Where objects' bytes lie, by URL: a directory, or another store when one machine is outgrown.

Credentials and endpoints of other stores come from the environment, as their own tools take them
(`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`, `GOOGLE_SERVICE_ACCOUNT`, `AZURE_STORAGE_ACCOUNT_NAME`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from obstore.exceptions import BaseError
from obstore.store import from_url

from tlslab.errors import StoreError, UsageError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

    from tlslab.seal import Seal
    from tlslab.store.files import Files

OWNER = "owner"
"""The directory with the mark of the store that the bytes belong to: an empty file, whose name only
that store's database can tell."""

BLOBS = "blobs"

SCHEMES = ("s3", "gs", "az")


def open_objects(place: str) -> Path | ObjectStore:
    """A directory, or the backend for `s3://…`, `gs://…` or `az://…`. Raises UsageError."""
    scheme, separator, _ = place.partition("://")
    if not separator:
        return Path(place).resolve()
    if scheme not in SCHEMES:
        raise UsageError(
            f"objects cannot be kept at {scheme}://",
            hint=f"a directory, or {', '.join(f'{one}://…' for one in SCHEMES)}",
        )
    try:
        return from_url(place)
    except (BaseError, ValueError) as error:
        raise UsageError(
            f"cannot open {place}: {type(error).__name__}",
            hint="its credentials come from the environment, as its own tools take them",
        ) from error


def claim(files: Files, seal: Seal) -> None:
    """Make sure that the bytes are those of the store with this seal. It blocks.

    Whoever opened them with another database would take all of them for leftovers, and remove them.
    Raises UsageError if they are another store's, or if there are some and nobody's.
    """
    mine = f"{OWNER}/{seal.derive('owner of objects').hex()}"
    files.make_directory(OWNER)
    try:
        marks = set(files.names(OWNER))
    except StoreError as error:
        raise UsageError(
            f"cannot keep objects there: {error.message}",
            hint="check its name and the credentials in the environment; plain HTTP needs "
            "AWS_ALLOW_HTTP=true",
        ) from error
    if marks - {mine} or (not marks and files.names(BLOBS)):
        raise UsageError(
            "these objects' bytes belong to another database",
            hint="name the database that they were stored with, or another place for objects",
        )
    if not marks:
        files.create(mine)
