"""Multipart uploads: parts come in any order and number, then become one object in one step.

The object takes over its upload's id, data keys and parts as they are, so completing moves no data.
A part that is sent again replaces the one before; parts that the completion does not name go.
"""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from sqlalchemy import ColumnElement, Connection, delete, insert, select

from tlslab.envelope.keys import derive
from tlslab.iam.caller import Caller
from tlslab.store import rows
from tlslab.store.completion import checksum_type as type_of
from tlslab.store.completion import chosen_parts, whole_checksum, whole_etag
from tlslab.store.envelopes import DataKeys
from tlslab.store.foundation import check_key
from tlslab.store.layout import Layout
from tlslab.store.model import (
    Attributes,
    Bucket,
    Checksum,
    ChecksumType,
    CompletedPart,
    CustomerKey,
    Encryption,
    ExpectedChecksum,
    ObjectInfo,
    PartInfo,
    PartPage,
    Upload,
)
from tlslab.store.objects import Objects, check_write, md5_is_etag
from tlslab.store.protection import Subject, customer_key_md5
from tlslab.store.records import (
    ObjectRecord,
    PartRecord,
    UploadRecord,
    new_uid,
    parse_upload_id,
)
from tlslab.store.refusals import Refused
from tlslab.store.tables import parts, uploads
from tlslab.store.tags import check_tags

MAX_PARTS = 10_000
"""Highest number of a part; S3's limit."""

_FACTS = [column for column in parts.c if column is not parts.c.inline]


