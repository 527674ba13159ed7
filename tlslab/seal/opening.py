"""Opening the seal of a database, so that a missing or wrong root of trust never goes unnoticed.

It fails closed. There is no default key and no start without the root of trust, and a master key is
made only for a database in which nothing is kept yet: beside data that another one has sealed, a
new one could only hide that the old is lost. And lost it is, with everything below it, when its
root of trust is: a forgotten passphrase, a deleted key file, a KMS key past its deletion. Nothing
here, and nobody who wrote it, can open such a database; keep a copy of a key file elsewhere.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import Connection, exists, insert, inspect, literal, select, table, update

from tlslab.database import Database
from tlslab.envelope import KEY_BYTES, new_key
from tlslab.errors import IntegrityError, UsageError
from tlslab.seal import tables
from tlslab.seal.root import RootOfTrust
from tlslab.seal.seal import Seal

Begin: TypeAlias = Callable[[Connection, Seal], None]
"""Writes what belongs to a new database from its first moment, with the seal or not at all."""

_PROOF = "proof"


@dataclass(frozen=True)
class _Row:
    database: str
    root: str
    wrapped: bytes
    proof: bytes


async def open_seal(
    database: Database, root: RootOfTrust, *, create: bool, begin: Begin | None = None
) -> Seal:
    """The seal of a database that was opened with this package's `metadata` among its tables.

    With `create`, an empty database gets a fresh one, and what `begin` writes, in one transaction.
    Raises UsageError if there is no seal and none may be made, if something is kept without its
    seal, and if the root of trust is missing, cannot be reached or is not the one.
    """
    row = await database.read(_load)
    if row is None:
        if not create:
            raise UsageError("the database has no seal", hint="it was never set up, or wiped")
        row = await _create(database, root, begin)
    return await _open(row, root)


async def rewrap(database: Database, old: RootOfTrust, new: RootOfTrust) -> Seal:
    """Put the seal of a database under another root of trust; nothing else changes or moves.

    Afterwards only `new` opens it. Copies of the database from before are still opened by `old`:
    destroy one or the other. Raises UsageError as `open_seal`, with nothing changed.
    """
    row = await database.read(_load)
    if row is None:
        raise UsageError("the database has no seal", hint="it was never set up, or wiped")
    seal = await _open(row, old)
    wrapped = await new.wrap(seal._master, _context(row.database))
    moved = _Row(row.database, new.kind, wrapped, row.proof)
    await _open(moved, new)  # what does not open again must not replace what does

    def store(connection: Connection) -> None:
        changed = connection.execute(
            update(tables.seal)
            .where(tables.seal.c.wrapped == row.wrapped)
            .values(root=moved.root, wrapped=moved.wrapped, changed=_now())
        )
        if changed.rowcount != 1:
            raise UsageError("the seal was changed by somebody else meanwhile", hint="try again")

    await database.write(store)
    return seal


async def _create(database: Database, root: RootOfTrust, begin: Begin | None) -> _Row:
    await database.read(_check_empty)  # before a root of trust is troubled
    seal, name = Seal(new_key()), str(uuid.uuid4())
    row = _Row(
        database=name,
        root=root.kind,
        wrapped=await root.wrap(seal._master, _context(name)),
        proof=seal.wrap(b"", purpose=_PROOF, context=_context(name)),
    )

    def store(connection: Connection) -> _Row:
        other = _load(connection)
        if other is not None:  # another process was quicker: there is only one seal
            return other
        _check_empty(connection)
        connection.execute(insert(tables.seal), {"id": 1, "changed": _now(), **vars(row)})
        if begin is not None:
            begin(connection, seal)
        return row

    return await database.write(store)


async def _open(row: _Row, root: RootOfTrust) -> Seal:
    if root.kind != row.root:
        raise UsageError(
            f"the database is sealed by another kind of root of trust: {row.root}",
            hint=f"this one is {root.kind}",
        )
    context = _context(row.database)
    master = await root.unwrap(row.wrapped, context)
    if len(master) == KEY_BYTES:
        seal = Seal(master)
        try:
            seal.unwrap(row.proof, purpose=_PROOF, context=context)
        except IntegrityError:
            pass
        else:
            return seal
    raise UsageError(
        f"the root of trust ({root.kind}) is not the one this database was sealed with",
        hint="open it with the root of trust it was set up with; without it the data is lost",
    )


def _load(connection: Connection) -> _Row | None:
    columns = tables.seal.c
    found: Any = connection.execute(
        select(columns.database, columns.root, columns.wrapped, columns.proof)
    ).first()
    return None if found is None else _Row(*found)


def _check_empty(connection: Connection) -> None:
    """Raise UsageError if anything is kept in the database, in whichever table."""
    names = [each for each in inspect(connection).get_table_names() if each != tables.seal.name]
    if not names:
        return
    some = (exists(select(literal(1)).select_from(table(name))).label(name) for name in names)
    found = connection.execute(select(*some)).one()
    for name, used in zip(names, found, strict=True):
        if used:
            raise UsageError(
                f"the database has no seal, but something is kept in it (table {name})",
                hint="restore it together with its seal, or name a new and empty database",
            )


def _context(database: str) -> dict[str, str]:
    return {"tlslab:purpose": "master key", "tlslab:database": database}


def _now() -> int:
    return time.time_ns() // 1000
