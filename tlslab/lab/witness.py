"""What passes through the hands of a party, told to the journal: failures of TLS, and messages.

What runs on a stream may swallow its errors (a WebSocket takes a broken stream for an end), and
whether bytes were tampered with shows only where both ends are known. So both are written down
here, below and above the protocols in use, and judged elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

import trio

from tlslab.http import WebSocket
from tlslab.lab.journal import FAILURES, Failure
from tlslab.tls import TLSStream

Tell: TypeAlias = Callable[[Failure], None]
Told: TypeAlias = Callable[[bytes], None]


class WatchedStream(trio.abc.HalfCloseableStream):
    """The stream `tls`, whose failures are told; `failure` is the first."""

    def __init__(self, stream: TLSStream, tell: Tell) -> None:
        self.tls = stream
        self._stream = stream
        self._tell = tell
        self.failure: Failure | None = None

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send, and tell what went wrong."""
        with self._telling():
            await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait, and tell what went wrong."""
        with self._telling():
            await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receive, and tell what went wrong."""
        with self._telling():
            return await self._stream.receive_some(max_bytes)

    async def send_eof(self) -> None:
        """Send close_notify, and tell what went wrong."""
        with self._telling():
            await self._stream.send_eof()

    async def aclose(self) -> None:
        """Close the stream."""
        await self._stream.aclose()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except FAILURES as failure:
            if self.failure is None:
                self.failure = failure
                self._tell(failure)
            raise


class Conversation:
    """A WebSocket whose messages are told, those sent to `said` and those received to `heard`."""

    def __init__(self, socket: WebSocket, said: Told, heard: Told) -> None:
        self._socket = socket
        self._said = said
        self._heard = heard

    async def send_message(self, message: str | bytes) -> None:
        """Send a message, text or bytes. Raises WebSocketClosed."""
        self._said(as_bytes(message))
        await self._socket.send_message(message)

    async def get_message(self) -> str | bytes:
        """The next message. Raises WebSocketClosed."""
        message: str | bytes = await self._socket.get_message()
        self._heard(as_bytes(message))
        return message


def as_bytes(message: str | bytes) -> bytes:
    """A message of a WebSocket as bytes."""
    return message.encode() if isinstance(message, str) else bytes(message)


def request_line(method: str, target: str) -> bytes:
    """What stands for a request's head where messages are compared."""
    return f"{method} {target}\n".encode()
