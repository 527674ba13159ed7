"""Reads beside each other; writes one at a time, many to a commit.

A write is a function that gets a connection and runs inside a transaction. All writes to a database
happen one after the other, in whichever process they began: SQLite has one writer anyway, and on
PostgreSQL an advisory lock makes it so. What a write reads is therefore still true when it writes,
and no write is ever tried again. That is the whole model of concurrency; no other locks are needed.

What that would cost is won back by committing together: writes that arrive while a commit is under
way wait, and the next commit takes all of them, each in a savepoint of its own, so that one that
raises undoes itself alone. An acknowledged write is on disk: `write` returns after the commit.

The task that finds no commit under way leads: it runs the batch in a thread, then the first that
waits takes over.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast

import trio
from sqlalchemy import Connection, MetaData, inspect, text
from sqlalchemy.exc import DBAPIError

from tlslab.database.engine import (
    READERS,
    DatabaseUnavailable,
    empty_log,
    open_engine,
    say,
    unavailable,
)

_T = TypeVar("_T")

BATCH = 256
"""Writes in one commit at most: bounds how long the first of them waits."""

_LOCK = int.from_bytes(hashlib.sha256(b"tlslab writer").digest()[:8], "big", signed=True)
"""The advisory lock's number: any, as long as all processes have the same."""


@dataclass(eq=False)
class _Write(Generic[_T]):
    work: Callable[[Connection], _T]
    turn: trio.Event = field(default_factory=trio.Event)  # done, or to lead
    done: bool = False
    result: _T | None = None
    error: BaseException | None = None


class Database:
    """A database that `kms` and `store` keep their tables in.

    Close it with `close`. A result that the functions return must be read to its end in them: rows
    are values, cursors are not.
    """

    def __init__(self, url: str, *tables: MetaData) -> None:
        """Open it, and create `tables` that are missing. It blocks.

        Raises UsageError for a URL that names no database, DatabaseUnavailable if it cannot be
        opened.
        """
        self._writing = open_engine(url, writing=True)
        self._reading = open_engine(url, writing=False)
        self._glancing: Connection | None = None
        self._waiting: list[_Write[object]] = []
        self._leading = False
        self._readers = trio.CapacityLimiter(READERS)
        self._writer = trio.CapacityLimiter(1)
        self.is_postgresql = self._writing.dialect.name == "postgresql"
        try:
            with self._writing.connect() as connection, connection.begin():
                self._lock(connection)
                there = set(inspect(connection).get_table_names())  # one look for all of them
                for metadata in tables:
                    missing = [one for one in metadata.sorted_tables if one.name not in there]
                    if missing:
                        metadata.create_all(connection, missing, checkfirst=False)
        except DBAPIError as error:
            raise unavailable(error) from error

    def close(self) -> None:
        """Close every connection. It blocks."""
        if self._glancing is not None:
            self._glancing.close()
            self._glancing = None
        self._reading.dispose()
        self._writing.dispose()

    async def read(self, work: Callable[[Connection], _T]) -> _T:
        """What `work` returns, in a thread, on one consistent view. Raises DatabaseUnavailable."""

        def run() -> _T:
            try:
                with self._reading.connect() as connection, connection.begin():
                    return work(connection)
            except DBAPIError as error:
                raise unavailable(error) from error

        return await trio.to_thread.run_sync(run, limiter=self._readers)

    async def glance(self, work: Callable[[Connection], _T]) -> _T:
        """As `read`, for work that finds a few small rows by their keys.

        On SQLite it runs in the caller's thread: it takes 10 to 50 µs, much less than changing to
        another thread and back, and a reader never waits for the writer, at worst for a page from
        the disk. On PostgreSQL, a network away, it is `read`.
        """
        if self.is_postgresql:
            return await self.read(work)
        await trio.lowlevel.checkpoint()
        try:
            return self._glance(work)
        except DBAPIError as error:
            raise unavailable(error) from error

    async def write(self, work: Callable[[Connection], _T]) -> _T:
        """What `work` returns, once it is committed; what it raises, with nothing changed.

        `work` runs in a thread, exactly once. Cancelled before its turn it does not run; after
        that, cancelling waits for it. Raises DatabaseUnavailable.
        """
        write = _Write(work)
        await trio.lowlevel.checkpoint_if_cancelled()
        self._waiting.append(cast(_Write[object], write))
        if self._leading:
            await self._wait_for_turn(write)
        if not write.done:
            self._leading = True
            with trio.CancelScope(shield=True):
                await self._lead()
        if write.error is not None:
            raise write.error
        return cast(_T, write.result)

    def _glance(self, work: Callable[[Connection], _T]) -> _T:
        """Do it on the connection that is kept for this.

        For SQLAlchemy that is in one long transaction; for the database each call has its own.
        """
        connection = self._glancing
        if connection is None:
            connection = self._glancing = self._reading.connect()
            connection.begin()
            say(connection, "COMMIT")
        say(connection, "BEGIN")
        try:
            return work(connection)
        finally:
            say(connection, "COMMIT")

    async def _wait_for_turn(self, write: _Write[_T]) -> None:
        try:
            await write.turn.wait()
        except trio.Cancelled:
            waiting = cast(_Write[object], write)
            if waiting in self._waiting:
                self._waiting.remove(waiting)
                if write.turn.is_set():  # it was to lead
                    self._hand_over()
                raise
            with trio.CancelScope(shield=True):  # its commit is under way
                await write.turn.wait()

    async def _lead(self) -> None:
        """Commit one batch, the leader's write among it, and let the next in line lead."""
        batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
        try:
            await trio.to_thread.run_sync(lambda: self._commit(batch), limiter=self._writer)
        finally:
            for write in batch:
                write.done = True
                write.turn.set()
            self._hand_over()

    def _hand_over(self) -> None:
        self._leading = bool(self._waiting)
        if self._waiting:
            self._waiting[0].turn.set()

    def _commit(self, batch: list[_Write[object]]) -> None:
        try:
            with self._writing.connect() as connection:
                with connection.begin():
                    self._lock(connection)
                    for write in batch:
                        self._run(connection, write, alone=len(batch) == 1)
                with contextlib.suppress(sqlite3.Error):  # it is committed; the next tries
                    empty_log(connection)
        except DBAPIError as error:
            for write in batch:
                write.error = write.error or unavailable(error)
        except DatabaseUnavailable as error:
            for write in batch:
                write.error = write.error or error
        except _Undone:
            pass
        except BaseException as error:
            for write in batch:
                write.error = write.error or error
            raise

    def _run(self, connection: Connection, write: _Write[object], *, alone: bool) -> None:
        try:
            if alone:
                write.result = write.work(connection)
            else:
                with _savepoint(connection):
                    write.result = write.work(connection)
        except DBAPIError as error:
            write.error = unavailable(error)
        except Exception as error:
            write.error = error
        if alone and write.error is not None:
            raise _Undone

    def _lock(self, connection: Connection) -> None:
        if self.is_postgresql:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


@contextlib.contextmanager
def _savepoint(connection: Connection) -> Iterator[None]:
    """Undo what happens in the block if it raises, and nothing else."""
    say(connection, "SAVEPOINT tlslab_write")
    try:
        yield
    except BaseException:
        say(connection, "ROLLBACK TO SAVEPOINT tlslab_write")
        raise
    finally:
        say(connection, "RELEASE SAVEPOINT tlslab_write")


class _Undone(Exception):
    """The only write of a transaction failed: roll it back."""
