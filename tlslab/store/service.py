"""The object store as a service in this process: buckets and objects, encrypted at rest.

The HTTP face (face.py) only translates to it; the lab calls it directly. It knows nothing of HTTP.

Putting an object: its bytes become a blob, whole and durable; then its record is written, and in
that step the object appears or changes; then the old blob goes. A crash in between leaves a blob
that nothing refers to, which `collect_leftovers` finds, and every acknowledged object as it was.

What encryption protects here, and what not: a thief of the disk learns buckets, keys, sizes and
times (as with S3, names are not encrypted), but no content, content type, ETag or user metadata.
Whoever changes the disk cannot make the store hand out other bytes than were put under that name;
he can delete objects, make up empty buckets, or put back an older state of an object.

Several processes may use one directory: every object is one that some of them put. Two that replace
the same object at the same moment may leave a blob behind, for `collect_leftovers`.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import trio

from tlslab.errors import IntegrityError, StoreError
from tlslab.store.catalog import Catalog
from tlslab.store.encryption import Encryption
from tlslab.store.errors import NotDurable, TooLarge
from tlslab.store.files import Files
from tlslab.store.names import check_bucket, check_key, check_metadata
from tlslab.store.payload import BATCH_BYTES, Download, Upload, blob_path
from tlslab.store.record import ObjectInfo, Record, format_time, object_context

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Backend

MAX_OBJECT_BYTES = 5 * 1024**3
"""Of one put; the limit of S3. The format itself carries 256 TiB."""

DEFAULT_CONTENT_TYPE = "application/octet-stream"

LEFTOVER_AGE = timedelta(hours=1)
"""A blob that nobody wrote to for this long is not being uploaded any more: far above the idle
limits of any server in front."""

_THREADS = 8
"""Disk and cipher work at a time: a few per core keep both busy, more only queue in the kernel."""

_GET_ATTEMPTS = 5
"""Each is lost only if the object is replaced just then, between its record and its blob."""

_T = TypeVar("_T")


class ObjectStore:
    """Buckets and objects on a directory or another backend of obstore.

    `encryption` applies to every object: a store with it neither writes nor serves a plain object,
    one without it serves no encrypted one. `now` is the clock for modification times.
    """

    def __init__(
        self,
        backend: Backend | Path,
        *,
        encryption: Encryption | None,
        max_object_bytes: int = MAX_OBJECT_BYTES,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.encryption = encryption
        self.max_object_bytes = max_object_bytes
        self._now = now
        self._files = Files(backend, create=True)
        for directory in ("buckets", "records", "blobs", "staging"):
            self._files.make_directory(directory)
        self._catalog = Catalog(self._files)
        self._uploading: set[str] = set()
        self._limiter = trio.CapacityLimiter(_THREADS)

    async def create_bucket(self, bucket: str) -> None:
        """Raises InvalidName or BucketExists."""
        check_bucket(bucket)
        await self._in_thread(lambda: self._catalog.create_bucket(bucket))

    async def buckets(self) -> list[str]:
        """The names of all buckets, in order."""
        return await self._in_thread(self._catalog.buckets)

    async def put(
        self,
        bucket: str,
        key: str,
        body: bytes | AsyncIterable[bytes],
        *,
        content_type: str = DEFAULT_CONTENT_TYPE,
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectInfo:
        """Store an object, or replace it: others see the old one until all of the new one is there.

        If the body raises, if this is cancelled, or for any error below but NotDurable, nothing
        changes and nothing is left behind. Raises InvalidName, NotFound (the bucket), TooLarge,
        StorageFull, StoreError, or NotDurable if the object is stored but may not survive.
        """
        check_bucket(bucket)
        check_key(key)
        metadata = dict(metadata or {})
        check_metadata(content_type, metadata)
        await self._in_thread(lambda: self._catalog.check_bucket(bucket))
        upload = Upload(self._files, self.encryption, object_context(bucket, key))

        def commit(last: bytes) -> ObjectInfo:
            upload.write(last)
            upload.complete()
            info = ObjectInfo(
                bucket=bucket,
                key=key,
                size=upload.size,
                modified=_milliseconds(self._now()),
                etag=upload.etag,
                content_type=content_type,
                metadata=metadata,
                encryption=None if self.encryption is None else self.encryption.scheme,
            )
            self._publish(info, upload)
            return info

        self._uploading.add(upload.blob)
        try:
            last = await self._write_batches(upload, body)
            return await self._in_thread(lambda: commit(last))
        except BaseException:
            with trio.CancelScope(shield=True):
                await self._in_thread(upload.abort)
            raise
        finally:
            self._uploading.discard(upload.blob)

    async def get(self, bucket: str, key: str) -> tuple[ObjectInfo, ObjectBody]:
        """An object's facts and its bytes, the first MiB of which are authenticated already.

        An object that is replaced or deleted meanwhile is still read to its end (on disk). Raises
        InvalidName, NotFound or IntegrityError.
        """
        check_bucket(bucket)
        check_key(key)

        def start() -> tuple[ObjectInfo, Download, bytes]:
            info, download = self._open(bucket, key)
            return info, download, download.next_batch()

        info, download, first = await self._in_thread(start)
        return info, ObjectBody(download, first, self._in_thread)

    async def head(self, bucket: str, key: str) -> ObjectInfo:
        """An object's facts. Raises InvalidName, NotFound or IntegrityError."""
        check_bucket(bucket)
        check_key(key)
        return await self._in_thread(lambda: self._facts(self._catalog.read(bucket, key))[0])

    async def delete(self, bucket: str, key: str) -> None:
        """Delete an object; no error if there is none. Raises InvalidName or NotFound (bucket)."""
        check_bucket(bucket)
        check_key(key)

        def delete() -> None:
            self._catalog.check_bucket(bucket)
            self._discard(self._catalog.remove(bucket, key))

        await self._in_thread(delete)

    async def list(
        self, bucket: str, prefix: str = "", *, after: str = "", limit: int | None = None
    ) -> list[ObjectInfo]:
        """Objects whose key starts with `prefix` and comes after `after`, at most `limit`.

        In the order of their keys in UTF-8, as S3 has it. Raises InvalidName, NotFound or
        IntegrityError. Costs the reading of every record in the bucket.
        """
        check_bucket(bucket)

        def page() -> list[ObjectInfo]:
            self._catalog.check_bucket(bucket)
            records = [
                record
                for record in self._catalog.records(bucket)
                if record.key.startswith(prefix) and record.key.encode() > after.encode()
            ]
            records.sort(key=lambda record: record.key.encode())
            return [self._facts(record)[0] for record in records[:limit]]

        return await self._in_thread(page)

    async def collect_leftovers(self, *, older_than: timedelta = LEFTOVER_AGE) -> int:
        """Remove what crashes left behind and nothing refers to; returns how many files.

        Only what was not written to for `older_than` (by the file system's clock) counts as left
        behind; zero is right where no other process uses the directory. Raises IntegrityError, and
        removes nothing, if a record is malformed: it might be the one that refers to a blob.
        """

        def collect() -> int:
            moment = datetime.now(UTC) - older_than
            candidates = [
                path
                for directory in ("blobs", "staging")
                for path in self._files.older_than(directory, moment)
            ]
            in_use = {blob_path(blob) for blob in self._uploading}
            for bucket in self._catalog.buckets():
                in_use |= {blob_path(record.blob) for record in self._catalog.records(bucket)}
            # Unfinished files have a suffix: "blobs/3f…#1".
            leftovers = [path for path in candidates if path.partition("#")[0] not in in_use]
            for path in leftovers:
                self._files.unlink_leftover(path)
            return len(leftovers)

        return await self._in_thread(collect)

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await trio.to_thread.run_sync(work, limiter=self._limiter)

    async def _write_batches(self, upload: Upload, body: bytes | AsyncIterable[bytes]) -> bytes:
        """Write all but the last batch, which is returned."""
        batch = bytearray()
        async with _chunks(body) as chunks:
            async for chunk in chunks:
                if upload.size + len(batch) + len(chunk) > self.max_object_bytes:
                    raise TooLarge(f"an object has at most {self.max_object_bytes} bytes")
                batch += chunk
                if len(batch) >= BATCH_BYTES:
                    await self._in_thread(partial(upload.write, bytes(batch)))
                    batch.clear()
        return bytes(batch)

    def _publish(self, info: ObjectInfo, upload: Upload) -> None:
        record = Record.new(info, upload.blob, data_key=upload.data_key, envelope=upload.envelope)
        try:
            old = self._catalog.write(record)
        except NotDurable:
            upload.keep()
            raise
        upload.keep()
        self._discard(old)

    def _open(self, bucket: str, key: str) -> tuple[ObjectInfo, Download]:
        for _ in range(_GET_ATTEMPTS):
            record = self._catalog.read(bucket, key)
            info, data_key = self._facts(record)
            reader = self._files.open_reader(blob_path(record.blob))
            if reader is not None:
                return info, Download(reader, size=info.size, data_key=data_key)
        raise IntegrityError("the object's bytes are missing")

    def _facts(self, record: Record) -> tuple[ObjectInfo, bytes | None]:
        """The facts of a record and the data key of its payload, both authenticated."""
        data_key = None
        if self.encryption is not None:
            if record.envelope is None or record.scheme != self.encryption.scheme:
                raise IntegrityError("an object that is not encrypted as this store demands")
            data_key = self.encryption.recover(record.envelope, record.context)
        return record.open(data_key), data_key

    def _discard(self, blob: str | None) -> None:
        """Remove a blob that nothing refers to; if that fails it is a leftover, not an error."""
        if blob is not None:
            with contextlib.suppress(StoreError):
                self._files.remove(blob_path(blob))


