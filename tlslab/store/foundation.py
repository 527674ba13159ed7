"""What every part of the store's engine stands on: its database, files, keys and clock."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import trio
from sqlalchemy import Connection, Row, bindparam, select

from tlslab.database import Database
from tlslab.errors import StoreError
from tlslab.seal import Seal
from tlslab.store import rows
from tlslab.store.errors import InvalidName
from tlslab.store.files import Files
from tlslab.store.keyring import Keyring
from tlslab.store.model import Bucket
from tlslab.store.names import MAX_KEY_BYTES, check_bucket
from tlslab.store.pieces import blob_path
from tlslab.store.protection import Protection
from tlslab.store.records import open_bucket
from tlslab.store.refusals import Refused
from tlslab.store.sealed import SealedFacts
from tlslab.store.tables import buckets
from tlslab.store.times import microseconds

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Backend

    from tlslab.kms import KMS

_THREADS = 8
"""Disk and cipher work at a time: a few per core keep both busy, more only queue in the kernel."""

_HASH_THREADS = 4
"""Beside those; a hash never waits for anything but its core."""

_KNOWN_BUCKETS = 1024
"""Opened settings in memory; they are looked up by their sealed bytes, so they are never stale."""

_BUCKET = select(buckets).where(buckets.c.name == bindparam("name_"))

_T = TypeVar("_T")


class Foundation:
    """Holds what the parts of the engine share. See `tlslab.store.engine.ObjectStore`."""

    def __init__(
        self,
        database: Database,
        files: Files | Backend | Path,
        seal: Seal,
        kms: KMS | None = None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        plain: bool = False,
        compat: Literal["ceph"] | None = None,
    ) -> None:
        """Open a store. It blocks. Raises StoreError if the files cannot be used.

        `database` was opened with this package's tables. `plain` encrypts nothing at rest, whatever
        requests ask for: only for twins of tests and scenarios that must fail. `compat` "ceph"
        answers as Ceph's public suite expects where that differs from AWS.
        """
        self.database = database
        self.compat = compat
        self._now = now
        self._files = files if isinstance(files, Files) else Files(files, create=True)
        self._files.make_directory("blobs")
        self._facts = SealedFacts(None if plain else seal.derive("store facts"))
        self._keyring = Keyring(database, seal, now)
        self._protection = Protection(self._keyring, kms, now, plain=plain, compat=compat)
        self._limiter = trio.CapacityLimiter(_THREADS)
        self._hashing = ThreadPoolExecutor(_HASH_THREADS, "tlslab-hash")
        self._uploading: set[str] = set()
        self._being_read: Counter[str] = Counter()  # blobs of parts
        self._condemned: set[str] = set()  # those that nothing else refers to any more
        self._open_settings = lru_cache(_KNOWN_BUCKETS)(partial(open_bucket, self._facts))

    def close(self) -> None:
        """End its threads. The database stays open. It blocks."""
        self._hashing.shutdown()

    def _microseconds(self) -> int:
        return microseconds(self._now())

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await trio.to_thread.run_sync(work, limiter=self._limiter)

    def _bucket(self, connection: Connection, name: str) -> tuple[int, Bucket]:
        """A bucket's number and settings. Raises Refused: NoSuchBucket."""
        row = connection.execute(_BUCKET, {"name_": name}).first() if is_bucket(name) else None
        if row is None:
            raise Refused("NoSuchBucket", details={"BucketName": name})
        return row.id, self._opened(row)

    def _bucket_and_newest(
        self, connection: Connection, name: str, key: str, *, inline: bool = False
    ) -> tuple[int, Bucket, Row[Any] | None]:
        """As `_bucket`, and the newest version of a key, which may be a delete marker."""
        row = None
        if is_bucket(name):
            row = rows.bucket_and_newest(connection, name, key, inline=inline)
        if row is None:
            raise Refused("NoSuchBucket", details={"BucketName": name})
        return row.id, self._opened(row), None if row.rank is None else row

    def _opened(self, row: Row[Any]) -> Bucket:
        """A bucket from its row. Raises IntegrityError."""
        return self._open_settings(row.name, row.owner, row.settings)

    async def _discard(self, blobs: Iterable[str]) -> None:
        """Remove blobs that nothing refers to; what cannot be removed is a leftover, no error."""

        def discard() -> None:
            for blob in gone:
                with contextlib.suppress(StoreError):
                    self._files.remove(blob_path(blob))

        blobs = set(blobs)
        waiting = blobs & self._being_read.keys()
        self._condemned |= waiting
        gone = blobs - waiting
        if gone:
            with trio.CancelScope(shield=True):
                await self._in_thread(discard)

    @contextlib.asynccontextmanager
    async def _keeping(self, blobs: Sequence[str]) -> AsyncIterator[None]:
        """Put off the removal of blobs by this process: they are being read."""
        self._being_read.update(blobs)
        try:
            yield
        finally:
            self._being_read -= Counter(blobs)
            free = self._condemned - self._being_read.keys()
            self._condemned -= free
            await self._discard(free)


def is_bucket(name: str) -> bool:
    """Whether there can be a bucket of that name."""
    try:
        check_bucket(name)
    except InvalidName:
        return False
    return True


def check_key(key: str) -> None:
    """Raise Refused unless it can be an object's key: 1 to 1,024 bytes of UTF-8."""
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise Refused("InvalidURI") from None
    if size > MAX_KEY_BYTES:
        details = {"Size": str(size), "MaxSizeAllowed": str(MAX_KEY_BYTES)}
        raise Refused("KeyTooLongError", details=details)
    if not key:
        raise Refused("InvalidArgument", "A key has at least one character.")
