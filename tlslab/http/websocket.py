"""WebSocket (RFC 6455) by trio-websocket, in both roles, over any trio stream.

trio-websocket does the protocol. What is added: an opening handshake that cannot hang when the
peer goes away in it, errors of ours, TLS errors that end the connection instead of escaping from a
background task, and a server side that starts from a request head already read. The module knows
nothing of what is talked about.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TypeAlias, TypeVar, cast

import h11
import trio
from trio_websocket import (
    ConnectionClosed,
    ConnectionRejected,
    WebSocketConnection,
    WebSocketRequest,
    wrap_client_stream,
    wrap_server_stream,
)
from wsproto.utilities import ProtocolError

from tlslab.errors import TLSError
from tlslab.http.errors import ExchangeError, ExchangeTimeout, PeerGone
from tlslab.http.headers import Headers, header_tokens
from tlslab.http.limits import CLOSE_SECONDS, READ_BYTES
from tlslab.http.nursery import open_plain_nursery
from tlslab.http.replay import ReplayStream

logger = logging.getLogger(__name__)

WebSocket: TypeAlias = WebSocketConnection
"""`get_message()`, `send_message()`, `aclose()`; both raise WebSocketClosed once it is over."""

WebSocketClosed: TypeAlias = ConnectionClosed

OPEN_SECONDS = 30.0
"""For the opening handshake, one round trip."""

MAX_MESSAGE_BYTES = 1024 * 1024
"""A message is held whole, so it is bounded; a larger one closes the WebSocket with 1009."""


class Upgrade:
    """A client's wish to open a WebSocket, to be accepted or rejected by the server's handler."""

    def __init__(self, request: WebSocketRequest) -> None:
        self._request = request
        self.socket: WebSocket | None = None  # once accepted
        self.answered = False

    @property
    def target(self) -> str:
        """The request target."""
        return self._request.path

    @property
    def headers(self) -> Headers:
        """The request's fields; names in lower case, without those of the handshake itself."""
        return [(bytes(name), bytes(value)) for name, value in self._request.headers]

    @property
    def subprotocols(self) -> tuple[str, ...]:
        """What the client offers, in its order of preference."""
        return self._request.proposed_subprotocols

    async def accept(
        self, *, subprotocol: str | None = None, headers: Iterable[tuple[bytes, bytes]] = ()
    ) -> WebSocket:
        """Open the WebSocket. It is closed when the handler returns."""
        self.answered = True
        self.socket = await self._request.accept(
            subprotocol=subprotocol, extra_headers=list(headers)
        )
        return self.socket

    async def reject(self, status: int) -> None:
        """Answer with `status` (300 to 599) instead, and end the connection."""
        self.answered = True
        await self._request.reject(status)


WebSocketHandler: TypeAlias = Callable[[Upgrade], Awaitable[None]]
"""Accepts (`socket = await upgrade.accept()`) or rejects, and talks until it returns."""


@asynccontextmanager
async def websocket_client(
    stream: trio.abc.Stream,
    host: str,
    target: str,
    *,
    headers: Iterable[tuple[bytes, bytes]] = (),
    subprotocols: Iterable[str] = (),
    open_seconds: float = OPEN_SECONDS,
    max_message_bytes: int = MAX_MESSAGE_BYTES,
) -> AsyncGenerator[WebSocket]:
    """A WebSocket to `host` (as in the Host field) and `target`, over `stream`, which it closes.

    Raises ExchangeError with the server's status if it does not upgrade, PeerGone or
    ExchangeTimeout if no answer comes, and a TLS stream's error if that is why.
    """
    transport = _Transport(stream)
    opened = False
    try:
        async with open_plain_nursery() as nursery:
            connecting = wrap_client_stream(
                nursery,
                cast("trio.SocketStream", transport),  # any stream will do
                host,
                target,
                subprotocols=subprotocols,
                extra_headers=list(headers),
                max_message_size=max_message_bytes,
                receive_buffer_size=READ_BYTES,
            )
            socket = await _opening(transport, open_seconds, connecting)
            opened = True
            yield socket
            await _say_goodbye(socket)
            nursery.cancel_scope.cancel()
    except ConnectionRejected as error:
        message = "the server does not upgrade to a websocket"
        raise ExchangeError(message, status=error.status_code) from error
    except (h11.ProtocolError, ProtocolError) as error:
        if opened:
            raise
        raise ExchangeError("the server's answer is malformed", status=502) from error
    finally:
        await _close(transport)


@dataclass(frozen=True, slots=True)
class Served:
    """How a WebSocket went on the server: the status it was answered with (0: none), and bytes."""

    status: int
    bytes_in: int
    bytes_out: int


