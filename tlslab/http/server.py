"""One HTTP/1.1 connection, served: requests in, responses out, in order, until either side ends it.

The loop is: read a head, let the handler answer, send the answer, read away what is left of the
request, start over. One task does it all, so two responses cannot mix, and a client that pipelines
is simply not read until its turn comes. Whenever where the next request starts is in doubt, the
connection is closed instead. The module knows nothing of what is served, and nothing of TLS.
"""

from __future__ import annotations

import logging
import math
import traceback
from collections.abc import AsyncIterable
from email.utils import formatdate

import h11
import trio

from tlslab.http.body import WireBody
from tlslab.http.errors import ExchangeError, ExchangeTimeout, Fault
from tlslab.http.headers import header, header_tokens
from tlslab.http.limits import DRAIN_BYTES, TOGETHER_BYTES, Limits
from tlslab.http.messages import (
    ExchangeLog,
    Handler,
    OnExchange,
    Request,
    Response,
    iterating,
    reason_phrase,
    refusal,
)
from tlslab.http.websocket import WebSocketHandler, asks_for_websocket, serve_websocket
from tlslab.http.wire import Wire

logger = logging.getLogger(__name__)


async def serve_http(
    stream: trio.abc.Stream,
    handler: Handler,
    *,
    limits: Limits | None = None,
    websocket: WebSocketHandler | None = None,
    on_exchange: OnExchange | None = None,
) -> None:
    """Serve the requests that come over `stream`, and close it.

    With `websocket`, a request to upgrade to a WebSocket goes there instead of to `handler`, and
    the connection ends with it. A peer that breaks the protocol or a limit gets the status that
    says so, where it can still be told, and nothing is raised. Raises TLSError if `stream` is
    a TLSStream on which no connection came about.
    """
    connection = _Connection(stream, handler, limits or Limits(), websocket, on_exchange)
    try:
        while await connection.serve_one():
            pass
    finally:
        await connection.wire.channel.close()


class _Connection:
    def __init__(
        self,
        stream: trio.abc.Stream,
        handler: Handler,
        limits: Limits,
        websocket: WebSocketHandler | None,
        on_exchange: OnExchange | None,
    ) -> None:
        self.wire = Wire(stream, server=True, limits=limits)
        self._handler = handler
        self._limits = limits
        self._websocket = websocket
        self._on_exchange = on_exchange

    async def serve_one(self) -> bool:
        """Serve one exchange; whether there can be another."""
        exchange = _Exchange(self.wire, self._handler, self._limits)
        try:
            head = await exchange.receive_head()
            if head is None:
                return False
            if self._websocket is not None and asks_for_websocket(head):
                await exchange.hand_over(self._websocket)
                return False
            return await exchange.answer()
        finally:
            if self._on_exchange is not None and exchange.worth_logging:
                self._on_exchange(exchange.log())


