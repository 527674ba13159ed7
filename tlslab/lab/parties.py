"""The parties of a lab: clients, servers, terminating proxies and stores.

A party does what it would do in the world, with the real TLS, HTTP and storage of this project,
and tells the journal about it. It knows nothing of adversaries: whoever listens or interferes does
so on the network, on the disk or in the logs.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, MutableSequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

import trio
from cryptography import x509

from tlslab.capture import Canary
from tlslab.errors import TlslabError
from tlslab.http import (
    ExchangeLog,
    Headers,
    HTTPClient,
    PeerGone,
    Request,
    Response,
    Upgrade,
    WebSocketClosed,
    serve_http,
    websocket_client,
)
from tlslab.lab.journal import Failure, Journal
from tlslab.lab.url import URL
from tlslab.lab.witness import Conversation, WatchedStream, as_bytes
from tlslab.net import Connection, Host
from tlslab.pki import Credential, TrustStore
from tlslab.proxy import TerminatingProxy
from tlslab.store import ObjectStore
from tlslab.store.face import handler as store_handler
from tlslab.tls import (
    CertificateRefused,
    ClientPolicy,
    HandshakeFailure,
    KeyLog,
    ServerChoice,
    ServerPolicy,
    Session,
    TLSStream,
    TruncationError,
)

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

    async def connect(self, name: str, port: int, policy: ClientPolicy | None) -> trio.abc.Stream:
        """A connection to a host, over TLS by `policy` (None: without), to be closed by the caller.

        Raises NetworkError and HandshakeFailure.
        """
        connection = await self.host.connect(name, port)
        if policy is None:
            return connection
        stream = TLSStream.client(connection, policy, name, keylog=self.keylog)
        try:
            await self.handshake(stream, connection.reached)
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        return stream

    def watched(self, stream: TLSStream, peer: str) -> WatchedStream:
        """The stream, with its failures from now on written down."""

        def tell(failure: Failure) -> None:
            if not self._shrugs_off(failure):
                self.journal.refused(self.name, peer, failure)

        return WatchedStream(stream, tell)

    def _shrugs_off(self, failure: Failure) -> bool:
        """Whether a failure is nothing to speak of."""
        return False


@dataclass(frozen=True)
class Answer:
    """A response that a client of the lab got, read whole."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


Resumption: TypeAlias = Literal["never", "fresh tickets", "one ticket"]
"""Whether a client resumes sessions: each time with a ticket not used before, or with the first one
again and again (which RFC 8446 appendix C.4 advises against)."""


