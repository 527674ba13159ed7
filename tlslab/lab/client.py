"""The client of a lab: requests and WebSockets over TLS by its policy, resumption, falling back.

What it checks beyond its policy is `judge`; clients of single lessons are built on this one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, TypeAlias

import trio
from cryptography import x509

from tlslab.capture import Canary
from tlslab.http import Headers, HTTPClient, PeerGone, WebSocketClosed, websocket_client
from tlslab.iam import AccessKey
from tlslab.lab.parties import Party
from tlslab.lab.s3_client import signed
from tlslab.lab.url import URL
from tlslab.lab.witness import Conversation, WatchedStream, request_line
from tlslab.net import Connection
from tlslab.pki import TrustStore
from tlslab.tls import CertificateRefused, ClientPolicy, HandshakeFailure, Session, TLSStream

META = "x-amz-meta-"
"""How fields with the user metadata of objects begin."""


@dataclass(frozen=True)
class Answer:
    """A response that a client of the lab got, read whole."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @property
    def metadata(self) -> dict[str, str]:
        """An object's user metadata."""
        fields = ((name.decode("latin-1").lower(), text.decode()) for name, text in self.headers)
        return {name.removeprefix(META): text for name, text in fields if name.startswith(META)}


Resumption: TypeAlias = Literal["never", "fresh tickets", "one ticket"]
"""Whether a client resumes sessions: each time with a ticket not used before, or with the first one
again and again (which RFC 8446 appendix C.4 advises against)."""


@dataclass(kw_only=True)
class Client(Party):
    """A client that does what its policy says: a careful one, or one that is not.

    With an access key as `user` it signs what it sends, as clients of S3 do.
    `sessions` are those it keeps to resume, by host. Nothing is verified anew on resumption, so
    they are forgotten when the policy changes; unless `forgets_sessions` is false, as with clients
    that read the trust store when they start.
    """

    policy: ClientPolicy
    received: list[bytes] = field(default_factory=list)
    user: AccessKey | None = None
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

    async def get(self, url: str, *, headers: Headers | None = None) -> Answer:
        """GET a URL."""
        return await self.request("GET", url, headers=headers)

    async def post(self, url: str, body: bytes | Canary) -> Answer:
        """POST a body to a URL."""
        return await self.request("POST", url, body)

    async def put(
        self,
        url: str,
        body: bytes | Canary,
        *,
        headers: Headers | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Answer:
        """PUT a body at a URL, as an object with this user metadata where that is a store's."""
        told = [
            (f"{META}{name}".encode(), text.encode()) for name, text in (metadata or {}).items()
        ]
        return await self.request("PUT", url, body, headers=[*(headers or ()), *told])

    async def request(
        self,
        method: str,
        url: str,
        body: bytes | Canary = b"",
        *,
        headers: Headers | None = None,
        service: str = "s3",
    ) -> Answer:
        """Send one request on a connection of its own and read the whole answer.

        `headers` are further fields of it; `service` is which one of a store's a signature is for.
        Raises the errors of the network, of TLS and of HTTP.
        """
        to = URL.parse(url)
        data = body.token if isinstance(body, Canary) else body
        async with self._connection(to) as (stream, peer):
            http = HTTPClient(stream, host=to.authority)
            text = f"{method} {to.target}" + (f", {len(data)} bytes" if data else "")
            self._tell(peer, text, "http", to)
            self.journal.said(self.name, to.host, request_line(method, to.target) + data)
            fields = [*(headers or ()), *self.authorization(stream)]
            if self.user is not None:
                fields = signed(self.user, method, to, fields, data, service=service)
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
