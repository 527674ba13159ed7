"""An HTTP/1.1 client on one connection: one exchange after the other, bodies streamed.

The request's body is sent while the response is already awaited, so that a server which refuses
early is heard. It knows nothing of URLs, redirects, pools or TLS: whoever has a stream, has them.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable
from types import TracebackType
from typing import Self

import h11
import trio

from tlslab.http.body import WireBody
from tlslab.http.errors import ExchangeError, Fault, PeerGone
from tlslab.http.headers import Headers, header, header_tokens
from tlslab.http.limits import BUFFERED_BODY_BYTES, Limits
from tlslab.http.messages import gather, iterating
from tlslab.http.nursery import open_plain_nursery
from tlslab.http.wire import Wire

CONTINUE_SECONDS = 1.0
"""How long to wait for 100 Continue before sending the body anyway (RFC 9110 10.1.1; as curl)."""

INTERIM_RESPONSES = 20
"""1xx responses to one request; a server that sends more is only wasting our time."""


class ClientResponse(AsyncIterator[bytes]):
    """A response whose head has arrived. Iterate over it for its body, or `read()` it whole."""

    def __init__(self, head: h11.Response, body: WireBody, wire: Wire) -> None:
        self.status = head.status_code
        self.reason = head.reason.decode("latin-1")
        self.headers: Headers = [(bytes(name), bytes(v)) for name, v in head.headers.raw_items()]
        self._body = body
        self._wire = wire

    def header(self, name: str) -> str | None:
        """The first field of that name (in any case), decoded as Latin-1, or None."""
        value = header(self.headers, name.encode("ascii"))
        return None if value is None else value.decode("latin-1")

    async def __anext__(self) -> bytes:
        """The next part of the body. Raises BodyTruncated, ExchangeTimeout, ExchangeError."""
        try:
            return await anext(self._body)
        except StopAsyncIteration:
            state = self._wire.state
            if state.our_state is h11.DONE and state.their_state is h11.DONE:
                state.start_next_cycle()
            raise

    async def read(self, at_most: int = BUFFERED_BODY_BYTES) -> bytes:
        """The whole body. Raises ExchangeError (502) once it is longer than `at_most` bytes."""
        return await gather(self, at_most=at_most, status=502)


class HTTPClient:
    """Requests over `stream` to `host`, which is what the Host field says (with any port)."""

    def __init__(self, stream: trio.abc.Stream, *, host: str, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._wire = Wire(stream, server=False, limits=self._limits)
        self._host = host

    @property
    def reusable(self) -> bool:
        """Whether another request can be sent: the last response was read, nobody closed.

        Bytes that came without a request could be taken for the next response, so they forbid it.
        """
        state = self._wire.state
        return state.our_state is h11.IDLE and state.trailing_data == (b"", False)

    async def request(
        self,
        method: str,
        target: str,
        *,
        headers: Iterable[tuple[bytes, bytes]] = (),
        body: bytes | AsyncIterable[bytes] | None = None,
    ) -> ClientResponse:
        """Send a request and return its response, the body of which is yet to be read.

        A body of bytes has its Content-Length set, an iterable is sent chunked unless `headers`
        give a length. It is sent to its end before this returns, except if the server answers
        with an error first. `Expect: 100-continue` in `headers` is honoured. The response must be
        read to its end before the next request.

        Raises ExchangeError (PeerGone, ExchangeTimeout; fault LOCAL for wrong use), and
        TLSError if a TLS handshake failed (also where its refusal comes only now).
        """
        if not self.reusable:
            message = "the connection cannot take another request"
            hint = "read the last response to its end, or use a new connection"
            raise ExchangeError(message, status=502, fault=Fault.LOCAL, hint=hint)
        request = self._head(method, target, list(headers), body)
        self._wire.channel.deadline = trio.current_time() + self._limits.total_seconds
        try:
            head = await self._exchange(request, body)
        except BaseException:
            self._wire.state.send_failed()  # nobody can tell where the next request would start
            raise
        return ClientResponse(head, WireBody(self._wire), self._wire)

    async def aclose(self) -> None:
        """Close the connection; never raises because the peer is gone."""
        await self._wire.channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _head(
        self, method: str, target: str, headers: Headers, body: bytes | AsyncIterable[bytes] | None
    ) -> h11.Request:
        if header(headers, b"host") is None:
            headers.insert(0, (b"Host", self._host.encode("ascii")))
        framed = (
            header(headers, b"content-length") is not None
            or header(headers, b"transfer-encoding") is not None
        )
        if isinstance(body, bytes) and not framed:
            headers.append((b"Content-Length", b"%d" % len(body)))
        elif body is not None and not framed:
            headers.append((b"Transfer-Encoding", b"chunked"))
        try:
            return h11.Request(method=method, target=target, headers=headers)
        except h11.LocalProtocolError as error:
            message = "the request is not valid HTTP"
            raise ExchangeError(message, status=400, fault=Fault.LOCAL) from error

    async def _exchange(
        self, request: h11.Request, body: bytes | AsyncIterable[bytes] | None
    ) -> h11.Response:
        go_ahead = trio.Event()
        async with open_plain_nursery() as nursery:
            nursery.start_soon(self._upload, request, body, go_ahead)
            head = await self._receive_head(go_ahead)
            if head.status_code >= 400:
                nursery.cancel_scope.cancel()  # the server does not want the rest
            go_ahead.set()
        if self._wire.state.our_state is h11.SEND_BODY:
            self._wire.state.send_failed()
        return head

    async def _upload(
        self,
        request: h11.Request,
        body: bytes | AsyncIterable[bytes] | None,
        go_ahead: trio.Event,
    ) -> None:
        try:
            if body is None:
                await self._wire.send(request, h11.EndOfMessage())
                return
            if b"100-continue" in header_tokens(request.headers, b"expect"):
                await self._wire.send(request)
                with trio.move_on_after(CONTINUE_SECONDS):
                    await go_ahead.wait()
            elif isinstance(body, bytes):
                await self._wire.send(request, h11.Data(data=body), h11.EndOfMessage())
                return
            else:
                await self._wire.send(request)
            await self._send_body(body)
        except PeerGone:
            return  # it may have said why before it left: the response is awaited, and tells
        except h11.LocalProtocolError as error:
            message = "the body does not match the length declared for it"
            raise ExchangeError(message, status=400, fault=Fault.LOCAL) from error

    async def _send_body(self, body: bytes | AsyncIterable[bytes]) -> None:
        if isinstance(body, bytes):
            await self._wire.send(h11.Data(data=body))
        else:
            async with iterating(body) as parts:
                async for part in parts:
                    await self._wire.send(h11.Data(data=part))
        await self._wire.send(h11.EndOfMessage())

    async def _receive_head(self, go_ahead: trio.Event) -> h11.Response:
        for _ in range(INTERIM_RESPONSES):
            head = await self._wire.receive_head()
            if head is None:
                raise PeerGone("the server closed the connection without an answer", status=502)
            if isinstance(head, h11.Response):
                return head
            go_ahead.set()  # 100, or another 1xx: it has read the head and goes on
        raise ExchangeError("too many interim responses", status=502)
