"""Buckets and their settings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from tlslab.store.errors import InvalidName
from tlslab.store.foundation import Foundation
from tlslab.store.model import Bucket
from tlslab.store.names import check_bucket
from tlslab.store.records import seal_bucket
from tlslab.store.refusals import Refused
from tlslab.store.rows import remove_parts
from tlslab.store.tables import buckets, objects, uploads
from tlslab.store.times import moment

FORGIVING_REGION = "us-east-1"
"""Here "if you re-create an existing bucket that you already own ... Amazon S3 returns 200 OK" (API
Reference, CreateBucket); old tools rely on it."""


class Buckets(Foundation):
    """Creates, configures and removes buckets."""

    async def create_bucket(self, name: str, *, owner: str, region: str) -> Bucket:
        """A new bucket of an account; in `FORGIVING_REGION` also one that it has already.

        Raises Refused: InvalidBucketName, BucketAlreadyOwnedByYou or BucketAlreadyExists.
        """
        try:
            check_bucket(name)
        except InvalidName:
            raise Refused("InvalidBucketName", details={"BucketName": name}) from None
        await self._keyring.newest()  # there before anything else is, so that its loss shows
        bucket = Bucket(name, region, owner, moment(self._microseconds()))
        settings = seal_bucket(bucket, self._facts)

        def create(connection: Connection) -> Bucket:
            row = connection.execute(select(buckets).where(buckets.c.name == name)).first()
            if row is None:
                values = {"name": name, "owner": owner, "settings": settings}
                connection.execute(insert(buckets).values(**values))
                return bucket
            if row.owner != owner:
                raise Refused("BucketAlreadyExists", details={"BucketName": name})
            existing = self._opened(row)
            if not existing.region == region == FORGIVING_REGION:
                raise Refused("BucketAlreadyOwnedByYou", details={"BucketName": name})
            return existing

        return await self.database.write(create)

    async def bucket(self, name: str) -> Bucket:
        """A bucket. Raises Refused (NoSuchBucket) and IntegrityError."""
        return await self.database.glance(lambda connection: self._bucket(connection, name)[1])

    async def buckets(self, owner: str) -> list[Bucket]:
        """The buckets of an account, by name. Raises IntegrityError."""

        def read(connection: Connection) -> list[Bucket]:
            query = select(buckets).where(buckets.c.owner == owner).order_by(buckets.c.name)
            return [self._opened(row) for row in connection.execute(query)]

        found = await self.database.read(read)
        return sorted(found, key=lambda bucket: bucket.name)  # not as a collation has it

    async def configure_bucket(self, name: str, **changes: Any) -> Bucket:
        """A bucket with other settings: any field of `Bucket` but what it is known by.

        Raises Refused (NoSuchBucket) and IntegrityError.
        """
        if fixed := changes.keys() & {"name", "owner", "region", "created"}:
            raise ValueError(f"{sorted(fixed)} of a bucket stay as they are")

        def configure(connection: Connection) -> Bucket:
            number, bucket = self._bucket(connection, name)
            changed = replace(bucket, **changes)
            settings = seal_bucket(changed, self._facts)
            connection.execute(
                update(buckets).where(buckets.c.id == number).values(settings=settings)
            )
            return changed

        return await self.database.write(configure)

    async def delete_bucket(self, name: str) -> None:
        """Remove a bucket that has no version of any object; uploads under way go with it.

        Raises Refused: NoSuchBucket, BucketNotEmpty.
        """

        def remove(connection: Connection) -> list[str]:
            number, _ = self._bucket(connection, name)
            used = select(objects.c.rank).where(objects.c.bucket == number).limit(1)
            if connection.execute(used).first() is not None:
                raise Refused("BucketNotEmpty", details={"BucketName": name})
            gone = delete(uploads).where(uploads.c.bucket == number).returning(uploads.c.uid)
            uids = connection.execute(gone).scalars().all()
            blobs = [blob for uid in uids for blob in remove_parts(connection, uid)]
            connection.execute(delete(buckets).where(buckets.c.id == number))
            return blobs

        await self._discard(await self.database.write(remove))
