"""The intercepting proxy: speaks TLS with both sides, and so reads what they believe is secret.

Theory of operation. It looks at the client's first bytes without consuming them. If they are a
ClientHello, it connects to the real server first, offering what the client offers (ALPN), and then
answers the client in the server's place with a leaf minted for the name asked for. Whether that
works is the client's decision alone: it does if it trusts the authority, or does not look.
Connections without TLS are read as they are. The module knows nothing of routes: how it came
between the two, and how the real server is reached, is its owner's business.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import trio

from tlslab.errors import TlslabError, UsageError
from tlslab.http import ExchangeError, ReplayStream
from tlslab.net import Direction, Endpoint
from tlslab.pki import Authority
from tlslab.proxy.errors import UpstreamFailure
from tlslab.proxy.framing import request_body
from tlslab.proxy.heads import parse_request_head
from tlslab.proxy.leaves import KEPT_LEAVES, Disguise, Issue, Leaves
from tlslab.proxy.relay import CHUNK_BYTES, OnData, relay
from tlslab.proxy.terminate import HANDSHAKE_SECONDS, OnHandshake
from tlslab.proxy.upstream import CONNECT_SECONDS, UpstreamStream, closing, connected, cut
from tlslab.tls import ClientPolicy, HandshakeFailure, KeyLog, TLSStream
from tlslab.tls.hello import ClientHello, peek_client_hello
from tlslab.tls.records import MalformedTLS

ConnectServer: TypeAlias = Callable[[Endpoint, ClientHello | None], Awaitable[trio.abc.Stream]]
"""Opens a transport to the real server: the one that was meant, and the ClientHello if TLS."""

OnRefused: TypeAlias = Callable[[HandshakeFailure], None]
"""Told how a client refused; must not block."""

SILENCE_SECONDS = 1.0
"""A client that says nothing for so long waits for the server to speak first, as in SMTP."""

GREEDY_BYTES = 64 * 1024
"""How much of a client's first request is read when there is no server to answer it."""

GREEDY_SECONDS = 1.0
"""How long to wait for more of it: clients send a request at once."""


@dataclass(frozen=True, slots=True)
class _Opening:
    """What a client said first: bytes read, and the ClientHello if they are one."""

    received: bytes
    hello: ClientHello | None


