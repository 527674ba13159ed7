"""Reaching the upstream, and telling its failures from the client's.

How to get there (address, TLS or not) is the business of a callable that the proxy's owner gives.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import trio

from tlslab.errors import TlslabError
from tlslab.http import ExchangeError, Limits, ReplayStream
from tlslab.http.channel import Channel
from tlslab.proxy.errors import UpstreamFailure
from tlslab.tls import HandshakeFailure

CONNECT_SECONDS = 10.0
"""For a connection to the upstream, its TLS handshake included."""


async def connected(connecting: Awaitable[trio.abc.Stream], seconds: float) -> trio.abc.Stream:
    """The stream that `connecting` gives. Raises UpstreamFailure: 502, or 504 after `seconds`."""
    try:
        with trio.fail_after(seconds):
            return await connecting
    except trio.TooSlowError:
        raise UpstreamFailure(f"no upstream within {seconds:g} s", status=504) from None
    except (OSError, TlslabError, trio.BrokenResourceError) as error:
        raise UpstreamFailure("the upstream cannot be reached", error=error) from error


@contextmanager
def upstream_errors() -> Iterator[None]:
    """Errors of an exchange or of TLS become UpstreamFailure, with the status that they imply."""
    try:
        yield
    except UpstreamFailure:
        raise
    except ExchangeError as error:
        raise UpstreamFailure(error.message, status=error.status, error=error) from error
    except HandshakeFailure as error:
        raise UpstreamFailure("the upstream refused the handshake", error=error) from error


class UpstreamStream(ReplayStream):
    """The upstream's stream in a relay: a handshake refused only now is an UpstreamFailure.

    A TLS 1.3 server's refusal of the client's certificate comes with the first read.
    """

    def __init__(self, stream: trio.abc.Stream) -> None:
        super().__init__(stream, b"")

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """The next bytes."""
        with upstream_errors():
            data = await super().receive_some(max_bytes)
        return bytes(data)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send `data`."""
        with upstream_errors():
            await super().send_all(data)


def half_closeable(stream: trio.abc.Stream) -> trio.abc.HalfCloseableStream:
    """`stream`, or one around it whose `send_eof` does nothing."""
    if isinstance(stream, trio.abc.HalfCloseableStream):
        return stream
    return ReplayStream(stream, b"")


async def cut(*streams: trio.abc.Stream) -> None:
    """Close all streams by force: without close_notify, so that nobody takes a part for the whole.

    It does not wait, and it closes them all even while being cancelled.
    """
    with trio.CancelScope(shield=True):
        for stream in streams:
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError, TlslabError):
                await trio.aclose_forcefully(stream)


@asynccontextmanager
async def closing(*streams: trio.abc.Stream) -> AsyncGenerator[None]:
    """Close all streams at the end: gracefully, or by force if that end is an error."""
    try:
        yield
        for stream in streams:
            await Channel(stream, server=False, limits=Limits()).close()
    finally:
        await cut(*streams)
