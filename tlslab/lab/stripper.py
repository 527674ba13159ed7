"""An adversary who keeps its victim from ever beginning TLS.

Whoever comes without TLS is answered without it, from pages that were fetched over TLS and
rewritten (`attack.strip`). TLS itself it cannot read, so it leaves that alone. What it holds is
what passed on its victim's side of it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final, TypeAlias

import trio

from tlslab.attack.strip import PLAIN_PORT, Origin, StripTLS
from tlslab.errors import TlslabError
from tlslab.http import (
    HTTPClient,
    Request,
    Response,
    Upgrade,
    WebSocket,
    WebSocketClosed,
    serve_http,
    websocket_client,
)
from tlslab.lab.adversaries import Sniffer
from tlslab.lab.parties import Party
from tlslab.net import Connection
from tlslab.proxy import RelayBroken, relay
from tlslab.tls import ClientPolicy

WhereIs: TypeAlias = Callable[[], Origin]
"""Where the host that a connection is meant for really is: asked at each request, since what was
fetched before may have changed it."""

_LOST: Final = (trio.BrokenResourceError, trio.ClosedResourceError, TlslabError)


class Stripper(Sniffer):
    """Answers without TLS, and asks with it; `policy` is its own, a careful client's.

    Names that it has made up it `claims`: whoever asks where they are is led to it.
    """

    kind = "interceptor"

    def __init__(
        self, own: Party, strip: StripTLS, policy: ClientPolicy, claim: Callable[[str], None]
    ) -> None:
        network = own.host.network
        super().__init__(own.name, "answers without TLS what it asks for with TLS",
                         lambda: network.names)  # fmt: skip
        self._own = own
        self._strip = strip
        self._policy = policy
        self._claim = claim
        self._claimed: set[str] = set()

    async def serve_connection(self, connection: Connection) -> None:
        """Serve the victim on one connection to its end."""
        try:
            async with connection:
                if connection.intended.port == PLAIN_PORT:
                    whereis = partial(self._strip.origin, connection.intended.name)
                    await serve_http(
                        connection,
                        partial(self._answer, whereis),
                        websocket=partial(self._chat, whereis),
                    )
                else:
                    await self._carry(connection)
        except* _LOST:
            pass  # who of the two ended it has written that down

    async def _carry(self, connection: Connection) -> None:
        meant = connection.intended
        host = self._strip.origin(meant.name).host
        async with await self._own.host.connect(host, meant.port) as server:
            with suppress(RelayBroken):
                await relay(connection, server)

    async def _answer(self, whereis: WhereIs, request: Request) -> Response:
        try:
            return await self._fetched(request, whereis())
        except TlslabError:
            return Response(502)

    async def _fetched(self, request: Request, origin: Origin) -> Response:
        body = await request.read()
        http = HTTPClient(await self._connect(origin), host=origin.host)
        async with http:
            asked = self._strip.request(request.headers, origin)
            answer = await http.request(
                request.method, request.target, headers=asked, body=body or None
            )
            headers, content = self._strip.response(answer.headers, await answer.read())
        for name in self._strip.made_up() - self._claimed:
            self._claimed.add(name)
            self._claim(name)
        self._note(f"{request.method} {request.target} of {origin.host}: read, and TLS stripped")
        return Response(answer.status, headers, content)

    async def _chat(self, whereis: WhereIs, upgrade: Upgrade) -> None:
        """A WebSocket without TLS to the victim, with TLS to the server."""
        origin = whereis()
        stream = await self._connect(origin)
        async with websocket_client(stream, origin.host, upgrade.target) as server:
            self._note(f"WebSocket {upgrade.target} of {origin.host}: read, and TLS stripped")
            victim = await upgrade.accept()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_pass_messages, victim, server)
                nursery.start_soon(_pass_messages, server, victim)

    async def _connect(self, origin: Origin) -> trio.abc.Stream:
        policy = self._policy if origin.tls else None
        return await self._own.connect(origin.host, origin.port, policy)

    def _note(self, text: str) -> None:
        self._own.journal.message(self.name, self.name, text, "note")


async def _pass_messages(source: WebSocket, target: WebSocket) -> None:
    try:
        while True:
            await target.send_message(await source.get_message())
    except WebSocketClosed:
        await source.aclose()
        await target.aclose()
