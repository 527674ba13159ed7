"""The TLS-terminating proxy: TLS in, HTTP/1.1 or raw bytes out to an upstream.

It ends the client's TLS and hands what is inside on. How the upstream is reached, with TLS or
without, is the business of the callable it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import trio

from tlslab.http import Limits, OnExchange
from tlslab.http.channel import Channel
from tlslab.proxy.errors import UpstreamFailure
from tlslab.proxy.forward import ConnectUpstream, Forwarder, OnUpstreamFailure
from tlslab.proxy.relay import OnData, relay
from tlslab.proxy.upstream import (
    CONNECT_SECONDS,
    UpstreamStream,
    closing,
    connected,
    cut,
    half_closeable,
)
from tlslab.tls import HandshakeFailure, KeyLog, ServerChoice, TLSFacts, TLSStream

OnHandshake: TypeAlias = Callable[[TLSFacts], None]
"""Told what a client's handshake settled; must not block."""

HANDSHAKE_SECONDS = 10.0
"""For the client's handshake."""


class TerminatingProxy:
    """Ends TLS by `policy` and passes what it carries on, connection by connection.

    `mode` `"http"` understands requests and answers for the upstream (502, 504, limits); `"tcp"`
    carries any bytes. `policy` None takes connections without TLS. `keylog` gets the secrets of the
    clients' side. The callbacks must not block.
    """

    def __init__(
        self,
        *,
        policy: ServerChoice | None,
        connect_upstream: ConnectUpstream,
        mode: Literal["http", "tcp"] = "http",
        limits: Limits | None = None,
        keylog: KeyLog | None = None,
        handshake_seconds: float = HANDSHAKE_SECONDS,
        connect_seconds: float = CONNECT_SECONDS,
        on_handshake: OnHandshake | None = None,
        on_exchange: OnExchange | None = None,
        on_data: OnData | None = None,
        on_upstream_failure: OnUpstreamFailure | None = None,
    ) -> None:
        self._policy = policy
        self._connect_upstream = connect_upstream
        self._mode = mode
        self._limits = limits or Limits()
        self._keylog = keylog
        self._handshake_seconds = handshake_seconds
        self._connect_seconds = connect_seconds
        self._on_handshake = on_handshake
        self._on_exchange = on_exchange
        self._on_data = on_data
        self._on_upstream_failure = on_upstream_failure

    async def serve(self, connection: trio.abc.Stream) -> None:
        """Serve one client's connection to its end, and close it.

        Raises HandshakeFailure if TLS with the client does not come about; in `"tcp"` mode also
        UpstreamFailure and RelayBroken, whereas `"http"` answers with a status instead.
        """
        client = connection
        try:
            if self._policy is not None:
                client = await self._terminate(connection, self._policy)
            if self._mode == "tcp":
                await self._carry(client)
            else:
                await self._forward(client)
        except BaseException:
            await cut(client)
            raise

    async def _terminate(self, connection: trio.abc.Stream, policy: ServerChoice) -> TLSStream:
        stream = TLSStream.server(
            connection, policy, keylog=self._keylog, handshake_timeout=self._handshake_seconds
        )
        try:
            await stream.do_handshake()
        except HandshakeFailure:
            # The alert is on its way: a reset, because of what is unread, could overtake it.
            await Channel(connection, server=True, limits=self._limits).linger()
            raise
        if self._on_handshake is not None:
            self._on_handshake(stream.facts)
        return stream

    async def _forward(self, client: trio.abc.Stream) -> None:
        await Forwarder(
            client,
            self._connect_upstream,
            limits=self._limits,
            connect_seconds=self._connect_seconds,
            on_exchange=self._on_exchange,
            on_upstream_failure=self._on_upstream_failure,
        ).run()

    async def _carry(self, client: trio.abc.Stream) -> None:
        try:
            stream = await connected(self._connect_upstream(), self._connect_seconds)
        except UpstreamFailure as error:
            if self._on_upstream_failure is not None:
                self._on_upstream_failure(error)
            raise
        async with closing(stream, client):
            await relay(half_closeable(client), UpstreamStream(stream), on_data=self._on_data)
