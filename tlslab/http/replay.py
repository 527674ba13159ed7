"""A stream whose first bytes were already read by somebody who only wanted to look.

It knows nothing of what the bytes mean. Closing and sending go straight to the stream underneath.
"""

from __future__ import annotations

import trio


class ReplayStream(trio.abc.HalfCloseableStream):
    """`stream`, preceded on its receiving side by `prefix`."""

    def __init__(self, stream: trio.abc.Stream, prefix: bytes) -> None:
        self.transport_stream = stream
        self._prefix = memoryview(prefix)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """The next bytes: the prefix first, as much of it as `max_bytes` allows."""
        if not self._prefix:
            return bytes(await self.transport_stream.receive_some(max_bytes))
        await trio.lowlevel.checkpoint()
        size = len(self._prefix) if max_bytes is None else max_bytes
        data, self._prefix = bytes(self._prefix[:size]), self._prefix[size:]
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send `data` on the stream underneath."""
        await self.transport_stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the stream underneath may take more."""
        await self.transport_stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """End the sending side, where the stream underneath can; otherwise nothing happens."""
        if isinstance(self.transport_stream, trio.abc.HalfCloseableStream):
            await self.transport_stream.send_eof()

    async def aclose(self) -> None:
        """Close the stream underneath."""
        await self.transport_stream.aclose()
