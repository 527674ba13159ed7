"""A piece: bytes that were uploaded at once, sealed as one, in a blob or in the database.

    blobs/<32 random hex digits>   a piece's bytes, as they are or sealed in segments
    (inline)                       the same for small ones, in the row that would name the blob

A piece is sealed under keys of its own, derived from the object's data keys and the piece's random
id, so that no piece opens in another's place. With two data keys it is sealed twice, the outer
layer around the inner one. A blob's name is never used again and a blob never changes: it is
written once, then a row refers to it, and when none does any more it is removed.

It blocks; callers use threads and hand over batches.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Protocol, cast

from tlslab.envelope import HEADER_BYTES, SegmentAccess, SegmentSealer, sealed_size
from tlslab.envelope.keys import derive
from tlslab.errors import IntegrityError
from tlslab.store.envelopes import DataKeys
from tlslab.store.files import BlobWriter, Files, Reader

INLINE_BYTES = 32 * 1024
"""Up to here a piece lies in the database: its commit is shared with others', while a blob costs
two fsyncs of its own. Above, the database would write the bytes twice (log and table)."""

PIECE_ID_BYTES = 16

BATCH_BYTES = 1024 * 1024
"""What changes threads at once: large enough to hide the cost, small enough that many transfers at
a time fit in memory."""


def blob_path(blob: str) -> str:
    """Where a blob lies."""
    return f"blobs/{blob}"


def new_piece_id() -> bytes:
    """A fresh id, never used again."""
    return secrets.token_bytes(PIECE_ID_BYTES)


def piece_keys(keys: DataKeys, piece: bytes) -> DataKeys:
    """The keys of a piece, from its object's."""
    return tuple(derive(key, piece, "piece") for key in keys)


class Sealing:
    """Seals a piece in as many layers as there are keys; without keys it passes bytes on."""

    def __init__(self, keys: DataKeys, piece: bytes) -> None:
        self._layers = [SegmentSealer(key) for key in piece_keys(keys, piece)]

    def seal(self, data: bytes | bytearray) -> bytes | bytearray:
        """Take more bytes; returns the sealed ones that are ready."""
        for layer in self._layers:
            data = layer.seal(data)
        return data

    def finish(self) -> bytes:
        """The rest."""
        data = b""
        for layer in self._layers:
            data = bytes(layer.seal(data) if data else b"") + layer.finish()
        return data


def seal_inline(keys: DataKeys, piece: bytes, data: bytes) -> bytes:
    """A small piece, sealed at once."""
    sealing = Sealing(keys, piece)
    return bytes(sealing.seal(data)) + sealing.finish()


class BlobSealer:
    """A piece becoming a blob: durable after `complete`, though nothing refers to it yet."""

    def __init__(self, files: Files, keys: DataKeys, piece: bytes) -> None:
        self.blob = secrets.token_hex(16)
        self._sealing = Sealing(keys, piece)
        self._writer = BlobWriter(files, blob_path(self.blob))
        self._kept = False

    def write(self, data: bytes) -> None:
        """Take more bytes. Raises StorageFull or StoreError."""
        self._writer.write(self._sealing.seal(data))

    def complete(self) -> None:
        """Make the blob whole and durable. Raises StorageFull or StoreError."""
        self._writer.write(self._sealing.finish())
        self._writer.complete()

    def keep(self) -> None:
        """A row refers to the blob: from here on `abort` leaves it alone."""
        self._kept = True

    def abort(self) -> None:
        """Leave nothing behind."""
        if not self._kept:
            self._writer.abort()


class _Inline:
    """Bytes that came with their row."""

    def __init__(self, data: bytes) -> None:
        self.size = len(data)
        self._data = data

    def read_at(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + length]

    def close(self) -> None:
        pass


class _Opened:
    """One layer of a piece, opened: reads what it is asked for, authenticated."""

    def __init__(self, sealed: Reader, key: bytes, size: int) -> None:
        if sealed.size != sealed_size(size):
            raise IntegrityError(f"{sealed.size} bytes are stored where {sealed_size(size)} belong")
        self.size = size
        self._sealed = sealed
        self._access = SegmentAccess(key, bytes(sealed.read_at(0, HEADER_BYTES)), size)
        self.close = sealed.close

    def read_at(self, offset: int, length: int) -> bytes:
        stop = min(self.size, offset + length)
        start, end = self._access.covering(offset, stop)
        opened = self._access.open(offset, stop, self._sealed.read_at(start, end - start))
        # Nobody else holds it, and everything takes it as bytes: a copy would cost ten times what
        # opening did.
        return cast(bytes, opened)


class Source(Protocol):
    """The plaintext of a piece."""

    size: int

    def read_at(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes; fewer only at the end. Raises IntegrityError."""

    def close(self) -> None:
        """Let go of it."""


def open_piece(
    files: Files, keys: DataKeys, piece: bytes, *, size: int, blob: str | None, inline: bytes | None
) -> Source | None:
    """A piece of `size` bytes of plaintext, open for reading; None if its blob is gone.

    Raises IntegrityError if it has not the size, or not the keys, that it should have.
    """
    inlined = _Inline(inline or b"")
    source: Reader | None = inlined if blob is None else files.open_reader(blob_path(blob))
    if source is None:
        return None
    try:
        layers = piece_keys(keys, piece)
        for key, inner in zip(reversed(layers), reversed(_sizes(size, len(layers))), strict=True):
            source = _Opened(source, key, inner)
        if source.size != size:
            raise IntegrityError(f"{source.size} bytes are stored where {size} belong")
    except BaseException:
        source.close()
        raise
    return source


def _sizes(size: int, layers: int) -> Sequence[int]:
    """The plaintext's size in each layer, the innermost first."""
    sizes = []
    for _ in range(layers):
        sizes.append(size)
        size = sealed_size(size)
    return sizes
