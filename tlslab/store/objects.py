"""Single objects: put, get, head, delete, tags, and the encryption of what is there already.

Putting an object: its body becomes a piece, whole and durable; then its row is written, and in that
commit the object appears or changes; then what it replaced goes. A crash in between leaves a blob
that nothing refers to, which `collect_leftovers` finds, and every acknowledged object as it was.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, select

from tlslab.errors import IntegrityError
from tlslab.iam.caller import Caller
from tlslab.store import rows
from tlslab.store.bodies import Bodies
from tlslab.store.buckets import Buckets
from tlslab.store.envelopes import DataKeys, Envelope
from tlslab.store.foundation import check_key
from tlslab.store.layout import Layout
from tlslab.store.model import (
    NULL_VERSION,
    SSEC,
    SSEKMS,
    Attributes,
    Bucket,
    CustomerKey,
    Deleted,
    Encryption,
    ExpectedChecksum,
    ObjectInfo,
    PartInfo,
)
from tlslab.store.pieces import INLINE_BYTES, Source, open_piece
from tlslab.store.protection import Subject, customer_key_md5
from tlslab.store.records import ObjectRecord, PartRecord, new_uid
from tlslab.store.refusals import Refused
from tlslab.store.stored import StoredObject
from tlslab.store.tables import parts
from tlslab.store.tags import check_tags


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


class Objects(Buckets, Bodies):
    """Works on one object at a time."""

    async def put(
        self,
        caller: Caller,
        bucket: str,
        key: str,
        body: bytes | AsyncIterable[bytes],
        *,
        attributes: Attributes | None = None,
        encryption: Encryption | None = None,
        checksum: ExpectedChecksum | None = None,
        content_md5: str | None = None,
        tags: Mapping[str, str] | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> ObjectInfo:
        """Store an object: others see what was there until all of the new one is.

        If the body raises, if this is cancelled, or for any error, nothing changes and nothing is
        left behind. Raises Refused: NoSuchBucket, KeyTooLongError, InvalidTag, EntityTooLarge,
        BadDigest, PreconditionFailed, NoSuchKey (`if_match` and no object), those of
        `Protection.wrap`; StorageFull, StoreError.
        """
        check_key(key)
        check_tags(tags or {})
        settings = await self.bucket(bucket)
        subject = Subject(settings, key, new_uid(self._microseconds()))
        wanted = self._protection.wanted(settings, encryption)
        keys, envelope = await self._protection.begin(caller, subject, wanted)
        hashes = self._hashes(md5=md5_is_etag(envelope), content_md5=content_md5, expected=checksum)
        async with self._taken_in(body, keys, hashes) as piece:
            record = ObjectRecord(
                bucket=bucket,
                key=key,
                version="",
                rank=0,
                uid=subject.uid,
                marker=False,
                size=piece.size,
                modified=0,
                checksum=hashes.check(),
                etag=hashes.etag(),
                attributes=attributes or Attributes(),
                tags=tags or {},
                envelope=envelope,
                piece=piece.id,
                blob=piece.blob,
                inline=piece.inline,
            )
            condition = partial(check_write, if_match=if_match, if_none_match=if_none_match)
            published, replaced = await self.database.write(
                lambda connection: self._publish(connection, record, condition)
            )
        await self._discard(replaced)
        return published.info(latest=True, customer_key_md5=_md5_of(wanted))

    def _publish(
        self,
        connection: Connection,
        record: ObjectRecord,
        condition: Callable[[ObjectRecord | None], None] | None = None,
    ) -> tuple[ObjectRecord, list[str]]:
        """Write a record as the newest version of its key, at the present moment.

        Returns it as written, and the blobs that nothing refers to now.
        """
        number, bucket = self._bucket(connection, record.bucket)
        before = rows.newest(connection, number, record.key)
        if condition is not None:
            there = before is not None and not before.marker
            condition(self._record(before, record.bucket) if there else None)
        now = self._microseconds()
        place = rows.next_place(before, bucket.versioning, now)
        record = replace(record, version=place.version, rank=place.rank, modified=now)
        values = record.values(self._facts)
        return record, rows.put(connection, number, values, before, bucket.versioning)

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
            keys = await self._protection.unlock(caller, found.subject, record.envelope, unlock)
            info = await self._info(found, unlock, part)
            if record.layout is not None:
                opening = partial(self._open_part, record.uid, keys)
                return StoredObject(info, record.layout, opening, self._in_thread)
            source = await self._open_single(record, keys)
            if source is not None:
                layout = Layout.of([(1, record.size)])
                opening = partial(_already_open, source)
                return StoredObject(info, layout, opening, self._in_thread, source, 1)
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
        self._protection.check(found.subject, found.record.envelope, unlock)
        return await self._info(found, unlock, part, with_parts=with_parts)

    async def delete(
        self,
        caller: Caller,
        bucket: str,
        key: str,
        *,
        version_id: str | None = None,
        if_match: str | None = None,
    ) -> Deleted:
        """Remove a version for good, or without its id hide the object behind a delete marker.

        In a bucket that was never versioned the object itself goes. No error if there is none.
        Raises Refused: NoSuchBucket, PreconditionFailed.
        """
        check_key(key)

        def delete(connection: Connection) -> tuple[Deleted, list[str]]:
            number, settings = self._bucket(connection, bucket)
            newest = rows.newest(connection, number, key)
            if if_match is not None:
                there = newest is not None and not newest.marker
                current = self._record(newest, bucket) if there else None
                check_write(current, if_match=if_match, if_none_match=None)
            if version_id is not None or settings.versioning is None:
                wanted = version_id or NULL_VERSION
                row = rows.version(connection, number, key, wanted)
                blobs = [] if row is None else rows.remove(connection, number, row)
                marker = row is not None and bool(row.marker)
                return Deleted(version_id, marker), blobs
            now = self._microseconds()
            place = rows.next_place(newest, settings.versioning, now)
            uid = new_uid(now)
            record = ObjectRecord(bucket, key, place.version, place.rank, uid, True, 0, now)
            values = record.values(self._facts)
            blobs = rows.put(connection, number, values, newest, settings.versioning)
            return Deleted(place.version, True), blobs

        deleted, blobs = await self.database.write(delete)
        await self._discard(blobs)
        return deleted

    async def tags(
        self, bucket: str, key: str, *, version_id: str | None = None
    ) -> tuple[Mapping[str, str], str]:
        """An object's tags, and the id of the version that has them. Raises Refused as `head`."""
        found = await self._find(bucket, key, version_id)
        return found.record.tags, found.record.version

    async def put_tags(
        self, bucket: str, key: str, tags: Mapping[str, str], *, version_id: str | None = None
    ) -> str:
        """Replace an object's tags; the id of its version. Raises Refused as `head`, InvalidTag."""
        check_tags(tags)

        def put(connection: Connection) -> str:
            number, found = self._look_up(connection, bucket, key, version_id)
            record = replace(found.record, tags=dict(tags))
            rows.replace_facts(connection, number, record.values(self._facts))
            return record.version

        return await self.database.write(put)

    async def kms_key_arn(self, caller: Caller, bucket: Bucket, key_id: str) -> str | None:
        """The ARN of the KMS key that an id, ARN or alias means; None without a KMS.

        Nothing is authorised: it tells only the name. Raises Refused (KMS.NotFoundException).
        """
        return await self._protection.resolve(caller, bucket, key_id)

    async def update_encryption(
        self,
        caller: Caller,
        bucket: str,
        key: str,
        *,
        encryption: Encryption,
        version_id: str | None = None,
    ) -> None:
        """Put an object's data key under another key of the KMS. No data moves, no fact changes.

        Raises Refused: as `get` and `put`; InvalidRequest for kinds that S3 does not take here.
        """
        found = await self._find(bucket, key, version_id)
        kind = found.record.envelope.algorithm
        if kind not in {"AES256", "aws:kms"}:
            named = (
                "unencrypted source objects"
                if kind is None
                else ("source objects with the encryption type DSSE-KMS or SSE-C")
            )
            raise Refused("InvalidRequest", _NOT_SOURCE.format(named))
        if not isinstance(encryption, SSEKMS) or encryption.dsse:
            raise Refused("InvalidRequest", _NOT_TARGET)
        wanted = self._protection.wanted(found.bucket, encryption)
        keys = await self._protection.unlock(caller, found.subject, found.record.envelope, None)
        envelope = await self._protection.wrap(caller, found.subject, keys, wanted)
        if not await self._replace_envelope(found.record, envelope):
            raise Refused("ConditionalRequestConflict")

    async def _replace_envelope(self, record: ObjectRecord, envelope: Envelope) -> bool:
        """Give the version that a record was read from another envelope; False if it changed."""

        def put(connection: Connection) -> bool:
            number, _ = self._bucket(connection, record.bucket)
            row = rows.version(connection, number, record.key, record.version)
            if row is None or row.uid != record.uid:
                return False
            current = self._record(row, record.bucket)
            if current.envelope != record.envelope:
                return False
            values = replace(current, envelope=envelope).values(self._facts)
            rows.replace_facts(connection, number, values)
            return True

        return await self.database.write(put)

    async def _find(
        self, bucket: str, key: str, version_id: str | None, *, inline: bool = False
    ) -> Found:
        def find(connection: Connection) -> Found:
            return self._look_up(connection, bucket, key, version_id, inline=inline)[1]

        check_key(key)
        return await self.database.read(find)

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
        number, settings = self._bucket(connection, bucket)
        newest = rows.newest(connection, number, key, inline=inline)
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
            span = (0, record.size) if part == 1 else None
            if record.layout is not None:
                span = record.layout.part(part)
            if span is None:
                raise Refused("InvalidPartNumber")
            info = replace(info, part_range=span)
        if record.layout is None or (part is None and not with_parts):
            return info
        return replace(info, parts=await self._parts(record.uid, part))

    async def _parts(self, uid: bytes, number: int | None) -> tuple[PartInfo, ...]:
        columns = [column for column in parts.c if column is not parts.c.inline]
        query = select(*columns).where(parts.c.uid == uid).order_by(parts.c.number)
        if number is not None:
            query = query.where(parts.c.number == number)

        def read(connection: Connection) -> tuple[PartInfo, ...]:
            found = connection.execute(query).all()
            return tuple(PartRecord.open(row, self._facts).info() for row in found)

        return await self.database.read(read)

    async def _open_single(self, record: ObjectRecord, keys: DataKeys) -> Source | None:
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

    async def _open_part(self, uid: bytes, keys: DataKeys, number: int) -> Source:
        """A part of an object. Raises IntegrityError if it is gone."""
        query = select(parts).where(parts.c.uid == uid, parts.c.number == number)

        def read(connection: Connection) -> PartRecord | None:
            row = connection.execute(query).first()
            return None if row is None else PartRecord.open(row, self._facts)

        record = await self.database.read(read)
        source = None
        if record is not None:
            source = await self._in_thread(
                partial(
                    open_piece,
                    self._files,
                    keys,
                    record.piece,
                    size=record.size,
                    blob=record.blob,
                    inline=record.inline,
                )
            )
        if source is None:
            raise IntegrityError("the object's bytes are missing", hint="it may have been replaced")
        return source


