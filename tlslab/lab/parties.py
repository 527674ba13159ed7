"""The parties of a lab: clients, servers, terminating proxies and stores.

A party does what it would do in the world, with the real TLS, HTTP and storage of this project,
and tells the journal about it. It knows nothing of adversaries: whoever listens or interferes does
so on the network, on the disk or in the logs.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, MutableSequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import trio
from cryptography import x509

from tlslab.capture import Canary
from tlslab.errors import TlslabError
from tlslab.http import (
    ExchangeLog,
    HTTPClient,
    Request,
    Response,
    Upgrade,
    WebSocket,
    WebSocketClosed,
    serve_http,
    websocket_client,
)
from tlslab.lab.journal import Journal
from tlslab.lab.url import URL
from tlslab.net import Connection, Host
from tlslab.pki import TrustStore
from tlslab.proxy import TerminatingProxy
from tlslab.store import ObjectStore
from tlslab.store.face import handler as store_handler
from tlslab.tls import ClientPolicy, HandshakeFailure, KeyLog, ServerPolicy, TLSStream

MAX_KEPT = 1 << 20
"""Bytes of each request's body that a server of the lab keeps, to tell what it received."""


@dataclass(kw_only=True)
class Party:
    """Somebody with a host on the network. `keylog` gets the secrets of its TLS sessions."""

    host: Host
    journal: Journal
    keylog: KeyLog | None

    kind = "party"

    @property
    def name(self) -> str:
        """The host's name."""
        return self.host.name

    async def handshake(self, stream: TLSStream, peer: str, *, began: bool = True) -> None:
        """Complete a handshake and write it down, or write down why not and raise.

        `began` is false for the server's end.
        """
        try:
            await stream.do_handshake()
        except HandshakeFailure as error:
            self.journal.refused(self.name, peer, error)
            raise
        self.journal.handshake(self.name, peer, stream.facts, began=began)


@dataclass(frozen=True)
class Answer:
    """A response that a client of the lab got, read whole."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


@dataclass(kw_only=True)
class Client(Party):
    """A client that does what its policy says: a careful one, or one that is not."""

    policy: ClientPolicy
    received: list[bytes] = field(default_factory=list)

    kind = "client"

    def trust(self, *roots: x509.Certificate) -> None:
        """Install root certificates in this client's trust store."""
        trust = self.policy.trust or TrustStore(())
        self.policy = replace(self.policy, trust=trust.adding(*roots))

    async def get(self, url: str) -> Answer:
        """GET a URL."""
        return await self.request("GET", url)

    async def post(self, url: str, body: bytes | Canary) -> Answer:
        """POST a body to a URL."""
        return await self.request("POST", url, body)

    async def put(self, url: str, body: bytes | Canary) -> Answer:
        """PUT a body at a URL."""
        return await self.request("PUT", url, body)

    async def request(self, method: str, url: str, body: bytes | Canary = b"") -> Answer:
        """Send one request on a connection of its own and read the whole answer.

        Raises the errors of the network, of TLS and of HTTP.
        """
        to = URL.parse(url)
        data = body.token if isinstance(body, Canary) else body
        async with self._connection(to) as (stream, peer):
            http = HTTPClient(stream, host=to.authority)
            text = f"{method} {to.target}" + (f", {len(data)} bytes" if data else "")
            self._tell(peer, text, "http", to)
            response = await http.request(method, to.target, body=data or None)
            content = await response.read()
            self.journal.message(
                peer,
                self.name,
                f"{response.status}, {len(content)} bytes",
                "http",
                protected=to.secure,
            )
            self.received.append(content)
            return Answer(response.status, list(response.headers), content)

    @asynccontextmanager
    async def websocket(self, url: str) -> AsyncIterator[WebSocket]:
        """A WebSocket to a ws or wss URL, closed at the end of the block."""
        to = URL.parse(url)
        async with self._connection(to) as (stream, peer):
            self._tell(peer, f"WebSocket {to.target}", "websocket", to)
            async with websocket_client(stream, to.authority, to.target) as socket:
                yield socket

    @asynccontextmanager
    async def _connection(self, to: URL) -> AsyncIterator[tuple[trio.abc.Stream, str]]:
        """A stream to a URL's host, and the name of who is really at its other end."""
        connection = await self.host.connect(to.host, to.port)
        peer = connection.reached
        if not to.secure:
            async with connection:
                yield connection, peer
            return
        stream = TLSStream.client(connection, self.policy, to.host, keylog=self.keylog)
        async with stream:
            await self.handshake(stream, peer)
            try:
                yield stream, peer
            except HandshakeFailure as error:
                # TLS 1.3: a server's verdict on the client's certificate arrives with the first
                # read, after a handshake that seemed to succeed (RFC 8446 section 4.4.2.4).
                self.journal.refused(self.name, peer, error)
                raise

    def _tell(self, peer: str, text: str, kind: str, to: URL) -> None:
        self.journal.message(self.name, peer, text, kind, protected=to.secure)


