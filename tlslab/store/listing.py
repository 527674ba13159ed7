"""Listings: objects, versions and uploads in the order of their keys, page by page.

A page costs what it shows, however many keys there are: it starts by the index where the last one
ended, and where keys share a common prefix it shows that once and continues behind all of them (a
skip scan), with as many queries as there are such prefixes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, or_, select

from tlslab.store import rows
from tlslab.store.copying import Copying
from tlslab.store.model import NULL_VERSION, ObjectInfo, Page, Upload, UploadPage, VersionPage
from tlslab.store.records import UploadRecord, parse_upload_id
from tlslab.store.tables import objects, uploads

FIRST_CHUNK = 16
LARGEST_CHUNK = 1024
"""Rows of one query: few where a common prefix is likely to hide the rest, else more and more."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where to go on: after `key`, or at it if `at`; with `tail`, within the key after that."""

    key: bytes
    at: bool = False
    tail: Any = None


Fetch: TypeAlias = Callable[[Cursor, int], Sequence[Row[Any]]]
Item: TypeAlias = "Row[Any] | bytes"


def walk(
    fetch: Fetch, *, prefix: bytes, delimiter: bytes, start: Cursor, limit: int
) -> tuple[list[Item], bool]:
    """At most `limit` rows and common prefixes from `start` on, and whether there are more.

    `fetch` gives rows whose keys begin with `prefix`, in order. A common prefix reaches to the
    first `delimiter` after `prefix`; without one there are none.
    """
    cursor = max(start, Cursor(prefix, at=True), key=lambda one: (one.key, not one.at))
    common = _common(cursor.key, prefix, delimiter)
    if common is not None and common == cursor.key and not cursor.at:
        cursor = Cursor(_successor(common), at=True)
    items: list[Item] = []
    chunk = FIRST_CHUNK if delimiter else LARGEST_CHUNK
    while True:
        asked = min(chunk, limit + 1 - len(items))
        found = fetch(cursor, asked)
        last = None
        for row in found:
            common = _common(row.key, prefix, delimiter)
            if common is not None and common == last:
                continue
            last = common
            items.append(row if common is None else common)
            if len(items) > limit:
                return items[:limit], True
        if not found or (len(found) < asked and last is None):
            return items, False
        if last is not None:
            cursor, chunk = Cursor(_successor(last), at=True), FIRST_CHUNK
        else:
            cursor = Cursor(found[-1].key, tail=_tail(found[-1]))
            chunk = min(2 * chunk, LARGEST_CHUNK)


