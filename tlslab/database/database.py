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

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast

import trio
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.exc import DBAPIError

from tlslab.database.engine import READERS, open_engine, unavailable, writing

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
        self._engine = open_engine(url)
        self._waiting: list[_Write[object]] = []
        self._leading = False
        self._readers = trio.CapacityLimiter(READERS)
        self._writer = trio.CapacityLimiter(1)
        self.is_postgresql = self._engine.dialect.name == "postgresql"
        try:
            with writing(self._engine.connect()) as connection, connection.begin():
                self._lock(connection)
                for metadata in tables:
                    metadata.create_all(connection)
        except DBAPIError as error:
            raise unavailable(error) from error

    def close(self) -> None:
        """Close every connection. It blocks."""
        self._engine.dispose()

    async def read(self, work: Callable[[Connection], _T]) -> _T:
        """What `work` returns, in a thread, on one consistent view. Raises DatabaseUnavailable."""

        def run() -> _T:
            try:
                with self._engine.connect() as connection, connection.begin():
                    if self.is_postgresql:
                        connection.execute(
                            text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                        )
                    return work(connection)
            except DBAPIError as error:
                raise unavailable(error) from error

        return await trio.to_thread.run_sync(run, limiter=self._readers)

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
            with writing(self._engine.connect()) as connection, connection.begin():
                self._lock(connection)
                for write in batch:
                    self._run(connection, write, alone=len(batch) == 1)
        except DBAPIError as error:
            for write in batch:
                write.error = write.error or unavailable(error)
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
                with connection.begin_nested():
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


class _Undone(Exception):
    """The only write of a transaction failed: roll it back."""
