"""Reading: which version a request means, its facts, and its bytes opened."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, select

from tlslab.errors import IntegrityError
from tlslab.iam.caller import Caller
from tlslab.store import rows
from tlslab.store.buckets import Buckets
from tlslab.store.envelopes import DataKeys
from tlslab.store.foundation import check_key
from tlslab.store.layout import Layout
from tlslab.store.model import (
    NULL_VERSION,
    Bucket,
    CustomerKey,
    ObjectInfo,
    PartInfo,
)
from tlslab.store.pieces import INLINE_BYTES, Source, open_piece
from tlslab.store.protection import Subject, customer_key_md5
from tlslab.store.records import ObjectRecord, PartRecord
from tlslab.store.refusals import Refused
from tlslab.store.stored import OpenPart, StoredObject
from tlslab.store.tables import parts


@dataclass(frozen=True, slots=True)
class Found:
    """A version that was looked up, not a delete marker."""

    bucket: Bucket
    record: ObjectRecord
    latest: bool

    @property
    def subject(self) -> Subject:
        """What its data keys are bound to."""
        return Subject(self.bucket, self.record.key, self.record.uid)


class Reading(Buckets):
    """Finds and opens objects."""

    async def get(
        self,
        caller: Caller,
        bucket: str,
        key: str,
        *,
        version_id: str | None = None,
        part: int | None = None,
        unlock: CustomerKey | None = None,
    ) -> StoredObject:
        """An object, open for reading.

        Raises Refused: NoSuchBucket, NoSuchKey, NoSuchVersion, MethodNotAllowed (a delete marker by
        its id), InvalidPartNumber, those of `Protection.unlock`; IntegrityError.
        """
        gone: str | None = None
        while True:  # again only if it was replaced just now, between its row and its blob
            found = await self._find(bucket, key, version_id, inline=True)
            record = found.record
            self._check_part(record, part)
            keys = await self._protection.unlock(caller, found.subject, record.envelope, unlock)
            info = await self._info(found, unlock, part)
            if record.layout is not None:
                holding = partial(self._held_parts, record.uid, keys)
                return StoredObject(info, record.layout, holding, self._in_thread)
            source = await self._open(record, keys)
            if source is not None:
                layout = Layout.of([(1, record.size)])
                return StoredObject(info, layout, _already_open, self._in_thread, source, 1)
            if record.blob == gone:
                raise IntegrityError("the object's bytes are missing")
            gone = record.blob

    async def head(
        self,
        caller: Caller,
        bucket: str,
        key: str,
        *,
        version_id: str | None = None,
        part: int | None = None,
        unlock: CustomerKey | None = None,
        with_parts: bool = False,
    ) -> ObjectInfo:
        """An object's facts; no KMS is asked for them. Raises as `get`."""
        found = await self._find(bucket, key, version_id)
        self._check_part(found.record, part)
        self._protection.check(found.subject, found.record.envelope, unlock)
        return await self._info(found, unlock, part, with_parts=with_parts)

    async def _find(
        self, bucket: str, key: str, version_id: str | None, *, inline: bool = False
    ) -> Found:
        def find(connection: Connection) -> Found:
            return self._look_up(connection, bucket, key, version_id, inline=inline)[1]

        check_key(key)
        return await self.database.glance(find)

    def _look_up(
        self,
        connection: Connection,
        bucket: str,
        key: str,
        version_id: str | None,
        *,
        inline: bool = False,
    ) -> tuple[int, Found]:
        """A bucket's number and a version in it. Raises Refused as `get`."""
        number, settings, newest = self._bucket_and_newest(connection, bucket, key, inline=inline)
        if version_id is None:
            row = newest
        else:
            row = rows.version(connection, number, key, version_id, inline=inline)
        if row is None:
            raise missing(key, version_id)
        if row.marker:
            headers = {"x-amz-delete-marker": "true", "x-amz-version-id": row.version}
            if version_id is None:
                raise Refused("NoSuchKey", details={"Key": key}, headers=headers)
            details = {"Method": "GET", "ResourceType": "DeleteMarker"}
            raise Refused("MethodNotAllowed", details=details, headers=headers)
        latest = newest is not None and newest.rank == row.rank
        return number, Found(settings, self._record(row, bucket), latest)

    def _record(self, row: Row[Any] | None, bucket: str) -> ObjectRecord:
        assert row is not None
        return ObjectRecord.open(row, bucket, self._facts)

    async def _info(
        self,
        found: Found,
        unlock: CustomerKey | None,
        part: int | None,
        *,
        with_parts: bool = False,
    ) -> ObjectInfo:
        record = found.record
        md5 = None
        if unlock is not None and record.envelope.algorithm == "SSE-C":
            md5 = customer_key_md5(unlock.key)
        info = record.info(latest=found.latest, customer_key_md5=md5)
        if part is not None:
            info = replace(info, part_range=_span(record, part))
        if record.layout is None or (part is None and not with_parts):
            return info
        return replace(info, parts=await self._parts(record.uid, part))

    def _check_part(self, record: ObjectRecord, part: int | None) -> None:
        if part is not None and _span(record, part) is None:
            raise Refused("InvalidPart" if self.compat == "ceph" else "InvalidPartNumber")

    async def _parts(self, uid: bytes, number: int | None) -> tuple[PartInfo, ...]:
        columns = [column for column in parts.c if column is not parts.c.inline]
        query = select(*columns).where(parts.c.uid == uid).order_by(parts.c.number)
        if number is not None:
            query = query.where(parts.c.number == number)

        def read(connection: Connection) -> tuple[PartInfo, ...]:
            found = connection.execute(query).all()
            return tuple(PartRecord.open(row, self._facts).info() for row in found)

        return await self.database.read(read)

    async def _open(self, record: ObjectRecord | PartRecord, keys: DataKeys) -> Source | None:
        """The one piece of an object or part; None if its blob is gone."""
        opening = partial(
            open_piece,
            self._files,
            keys,
            record.piece,
            size=record.size,
            blob=record.blob,
            inline=record.inline,
        )
        return opening() if record.size <= INLINE_BYTES else await self._in_thread(opening)

    @contextlib.asynccontextmanager
    async def _held_parts(
        self, uid: bytes, keys: DataKeys, numbers: Sequence[int]
    ) -> AsyncIterator[OpenPart]:
        """Parts of an object, which this process removes only when they have been read.

        Raises IntegrityError, as what it gives does, if they are gone.
        """
        query = select(parts).where(parts.c.uid == uid)
        if numbers:
            query = query.where(parts.c.number.between(numbers[0], numbers[-1]))

        def read(connection: Connection) -> dict[int, PartRecord]:
            rows = connection.execute(query).all()
            return {row.number: PartRecord.open(row, self._facts) for row in rows}

        def there(connection: Connection) -> bool:
            wanted = select(parts.c.number).where(parts.c.uid == uid).limit(1)
            return connection.execute(wanted).first() is not None

        async def open_part(number: int) -> Source:
            record = records.get(number)
            source = None if record is None else await self._open(record, keys)
            if source is None:
                raise _gone()
            return source

        records = await self.database.read(read)
        async with self._keeping([one.blob for one in records.values() if one.blob is not None]):
            # Only now is nothing removed. What is still there stays until the end.
            if not await self.database.glance(there):
                raise _gone()
            yield open_part


def missing(key: str, version_id: str | None) -> Refused:
    """What S3 says of a key or version that is not there."""
    if version_id is None:
        return Refused("NoSuchKey", details={"Key": key})
    details = {"Key": key, "VersionId": version_id}
    if version_id != NULL_VERSION and rows.rank_of(version_id) is None:
        return Refused(
            "InvalidArgument",
            "Invalid version id specified",
            details={"ArgumentName": "versionId", "ArgumentValue": version_id},
        )
    return Refused("NoSuchVersion", details=details)


def _span(record: ObjectRecord, part: int) -> tuple[int, int] | None:
    """Where a part lies in its object; None if there is none of that number."""
    if record.layout is not None:
        return record.layout.part(part)
    return (0, record.size) if part == 1 else None


def _gone() -> IntegrityError:
    return IntegrityError("the object's bytes are missing", hint="it may have been replaced")


@contextlib.asynccontextmanager
async def _already_open(numbers: Sequence[int]) -> AsyncIterator[OpenPart]:
    """For an object that was uploaded as one: it is open, and nothing else is asked for."""

    async def open_part(number: int) -> Source:
        raise AssertionError("it was open")

    yield open_part
