"""The services of a lab: web servers and TLS-terminating proxies.

Each says what a `Service` does with what comes out of TLS. What they serve is their own business,
who the clients are is not: services of single lessons that care are built on these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

import trio

from tlslab.http import Request, Response, Upgrade, WebSocketClosed, serve_http
from tlslab.lab.parties import Service
from tlslab.lab.witness import as_bytes, request_line
from tlslab.net import Connection
from tlslab.net.forwarded import Forwarded, announce
from tlslab.proxy import TerminatingProxy
from tlslab.tls import ClientPolicy, HandshakeFailure, TLSFacts

MAX_KEPT = 1 << 20
"""Bytes of each request's body that a server of the lab keeps, to tell what it received."""


@dataclass(kw_only=True)
class Server(Service):
    """A web server: keeps what it receives, answers with one of `pages`, by path, or `reply`.

    With `until_close` its answers have no length: they end with the connection.
    """

    received: list[bytes] = field(default_factory=list)
    reply: bytes = b"thank you\n"
    pages: Mapping[str, bytes] = field(default_factory=dict)
    until_close: bool = False

    kind = "server"

    async def serve_stream(self, stream: trio.abc.Stream, peer: str) -> None:
        """HTTP, or a WebSocket where the client asks for one."""
        if self.until_close:
            await self._answer_until_close(stream, peer)
            return
        await serve_http(
            stream,
            partial(self._handle, stream, peer),
            websocket=partial(self._chat, peer),
            on_exchange=self.log,
        )

    def answer(self, request: Request, body: bytes, stream: trio.abc.Stream, peer: str) -> Response:
        """What a request that came with `body` from `peer` over `stream` is answered."""
        reply = self.pages.get(request.target, self.reply)
        return Response(200, [(b"content-type", b"text/plain")], reply)

    async def _handle(self, stream: trio.abc.Stream, peer: str, request: Request) -> Response:
        kept = bytearray()
        async for part in request.body:
            kept += part[: MAX_KEPT - len(kept)]
        self.received.append(request.target.encode() + kept)
        self.journal.heard(self.name, peer, request_line(request.method, request.target) + kept)
        response = self.answer(request, bytes(kept), stream, peer)
        assert isinstance(response.body, bytes)
        self.journal.said(self.name, peer, response.body)
        return response

    async def _answer_until_close(self, stream: trio.abc.Stream, peer: str) -> None:
        """Answer one request without saying how long the answer is: it ends with the connection.

        That is HTTP (RFC 9112 section 6.3), and what much older software does.
        """
        head = b""
        while b"\r\n\r\n" not in head and (data := await stream.receive_some()):
            head += data
        self.journal.said(self.name, peer, self.reply)
        await stream.send_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + self.reply)

    async def _chat(self, peer: str, upgrade: Upgrade) -> None:
        """A chat: every message is kept, and answered with the reply."""
        socket = await upgrade.accept()
        while True:
            try:
                message = as_bytes(await socket.get_message())
                self.received.append(message)
                self.journal.heard(self.name, peer, message)
                self.journal.said(self.name, peer, self.reply)
                await socket.send_message(self.reply)
            except WebSocketClosed:
                return


@dataclass(kw_only=True)
class TerminatingEdge(Service):
    """A TLS-terminating proxy in front of `upstream`; plain HTTP passes through it likewise.

    `upstream_policy` is its TLS towards the upstream, or None for "TLS added and removed here".
    With `proxy_key`, which it shares with the upstream, it tells where its clients come from and
    whether they came over TLS.
    """

    upstream: Service
    upstream_policy: ClientPolicy | None = None
    proxy_key: bytes | None = field(default=None, repr=False)

    kind = "proxy"

    async def serve(self, connection: Connection) -> None:
        """Terminate TLS and pass on what comes out of it."""
        client = connection.flow.client
        peer, version = client.name, None

        def handshake(facts: TLSFacts) -> None:
            nonlocal version
            version = facts.version
            self.journal.handshake(self.name, peer, facts, began=False)

        async def connect_upstream() -> trio.abc.Stream:
            return await self._connect_upstream(Forwarded(connection.source, client.port, version))

        proxy = TerminatingProxy(
            policy=self.policy,
            connect_upstream=connect_upstream,
            keylog=self.keylog,
            on_exchange=self.log,
            on_handshake=handshake,
        )
        try:
            await proxy.serve(connection)
        except HandshakeFailure as error:
            self.journal.refused(self.name, peer, error)
            raise

    async def _connect_upstream(self, client: Forwarded) -> trio.abc.Stream:
        upstream = self.upstream
        stream = await self.connect(upstream.name, upstream.port, self.upstream_policy)
        if self.proxy_key is not None:
            await stream.send_all(announce(client, self.proxy_key, now=datetime.now(UTC)))
        return stream
