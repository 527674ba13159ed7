"""The values a handler works with: the request it gets, the response it gives, the log line.

They know nothing of connections; a request's body is any asynchronous iterator of bytes.
"""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
)
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TypeAlias

from tlslab.http.errors import ExchangeError
from tlslab.http.headers import Headers, header
from tlslab.http.limits import BUFFERED_BODY_BYTES


async def gather(body: AsyncIterable[bytes], *, at_most: int, status: int) -> bytes:
    """The whole body, if it has no more than `at_most` bytes.

    Raises ExchangeError with `status` once it has more; the rest stays unread.
    """
    parts: list[bytes] = []
    size = 0
    async for part in body:
        size += len(part)
        if size > at_most:
            raise ExchangeError(f"the body is longer than {at_most} bytes", status=status)
        parts.append(part)
    return b"".join(parts)


@asynccontextmanager
async def iterating(body: AsyncIterable[bytes]) -> AsyncGenerator[AsyncIterator[bytes]]:
    """Iterate over `body`; a generator runs its cleanup at the end of it, not when collected."""
    iterator = aiter(body)
    try:
        yield iterator
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()


@dataclass(frozen=True, slots=True)
class Request:
    """One request as a handler sees it.

    `target` is as it was sent, percent-encoding included (RFC 9112 3.2). `body` arrives as it is
    read, and can be read once; a client that waits for 100 Continue gets it at the first read.
    """

    method: str
    target: str
    headers: Headers = field(repr=False)
    body: AsyncIterator[bytes] = field(repr=False)
    version: str = "1.1"

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """What follows the first `?` of the target, undecoded."""
        return self.target.partition("?")[2]

    def header(self, name: str) -> str | None:
        """The first field of that name (in any case), decoded as Latin-1, or None."""
        value = header(self.headers, name.encode("ascii"))
        return None if value is None else value.decode("latin-1")

    async def read(self, at_most: int = BUFFERED_BODY_BYTES) -> bytes:
        """The whole body. Raises ExchangeError (413) once it is longer than `at_most` bytes."""
        return await gather(self.body, at_most=at_most, status=413)


@dataclass(frozen=True, slots=True)
class Response:
    """What a handler answers.

    A body of bytes is sent with its Content-Length. An iterable is streamed: with the
    Content-Length given in `headers`, otherwise chunked; its first part is awaited before the head
    is sent, so that an error up to there still becomes a clean 500.
    """

    status: int
    headers: Iterable[tuple[bytes, bytes]] = field(default=(), repr=False)
    body: bytes | AsyncIterable[bytes] = field(default=b"", repr=False)


Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
"""Answers one request. Any exception becomes a 500 that says nothing of it."""


def reason_phrase(status: int) -> bytes:
    """The registered phrase of a status code, empty if there is none."""
    try:
        return HTTPStatus(status).phrase.encode("ascii")
    except ValueError:
        return b""


def refusal(status: int, *, to_head: bool = False) -> bytes:
    """The last response on a connection, which says no more than its status.

    `to_head` leaves the body away, as a response to HEAD must.
    """
    text = reason_phrase(status) + b"\n"
    head = b"HTTP/1.1 %d %s\r\n" % (status, reason_phrase(status))
    head += b"Content-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(
        text
    )
    return head if to_head else head + text


@dataclass(frozen=True, slots=True)
class ExchangeLog:
    """One finished exchange, as an access log keeps it.

    `status` is 0 if no response was begun. `method` and `target` are `"-"` if no request could be
    read. `bytes_in` and `bytes_out` count the bodies, or for a WebSocket everything after the
    upgrade was asked for. `seconds` runs from the request's first byte to the response's last.
    """

    method: str
    target: str
    status: int
    bytes_in: int
    bytes_out: int
    seconds: float

    def __str__(self) -> str:
        """One line, such as `GET /pay?card=4711 200 in=0 out=12 0.004s`."""
        return (
            f"{self.method} {self.target} {self.status} "
            f"in={self.bytes_in} out={self.bytes_out} {self.seconds:.3f}s"
        )


OnExchange: TypeAlias = Callable[[ExchangeLog], None]
"""Called after each exchange; must not block and not raise."""