class Multipart(Objects):
    """Uploads in parts."""

    async def create_upload(
        self,
        caller: Caller,
        bucket: str,
        key: str,
        *,
        attributes: Attributes | None = None,
        encryption: Encryption | None = None,
        tags: Mapping[str, str] | None = None,
        checksum_algorithm: str | None = None,
        checksum_type: ChecksumType | None = None,
    ) -> Upload:
        """Begin an upload. Raises Refused as `put`, InvalidRequest for the type of checksum."""
        check_key(key)
        check_tags(tags or {})
        kind = type_of(checksum_algorithm, checksum_type)
        settings = await self.bucket(bucket)
        now = self._microseconds()
        subject = Subject(settings, key, new_uid(now))
        wanted = self._protection.wanted(settings, encryption)
        _, envelope = await self._protection.begin(caller, subject, wanted)
        record = UploadRecord(
            bucket,
            key,
            subject.uid,
            now,
            attributes or Attributes(),
            tags or {},
            envelope,
            checksum_algorithm,
            kind,
            None if caller.principal is None else caller.principal.arn,
        )

        def create(connection: Connection) -> None:
            number, _ = self._bucket(connection, bucket)
            values = record.values(self._facts)
            connection.execute(insert(uploads).values(bucket=number, **values))

        await self.database.write(create)
        key_of = getattr(encryption, "key", None)
        return record.info(customer_key_md5(key_of) if key_of else None)

    async def upload(self, bucket: str, key: str, upload_id: str) -> Upload:
        """An upload under way. Raises Refused: NoSuchBucket, NoSuchUpload."""
        return (await self._upload(bucket, key, upload_id))[1].info()

    async def put_part(
        self,
        caller: Caller,
        bucket: str,
        key: str,
        upload_id: str,
        number: int,
        body: bytes | AsyncIterable[bytes],
        *,
        unlock: CustomerKey | None = None,
        checksum: ExpectedChecksum | None = None,
        content_md5: str | None = None,
    ) -> PartInfo:
        """Store a part, or replace it.

        Raises Refused: NoSuchBucket, NoSuchUpload, InvalidArgument (its number), InvalidRequest
        (another key or checksum than the upload's), BadDigest, EntityTooLarge, those of
        `Protection.unlock`; StorageFull, StoreError.
        """
        if not 1 <= number <= MAX_PARTS:
            message = f"Part number must be an integer between 1 and {MAX_PARTS}, inclusive"
            details = {"ArgumentName": "partNumber", "ArgumentValue": str(number)}
            raise Refused("InvalidArgument", message, details=details)
        settings, upload = await self._upload(bucket, key, upload_id)
        _check_algorithm(upload, checksum)
        subject = Subject(settings, key, upload.uid)
        self._check_part_key(subject, upload, unlock)
        keys = await self._protection.unlock(caller, subject, upload.envelope, unlock)
        md5 = md5_is_etag(upload.envelope)
        hashes = self._hashes(md5=md5, content_md5=content_md5, expected=checksum)
        async with self._taken_in(body, keys, hashes) as piece:
            sum_of_part = hashes.check()
            record = PartRecord(
                upload.uid,
                number,
                piece.id,
                piece.size,
                self._microseconds(),
                checksum=sum_of_part,
                etag=hashes.etag() if md5 else _masked_etag(keys, number, sum_of_part),
                blob=piece.blob,
                inline=piece.inline,
            )
            replaced = await self.database.write(
                partial(self._publish_part, record=record, of=upload)
            )
        await self._discard(replaced)
        md5_of_key = None if unlock is None else customer_key_md5(unlock.key)
        return replace(record.info(), encryption=upload.envelope.facts(md5_of_key))

    async def complete_upload(
        self,
        caller: Caller,
        bucket: str,
        key: str,
        upload_id: str,
        named: Sequence[CompletedPart],
        *,
        checksum: Checksum | None = None,
        checksum_type: ChecksumType | None = None,
        size: int | None = None,
        unlock: CustomerKey | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> ObjectInfo:
        """Make an object of an upload's parts; done again, it answers the same.

        Raises Refused: NoSuchBucket, NoSuchUpload, those of `completion.chosen_parts` and
        `completion.whole_checksum`, PreconditionFailed, NoSuchKey.
        """
        try:
            settings, upload = await self._upload(bucket, key, upload_id)
            return await self._complete(
                caller, settings, upload, named, checksum, checksum_type, size, unlock,
                partial(check_write, if_match=if_match, if_none_match=if_none_match),
            )  # fmt: skip
        except Refused as refused:
            if refused.code not in {"NoSuchUpload", "InvalidPart"}:
                raise
            # It has ended, maybe only just now: by the same request made twice, or by an abort.
            if done := await self._completed(bucket, key, upload_id):
                return done
            await self._upload(bucket, key, upload_id)
            raise

    async def _complete(
        self,
        caller: Caller,
        settings: Bucket,
        upload: UploadRecord,
        named: Sequence[CompletedPart],
        checksum: Checksum | None,
        checksum_type: ChecksumType | None,
        size: int | None,
        unlock: CustomerKey | None,
        condition: Callable[[ObjectRecord | None], None],
    ) -> ObjectInfo:
        """As `complete_upload`, of an upload that was still there."""
        bucket, key = upload.bucket, upload.key
        # The key is "required only when the object was created using a checksum algorithm" (API
        # Reference, CompleteMultipartUpload); Ceph's tests want it always.
        by_checksum = upload.checksum_algorithm is not None
        subject = Subject(settings, key, upload.uid)
        if unlock is not None or by_checksum or self.compat == "ceph":
            self._check_part_key(subject, upload, unlock)
        there = await self._part_records(upload.uid)
        chosen = chosen_parts(upload, there, named)
        layout = Layout.of((part.number, part.size) for part in chosen)
        if size is not None and size != layout.size:
            raise Refused(
                "InvalidRequest",
                f"The provided 'x-amz-mp-object-size' header value {size} does not match what was "
                f"computed: {layout.size}",
            )
        record = ObjectRecord(
            bucket=bucket,
            key=key,
            version="",
            rank=0,
            uid=upload.uid,
            marker=False,
            size=layout.size,
            modified=0,
            etag=whole_etag(chosen),
            attributes=upload.attributes,
            tags=upload.tags,
            checksum=whole_checksum(upload, chosen, checksum, checksum_type),
            envelope=upload.envelope,
            layout=layout,
        )
        # "Amazon S3 must decrypt and read data from the encrypted file parts before it completes
        # the multipart upload" (User Guide): here only the KMS's consent to that is needed.
        if upload.envelope.ciphertext:
            await self._protection.unlock(caller, subject, upload.envelope, None)

        def complete(connection: Connection) -> tuple[ObjectRecord, list[str]]:
            number, _ = self._bucket(connection, bucket)
            self._upload_row(connection, number, upload)
            query = select(parts.c.number, parts.c.piece).where(parts.c.uid == upload.uid)
            pieces = {row.number: row.piece for row in connection.execute(query)}
            for part in chosen:
                if pieces.get(part.number) != part.piece:
                    raise Refused("ConditionalRequestConflict")
            published, blobs = self._publish(connection, record, condition)
            unused = pieces.keys() - {part.number for part in chosen}
            for part_number in unused:
                blobs += rows.remove_parts(connection, upload.uid, parts.c.number == part_number)
            connection.execute(delete(uploads).where(*same_upload(number, upload)))
            return published, blobs

        published, replaced = await self.database.write(complete)
        await self._discard(replaced)
        return published.info(
            latest=True, customer_key_md5=None if unlock is None else customer_key_md5(unlock.key)
        )

    async def abort_upload(self, bucket: str, key: str, upload_id: str) -> None:
        """End an upload and remove its parts. Raises Refused: NoSuchBucket, NoSuchUpload."""
        _, upload = await self._upload(bucket, key, upload_id)

        def abort(connection: Connection) -> list[str]:
            number, _ = self._bucket(connection, bucket)
            self._upload_row(connection, number, upload)
            connection.execute(delete(uploads).where(*same_upload(number, upload)))
            return rows.remove_parts(connection, upload.uid)

        await self._discard(await self.database.write(abort))

    async def list_parts(
        self, bucket: str, key: str, upload_id: str, *, after: int = 0, limit: int = 1000
    ) -> PartPage:
        """A page of an upload's parts by number. Raises Refused: NoSuchBucket, NoSuchUpload."""
        _, upload = await self._upload(bucket, key, upload_id)
        query = select(*_FACTS).where(parts.c.uid == upload.uid, parts.c.number > after)
        query = query.order_by(parts.c.number).limit(limit + 1)

        def read(connection: Connection) -> list[PartInfo]:
            found = connection.execute(query).all()
            return [PartRecord.open(row, self._facts).info() for row in found]

        found = await self.database.read(read)
        more = found[limit - 1].number if 0 < limit < len(found) else None
        return PartPage(upload.info(), tuple(found[:limit]), more)

    def _publish_part(
        self, connection: Connection, record: PartRecord, of: UploadRecord
    ) -> list[str]:
        number, _ = self._bucket(connection, of.bucket)
        self._upload_row(connection, number, of)
        blobs = rows.remove_parts(connection, of.uid, parts.c.number == record.number)
        connection.execute(insert(parts).values(**record.values(self._facts)))
        return blobs

    async def _upload(self, bucket: str, key: str, upload_id: str) -> tuple[Bucket, UploadRecord]:
        """Raises Refused: NoSuchBucket, NoSuchUpload."""
        uid = parse_upload_id(upload_id)
        if uid is None:
            raise _missing(upload_id)

        def read(connection: Connection) -> tuple[Bucket, UploadRecord]:
            number, settings = self._bucket(connection, bucket)
            query = select(uploads).where(
                uploads.c.bucket == number, uploads.c.key == key.encode(), uploads.c.uid == uid
            )
            row = connection.execute(query).first()
            if row is None:
                raise _missing(upload_id)
            return settings, UploadRecord.open(row, bucket, self._facts)

        return await self.database.read(read)

    def _upload_row(self, connection: Connection, bucket: int, upload: UploadRecord) -> None:
        """Raises Refused (NoSuchUpload) if the upload has ended meanwhile."""
        query = select(uploads.c.uid).where(*same_upload(bucket, upload))
        if connection.execute(query).first() is None:
            raise _missing(upload.id)

    async def _part_records(self, uid: bytes) -> dict[int, PartRecord]:
        def read(connection: Connection) -> dict[int, PartRecord]:
            found = connection.execute(select(*_FACTS).where(parts.c.uid == uid)).all()
            return {row.number: PartRecord.open(row, self._facts) for row in found}

        return await self.database.read(read)

    async def _completed(self, bucket: str, key: str, upload_id: str) -> ObjectInfo | None:
        """The object that an upload has become, if it is still the newest of its key."""
        uid = parse_upload_id(upload_id)

        def read(connection: Connection) -> ObjectInfo | None:
            number, _ = self._bucket(connection, bucket)
            row = rows.newest(connection, number, key)
            if row is None or row.uid != uid:
                return None
            return self._record(row, bucket).info(latest=True)

        return await self.database.read(read)

    def _check_part_key(
        self, subject: Subject, upload: UploadRecord, unlock: CustomerKey | None
    ) -> None:
        """Raise Refused (InvalidRequest) unless a part comes with the key its upload began with."""
        if upload.envelope.algorithm is None:
            return  # a plain twin takes everything
        if (upload.envelope.algorithm == "SSE-C") != (unlock is not None):
            raise Refused(
                "InvalidRequest",
                "The multipart upload initiate requested encryption. Subsequent part requests must "
                "include the appropriate encryption parameters.",
            )
        if unlock is not None and not self._protection.same_customer_key(
            subject, upload.envelope, unlock.key
        ):
            raise Refused(
                "InvalidRequest",
                "The provided encryption parameters did not match the ones used originally.",
            )


def same_upload(bucket: int, upload: UploadRecord) -> tuple[ColumnElement[bool], ...]:
    """The conditions that pick an upload's row."""
    return (
        uploads.c.bucket == bucket,
        uploads.c.key == upload.key.encode(),
        uploads.c.uid == upload.uid,
    )


def _check_algorithm(upload: UploadRecord, checksum: ExpectedChecksum | None) -> None:
    given = None if checksum is None else checksum.algorithm
    if upload.checksum_algorithm not in {None, given}:
        raise Refused(
            "InvalidRequest",
            "Checksum Type mismatch occurred, expected checksum Type: "
            f"{str(upload.checksum_algorithm).lower()}, actual checksum Type: "
            f"{'null' if given is None else given.lower()}",
        )


def _masked_etag(keys: DataKeys, number: int, checksum: Checksum) -> str:
    """The ETag of a part whose MD5 it must not tell: random to all who have not the upload's key.

    It is the same when the same bytes are sent again, as clients do whose answer got lost: then
    they may complete with the ETag of either. Other bytes with the same checksum are no danger:
    what counts is the part that came last.
    """
    secret = derive(keys[0], number.to_bytes(2), "part ETag")
    told = f"{checksum.algorithm} {checksum.value}".encode()
    return hmac.digest(secret, told, "sha256")[:16].hex()


def _missing(upload_id: str) -> Refused:
    return Refused("NoSuchUpload", details={"UploadId": upload_id})
