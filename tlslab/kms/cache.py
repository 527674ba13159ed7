"""What requests read again and again, kept in memory for exactly as long as it is true.

Every change of the KMS's tables writes a new random generation in the same transaction. A request
runs inside a write of the database, where nobody else changes anything (see tlslab.database); it
compares the generation once per transaction, and if that is still the one the cache was filled at,
so is everything in the cache. A key disabled by another process is thus disabled here with the next
transaction, at the price of one small read for a whole batch of requests.

The generation is random, not a count: a change that is rolled back after the cache has seen it must
not be mistaken for the next change, which would get the same number.
"""

from __future__ import annotations

import secrets
import weakref
from collections.abc import Callable
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, select

from tlslab.kms import tables

_T = TypeVar("_T")

MAX_ENTRIES = 50_000
"""Entries kept: keys, names, grants of about 10,000 keys in use. Beyond it all are dropped."""

_SELECT = select(tables.generation.c.value)


class Cache:
    """Values read from the KMS's tables. Use it only inside writes of the database."""

    def __init__(self) -> None:
        self._entries: dict[object, object] = {}
        self._generation: str | None = None
        self._transaction: Callable[[], object] | None = None

    def get(self, connection: Connection, name: object, load: Callable[[], _T]) -> _T:
        """The value under `name`, from `load` if it is not there."""
        self._check(connection)
        try:
            return cast(_T, self._entries[name])
        except KeyError:
            pass
        value = load()
        if len(self._entries) >= MAX_ENTRIES:
            self._entries.clear()
        self._entries[name] = value
        return value

    def changed(self, connection: Connection) -> None:
        """Note that the tables change with this transaction, here and in all processes."""
        value = secrets.token_hex(16)
        done = connection.execute(tables.generation.update().values(value=value))
        if done.rowcount == 0:
            connection.execute(tables.generation.insert().values(id=1, value=value))
        self.forget()

    def forget(self) -> None:
        """Drop everything; needed where a change was undone within a transaction."""
        self._entries.clear()
        self._transaction = None

    def _check(self, connection: Connection) -> None:
        transaction = connection.get_transaction()
        if self._transaction is not None and self._transaction() is transaction:
            return
        generation = connection.execute(_SELECT).scalar()
        if generation is None or generation != self._generation:
            self._entries.clear()
        self._generation = generation
        self._transaction = weakref.ref(cast(Any, transaction))
