"""A web server that keeps what it is told in an embedded database.

The database is SQLite in plain files, or SQLCipher under a key that a KMS wrapped
(`tlslab.volume.embedded_database`). The KMS is a store's, in another house: its keys are not on
this disk.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

from tlslab.http import Request, Response
from tlslab.lab.object_store import Store
from tlslab.lab.services import Server
from tlslab.volume.embedded_database import FILE, create_database, open_database

_TABLE = "CREATE TABLE records (path TEXT PRIMARY KEY, content BLOB NOT NULL)"


@dataclass(kw_only=True)
class DatabaseServer(Server):
    """Keeps the body of every PUT as a row, and answers a GET with it. `disk` is its folder."""

    disk: Path
    connection: Any

    def answer(self, request: Request, body: bytes, stream: trio.abc.Stream, peer: str) -> Response:
        """Store a record, or give it back. It blocks for as long as a small write takes."""
        if request.method == "PUT":
            row = (request.target, body)
            self.connection.execute("INSERT OR REPLACE INTO records VALUES (?, ?)", row)
            return Response(200, [], b"kept\n")
        found = self.connection.execute(
            "SELECT content FROM records WHERE path = ?", (request.target,)
        ).fetchone()
        if found is None:
            return Response(404, [], b"no such record\n")
        return Response(200, [(b"content-type", b"text/plain")], bytes(found[0]))


async def open_plain(disk: Path) -> Any:
    """A connection to a fresh database in plain SQLite."""
    disk.mkdir()
    connection = sqlite3.connect(disk / FILE, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(_TABLE)
    return connection


async def open_encrypted(disk: Path, store: Store) -> Any:
    """A connection to a fresh database under a new key of the store's KMS, for alice."""
    key = await store.kms_key("database")
    caller = store.caller("alice")
    kms, region = store.backend.kms, store.settings.regions[0]
    await create_database(kms, caller, disk, region=region, key_id=key.arn)
    connection = await open_database(kms, caller, disk)
    connection.execute(_TABLE)
    return connection
