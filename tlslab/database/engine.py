"""Opening a database by its URL: what has to be said to each kind so that both keep our promises.

SQLite: write-ahead log, so that readers and the writer do not wait for each other; `synchronous =
FULL`, because in WAL mode NORMAL loses acknowledged commits when the power goes; a file of mode
0600. pysqlite begins transactions by itself at odd moments, so that is turned off and `BEGIN` said
where SQLAlchemy says it: IMMEDIATE for writes, which are one at a time anyway. Reads are kept from
writing, as PostgreSQL keeps them by `READ ONLY`.

PostgreSQL: READ COMMITTED, with an advisory lock around each write (database.py).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import QueuePool

from tlslab.errors import StoreError, UsageError

BUSY_SECONDS = 30
"""How long to wait for another process that writes to the same SQLite file."""

READERS = 8
"""Connections for reading; as many as threads that work for a store at a time."""

_BEGIN_IMMEDIATE = "tlslab_begin_immediate"


class DatabaseUnavailable(StoreError):
    """The database cannot be reached or written to: not the fault of who asked."""


def open_engine(url: str) -> Engine:
    """An engine for `sqlite:///path`, `postgresql://…` or a plain path.

    Raises UsageError for a URL that names no such database.
    """
    try:
        parsed = make_url(url) if "://" in url else URL.create("sqlite", database=url)
    except ArgumentError:
        raise UsageError("not a database URL", hint="sqlite:///path or postgresql://…") from None
    kind = parsed.get_backend_name()
    if kind == "sqlite":
        return _sqlite(parsed)
    if kind == "postgresql":
        return _postgresql(parsed)
    raise UsageError(f"databases of kind {kind} are not supported", hint="sqlite or postgresql")


def writing(connection: Connection) -> Connection:
    """Mark a connection, before its transaction begins, as one that is going to write."""
    return connection.execution_options(**{_BEGIN_IMMEDIATE: True})


def _sqlite(url: URL) -> Engine:
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
        pool_size=READERS + 1,
        max_overflow=-1,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def connected(connection: Any, record: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        immediate = connection.get_execution_options().get(_BEGIN_IMMEDIATE)
        connection.exec_driver_sql(f"PRAGMA query_only = {'OFF' if immediate else 'ON'}")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def _postgresql(url: URL) -> Engine:
    try:
        return create_engine(
            url.set(drivername="postgresql+psycopg"),
            pool_size=READERS + 1,
            max_overflow=-1,
            pool_pre_ping=True,
        )
    except (ImportError, NoSuchModuleError):
        raise UsageError(
            "PostgreSQL needs the package psycopg", hint="pip install 'tlslab[postgresql]'"
        ) from None


def unavailable(error: DBAPIError) -> DatabaseUnavailable:
    """A driver's error as ours. Its text stays out: it may hold what was to be stored."""
    code = getattr(error.orig, "sqlite_errorname", None) or getattr(error.orig, "sqlstate", None)
    return DatabaseUnavailable(f"the database failed ({code or type(error).__name__})")
