"""What all parties of a lab have in common, and what those have in common that listen.

A party does what it would do in the world, with the real TLS, HTTP and storage of this project,
and tells the journal about it. It knows nothing of adversaries: whoever listens or interferes does
so on the network, on the disk or in the logs. Which parties there are, `client` and `services` say.
"""

from __future__ import annotations

import re
import time
from collections.abc import MutableSequence
from dataclasses import dataclass, field, replace

import trio

from tlslab.errors import TlslabError
from tlslab.http import ExchangeLog
from tlslab.lab.journal import Failure, Journal
from tlslab.lab.witness import WatchedStream
from tlslab.net import Connection, Host
from tlslab.pki import Credential
from tlslab.tls import (
    ClientPolicy,
    HandshakeFailure,
    KeyLog,
    ServerChoice,
    ServerPolicy,
    TLSStream,
    TruncationError,
)

_CUSTOMER_KEY = re.compile(r"(?<=server-side-encryption-customer-key=)[^&]*", re.IGNORECASE)
"""A key that came in a URL (SSE-C, presigned as boto3 does it with Signature Version 2)."""


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
        async with await self.terminated(connection) as stream:
            await self.serve_stream(stream, connection.flow.client.name)

    async def terminated(self, connection: Connection) -> trio.abc.Stream:
        """What comes out of TLS, or came without it. Raises HandshakeFailure."""
        if self.policy is None:
            return connection
        tls = TLSStream.server(connection, self._choice(self.policy), keylog=self.keylog)
        await self.handshake(tls, connection.flow.client.name, began=False)
        return self.watched(tls, connection.flow.client.name)

    def _choice(self, policy: ServerPolicy) -> ServerChoice:
        return (lambda name: policy if name == self.name else None) if self.strict_name else policy

    async def serve_stream(self, stream: trio.abc.Stream, peer: str) -> None:
        """Serve what came out of TLS, or came without it."""
        raise TypeError(f"{type(self).__name__} serves nothing")

    def log(self, exchange: ExchangeLog) -> None:
        """Write a line of the access log (the common log format's fields that matter here)."""
        stamp = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime())
        request = f"{exchange.method} {_CUSTOMER_KEY.sub('...', exchange.target)} HTTP/1.1"
        self.access_log.append(f'{self.name} [{stamp}] "{request}" {exchange.status}')