class _Exchange:
    """One request and its response."""

    def __init__(self, wire: Wire, handler: Handler, limits: Limits) -> None:
        self._wire = wire
        self._handler = handler
        self._limits = limits
        self._started = trio.current_time()
        self._request: Request | None = None
        self._body = WireBody(wire)
        self._status = 0
        self._bytes_in = 0  # beyond the request's body
        self._bytes_out = 0

    @property
    def worth_logging(self) -> bool:
        return self._request is not None or self._status != 0

    def log(self) -> ExchangeLog:
        request = self._request
        return ExchangeLog(
            method="-" if request is None else request.method,
            target="-" if request is None else request.target,
            status=self._status,
            bytes_in=self._body.received + self._bytes_in,
            bytes_out=self._bytes_out,
            seconds=trio.current_time() - self._started,
        )

    async def receive_head(self) -> h11.Request | None:
        """The next request's head; None if there is none to answer."""
        wire = self._wire
        wire.channel.deadline = math.inf
        try:
            head = await wire.receive_head()
        except ExchangeError as error:
            if wire.begun_at is not None:  # to a client that said nothing, nothing is answered
                await self._refuse(error)
            return None
        if head is None:
            return None
        assert isinstance(head, h11.Request)
        self._started = wire.begun_at or self._started
        wire.channel.deadline = self._started + self._limits.total_seconds
        self._body.awaits_continue = wire.state.they_are_waiting_for_100_continue
        self._request = Request(
            method=head.method.decode("ascii"),
            target=head.target.decode("ascii"),
            headers=[(bytes(name), bytes(value)) for name, value in head.headers.raw_items()],
            body=self._body,
            version=head.http_version.decode("ascii"),
        )
        return head

    async def hand_over(self, websocket: WebSocketHandler) -> None:
        """Let the WebSocket have the connection, from the request's first byte on."""
        wire = self._wire
        rest = wire.state.trailing_data[0]
        served = await serve_websocket(wire.channel.stream, wire.head, rest, websocket)
        self._status = served.status
        self._bytes_in, self._bytes_out = served.bytes_in, served.bytes_out

    async def answer(self) -> bool:
        """Have the request answered; whether the connection can serve another."""
        try:
            with trio.fail_at(self._wire.channel.deadline):
                await self._respond(await self._ask_handler())
                return await self._finish_request()
        except trio.TooSlowError:
            received = self._body.complete
            message = "no answer in time" if received else "the request took too long"
            await self._refuse(ExchangeTimeout(message, status=503 if received else 408))
        except ExchangeError as error:
            await self._refuse(error)
        return False

    async def _ask_handler(self) -> Response:
        assert self._request is not None
        await self._note_empty_body(self._request)
        if self._request.method == "CONNECT":
            raise ExchangeError("CONNECT is not supported", status=501)
        try:
            return await self._handler(self._request)
        except Exception as error:
            raise self._failure(error) from error

    async def _note_empty_body(self, request: Request) -> None:
        """Let h11 see the end of a body that has no bytes; that needs nothing from the peer."""
        length = header(request.headers, b"content-length")
        if header(request.headers, b"transfer-encoding") is None and not int(length or b"0"):
            async for _ in self._body:
                raise AssertionError("an empty body had a part")

    def _failure(self, error: Exception) -> ExchangeError:
        """What to answer after the handler raised `error`, which is not told to the client."""
        if self._body.failure is not None:  # the handler only passed the peer's fault on
            return self._body.failure
        if isinstance(error, ExchangeError) and error.fault is Fault.PEER:
            return error  # such as 413 from `read`, or 502 from a client used by the handler
        # Messages of exceptions can hold payload, and targets can hold tokens: neither is logged.
        frames = traceback.extract_tb(error.__traceback__)
        where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "an unknown place"
        logger.error("the handler raised %s at %s", type(error).__name__, where)
        return ExchangeError("the handler failed", status=500, fault=Fault.LOCAL)

    async def _respond(self, response: Response) -> None:
        assert self._request is not None
        bodiless = self._request.method == "HEAD" or response.status in (204, 304)
        try:
            if bodiless:
                await self._send_head(response, h11.EndOfMessage())
            elif isinstance(response.body, bytes):
                await self._send_head(response, h11.Data(data=response.body), h11.EndOfMessage())
                self._bytes_out = len(response.body)
            else:
                await self._stream(response, response.body)
        except ExchangeError:
            raise
        except Exception as error:
            raise self._failure(error) from error

    async def _stream(self, response: Response, body: AsyncIterable[bytes]) -> None:
        async with iterating(body) as parts:
            part = await anext(parts, None)
            if part is None or len(part) > TOGETHER_BYTES:
                await self._send_head(response)
            else:
                await self._send_head(response, h11.Data(data=part))
                self._bytes_out += len(part)
                part = await anext(parts, None)
            while part is not None:
                await self._wire.send(h11.Data(data=part))
                self._bytes_out += len(part)
                part = await anext(parts, None)
            await self._wire.send(h11.EndOfMessage())

    async def _send_head(self, response: Response, *more: h11.Event) -> None:
        head = self._head(response)
        self._status = response.status
        await self._wire.send(head, *more)

    def _head(self, response: Response) -> h11.Response:
        headers = list(response.headers)
        if header(headers, b"date") is None:  # RFC 9110 6.6.1
            headers.append((b"Date", formatdate(usegmt=True).encode("ascii")))
        if (
            isinstance(response.body, bytes)
            and header(headers, b"content-length") is None
            and response.status not in (204, 304)
        ):
            headers.append((b"Content-Length", b"%d" % len(response.body)))
        if self._must_close() and b"close" not in header_tokens(headers, b"connection"):
            headers.append((b"Connection", b"close"))
        return h11.Response(
            status_code=response.status, headers=headers, reason=reason_phrase(response.status)
        )

    def _must_close(self) -> bool:
        """Whether it is already known that the rest of the request will not be read away."""
        if self._body.complete or self._request is None:
            return False
        if self._body.failure is not None:
            return True
        if self._body.awaits_continue:
            return True  # whether the body still comes is the client's choice, so a guess
        declared = header(self._request.headers, b"content-length")
        return declared is not None and int(declared) - self._body.received > DRAIN_BYTES

    async def _finish_request(self) -> bool:
        """Read away what is left of the request; whether the connection is in step afterwards."""
        state = self._wire.state
        bound = self._body.received + DRAIN_BYTES
        while not self._body.complete and state.our_state is h11.DONE:
            await anext(self._body, None)
            if self._body.received > bound:
                break
        if state.our_state is h11.DONE and state.their_state is h11.DONE:
            state.start_next_cycle()
            return True
        if not self._body.complete or state.trailing_data[0]:
            await self._wire.channel.linger()
        return False

    async def _refuse(self, error: ExchangeError) -> None:
        """Say what went wrong, if no response was begun, and end the connection."""
        if self._wire.state.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return  # the response breaks off, which is all that can still be said
        self._status = error.status
        self._wire.channel.deadline = trio.current_time() + self._limits.idle_seconds
        try:
            to_head = self._wire.head.startswith(b"HEAD ")
            await self._wire.channel.send(refusal(error.status, to_head=to_head))
            if not self._body.complete:
                await self._wire.channel.linger()
        except ExchangeError:
            self._status = 0
