"""How a client finds the probe's servers by names that no resolver knows, without root.

Either the names are `localhost`; or the client goes through an HTTP proxy, which knows them all; or
the user resolves them with what the client has (`curl --resolve`, a hosts file in a namespace).
"""

from __future__ import annotations

import enum

import trio

from tlslab.proxy import RelayBroken, relay

HEAD_BYTES = 8 * 1024
"""A CONNECT request is one line and a few fields."""

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
REFUSED = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Reach(enum.Enum):
    """How the client gets to the servers."""

    LOCALHOST = "localhost"
    PROXY = "proxy"
    OWN = "own"


class ConnectProxy:
    """An HTTP proxy for CONNECT (RFC 9110 section 9.3.6), to the probe's ports and nowhere else."""

    def __init__(self) -> None:
        self.ports: set[int] = set()

    async def serve(self, client: trio.SocketStream) -> None:
        """Serve one client."""
        try:
            async with client:
                port = await self._asked_for(client)
                if port not in self.ports:
                    await client.send_all(REFUSED)
                    return
                async with await trio.open_tcp_stream("127.0.0.1", port) as server:
                    await client.send_all(ESTABLISHED)
                    await relay(client, server)
        except* (RelayBroken, trio.BrokenResourceError, trio.ClosedResourceError, OSError):
            pass

    async def _asked_for(self, client: trio.SocketStream) -> int | None:
        head = b""
        while b"\r\n\r\n" not in head and len(head) < HEAD_BYTES:
            data = await client.receive_some()
            if not data:
                return None
            head += data
        words = head.split(b"\r\n", 1)[0].split()
        if len(words) != 3 or words[0] != b"CONNECT":
            return None
        port = words[1].rpartition(b":")[2]
        return int(port) if port.isdigit() and len(port) <= 5 else None