@dataclass(kw_only=True)
class Service(Party):
    """A party that listens. `policy` is its TLS, or None for plain TCP; `port` the lab's number.

    `access_log` is what it writes about its requests, one line each, as servers do.
    """

    port: int
    policy: ServerPolicy | None
    access_log: MutableSequence[str] = field(default_factory=list)
    address: tuple[str, int] | None = None

    def url(self, path: str = "/") -> str:
        """The URL of `path` here, by the host's name in the lab."""
        scheme = "http" if self.policy is None else "https"
        return f"{scheme}://{self.name}{self._port_suffix}{path}"

    def ws_url(self, path: str = "/") -> str:
        """The WebSocket URL of `path` here."""
        scheme = "ws" if self.policy is None else "wss"
        return f"{scheme}://{self.name}{self._port_suffix}{path}"

    @property
    def _port_suffix(self) -> str:
        return "" if self.port == (80 if self.policy is None else 443) else f":{self.port}"

    async def serve_connection(self, connection: Connection) -> None:
        """Serve one client to its end; what goes wrong concerns that client alone."""
        try:
            async with connection:
                await self.serve(connection)
        except* (TlslabError, trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # written down where it was met

    async def serve(self, connection: Connection) -> None:
        """Serve one client; what kind of service this is."""
        stream: trio.abc.Stream = connection
        if self.policy is not None:
            tls = TLSStream.server(connection, self.policy, keylog=self.keylog)
            await self.handshake(tls, connection.flow.client.name, began=False)
            stream = tls
        async with stream:
            await self.serve_stream(stream, connection.flow.client.name)

    async def serve_stream(self, stream: trio.abc.Stream, peer: str) -> None:
        """Serve what came out of TLS, or came without it."""
        raise TypeError(f"{type(self).__name__} serves nothing")

    def log(self, exchange: ExchangeLog) -> None:
        """Write a line of the access log (the common log format's fields that matter here)."""
        stamp = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime())
        request = f"{exchange.method} {exchange.target} HTTP/1.1"
        self.access_log.append(f'{self.name} [{stamp}] "{request}" {exchange.status}')


@dataclass(kw_only=True)
class Server(Service):
    """A web server: keeps what it receives, answers everything with `reply`."""

    received: list[bytes] = field(default_factory=list)
    reply: bytes = b"thank you\n"

    kind = "server"

    async def serve_stream(self, stream: trio.abc.Stream, peer: str) -> None:
        """HTTP, or a WebSocket where the client asks for one."""
        try:
            await serve_http(stream, self._handle, websocket=self._chat, on_exchange=self.log)
        except HandshakeFailure as error:
            self.journal.refused(self.name, peer, error)
            raise

    async def _handle(self, request: Request) -> Response:
        kept = bytearray(request.target.encode())
        async for part in request.body:
            kept += part[: MAX_KEPT - len(kept)]
        self.received.append(bytes(kept))
        return Response(200, [(b"content-type", b"text/plain")], self.reply)

    async def _chat(self, upgrade: Upgrade) -> None:
        """A chat: every message is kept, and answered with the reply."""
        socket = await upgrade.accept()
        while True:
            try:
                message = await socket.get_message()
                self.received.append(message.encode() if isinstance(message, str) else message)
                await socket.send_message(self.reply)
            except WebSocketClosed:
                return


@dataclass(kw_only=True)
class TerminatingEdge(Service):
    """A TLS-terminating proxy in front of `upstream`; plain HTTP passes through it likewise.

    `upstream_policy` is its TLS towards the upstream, or None for "TLS added and removed here".
    """

    upstream: Service
    upstream_policy: ClientPolicy | None = None

    kind = "proxy"

    async def serve(self, connection: Connection) -> None:
        """Terminate TLS and pass on what comes out of it."""
        peer = connection.flow.client.name
        proxy = TerminatingProxy(
            policy=self.policy,
            connect_upstream=self._connect_upstream,
            keylog=self.keylog,
            on_exchange=self.log,
            on_handshake=lambda facts: self.journal.handshake(self.name, peer, facts, began=False),
        )
        try:
            await proxy.serve(connection)
        except HandshakeFailure as error:
            self.journal.refused(self.name, peer, error)
            raise

    async def _connect_upstream(self) -> trio.abc.Stream:
        upstream = self.upstream
        connection = await self.host.connect(upstream.name, upstream.port)
        if self.upstream_policy is None:
            return connection
        stream = TLSStream.client(
            connection, self.upstream_policy, upstream.name, keylog=self.keylog
        )
        try:
            await self.handshake(stream, connection.reached)
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        return stream


@dataclass(kw_only=True)
class Store(Service):
    """An object store's HTTP face, over the service it is the face of.

    `disk` is the folder in which the objects lie, `key_file` the file with the root key (None: the
    disk is plain).
    """

    objects: ObjectStore
    disk: Path
    key_file: Path | None

    kind = "store"

    async def serve_stream(self, stream: trio.abc.Stream, peer: str) -> None:
        """HTTP, translated to the store."""
        await serve_http(stream, store_handler(self.objects), on_exchange=self.log)
