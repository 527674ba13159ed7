"""HTTP/1.1 passed on between a client and an upstream, byte for byte where that is possible.

A request's head and body go out as they came in, so that what was signed stays signed; only the
fields that concern one hop are left away (RFC 9110 7.6.1), and nothing is added. Everything on
which the upstream's parser could come to another view is refused. The two directions of an exchange
run at the same time: an early response, 100 Continue and backpressure work as they do without a
proxy. One upstream connection serves one client connection, exchange after exchange. The module
knows nothing of TLS.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeAlias

import trio

from tlslab.errors import TLSError
from tlslab.http import ExchangeError, ExchangeLog, Limits, OnExchange, PeerGone, ReplayStream
from tlslab.http.messages import refusal
from tlslab.http.nursery import open_plain_nursery
from tlslab.proxy.errors import RelayBroken, UpstreamFailure
from tlslab.proxy.framing import Body, ChunkedBody, request_body, response_body
from tlslab.proxy.heads import (
    RequestHead,
    ResponseHead,
    declared_length,
    forwarded,
    parse_request_head,
    parse_response_head,
)
from tlslab.proxy.leg import Leg
from tlslab.proxy.relay import relay
from tlslab.proxy.upstream import UpstreamStream, connected, cut, upstream_errors

ConnectUpstream: TypeAlias = Callable[[], Awaitable[trio.abc.Stream]]
"""Opens a new connection to the upstream, TLS and all."""

OnUpstreamFailure: TypeAlias = Callable[[UpstreamFailure], None]
"""Told why a 502 or 504 was answered; must not block."""

INTERIM_RESPONSES = 20
"""1xx responses to one request; an upstream that sends more is only wasting our time."""


class Forwarder:
    """Serves one client connection from one upstream at a time."""

    def __init__(
        self,
        client: trio.abc.Stream,
        connect_upstream: ConnectUpstream,
        *,
        limits: Limits,
        connect_seconds: float,
        on_exchange: OnExchange | None = None,
        on_upstream_failure: OnUpstreamFailure | None = None,
    ) -> None:
        self.client = Leg(client, server=True, limits=limits)
        self.limits = limits
        self._connect = connect_upstream
        self._connect_seconds = connect_seconds
        self._upstream: Leg | None = None
        self._on_exchange = on_exchange
        self._on_upstream_failure = on_upstream_failure

    async def run(self) -> None:
        """Pass on exchanges until one side ends; close both. Raises nothing of what they do."""
        try:
            while await self._serve_one():
                pass
            for leg in self._legs():
                await leg.channel.close()
        except _Cut:
            pass
        finally:
            await cut(*(leg.channel.stream for leg in self._legs()))

    def _legs(self) -> list[Leg]:
        return [self.client] if self._upstream is None else [self.client, self._upstream]

    async def upstream(self) -> Leg:
        """The connection to the upstream, a new one if need be. Raises UpstreamFailure."""
        if self._upstream is None:
            stream = await connected(self._connect(), self._connect_seconds)
            self._upstream = Leg(stream, server=False, limits=self.limits)
        return self._upstream

    async def drop_upstream(self) -> None:
        """Give the upstream's connection up: the next request gets another."""
        if self._upstream is not None:
            leg, self._upstream = self._upstream, None
            await cut(leg.channel.stream)

    async def next_request(self) -> bytes | None:
        """The client's next head; meanwhile, an upstream that closes or speaks up is dropped.

        Only now is it safe to change connections, for nothing of a request was passed on yet.
        """
        if self._upstream is None:
            return await self.client.read_head()
        watched = self._upstream.channel.stream
        alone = False

        async def watch() -> None:
            nonlocal alone
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError, TLSError):
                await watched.receive_some(1)
            alone = True

        async with open_plain_nursery() as nursery:
            nursery.start_soon(watch)
            head = await self.client.read_head()
            nursery.cancel_scope.cancel()
        if alone:
            await self.drop_upstream()
        return head

    async def _serve_one(self) -> bool:
        exchange = _Exchange(self)
        try:
            return await exchange.run()
        except UpstreamFailure as error:
            if self._on_upstream_failure is not None:
                self._on_upstream_failure(error)
            await exchange.refuse(error.status)
        except ExchangeError as error:
            await exchange.refuse(error.status)
        finally:
            if self._on_exchange is not None and exchange.worth_logging:
                self._on_exchange(exchange.log())
        return False


class _Cut(Exception):
    """The exchange broke where nothing can be said any more."""