class ObjectBody:
    """The bytes of an object, in batches of about 1 MiB, each authenticated.

    Iterating raises IntegrityError where stored bytes do not authenticate. What came before was
    authentic, but it is not the object: whoever passes it on must make the breach seen, not end it
    as if it were whole. `aclose` lets go of the blob early.
    """

    def __init__(
        self, download: Download, first: bytes, in_thread: Callable[..., Awaitable[bytes]]
    ) -> None:
        self._download = download
        self._first = first
        self._in_thread = in_thread

    def __aiter__(self) -> ObjectBody:
        return self

    async def __anext__(self) -> bytes:
        await trio.lowlevel.checkpoint()
        batch, self._first = self._first, b""
        if not batch and not self._download.at_end:
            batch = await self._in_thread(self._download.next_batch)
        if not batch:
            raise StopAsyncIteration
        return batch

    async def read(self) -> bytes:
        """All of it at once. Raises IntegrityError."""
        return b"".join([batch async for batch in self])

    async def aclose(self) -> None:
        """Let go of the object without reading on."""
        self._download.close()


@contextlib.asynccontextmanager
async def _chunks(body: bytes | AsyncIterable[bytes]) -> AsyncIterator[AsyncIterable[bytes]]:
    """A body to iterate over; a generator that was not read to its end is closed."""
    chunks = _once(body) if isinstance(body, bytes) else aiter(body)
    try:
        yield chunks
    finally:
        close = getattr(chunks, "aclose", None)
        if close is not None:
            await close()


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _milliseconds(moment: datetime) -> datetime:
    """The time as the record keeps it."""
    return datetime.fromisoformat(format_time(moment))
