"""Single objects: put, delete, tags, and the encryption of what is there already.

Putting an object: its body becomes a piece, whole and durable; then its row is written, and in that
commit the object appears or changes; then what it replaced goes. A crash in between leaves a blob
that nothing refers to, which `collect_leftovers` finds, and every acknowledged object as it was.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Mapping
from dataclasses import replace
from functools import partial

from sqlalchemy import Connection

from tlslab.iam.caller import Caller
from tlslab.store import rows
from tlslab.store.bodies import Bodies
from tlslab.store.envelopes import Envelope
from tlslab.store.foundation import check_key
from tlslab.store.model import (
    NULL_VERSION,
    SSEC,
    SSEKMS,
    Attributes,
    Bucket,
    Deleted,
    Encryption,
    ExpectedChecksum,
    ObjectInfo,
)
from tlslab.store.protection import Subject, customer_key_md5
from tlslab.store.reading import Reading
from tlslab.store.records import ObjectRecord, new_uid
from tlslab.store.refusals import Refused
from tlslab.store.tags import check_tags


class Objects(Reading, Bodies):
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
        settings: Bucket | None = None,
    ) -> ObjectInfo:
        """Store an object: others see what was there until all of the new one is.

        `settings` are the bucket's, by whoever has just read them to authorise this.

        If the body raises, if this is cancelled, or for any error, nothing changes and nothing is
        left behind. Raises Refused: NoSuchBucket, KeyTooLongError, InvalidTag, EntityTooLarge,
        BadDigest, PreconditionFailed, NoSuchKey (`if_match` and no object), those of
        `Protection.wrap`; StorageFull, StoreError.
        """
        check_key(key)
        check_tags(tags or {})
        settings = settings or await self.bucket(bucket)
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
            condition: Callable[[ObjectRecord | None], None] | None = None  # spares opening it
            if if_match is not None or if_none_match is not None:
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
        number, bucket, before = self._bucket_and_newest(connection, record.bucket, record.key)
        if condition is not None:
            there = before is not None and not before.marker
            condition(self._record(before, record.bucket) if there else None)
        now = self._microseconds()
        place = rows.next_place(before, bucket.versioning, now)
        record = replace(record, version=place.version, rank=place.rank, modified=now)
        values = record.values(self._facts)
        return record, rows.put(connection, number, values, before, bucket.versioning)

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
            number, settings, newest = self._bucket_and_newest(connection, bucket, key)
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


def _md5_of(encryption: Encryption) -> str | None:
    return customer_key_md5(encryption.key) if isinstance(encryption, SSEC) else None