@dataclass(kw_only=True)
class Client(Party):
    """A client that does what its policy says: a careful one, or one that is not.

    `sessions` are those it keeps to resume, by host. Nothing is verified anew on resumption, so
    they are forgotten when the policy changes; unless `forgets_sessions` is false, as with clients
    that read the trust store when they start.
    """

    policy: ClientPolicy
    received: list[bytes] = field(default_factory=list)
    resumption: Resumption = "never"
    forgets_sessions: bool = True
    sessions: dict[str, Session] = field(default_factory=dict, repr=False)
    fallbacks: list[ClientPolicy] = field(default_factory=list)

    kind = "client"

    def fall_back(self, **changes: Any) -> None:
        """When no connection comes about, try again with a policy changed so, as some clients do.

        `changes` are fields of `ClientPolicy`. Called again, it adds a further attempt. A refused
        certificate is no reason to try again.
        """
        self.fallbacks.append(replace(self.policy, **changes))

    def trust(self, *roots: x509.Certificate) -> None:
        """Install root certificates in this client's trust store."""
        trust = self.policy.trust or TrustStore(())
        self._now_trusts(trust.adding(*roots))

    def distrust(self, *roots: x509.Certificate) -> None:
        """Remove root certificates from this client's trust store."""
        trust = self.policy.trust or TrustStore(())
        kept = (root for root in trust.certificates if root not in roots)
        self._now_trusts(TrustStore(tuple(kept)))

    def _now_trusts(self, trust: TrustStore) -> None:
        self.policy = replace(self.policy, trust=trust)
        if self.forgets_sessions:
            self.sessions.clear()

    async def get(self, url: str) -> Answer:
        """GET a URL."""
        return await self.request("GET", url)

    async def post(self, url: str, body: bytes | Canary) -> Answer:
        """POST a body to a URL."""
        return await self.request("POST", url, body)

    async def put(self, url: str, body: bytes | Canary) -> Answer:
        """PUT a body at a URL."""
        return await self.request("PUT", url, body)

    async def request(
        self, method: str, url: str, body: bytes | Canary = b"", *, headers: Headers | None = None
    ) -> Answer:
        """Send one request on a connection of its own and read the whole answer.

        `headers` are further fields of it. Raises the errors of the network, of TLS and of HTTP.
        """
        to = URL.parse(url)
        data = body.token if isinstance(body, Canary) else body
        async with self._connection(to) as (stream, peer):
            http = HTTPClient(stream, host=to.authority)
            text = f"{method} {to.target}" + (f", {len(data)} bytes" if data else "")
            self._tell(peer, text, "http", to)
            self.journal.said(self.name, to.host, _request_line(method, to.target) + data)
            fields = [*(headers or ()), *self.authorization(stream)]
            response = await http.request(method, to.target, headers=fields, body=data or None)
            content = await response.read()
            self.journal.heard(self.name, to.host, content)
            self.journal.message(
                peer,
                self.name,
                f"{response.status}, {len(content)} bytes",
                "http",
                protected=to.secure,
            )
            self.received.append(content)
            return Answer(response.status, list(response.headers), content)

    def authorization(self, stream: trio.abc.Stream) -> Headers:
        """Fields by which this client says who it is, on a connection: by default none."""
        return []

    async def reach(self, to: URL) -> Connection:
        """Connect to a URL's host: directly, unless the client has another way."""
        return await self.host.connect(to.host, to.port)

    @asynccontextmanager
    async def websocket(self, url: str) -> AsyncIterator[Conversation]:
        """A WebSocket to a ws or wss URL, closed at the end of the block.

        When it ends before, the error says why: that of TLS if it was TLS.
        """
        to = URL.parse(url)
        async with self._connection(to) as (stream, peer):
            self._tell(peer, f"WebSocket {to.target}", "websocket", to)
            said = partial(self.journal.said, self.name, to.host)
            heard = partial(self.journal.heard, self.name, to.host)
            try:
                async with websocket_client(stream, to.authority, to.target) as socket:
                    yield Conversation(socket, said, heard)
            except WebSocketClosed as closed:
                if isinstance(stream, WatchedStream) and stream.failure is not None:
                    raise stream.failure from closed
                raise PeerGone("the websocket was closed by its peer", status=502) from closed

    @asynccontextmanager
    async def _connection(self, to: URL) -> AsyncIterator[tuple[trio.abc.Stream, str]]:
        """A stream to a URL's host, and the name of who is really at its other end."""
        if not to.secure:
            async with await self.reach(to) as connection:
                yield connection, self.journal.other_end(self.name, connection.reached, to.host)
            return
        stream, peer = await self._tls_connection(to)
        async with stream:
            yield self.watched(stream, peer), peer
            self._keep_session(to.host, stream)

    async def _tls_connection(self, to: URL) -> tuple[TLSStream, str]:
        """A stream whose handshake is complete, at the first attempt or a later one."""
        session = self._session_for(to.host)
        first = self.policy if session is None else session.policy
        attempts = [(first, session), *((policy, None) for policy in self.fallbacks)]
        while True:
            policy, session = attempts.pop(0)
            link = await self.reach(to)
            stream = TLSStream.client(link, policy, to.host, keylog=self.keylog, session=session)
            try:
                await self.handshake(stream, link.reached)
            except BaseException as error:
                await trio.aclose_forcefully(stream)
                refused = isinstance(error, CertificateRefused)
                if refused or not isinstance(error, HandshakeFailure) or not attempts:
                    raise
            else:
                return stream, self.journal.other_end(self.name, link.reached)

    def _session_for(self, host: str) -> Session | None:
        if self.resumption == "fresh tickets":
            return self.sessions.pop(host, None)
        return self.sessions.get(host)

    def _keep_session(self, host: str, stream: TLSStream) -> None:
        used_before = self.resumption == "one ticket" and host in self.sessions
        if self.resumption != "never" and not used_before and stream.session is not None:
            self.sessions[host] = stream.session

    def _tell(self, peer: str, text: str, kind: str, to: URL) -> None:
        self.journal.message(self.name, peer, text, kind, protected=to.secure)


@dataclass(kw_only=True)
class Service(Party):
    """A party that listens. `policy` is its TLS, or None for plain TCP; `port` the lab's number.

    `access_log` is what it writes about its requests, one line each, as servers do. With
    `strict_name` it refuses clients that ask for any name but its own.
    """

    port: int
    policy: ServerPolicy | None
    strict_name: bool = False
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
    def credential(self) -> Credential:
        """What it proves itself with; who has stolen that, can do the same."""
        assert self.policy is not None, "without TLS there is nothing to prove"
        return self.policy.credential

    def renew(self, credential: Credential) -> None:
        """Prove itself with another key and certificate from now on."""
        assert self.policy is not None, "without TLS there is nothing to prove"
        self.policy = replace(self.policy, credential=credential)

    def staple(self, response: bytes | None) -> None:
        """Staple this OCSP response (DER) from now on, or none."""
        assert self.policy is not None, "only TLS has staples"
        self.policy = replace(self.policy, staple=response)

    @property
    def _port_suffix(self) -> str:
        return "" if self.port == (80 if self.policy is None else 443) else f":{self.port}"

    def _shrugs_off(self, failure: Failure) -> bool:
        """Clients leave as they like: it is HTTP that tells whether a request was complete."""
        return isinstance(failure, TruncationError)

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
            tls = TLSStream.server(connection, self._choice(self.policy), keylog=self.keylog)
            await self.handshake(tls, connection.flow.client.name, began=False)
            stream = self.watched(tls, connection.flow.client.name)
        async with stream:
            await self.serve_stream(stream, connection.flow.client.name)

    def _choice(self, policy: ServerPolicy) -> ServerChoice:
        return (lambda name: policy if name == self.name else None) if self.strict_name else policy

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
        self.journal.heard(self.name, peer, _request_line(request.method, request.target) + kept)
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
        return await self.connect(self.upstream.name, self.upstream.port, self.upstream_policy)


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


def _request_line(method: str, target: str) -> bytes:
    """What stands for a request's head where messages are compared."""
    return f"{method} {target}\n".encode()
