"""Opening a database by its URL: what has to be said to each kind so that both keep our promises.

SQLite: write-ahead log, so that readers and the writer do not wait for each other; `synchronous =
FULL`, because in WAL mode NORMAL loses acknowledged commits when the power goes; a file of mode
0600. pysqlite begins transactions by itself at odd moments, so that is turned off and `BEGIN` said
where SQLAlchemy says it: IMMEDIATE for writes, which are one at a time anyway.

PostgreSQL: READ COMMITTED for writes, with an advisory lock around each (database.py), and
REPEATABLE READ, READ ONLY for reads.

Reads and writes have connections of their own, so that what differs is said once for a connection
and not at each transaction. On SQLite, too, those for reading refuse to write.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any, cast

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import QueuePool

from tlslab.errors import StoreError, UsageError

BUSY_SECONDS = 30
"""How long to wait for another process that writes to the same SQLite file."""

READERS = 8
"""Connections for reading; as many as threads that work for a store at a time."""


EMPTYING_MILLISECONDS = 200
"""How long emptying the log waits for readers: writes wait meanwhile."""

_ERASED = "tlslab_erased"


class DatabaseUnavailable(StoreError):
    """The database cannot be reached or written to: not the fault of who asked."""


def open_engine(url: str, *, writing: bool) -> Engine:
    """An engine for `sqlite:///path`, `postgresql://…` or a plain path, to write with or to read.

    A SQLite file is made by the one that writes, which therefore connects first.
    Raises UsageError for a URL that names no such database.
    """
    try:
        parsed = make_url(url) if "://" in url else URL.create("sqlite", database=url)
    except ArgumentError:
        raise UsageError("not a database URL", hint="sqlite:///path or postgresql://…") from None
    kind = parsed.get_backend_name()
    if kind == "sqlite":
        return _sqlite(parsed, writing)
    if kind == "postgresql":
        return _postgresql(parsed, writing)
    raise UsageError(f"databases of kind {kind} are not supported", hint="sqlite or postgresql")


def _sqlite(url: URL, writing: bool) -> Engine:
    if not url.database or url.database == ":memory:":
        raise UsageError("a database in memory is not kept", hint="name a file")
    path = Path(url.database)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        reason = (error.strerror or "error").lower()
        raise UsageError(f"cannot open the database {path}: {reason}") from error
    except ValueError:
        raise UsageError("not a path", hint="it has a zero byte in it") from None
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=1 if writing else READERS,
        max_overflow=-1,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def connected(connection: Any, record: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            cursor.execute(f"PRAGMA {pragma}")
        if not writing:
            cursor.execute("PRAGMA query_only = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        say(connection, "BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


def _postgresql(url: URL, writing: bool) -> Engine:
    try:
        return create_engine(
            url.set(drivername="postgresql+psycopg"),
            pool_size=1 if writing else READERS,
            max_overflow=-1,
            pool_pre_ping=True,
            isolation_level="READ COMMITTED" if writing else "REPEATABLE READ",
            execution_options={"postgresql_readonly": not writing},
        )
    except (ImportError, NoSuchModuleError):
        raise UsageError(
            "PostgreSQL needs the package psycopg", hint="pip install 'tlslab[postgresql]'"
        ) from None


def say(connection: Connection, statement: str) -> None:
    """Execute one of the statements that begin and end transactions and savepoints.

    SQLite's driver is told it directly, which costs a tenth of telling SQLAlchemy: that matters
    where there are as many of these as of others. Raises DatabaseUnavailable or DBAPIError.
    """
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql(statement)
        return
    driver = cast(sqlite3.Connection, connection.connection.driver_connection)
    try:
        driver.execute(statement)
    except sqlite3.Error as error:
        raise unavailable(error) from error


def erasing(connection: Connection) -> None:
    """Say, in a write, that it removes secrets: on SQLite no copy of them stays behind.

    What it frees is zeroed, and after the commit the write-ahead log, which has the pages as they
    were, is emptied. PostgreSQL keeps dead rows until it vacuums, and its log for as long as it is
    configured to.
    """
    if connection.dialect.name == "sqlite":
        say(connection, "PRAGMA secure_delete = ON")
        connection.info[_ERASED] = True


def empty_log(connection: Connection) -> None:
    """After the commit of a write that was `erasing`, and outside a transaction.

    A reader that still looks at an older state keeps the log: then the next write tries again.
    """
    if not connection.info.get(_ERASED):
        return
    driver = cast(sqlite3.Connection, connection.connection.driver_connection)
    driver.execute(f"PRAGMA busy_timeout = {EMPTYING_MILLISECONDS}")
    try:
        (busy, *_) = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        connection.info[_ERASED] = bool(busy)
    finally:
        driver.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")


_UNREACHED = "is its server up, and are address, name and credentials those of its URL?"

_HINTS: dict[str | None, str] = {
    "SQLITE_NOTADB": "its file is none of SQLite, or was written over: restore a copy",
    "SQLITE_CORRUPT": "its file was damaged: restore a copy",
    "SQLITE_FULL": "free space, and try again",
    "SQLITE_IOERR_SHMSIZE": "free space, and try again",
    "SQLITE_READONLY": "check the permissions of its file and folder",
}


def unavailable(error: DBAPIError | sqlite3.Error) -> DatabaseUnavailable:
    """A driver's error as ours. Its text stays out: it may hold what was to be stored."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(cause, "sqlite_errorname", None) or getattr(cause, "sqlstate", None)
    # A server that was not reached gave no code.
    hint = _HINTS.get(code) if code or isinstance(cause, sqlite3.Error) else _UNREACHED
    return DatabaseUnavailable(f"the database failed ({code or type(error).__name__})", hint=hint)
