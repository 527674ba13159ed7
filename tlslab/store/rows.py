"""The SQL of objects: versions found, placed and removed, inside one transaction.

The rules of versioning are here and nowhere else: which version is the newest, what a write
replaces, what a removal uncovers. The functions know nothing of what the facts mean.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    select,
    update,
)

from tlslab.store.model import NULL_VERSION, Versioning
from tlslab.store.tables import buckets, objects, parts

_c = objects.c
FACTS: tuple[ColumnElement[Any], ...] = (
    _c.key,
    _c.rank,
    _c.version,
    _c.uid,
    _c.marker,
    _c.size,
    _c.modified,
    _c.blob,
    _c.facts,
)
"""All but a small object's bytes."""

_IS_NULL = _c.version == literal_column("'null'")
_VERSION_BYTES = 24

# Put together once: what every request executes would cost more to put together than to execute.
_OF_KEY = (_c.bucket == bindparam("bucket_"), _c.key == bindparam("key_"))
_ONE = (*_OF_KEY, _c.rank == bindparam("rank_"))
_NEWEST = select(*FACTS).where(*_OF_KEY).order_by(_c.rank).limit(1)
_IN_BUCKET = (
    select(buckets, *FACTS)
    .join_from(
        buckets,
        objects,
        and_(_c.bucket == buckets.c.id, _c.key == bindparam("key_")),
        isouter=True,
    )
    .where(buckets.c.name == bindparam("name_"))
    .order_by(_c.rank)
    .limit(1)
)
_IN_BUCKET_WITH_BYTES = _IN_BUCKET.add_columns(_c.inline)
_INSERT = insert(objects)
_SET_CURRENT = update(objects).where(*_ONE).values(current=bindparam("current_"))
_SET_FACTS = update(objects).where(*_ONE).values(facts=bindparam("facts_"))
_REMOVE = delete(objects).where(*_ONE).returning(_c.blob, func.length(_c.inline).label("inline"))
# (Not `inline IS NULL`: SQLite 3.40 returns 0 for it, whatever the row had.)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a new version goes: its id and rank. `version` is `null` if it replaces that one."""

    version: str
    rank: int


def newest(connection: Connection, bucket: int, key: str) -> Row[Any] | None:
    """The newest version of a key, which may be a delete marker."""
    return connection.execute(_NEWEST, {"bucket_": bucket, "key_": key.encode()}).first()


def bucket_and_newest(
    connection: Connection, name: str, key: str, *, inline: bool = False
) -> Row[Any] | None:
    """A bucket's row and with it that of the newest version of a key, in one statement.

    `rank` is None if there is no version; None if there is no bucket.
    """
    query: Select[Any] = _IN_BUCKET_WITH_BYTES if inline else _IN_BUCKET
    return connection.execute(query, {"name_": name, "key_": key.encode()}).first()


def version(
    connection: Connection, bucket: int, key: str, version_id: str, *, inline: bool = False
) -> Row[Any] | None:
    """A version by its id, None if there is none."""
    columns = (*FACTS, _c.inline) if inline else FACTS
    query = select(*columns).where(_c.bucket == bucket, _c.key == key.encode())
    if version_id == NULL_VERSION:
        row = connection.execute(query.where(_IS_NULL, _c.current.is_(True))).first()
        return row or connection.execute(query.where(_IS_NULL, _c.current.is_(False))).first()
    rank = rank_of(version_id)
    if rank is None:
        return None
    return connection.execute(query.where(_c.rank == rank, _c.version == version_id)).first()


def rank_of(version_id: str) -> int | None:
    """The rank that a version's id carries, None if it is no version's id."""
    try:
        raw = base64.b64decode(version_id, altchars=b"._", validate=True)
    except ValueError:
        return None
    written = int.from_bytes(raw[:8], "big")  # a moment; no database takes more than 63 bits
    return -written if len(raw) == _VERSION_BYTES and written < 2**63 else None


def next_place(newest: Row[Any] | None, versioning: Versioning | None, now: int) -> Place:
    """Where a version written at `now` goes, in front of what is there."""
    rank = -now if newest is None else min(-now, newest.rank - 1)
    if versioning != "Enabled":
        return Place(NULL_VERSION, rank)
    raw = (-rank).to_bytes(8, "big") + os.urandom(_VERSION_BYTES - 8)
    return Place(base64.b64encode(raw, altchars=b"._").decode(), rank)


def put(
    connection: Connection,
    bucket: int,
    values: Mapping[str, Any],
    before: Row[Any] | None,
    versioning: Versioning | None,
) -> list[str]:
    """Put a version in front of `before`, the newest so far; the blobs that nothing refers to now.

    A version with the id `null` replaces the one there may be.
    """
    blobs: list[str] = []
    if before is not None:
        replaced = None
        if values["version"] == NULL_VERSION:
            replaced = before
            if before.version != NULL_VERSION:
                replaced = version(connection, bucket, before.key.decode(), NULL_VERSION)
        if replaced is not None:
            blobs = _remove(connection, bucket, replaced)
        if replaced is None or replaced.rank != before.rank:
            place = _one(bucket, before.key, before.rank)
            connection.execute(_SET_CURRENT, {**place, "current_": False})
    row = {"bucket": bucket, "current": not values["marker"], **values}
    connection.execute(_INSERT, row)
    return blobs


def remove(connection: Connection, bucket: int, row: Row[Any]) -> list[str]:
    """Remove a version for good; the blobs that nothing refers to now.

    If it was the newest, the one before it comes to light.
    """
    blobs = _remove(connection, bucket, row)
    uncovered = newest(connection, bucket, row.key.decode())
    if uncovered is not None and uncovered.rank > row.rank and not uncovered.marker:
        place = _one(bucket, row.key, uncovered.rank)
        connection.execute(_SET_CURRENT, {**place, "current_": True})
    return blobs


def replace_facts(connection: Connection, bucket: int, values: Mapping[str, Any]) -> None:
    """Give a version other facts; nothing else of it changes."""
    place = _one(bucket, values["key"], values["rank"])
    connection.execute(_SET_FACTS, {**place, "facts_": values["facts"]})


def remove_parts(connection: Connection, uid: bytes, *where: ColumnElement[bool]) -> list[str]:
    """Remove the parts of an upload or object, or some of them; the blobs they had."""
    removed = delete(parts).where(parts.c.uid == uid, *where).returning(parts.c.blob)
    return [blob for (blob,) in connection.execute(removed).all() if blob is not None]


def known_blobs(connection: Connection, candidates: Iterable[str]) -> set[str]:
    """Which of these blobs a row refers to."""
    names = list(candidates)
    found = set()
    for column in (objects.c.blob, parts.c.blob):
        found |= {blob for (blob,) in connection.execute(select(column).where(column.in_(names)))}
    return found


def _remove(connection: Connection, bucket: int, row: Row[Any]) -> list[str]:
    gone = connection.execute(_REMOVE, _one(bucket, row.key, row.rank))
    blob, inline = gone.one()
    if blob is not None:
        return [blob]
    in_parts = inline is None and not row.marker
    return remove_parts(connection, row.uid) if in_parts else []


def _one(bucket: int, key: bytes, rank: int) -> dict[str, Any]:
    return {"bucket_": bucket, "key_": key, "rank_": rank}