class Listing(Copying):
    """Lists what buckets hold."""

    async def list_objects(
        self,
        bucket: str,
        *,
        prefix: str = "",
        delimiter: str = "",
        after: str = "",
        limit: int = 1000,
    ) -> Page:
        """Objects whose keys start with `prefix` and come after `after`, in UTF-8's order.

        Keys that share a part up to `delimiter` are shown as that common prefix, which counts as
        one of the `limit`. Raises Refused (NoSuchBucket) and IntegrityError.
        """
        c = objects.c

        def read(connection: Connection) -> Page:
            number, _ = self._bucket(connection, bucket)
            query = select(*rows.FACTS).where(c.bucket == number, c.current.is_(True))
            query = _within(query, c.key, prefix.encode()).order_by(c.key)

            def fetch(cursor: Cursor, count: int) -> Sequence[Row[Any]]:
                bound = c.key >= cursor.key if cursor.at else c.key > cursor.key
                return connection.execute(query.where(bound).limit(count)).all()

            items, more = _walk(fetch, prefix, delimiter, Cursor(after.encode()), limit)
            found = [
                self._shown(row, bucket, latest=True) for row in items if not isinstance(row, bytes)
            ]
            return Page(tuple(found), _prefixes(items), _name(items[-1]) if more else None)

        return await self.database.read(read)

    async def list_versions(
        self,
        bucket: str,
        *,
        prefix: str = "",
        delimiter: str = "",
        after_key: str = "",
        after_version: str | None = None,
        limit: int = 1000,
    ) -> VersionPage:
        """All versions and delete markers, those of a key from the newest to the oldest.

        Continues after a key, or after one of its versions. Raises Refused (NoSuchBucket) and
        IntegrityError.
        """
        c = objects.c

        def read(connection: Connection) -> VersionPage:
            number, _ = self._bucket(connection, bucket)
            query = select(*rows.FACTS).where(c.bucket == number)
            query = _within(query, c.key, prefix.encode()).order_by(c.key, c.rank)

            def fetch(cursor: Cursor, count: int) -> Sequence[Row[Any]]:
                return connection.execute(
                    query.where(_after(c.key, c.rank, cursor)).limit(count)
                ).all()

            rank = None
            if after_version == NULL_VERSION:
                null = rows.version(connection, number, after_key, NULL_VERSION)
                rank = None if null is None else null.rank
            elif after_version:
                rank = rows.rank_of(after_version)
            start = Cursor(after_key.encode(), tail=rank)
            items, more = _walk(fetch, prefix, delimiter, start, limit)
            found, before = [], start.key if rank is not None else None
            for row in items:
                if not isinstance(row, bytes):
                    found.append(self._shown(row, bucket, latest=row.key != before))
                    before = row.key
            end = items[-1] if more else None
            version = None if end is None or isinstance(end, bytes) else end.version
            return VersionPage(
                tuple(found), _prefixes(items), None if end is None else _name(end), version
            )

        return await self.database.read(read)

    async def list_uploads(
        self,
        bucket: str,
        *,
        prefix: str = "",
        delimiter: str = "",
        after_key: str = "",
        after_upload: str | None = None,
        limit: int = 1000,
    ) -> UploadPage:
        """Uploads under way, those of a key from the oldest to the newest.

        Raises Refused (NoSuchBucket) and IntegrityError.
        """
        c = uploads.c

        def read(connection: Connection) -> UploadPage:
            number, _ = self._bucket(connection, bucket)
            query = select(uploads).where(c.bucket == number)
            query = _within(query, c.key, prefix.encode()).order_by(c.key, c.uid)

            def fetch(cursor: Cursor, count: int) -> Sequence[Row[Any]]:
                return connection.execute(
                    query.where(_after(c.key, c.uid, cursor)).limit(count)
                ).all()

            uid = parse_upload_id(after_upload) if after_upload else None
            start = Cursor(after_key.encode(), tail=uid)
            items, more = _walk(fetch, prefix, delimiter, start, limit)
            found: list[Upload] = [
                UploadRecord.open(row, bucket, self._facts).info()
                for row in items
                if not isinstance(row, bytes)
            ]
            end = items[-1] if more else None
            last = (
                found[-1].id if found and not isinstance(end, bytes) and end is not None else None
            )
            return UploadPage(
                tuple(found), _prefixes(items), None if end is None else _name(end), last
            )

        return await self.database.read(read)

    def _shown(self, row: Row[Any], bucket: str, *, latest: bool) -> ObjectInfo:
        return self._record(row, bucket).info(latest=latest)


def _walk(
    fetch: Fetch, prefix: str, delimiter: str, start: Cursor, limit: int
) -> tuple[list[Item], bool]:
    if limit < 1:
        return [], False
    return walk(
        fetch, prefix=prefix.encode(), delimiter=delimiter.encode(), start=start, limit=limit
    )


def _common(key: bytes, prefix: bytes, delimiter: bytes) -> bytes | None:
    """The common prefix that a key is shown as, None if it is shown itself."""
    if not delimiter or not key.startswith(prefix):
        return None
    end = key.find(delimiter, len(prefix))
    return None if end < 0 else key[: end + len(delimiter)]


def _successor(prefix: bytes) -> bytes:
    """The first byte string after all that begin with `prefix`, which is UTF-8 and not empty."""
    return prefix[:-1] + bytes([prefix[-1] + 1])  # UTF-8 has no byte 0xff


def _within(query: Select[Any], key: ColumnElement[bytes], prefix: bytes) -> Select[Any]:
    return query.where(key < _successor(prefix)) if prefix else query


def _after(key: ColumnElement[bytes], tail: ColumnElement[Any], cursor: Cursor) -> Any:
    if cursor.at:
        return key >= cursor.key
    if cursor.tail is None:
        return key > cursor.key
    # The first condition is implied, but it is what both databases seek in the index by.
    return and_(key >= cursor.key, or_(key > cursor.key, tail > cursor.tail))


def _tail(row: Row[Any]) -> Any:
    return row.rank if hasattr(row, "rank") else row.uid


def _prefixes(items: Sequence[Item]) -> tuple[str, ...]:
    return tuple(item.decode() for item in items if isinstance(item, bytes))


def _name(item: Item) -> str:
    return (item if isinstance(item, bytes) else item.key).decode()