class InterceptingProxy:
    """A man in the middle, for clients that can be made to come by.

    Leaves are made by `issue`, or else by `authority`; one of them must be given. `disguise`
    changes the policies by which they are shown. The real server is verified by `upstream_policy`
    (a careful client's, unless told otherwise); its ALPN list, if it has one, limits what is
    offered. If the server cannot be had, a `greedy` proxy still shakes hands with the client and
    reads its first request. `keylog` gets the secrets of both sides. `on_handshake` is told of the
    client's side, `on_server_handshake` of the server's. The callbacks must not block.
    """

    def __init__(
        self,
        *,
        authority: Authority | None = None,
        issue: Issue | None = None,
        disguise: Disguise | None = None,
        connect_upstream: ConnectServer,
        upstream_policy: ClientPolicy | None = None,
        greedy: bool = True,
        keylog: KeyLog | None = None,
        kept_leaves: int = KEPT_LEAVES,
        handshake_seconds: float = HANDSHAKE_SECONDS,
        connect_seconds: float = CONNECT_SECONDS,
        on_handshake: OnHandshake | None = None,
        on_server_handshake: OnHandshake | None = None,
        on_refused: OnRefused | None = None,
        on_upstream_failure: Callable[[UpstreamFailure], None] | None = None,
    ) -> None:
        if authority is not None and issue is None:
            issue = authority.issue
        elif issue is None or authority is not None:
            raise UsageError("an intercepting proxy needs either an authority or an issuer")
        self._leaves = Leaves(issue, disguise=disguise, kept=kept_leaves)
        self._connect_upstream = connect_upstream
        self._upstream_policy = upstream_policy or ClientPolicy()
        self._greedy = greedy
        self._keylog = keylog
        self._handshake_seconds = handshake_seconds
        self._connect_seconds = connect_seconds
        self._on_handshake = on_handshake
        self._on_server_handshake = on_server_handshake
        self._on_refused = on_refused
        self._on_upstream_failure = on_upstream_failure

    async def serve(
        self, connection: trio.abc.Stream, intended: Endpoint, *, on_data: OnData | None = None
    ) -> None:
        """Intercept one connection that was meant for `intended`, to its end, and close it.

        `on_data` sees every decrypted piece. Raises HandshakeFailure if the client refuses (after
        `on_refused`), UpstreamFailure if the server cannot be had (after `on_upstream_failure`, and
        after the client's first request if greedy), RelayBroken if the connection is cut.
        """
        try:
            opening = await self._peek(connection)
            client = ReplayStream(connection, opening.received)
            if opening.hello is None:
                await self._relay_plainly(client, intended, on_data)
            else:
                await self._intercept(client, opening.hello, intended, on_data)
        except BaseException:
            await cut(connection)
            raise

    async def _peek(self, connection: trio.abc.Stream) -> _Opening:
        received = b""
        with trio.move_on_after(SILENCE_SECONDS) as silence:
            while True:
                data = await _receive(connection)
                received += data
                silence.deadline = trio.current_time() + self._handshake_seconds
                try:
                    hello = peek_client_hello(received)
                except MalformedTLS:
                    return _Opening(received, None)
                if hello is not None or not data:
                    return _Opening(received, hello)
        return _Opening(received, None)

    async def _relay_plainly(
        self, client: ReplayStream, intended: Endpoint, on_data: OnData | None
    ) -> None:
        try:
            server = await self._connect(intended, None)
        except UpstreamFailure:
            if self._greedy:
                await _read_request(client, on_data)
            raise
        await self._carry(client, server, on_data)

    async def _intercept(
        self, client: ReplayStream, hello: ClientHello, intended: Endpoint, on_data: OnData | None
    ) -> None:
        name = hello.server_name or intended.name
        try:
            server = await self._connect_tls(hello, name, intended)
        except UpstreamFailure:
            if self._greedy:
                deceived = await self._deceive(client, name, _readable(hello.alpn))
                await _read_request(deceived, on_data)
                await deceived.aclose()
            raise
        chosen = server.facts.alpn
        try:
            deceived = await self._deceive(client, name, () if chosen is None else (chosen,))
        except BaseException:
            await cut(server)
            raise
        await self._carry(deceived, server, on_data)

    async def _connect(self, intended: Endpoint, hello: ClientHello | None) -> trio.abc.Stream:
        try:
            return await connected(self._connect_upstream(intended, hello), self._connect_seconds)
        except UpstreamFailure as error:
            self._report(error)
            raise

    async def _connect_tls(self, hello: ClientHello, name: str, intended: Endpoint) -> TLSStream:
        transport = await self._connect(intended, hello)
        allowed = self._upstream_policy.alpn
        offered = tuple(
            protocol
            for protocol in hello.alpn
            if protocol.isascii() and (not allowed or protocol in allowed)
        )
        try:
            stream = TLSStream.client(
                transport,
                replace(self._upstream_policy, alpn=offered),
                name,
                keylog=self._keylog,
                handshake_timeout=self._handshake_seconds,
            )
            await stream.do_handshake()
        except BaseException as error:
            await cut(transport)
            if not isinstance(error, TlslabError):
                raise
            failure = UpstreamFailure("no tls connection to the server", error=error)
            self._report(failure)
            raise failure from error
        if self._on_server_handshake is not None:
            self._on_server_handshake(stream.facts)
        return stream

    async def _deceive(
        self, client: ReplayStream, name: str, protocols: tuple[str, ...]
    ) -> TLSStream:
        """Shake hands with the client in the server's place."""
        try:
            policy = self._leaves.policy(name, protocols)
        except TlslabError:  # a name for which no certificate can be made
            policy = None
        stream = TLSStream.server(
            client,
            lambda _: policy,
            keylog=self._keylog,
            handshake_timeout=self._handshake_seconds,
        )
        try:
            await stream.do_handshake()
        except HandshakeFailure as error:
            if self._on_refused is not None:
                self._on_refused(error)
            raise
        if self._on_handshake is not None:
            self._on_handshake(stream.facts)
        return stream

    async def _carry(
        self,
        client: trio.abc.HalfCloseableStream,
        server: trio.abc.Stream,
        on_data: OnData | None,
    ) -> None:
        heard = False

        def observe(direction: Direction, data: bytes) -> None:
            nonlocal heard
            heard = heard or direction is Direction.TO_SERVER
            if on_data is not None:
                on_data(direction, data)

        async with closing(server, client):
            try:
                await relay(client, UpstreamStream(server), on_data=observe)
            except UpstreamFailure as error:
                self._report(error)
                if self._greedy and not heard:
                    await _read_request(client, on_data)
                raise

    def _report(self, failure: UpstreamFailure) -> None:
        if self._on_upstream_failure is not None:
            self._on_upstream_failure(failure)


def _readable(protocols: tuple[str, ...]) -> tuple[str, ...]:
    """What to agree on with a client for whom there is no server: HTTP/1.1, or nothing."""
    return tuple(protocol for protocol in protocols if protocol == "http/1.1")


async def _receive(stream: trio.abc.Stream) -> bytes:
    try:
        return bytes(await stream.receive_some(CHUNK_BYTES))
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return b""


async def _read_request(client: trio.abc.Stream, on_data: OnData | None) -> None:
    """Read what the client sends first, as long as it seems to go on, within bounds."""
    received = b""
    with trio.move_on_after(GREEDY_SECONDS) as waiting:
        while len(received) < GREEDY_BYTES and not _is_whole_request(received):
            data = await _receive(client)
            if not data:
                return
            received += data
            waiting.deadline = trio.current_time() + GREEDY_SECONDS
            if on_data is not None:
                on_data(Direction.TO_SERVER, data)


def _is_whole_request(received: bytes) -> bool:
    head, end, rest = received.partition(b"\r\n\r\n")
    if not end:
        return False
    try:
        body = request_body(parse_request_head(head + end))
        body.feed(rest)
    except ExchangeError:
        return False
    return body.complete
