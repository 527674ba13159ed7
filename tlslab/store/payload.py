"""The bytes of one object on their way into a blob and out of it.

    blobs/<32 random hex digits>   the object's bytes as they are, or sealed in segments

A blob's name is drawn at random and never used again, so a blob never changes: it is written once,
then a record refers to it, and when none does any more it is removed. It blocks; callers use
threads and hand over batches, because changing threads costs about as much as sealing 256 KiB.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping

from tlslab.envelope import SegmentOpener, SegmentSealer, sealed_size
from tlslab.errors import IntegrityError
from tlslab.store.encryption import Encryption
from tlslab.store.files import BlobWriter, Files, Reader

BATCH_BYTES = 1024 * 1024
"""What changes threads at once: large enough to hide the cost, small enough that a thousand
transfers at a time fit in memory."""


def blob_path(blob: str) -> str:
    """Where a blob lies."""
    return f"blobs/{blob}"


class Upload:
    """Bytes becoming a blob. After `complete` it is durable, but nothing refers to it yet."""

    def __init__(
        self, files: Files, encryption: Encryption | None, context: Mapping[str, str]
    ) -> None:
        self.blob = secrets.token_hex(16)
        self.size = 0
        self.data_key: bytes | None = None
        self.envelope: Mapping[str, str] | None = None
        self._sealer: SegmentSealer | None = None
        if encryption is not None:
            self.data_key, self.envelope = encryption.new(context)
            self._sealer = SegmentSealer(self.data_key)
        self._kept = False
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._writer = BlobWriter(files, blob_path(self.blob))

    @property
    def etag(self) -> str:
        """MD5 of the bytes so far, in hex."""
        return self._md5.hexdigest()

    def write(self, data: bytes) -> None:
        """Take more bytes. Raises StorageFull or StoreError."""
        self._md5.update(data)
        self.size += len(data)
        self._writer.write(data if self._sealer is None else self._sealer.seal(data))

    def complete(self) -> None:
        """Make the blob whole and durable. Raises StorageFull or StoreError."""
        if self._sealer is not None:
            self._writer.write(self._sealer.finish())
        self._writer.complete()

    def keep(self) -> None:
        """A record refers to the blob: from here on `abort` leaves it alone."""
        self._kept = True

    def abort(self) -> None:
        """Leave nothing behind."""
        if not self._kept:
            self._writer.abort()


class Download:
    """A blob becoming bytes again, each of them authenticated before it is handed out."""

    def __init__(self, reader: Reader, *, size: int, data_key: bytes | None) -> None:
        self._reader = reader
        self._opener = None if data_key is None else SegmentOpener(data_key)
        self._offset = 0
        self._failure: IntegrityError | None = None
        stored = size if data_key is None else sealed_size(size)
        if reader.size != stored:
            reader.close()
            raise IntegrityError(f"{reader.size} bytes are stored where {stored} should be")

    @property
    def at_end(self) -> bool:
        """Whether every byte was handed out."""
        return self._offset == self._reader.size and self._failure is None

    def next_batch(self) -> bytes:
        """The next bytes, b"" at the end.

        Raises IntegrityError, then and ever after. A plain blob can only be found to be too short.
        """
        if self._failure is not None:
            raise self._failure
        batch = b""
        while not batch and not self.at_end:
            length = min(BATCH_BYTES, self._reader.size - self._offset)
            stored = self._reader.read_at(self._offset, length)
            self._offset += len(stored)
            try:
                batch = self._open(stored)
            except IntegrityError as error:
                self._failure = error
                self.close()
                raise
        if self.at_end:
            self.close()
        return batch

    def close(self) -> None:
        """Let go of the blob."""
        self._reader.close()

    def _open(self, stored: bytes) -> bytes:
        if not stored:
            raise IntegrityError("stored bytes are missing at the end")
        if self._opener is None:
            return stored
        opened = self._opener.open(stored)
        return opened + self._opener.finish() if self.at_end else opened
