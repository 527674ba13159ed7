"""Proxies that a client is told to use, by CONNECT (RFC 9110 section 9.3.6), and one that cheats.

A client asks the proxy for a tunnel to a host and port, and then speaks TLS through it. The proxy
can lead the tunnel wherever it likes; whom the client has reached, the certificate must tell.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import trio

from tlslab.errors import NetworkError
from tlslab.lab.adversaries import Interceptor
from tlslab.lab.client import Client
from tlslab.lab.url import URL
from tlslab.net import Connection, Endpoint, Flow

PROXY_PORT: Final = 3128
"""What Squid made usual."""

MAX_HEAD: Final = 8192
"""Bytes of a CONNECT request, or of its answer."""


@dataclass(kw_only=True)
class ProxiedClient(Client):
    """A client that reaches every host through the proxy called `proxy`."""

    proxy: str

    async def reach(self, to: URL) -> Connection:
        """A tunnel to a URL's host; NetworkError if the proxy refuses."""
        connection = await self.host.connect(self.proxy, PROXY_PORT)
        try:
            target = f"{to.host}:{to.port}"
            self.journal.message(self.name, self.proxy, f"CONNECT {target}", "http")
            await connection.send_all(
                f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode()
            )
            # Nothing can follow the answer yet: in TLS the client speaks first.
            answer = await _head(connection)
            if not answer.startswith(b"HTTP/1.1 2"):
                raise NetworkError(f"{self.proxy} opens no tunnel to {target}")
        except BaseException:
            await trio.aclose_forcefully(connection)
            raise
        return connection


class CheatingProxy(Interceptor):
    """A proxy that answers every CONNECT with a tunnel to itself, and speaks TLS at its end."""

    async def serve_connection(self, connection: Connection) -> None:
        """Open the tunnel that was asked for, to somewhere else."""
        try:
            asked = _authority(await _head(connection))
            await connection.send_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
        except (NetworkError, trio.BrokenResourceError, trio.ClosedResourceError):
            await trio.aclose_forcefully(connection)
            return
        known = {name: address for address, name in self._party.host.network.names.items()}
        server = Endpoint(asked.host, known.get(asked.host, connection.flow.server.address),
                          asked.port)  # fmt: skip
        await super().serve_connection(_Tunnel(connection, server))


class _Tunnel(Connection):
    """A connection that is meant for whom its client has named in CONNECT."""

    def __init__(self, connection: Connection, meant: Endpoint) -> None:
        self._connection = connection
        self.flow: Flow = replace(connection.flow, server=meant)
        self.reached = connection.reached

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._connection.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._connection.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        return bytes(await self._connection.receive_some(max_bytes))

    async def send_eof(self) -> None:
        await self._connection.send_eof()

    async def aclose(self) -> None:
        await self._connection.aclose()


@dataclass(frozen=True)
class _Target:
    host: str
    port: int


def _authority(head: bytes) -> _Target:
    """Whom a CONNECT request asks for; NetworkError if it is none."""
    method, _, rest = head.decode("latin-1").partition(" ")
    host, _, port = rest.partition(" ")[0].rpartition(":")
    if method != "CONNECT" or not host or not (port.isascii() and port.isdigit()):
        raise NetworkError("a client of the proxy asked for no tunnel")
    return _Target(host, int(port[:5]))


async def _head(stream: trio.abc.ReceiveStream) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        data = await stream.receive_some(MAX_HEAD)
        head += data
        if not data or len(head) > MAX_HEAD:
            raise NetworkError("the proxy and its client do not speak HTTP")
    return head
