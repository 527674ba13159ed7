"""An embedded database whose files lie encrypted under a key that a KMS wrapped.

    database.json   the descriptor: which KMS key, and the data key as it wrapped it
    database.db     SQLCipher: SQLite with every page sealed (AES-256-CBC, HMAC-SHA-512 per page)
    database.db-wal, database.db-journal   sealed page by page as well

The data key goes to SQLCipher as it is, without a password's derivation, and is asked of the KMS
each time the database is opened. Temporary files do not exist: SQLCipher is built to keep them in
memory. Unlike a volume's tree, its pages do not know which version of each is the present one: a
changed or moved page is refused, an old page put back into its place is not.

Needs the package `sqlcipher3`, a DB-API driver that brings its own SQLCipher.
"""

from __future__ import annotations

import importlib
from contextlib import closing
from pathlib import Path
from typing import Any

import trio

from tlslab.errors import IntegrityError, UsageError
from tlslab.iam.caller import Caller
from tlslab.volume.data_keys import KMS, new_data_key, unwrap_data_key
from tlslab.volume.descriptor import Descriptor, encode_descriptor, new_id, read_descriptor
from tlslab.volume.volume import write_new

DESCRIPTOR = "database.json"
FILE = "database.db"

_BEGIN = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA user_version = 1",  # writes the first page, so that another key is refused from now on
)


async def create_database(
    kms: KMS, caller: Caller, directory: Path, *, region: str, key_id: str
) -> Descriptor:
    """Make an empty database in a directory that does not exist yet, and say what it is.

    Raises UsageError for a directory that cannot be or if sqlcipher3 is missing, KMSError if the
    key cannot be used.
    """
    _driver()
    descriptor, key = await new_data_key(
        kms, caller,
        kind="database", resource_id=new_id("database"), size=0, region=region, key_id=key_id,
    )  # fmt: skip

    def create() -> None:
        try:
            directory.mkdir(mode=0o700, parents=True)
        except OSError as error:
            reason = (error.strerror or "error").lower()
            raise UsageError(f"cannot make the database {directory}: {reason}") from error
        with closing(_connect(directory / FILE, key)) as connection:
            for statement in _BEGIN:
                connection.execute(statement)
        write_new(directory / DESCRIPTOR, encode_descriptor(descriptor))

    await trio.to_thread.run_sync(create)
    return descriptor


async def open_database(kms: KMS, caller: Caller, directory: Path) -> Any:
    """A DB-API connection to the database, as `sqlite3` has it; it blocks, and may go to threads.

    Raises KMSError if the key cannot be used, IntegrityError if the database is not under it,
    UsageError if there is no database or sqlcipher3 is missing.
    """
    descriptor = await trio.to_thread.run_sync(read_descriptor, directory / DESCRIPTOR, "database")
    key = await unwrap_data_key(kms, caller, descriptor)
    return await trio.to_thread.run_sync(_connect, directory / FILE, key)


def _connect(path: Path, key: bytes) -> Any:
    driver = _driver()
    connection = driver.connect(str(path), isolation_level=None, check_same_thread=False)
    try:
        connection.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
    except driver.DatabaseError:
        connection.close()
        raise IntegrityError(
            "the database does not authenticate", hint="another key, or changed bytes"
        ) from None
    return connection


def _driver() -> Any:
    try:
        return importlib.import_module("sqlcipher3").dbapi2
    except ImportError:
        raise UsageError(
            "an encrypted database needs the package sqlcipher3", hint="pip install sqlcipher3"
        ) from None
