"""A body becoming a piece: hashed, sealed and written as it arrives, in bounded memory."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial

import trio

from tlslab.database import DatabaseUnavailable
from tlslab.store.envelopes import DataKeys
from tlslab.store.foundation import Foundation
from tlslab.store.hashing import Hashes
from tlslab.store.model import ExpectedChecksum
from tlslab.store.pieces import (
    BATCH_BYTES,
    INLINE_BYTES,
    BlobSealer,
    new_piece_id,
    seal_inline,
)
from tlslab.store.refusals import Refused

MAX_BODY_BYTES = 5 * 1024**3
"""Of one put or one part; the limit of S3."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A body, sealed and durable, that no row refers to yet."""

    id: bytes
    size: int
    blob: str | None
    inline: bytes | None = field(repr=False)


class Bodies(Foundation):
    """Takes bodies in."""

    def _hashes(
        self, *, md5: bool, content_md5: str | None, expected: ExpectedChecksum | None
    ) -> Hashes:
        return Hashes(self._hashing, md5=md5, content_md5=content_md5, expected=expected)

    @contextlib.asynccontextmanager
    async def _taken_in(
        self, body: bytes | AsyncIterable[bytes], keys: DataKeys, hashes: Hashes
    ) -> AsyncIterator[Piece]:
        """A body as a piece, for as long as it takes to write the row that refers to it.

        If that or the body raises, or is cancelled, nothing is left behind; unless the database
        failed, which may have written the row all the same. Raises Refused (EntityTooLarge),
        StorageFull or StoreError.
        """
        piece = new_piece_id()
        sealer: BlobSealer | None = None
        size = 0
        last = b""
        try:
            async with contextlib.aclosing(_batches(body)) as batches:
                async for batch in batches:
                    size += len(batch)
                    if size > MAX_BODY_BYTES:
                        raise _too_large(size)
                    if len(batch) < BATCH_BYTES:
                        last = batch
                        continue
                    if sealer is None:
                        sealer = self._begin_blob(keys, piece)
                    await self._in_thread(partial(_write, sealer, hashes, batch))
            # Plain ones lie in files of their own: a database's pages would cut them into pieces,
            # and the thief for whom plain stores exist would look in vain for what is there.
            if sealer is None and keys and size <= INLINE_BYTES:
                hashes.start(last)
                yield Piece(piece, size, None, seal_inline(keys, piece, last))
                return
            if sealer is None:
                sealer = self._begin_blob(keys, piece)
            await self._in_thread(partial(_finish, sealer, hashes, last))
            yield Piece(piece, size, sealer.blob, None)
        except DatabaseUnavailable:
            raise
        except BaseException:
            if sealer is not None:
                with trio.CancelScope(shield=True):
                    await self._in_thread(sealer.abort)
            raise
        finally:
            if sealer is not None:
                self._uploading.discard(sealer.blob)

    def _begin_blob(self, keys: DataKeys, piece: bytes) -> BlobSealer:
        sealer = BlobSealer(self._files, keys, piece)
        self._uploading.add(sealer.blob)
        return sealer


def _write(sealer: BlobSealer, hashes: Hashes, data: bytes) -> None:
    hashes.start(data)
    try:
        sealer.write(data)
    finally:
        hashes.join()


def _finish(sealer: BlobSealer, hashes: Hashes, data: bytes) -> None:
    hashes.start(data)
    try:
        sealer.write(data)
        sealer.complete()
    finally:
        hashes.join()


async def _batches(body: bytes | AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
    """The body in pieces of BATCH_BYTES or more, then one of fewer, perhaps of none."""
    if isinstance(body, bytes):
        whole = len(body) // BATCH_BYTES * BATCH_BYTES
        for start in range(0, whole, BATCH_BYTES):
            yield body[start : start + BATCH_BYTES]
        yield body[whole:]
        return
    gathered: list[bytes] = []
    size = 0
    async with _closing(body) as chunks:
        async for chunk in chunks:
            gathered.append(chunk)
            size += len(chunk)
            if size >= BATCH_BYTES:
                yield b"".join(gathered)
                gathered, size = [], 0
    yield b"".join(gathered)


@contextlib.asynccontextmanager
async def _closing(body: AsyncIterable[bytes]) -> AsyncIterator[AsyncIterator[bytes]]:
    """A body to iterate over; a generator that was not read to its end is closed."""
    chunks = aiter(body)
    try:
        yield chunks
    finally:
        close: Callable[[], object] | None = getattr(chunks, "aclose", None)
        if close is not None:
            await close()  # type: ignore[misc]


def _too_large(size: int) -> Refused:
    details = {"ProposedSize": str(size), "MaxSizeAllowed": str(MAX_BODY_BYTES)}
    return Refused("EntityTooLarge", details=details)
