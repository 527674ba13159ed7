"""An object open for reading: any range, in batches, each authenticated before it goes out."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TypeAlias

import trio

from tlslab.errors import IntegrityError
from tlslab.store.layout import Layout, Stretch
from tlslab.store.model import ObjectInfo
from tlslab.store.pieces import BATCH_BYTES, INLINE_BYTES, Source

InThread: TypeAlias = "Callable[[Callable[[], bytes]], Awaitable[bytes]]"
OpenPart: TypeAlias = "Callable[[int], Awaitable[Source]]"
HoldParts: TypeAlias = "Callable[[Sequence[int]], AbstractAsyncContextManager[OpenPart]]"
"""Keeps parts, by their numbers in order, from being removed as long as they are read."""


@dataclass(eq=False)
class StoredObject:
    """One version of an object, with its facts in `info`.

    Close it with `aclose`, or use it as an asynchronous context manager. A version that is replaced
    or removed meanwhile can still be read to its end: on a local disk if it was uploaded as one,
    otherwise by the process that replaces it.
    """

    info: ObjectInfo
    _layout: Layout
    _hold: HoldParts
    _in_thread: InThread
    _source: Source | None = None
    _number: int = 0

    async def read(self, start: int = 0, stop: int | None = None) -> AsyncGenerator[bytes, None]:
        """The bytes from `start` to before `stop` (None: the end), in batches of about 1 MiB.

        Raises IntegrityError where stored bytes do not authenticate. What came before was
        authentic, but it is not what was asked for: whoever passes it on must make the breach seen,
        not end it as if it were whole. Raises StoreError if they cannot be read.
        """
        stop = self.info.size if stop is None else min(stop, self.info.size)
        stretches = list(self._layout.stretches(start, stop))
        async with self._hold([stretch.number for stretch in stretches]) as open_part:
            for stretch in stretches:
                source = await self._part(stretch.number, open_part)
                async with contextlib.aclosing(self._batches(source, stretch)) as batches:
                    async for batch in batches:
                        yield batch

    async def body(self) -> bytes:
        """All of it at once. Raises IntegrityError and StoreError."""
        return b"".join([batch async for batch in self.read()])

    async def aclose(self) -> None:
        """Let go of it."""
        self._let_go()
        await trio.lowlevel.checkpoint()

    async def __aenter__(self) -> StoredObject:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._let_go()

    def _let_go(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            source.close()

    async def _part(self, number: int, open_part: OpenPart) -> Source:
        if self._source is None or self._number != number:
            self._let_go()
            self._source, self._number = await open_part(number), number
        return self._source

    async def _batches(self, source: Source, stretch: Stretch) -> AsyncGenerator[bytes, None]:
        offset = stretch.start
        while offset < stretch.stop:
            length = min(BATCH_BYTES, stretch.stop - offset)
            batch = await self._read_at(source, offset, length)
            if len(batch) != length:
                raise IntegrityError("stored bytes are missing at the end")
            offset += length
            yield batch

    async def _read_at(self, source: Source, offset: int, length: int) -> bytes:
        if source.size <= INLINE_BYTES:
            await trio.lowlevel.checkpoint()
            return source.read_at(offset, length)
        return await self._in_thread(lambda: source.read_at(offset, length))
