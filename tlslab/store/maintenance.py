"""Keeping house: leftovers of crashes collected, the root key rotated, data keys wrapped anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import Connection, Update, select, update

from tlslab.store import rows
from tlslab.store.listing import Listing
from tlslab.store.multipart import same_upload
from tlslab.store.protection import Subject
from tlslab.store.reading import Found
from tlslab.store.records import ObjectRecord, UploadRecord
from tlslab.store.tables import buckets, objects, uploads

LEFTOVER_AGE = timedelta(hours=1)
"""A blob that nobody wrote to for this long is not being uploaded any more: far above the idle
limits of any server in front."""

_BATCH = 500
"""Rows looked at together: neither a query nor the pause it causes writers gets long."""


class Maintenance(Listing):
    """What an operator does now and then."""

    async def collect_leftovers(self, *, older_than: timedelta = LEFTOVER_AGE) -> int:
        """Remove blobs that crashes left behind and nothing refers to; returns how many.

        Only what was not written to for `older_than` (by the file system's clock) counts as left
        behind; zero is right where no other process uses the store.
        """
        # In this order: what is referred to after it was listed was then being uploaded still.
        moment = datetime.now(UTC) - older_than
        found = await self._in_thread(lambda: self._files.older_than("blobs", moment))
        uploading = self._uploading | self._being_read.keys()
        removed = 0
        for start in range(0, len(found), _BATCH):
            removed += await self._collect(found[start : start + _BATCH], uploading)
        return removed

    async def rotate_root_key(self) -> str:
        """Add a version of the root key, which wraps from now on; its public id. Moves no data."""
        return await self._keyring.rotate()

    async def rewrap(
        self, bucket: str | None = None, progress: Callable[[int], None] | None = None
    ) -> int:
        """Wrap what older versions of the root key wrap under its newest; returns how many objects.

        Of one bucket, or of all. `progress` is told how many so far. Reads and writes go on
        meanwhile. Uploads under way are rewrapped as well, and not counted.
        """
        done = 0
        for number, name in await self._bucket_numbers(bucket):
            settings = await self.bucket(name)
            after: tuple[bytes, int] | None = None
            while page := await self._page(number, name, after):
                for record in page:
                    done += await self._renew(Found(settings, record, latest=False))
                after = (page[-1].key.encode(), page[-1].rank)
                if progress is not None:
                    progress(done)
            await self._renew_uploads(number, name)
        return done

    async def _collect(self, found: list[str], uploading: set[str]) -> int:
        # Unfinished files have a suffix: "blobs/3f…#1".
        blobs = {path: path.removeprefix("blobs/").partition("#")[0] for path in found}
        names = set(blobs.values()) - uploading
        known = await self.database.read(lambda connection: rows.known_blobs(connection, names))

        def remove() -> int:
            leftovers = [path for path, blob in blobs.items() if blob in names - known]
            for path in leftovers:
                self._files.unlink_leftover(path)
            return len(leftovers)

        return await self._in_thread(remove)

    async def _bucket_numbers(self, name: str | None) -> list[tuple[int, str]]:
        def read(connection: Connection) -> list[tuple[int, str]]:
            if name is not None:
                return [(self._bucket(connection, name)[0], name)]
            found = connection.execute(select(buckets.c.id, buckets.c.name)).all()
            return [(row.id, row.name) for row in found]

        return await self.database.read(read)

    async def _page(
        self, number: int, bucket: str, after: tuple[bytes, int] | None
    ) -> list[ObjectRecord]:
        c = objects.c
        query = select(*rows.FACTS).where(c.bucket == number).order_by(c.key, c.rank).limit(_BATCH)
        if after is not None:
            key, rank = after
            query = query.where(c.key >= key, (c.key > key) | (c.rank > rank))

        def read(connection: Connection) -> list[ObjectRecord]:
            return [self._record(row, bucket) for row in connection.execute(query).all()]

        return await self.database.read(read)

    async def _renew(self, found: Found) -> bool:
        """Whether an object was wrapped anew; False also if somebody else changed it meanwhile."""
        envelope = await self._protection.renew(found.subject, found.record.envelope)
        if envelope == found.record.envelope:
            return False
        return await self._replace_envelope(found.record, envelope)

    async def _renew_uploads(self, number: int, bucket: str) -> None:
        c = uploads.c
        query = select(uploads).where(c.bucket == number)

        def read(connection: Connection) -> list[UploadRecord]:
            found = connection.execute(query).all()
            return [UploadRecord.open(row, bucket, self._facts) for row in found]

        settings = await self.bucket(bucket)
        for record in await self.database.read(read):
            subject = Subject(settings, record.key, record.uid)
            envelope = await self._protection.renew(subject, record.envelope)
            if envelope != record.envelope:
                values = replace(record, envelope=envelope).values(self._facts)
                changed = update(uploads).where(*same_upload(number, record))
                facts = changed.values(facts=values["facts"])
                await self.database.write(partial(_execute, statement=facts))


def _execute(connection: Connection, statement: Update) -> None:
    connection.execute(statement)
