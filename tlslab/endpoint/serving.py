"""A backend served on sockets: plain, or TLS that ends here; directly, or behind a proxy.

It is for the store that runs alone. In a lab, the store's party serves what comes over the lab's
network.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from tlslab.endpoint.dispatch import Dispatch
from tlslab.endpoint.door import Door
from tlslab.errors import TlslabError
from tlslab.http import OnExchange
from tlslab.iam import Hop
from tlslab.net.forwarded import Gate
from tlslab.tls import ServerPolicy, TLSStream

MAX_CONNECTIONS = 1000
"""Served at a time; more wait to be accepted. Each costs a few buffers, at worst some MiB."""

OnRefusal = Callable[[str, TlslabError], None]
"""Told the peer's address and why its connection did not come about; must not block."""


async def serve(
    answer: Dispatch,
    listeners: list[trio.SocketListener],
    *,
    policy: ServerPolicy | None = None,
    proxy_key: bytes | None = None,
    on_exchange: OnExchange | None = None,
    on_refusal: OnRefusal = lambda peer, error: None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled. With `policy` TLS ends here; `proxy_key` is shared with a proxy."""
    door = Door(answer, gate=None if proxy_key is None else Gate(proxy_key))
    places = trio.CapacityLimiter(MAX_CONNECTIONS)

    async def serve_one(connection: trio.SocketStream) -> None:
        peer = ""
        try:
            async with places, connection:
                peer = connection.socket.getpeername()[0]
                stream: trio.abc.Stream = connection
                if policy is not None:
                    tls = TLSStream.server(connection, policy)
                    await tls.do_handshake()
                    stream = tls
                hop = Hop(secure=policy is not None, source_ip=peer)
                await door.serve(stream, hop, on_exchange=on_exchange)
        except TlslabError as error:
            on_refusal(peer, error)
        except (trio.BrokenResourceError, trio.ClosedResourceError, OSError):
            pass  # it left, which is its own business

    task_status.started()
    await trio.serve_listeners(serve_one, listeners)