def asks_for_websocket(request: h11.Request) -> bool:
    """Whether the request asks to upgrade to a WebSocket (RFC 6455 4.1, RFC 9110 7.8)."""
    return (
        request.method == b"GET"
        and b"upgrade" in header_tokens(request.headers, b"connection")
        and header_tokens(request.headers, b"upgrade") == [b"websocket"]
    )


async def serve_websocket(
    stream: trio.abc.Stream, head: bytes, rest: bytes, handler: WebSocketHandler
) -> Served:
    """Let `handler` have the WebSocket asked for by `head`, the request's head as it was read.

    `rest` was read beyond it. Errors of the handler are logged, not raised.
    """
    transport = _Transport(stream, head, rest)
    try:
        async with open_plain_nursery() as nursery:
            accepting = wrap_server_stream(
                nursery,
                transport,
                max_message_size=MAX_MESSAGE_BYTES,
                receive_buffer_size=READ_BYTES,
            )
            upgrade = Upgrade(await _opening(transport, OPEN_SECONDS, accepting))
            await _run(handler, upgrade)
            nursery.cancel_scope.cancel()
    except (PeerGone, ExchangeTimeout):
        pass  # trio-websocket has refused the handshake, or the client went away
    except (h11.ProtocolError, ProtocolError, UnicodeError) as error:
        logger.warning("a websocket handshake was malformed: %s", type(error).__name__)
    finally:
        await _close(transport)
    return Served(transport.status, transport.bytes_in, transport.bytes_out)


async def _run(handler: WebSocketHandler, upgrade: Upgrade) -> None:
    try:
        await handler(upgrade)
    except WebSocketClosed:
        pass
    except Exception as error:  # its text may hold payload, so only its type is logged
        logger.error("the websocket handler raised %s", type(error).__name__)
        if upgrade.socket is not None:
            await _say_goodbye(upgrade.socket, code=1011)  # RFC 6455 7.4.1: internal error
    if not upgrade.answered:
        with suppress(WebSocketClosed):
            await upgrade.reject(500)
    if upgrade.socket is not None:
        await _say_goodbye(upgrade.socket)


T = TypeVar("T")


async def _opening(transport: _Transport, seconds: float, handshake: Awaitable[T]) -> T:
    """The handshake's result; trio-websocket alone would wait forever for a peer that left."""
    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:

            async def give_up_when_ended() -> None:
                await transport.ended.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(give_up_when_ended)
            result = await handshake
            nursery.cancel_scope.cancel()
            return result
    if transport.failure is not None:
        raise transport.failure
    if transport.ended.is_set():
        raise PeerGone("the connection ended in the websocket handshake", status=502)
    raise ExchangeTimeout("the websocket handshake took too long", status=504)


async def _say_goodbye(socket: WebSocket, code: int = 1000) -> None:
    with trio.move_on_after(CLOSE_SECONDS):
        await socket.aclose(code)


async def _close(transport: _Transport) -> None:
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError, TLSError):
        with trio.move_on_after(CLOSE_SECONDS):
            await transport.aclose()


class _Transport(ReplayStream):
    """What trio-websocket runs on: counts, notes the end, and turns TLS errors into broken ones.

    trio-websocket reads in a background task that expects only trio's own errors.
    """

    def __init__(self, stream: trio.abc.Stream, head: bytes = b"", rest: bytes = b"") -> None:
        super().__init__(stream, head + rest)
        self.ended = trio.Event()
        self.failure: TLSError | None = None
        self.status = 0
        self.bytes_in = -len(head)
        self.bytes_out = 0
        self._head_left = len(head)
        self._answered = trio.Event()
        if not head:
            self._answered.set()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """The next bytes. Raises BrokenResourceError also where TLS failed."""
        if self._head_left:
            max_bytes = min(max_bytes or self._head_left, self._head_left)
            self._head_left -= max_bytes
        else:
            await self._answered.wait()  # wsproto loses frames that come before its answer
        try:
            data = await super().receive_some(max_bytes)
        except (TLSError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise self._over(error) from error
        self.bytes_in += len(data)
        if not data:
            self.ended.set()
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send `data`. Raises BrokenResourceError also where TLS failed."""
        if not self._answered.is_set():
            self.status = int(data[9:12])  # of `HTTP/1.1 101 ...`
            self._answered.set()
        self.bytes_out += len(data)
        try:
            await super().send_all(data)
        except (TLSError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise self._over(error) from error

    async def aclose(self) -> None:
        """Close the stream underneath."""
        self.ended.set()
        await super().aclose()

    def _over(self, error: Exception) -> trio.BrokenResourceError:
        if isinstance(error, TLSError) and self.failure is None:
            self.failure = error
        self.ended.set()
        return trio.BrokenResourceError("the stream under the websocket failed")