_NOT_SOURCE = (
    "The UpdateObjectEncryption operation doesn't support {}. Only source objects encrypted with "
    "SSE-S3 or SSE-KMS are supported."
)
_NOT_TARGET = (
    "The UpdateObjectEncryption operation doesn't support updating the encryption type to DSSE-KMS "
    "or SSE-C. Modify the request to specify SSE-KMS for the updated encryption type, and then try "
    "again."
)


def md5_is_etag(envelope: Envelope) -> bool:
    """Whether an object's ETag is its MD5: under SSE-KMS and SSE-C it must tell nothing of it."""
    return envelope.algorithm in {None, "AES256"}


def check_write(
    current: ObjectRecord | None, *, if_match: str | None, if_none_match: str | None
) -> None:
    """Hold the conditions of a write against the object that is there, or None.

    Raises Refused: PreconditionFailed; NoSuchKey if one was to match and there is none.
    """
    if if_match is not None:
        if current is None:
            raise Refused("NoSuchKey")
        if if_match != "*" and if_match.strip('"') != current.etag:
            raise Refused("PreconditionFailed", details={"Condition": "If-Match"})
    if if_none_match is None or current is None:
        return
    if if_none_match == "*" or if_none_match.strip('"') == current.etag:
        raise Refused("PreconditionFailed", details={"Condition": "If-None-Match"})


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


async def _already_open(source: Source, number: int) -> Source:
    return source


def _md5_of(encryption: Encryption) -> str | None:
    return customer_key_md5(encryption.key) if isinstance(encryption, SSEC) else None
