"""Which buckets and objects there are: one small file per bucket and per object.

    buckets/<bucket>                        an empty file
    records/<bucket>/<SHA-256 of the key>   the object's record (record.py)

The object is what its record says: it appears, changes and vanishes with its record, in one step.
A database can take this module's place, with the same methods. Listing reads every record of the
bucket, which a database's index would spare. It blocks; callers use threads.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

from tlslab.errors import IntegrityError, NotFound
from tlslab.store.errors import BucketExists
from tlslab.store.files import Files
from tlslab.store.names import record_name
from tlslab.store.record import Record


class Catalog:
    """The records of all objects, by bucket and key."""

    def __init__(self, files: Files) -> None:
        self._files = files
        # Between reading the record that is replaced and replacing it nobody else may replace it:
        # its payload would be forgotten (not lost, but left over).
        self._replacing = threading.Lock()

    def create_bucket(self, bucket: str) -> None:
        """Raises BucketExists."""
        self._files.make_directory(f"records/{bucket}")
        if not self._files.create(f"buckets/{bucket}"):
            raise BucketExists("the bucket exists already")

    def check_bucket(self, bucket: str) -> None:
        """Raises NotFound if there is no such bucket."""
        if not self._files.exists(f"buckets/{bucket}"):
            raise NotFound("no such bucket")

    def buckets(self) -> list[str]:
        """The names of all buckets, in order."""
        return sorted(name.removeprefix("buckets/") for name in self._files.names("buckets"))

    def read(self, bucket: str, key: str) -> Record:
        """Raises NotFound, or IntegrityError if the record is malformed or belongs elsewhere."""
        data = self._files.read(_path(bucket, key))
        if data is None:
            self.check_bucket(bucket)
            raise NotFound("no such object")
        return _checked(data, _path(bucket, key))

    def write(self, record: Record) -> str | None:
        """Make an object appear or change; returns the blob that is no longer referred to.

        Raises NotDurable if it did but may not stay; StorageFull or StoreError if it did not.
        """
        path = _path(record.bucket, record.key)
        with self._replacing:
            old = self._blob(path)
            self._files.replace(path, record.encode())
        return old

    def remove(self, bucket: str, key: str) -> str | None:
        """Make an object vanish; returns its blob. None if there was no such object."""
        path = _path(bucket, key)
        with self._replacing:
            old = self._blob(path)
            self._files.remove(path)
        return old

    def records(self, bucket: str) -> Iterator[Record]:
        """All records of a bucket, in no order. Raises IntegrityError as `read`."""
        for path in self._files.names(f"records/{bucket}"):
            data = self._files.read(path)
            if data is not None:  # else: deleted meanwhile
                yield _checked(data, path)

    def _blob(self, path: str) -> str | None:
        """The blob of the record about to go; a malformed one names none, `collect` finds it."""
        data = self._files.read(path)
        try:
            return None if data is None else _checked(data, path).blob
        except IntegrityError:
            return None


def _path(bucket: str, key: str) -> str:
    return f"records/{bucket}/{record_name(key)}"


def _checked(data: bytes, path: str) -> Record:
    """A record that lies where it says it belongs."""
    record = Record.parse(data)
    if _path(record.bucket, record.key) != path:
        raise IntegrityError("an object's record lies in the place of another one")
    return record