class _Exchange:
    """One request passed on, and its response passed back."""

    def __init__(self, forwarder: Forwarder) -> None:
        self._forwarder = forwarder
        self._client = forwarder.client
        self._head: RequestHead | None = None
        self._started = trio.current_time()
        self._status = 0
        self._bytes_in = 0
        self._bytes_out = 0
        self._uploaded = False  # the whole request went out
        self._upload_error: ExchangeError | None = None
        self._close = False  # the client was told that the connection ends

    @property
    def worth_logging(self) -> bool:
        return self._head is not None or self._status != 0

    def log(self) -> ExchangeLog:
        head = self._head
        return ExchangeLog(
            method="-" if head is None else head.method.decode("ascii"),
            target="-" if head is None else head.target.decode("ascii"),
            status=self._status,
            bytes_in=self._bytes_in,
            bytes_out=self._bytes_out,
            seconds=trio.current_time() - self._started,
        )

    async def run(self) -> bool:
        """Pass one exchange on; whether the client's connection can serve another."""
        head = await self._receive_head()
        if head is None:
            return False
        body = request_body(head)
        self._check(head, body)
        upstream = await self._forwarder.upstream()
        upstream.channel.deadline = self._client.channel.deadline
        with upstream_errors():
            await upstream.channel.send(forwarded(head, upgrade=head.wants_websocket))
        self._uploaded = body.complete
        async with open_plain_nursery() as nursery:
            nursery.start_soon(self._upload, body, upstream, nursery.cancel_scope)
            response, answer = await self._pass_head_back(head, upstream)
            await self._pass_body_back(answer, upstream)
            nursery.cancel_scope.cancel()
        if self._upload_error is not None:
            raise self._upload_error
        if response.status == 101:
            await self._switch(upstream)
            return False
        in_step = self._uploaded and answer.complete and not upstream.buffer
        if not in_step or not response.keeps_alive:
            await self._forwarder.drop_upstream()
        if not self._uploaded:
            await self._client.channel.linger()
        return not self._close

    async def refuse(self, status: int) -> None:
        """Answer with `status`, if nothing was answered yet; otherwise cut the connection."""
        if self._status:
            raise _Cut
        to_head = self._head is not None and self._head.method == b"HEAD"
        if self._head is None and self._client.begun_at is None:
            return  # the client said nothing, so nothing is answered
        channel = self._client.channel
        channel.deadline = trio.current_time() + self._forwarder.limits.idle_seconds
        await self._forwarder.drop_upstream()
        try:
            await channel.send(refusal(status, to_head=to_head))
        except ExchangeError:
            raise _Cut from None
        self._status = status
        await channel.linger()

    async def _receive_head(self) -> RequestHead | None:
        channel = self._client.channel
        channel.deadline = math.inf
        raw = await self._forwarder.next_request()
        if raw is None:
            return None
        self._started = self._client.begun_at or self._started
        channel.deadline = self._started + self._forwarder.limits.total_seconds
        head = parse_request_head(raw)
        self._client.check(head)
        self._head = head
        return head

    def _check(self, head: RequestHead, body: Body) -> None:
        if head.method == b"CONNECT":
            raise ExchangeError("CONNECT is not supported", status=501)
        if head.wants_websocket and not body.complete:
            raise ExchangeError("an upgrade with a body is not supported", status=400)
        if (declared_length(head.fields, 400) or 0) > self._forwarder.limits.body_bytes:
            raise ExchangeError("the body is too long", status=413)

    async def _upload(self, body: Body, upstream: Leg, scope: trio.CancelScope) -> None:
        """Pass the request's body on. What the client does wrong ends the exchange."""
        try:
            while not body.complete:
                data = await self._client.read()
                if not data:
                    raise PeerGone("the client left inside its body", status=400)
                taken = body.feed(data)
                self._client.buffer = data[taken:]
                self._bytes_in += taken
                if self._bytes_in > self._forwarder.limits.body_bytes:
                    raise ExchangeError("the body is too long", status=413)
                try:
                    await upstream.channel.send(data[:taken])
                except (ExchangeError, TLSError):
                    return  # the upstream may have said why before it left: that is being read
            self._uploaded = True
        except ExchangeError as error:
            self._upload_error = error
            scope.cancel()

    async def _pass_head_back(self, head: RequestHead, upstream: Leg) -> tuple[ResponseHead, Body]:
        """Pass interim responses and the final head (or a 101) back; returns the last one."""
        for _ in range(INTERIM_RESPONSES):
            with upstream_errors():
                response, body = await self._receive_response(head, upstream)
            switching = response.status == 101
            if switching or response.status >= 200:
                self._close = not switching and (
                    body.ends_with_connection or not head.keeps_alive or not self._uploaded
                )
                self._status = response.status
                passed = forwarded(response, upgrade=switching, close=self._close)
                await self._client.channel.send(passed)
                return response, body
            if head.version != (1, 0):  # which knows no interim responses (RFC 9110 15.2)
                await self._client.channel.send(forwarded(response))
        raise UpstreamFailure("too many interim responses")

    async def _receive_response(
        self, head: RequestHead, upstream: Leg
    ) -> tuple[ResponseHead, Body]:
        raw = await upstream.read_head()
        if raw is None:
            raise UpstreamFailure("the upstream closed without an answer")
        response = parse_response_head(raw)
        upstream.check(response)
        body = response_body(response, head.method)
        if isinstance(body, ChunkedBody) and head.version == (1, 0):
            raise UpstreamFailure("the upstream sends chunks to an http/1.0 client")
        if response.status == 101 and not head.wants_websocket:
            raise UpstreamFailure("the upstream switches protocols unasked")
        return response, body

    async def _pass_body_back(self, body: Body, upstream: Leg) -> None:
        while not body.complete:
            with upstream_errors():
                data = await upstream.read()
                if not data and body.ends_with_connection:
                    return
                if not data:
                    raise UpstreamFailure("the upstream left inside its body")
                taken = body.feed(data)
            upstream.buffer = data[taken:]
            await self._client.channel.send(data[:taken])
            self._bytes_out += taken

    async def _switch(self, upstream: Leg) -> None:
        """Carry whatever the two sides now speak."""
        try:
            relayed = await relay(
                ReplayStream(self._client.channel.stream, self._client.buffer),
                ReplayStream(UpstreamStream(upstream.channel.stream), upstream.buffer),
            )
        except RelayBroken:
            raise _Cut from None
        self._bytes_in, self._bytes_out = relayed.to_server, relayed.to_client
