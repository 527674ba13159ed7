"""The door of an endpoint: connections in, requests out, each knowing how it came.

A connection is direct, or it is one that a TLS-terminating proxy passes on, which then begins with
a header that proves it (`tlslab.net.forwarded`). Only through one of the two is a request known to
have come over TLS. What a client writes into its request has no say in it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeAlias

import trio

from tlslab.http import Handler, Limits, OnExchange, ReplayStream, Request, Response, serve_http
from tlslab.iam import Hop
from tlslab.net.forwarded import HEAD_BYTES, SIGNATURE, Gate, NotForwarded

Answer: TypeAlias = Callable[[Request, Hop], Awaitable[Response]]
"""Answers a request that came over a hop."""

LIMITS = Limits()
"""Those of the HTTP server fit: keys of 1,024 bytes and signatures stay far below them."""


class Door:
    """Serves connections. `gate` recognises the proxy; without it no connection is passed on."""

    def __init__(
        self,
        answer: Answer,
        *,
        gate: Gate | None = None,
        limits: Limits = LIMITS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._answer = answer
        self._gate = gate
        self._limits = limits
        self._now = now

    async def serve(
        self, stream: trio.abc.Stream, hop: Hop, *, on_exchange: OnExchange | None = None
    ) -> None:
        """Serve a connection that came over `hop`, to its end, and close it.

        Raises NotForwarded if it says to be passed on and does not prove it; nothing of it is
        served then.
        """
        try:
            hop, begun = await self._announced(stream, hop)
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        await serve_http(
            ReplayStream(stream, begun), self._handler(hop), limits=self._limits,
            on_exchange=on_exchange,
        )  # fmt: skip

    def _handler(self, hop: Hop) -> Handler:
        async def handle(request: Request) -> Response:
            return await self._answer(request, hop)

        return handle

    async def _announced(self, stream: trio.abc.Stream, hop: Hop) -> tuple[Hop, bytes]:
        """How the connection came, and the bytes that were read to find out."""
        with trio.move_on_after(self._limits.idle_seconds):
            begun = await _read(stream, b"", HEAD_BYTES)
            if not begun.startswith(SIGNATURE):
                return hop, begun
            if self._gate is None:
                raise NotForwarded("no proxy is known here that could pass connections on")
            size = self._gate.size(begun)
            begun = await _read(stream, begun, size)
            client = self._gate.check(begun[:size], now=self._now())
            return Hop(client.tls_version is not None, client.address), begun[size:]
        return hop, b""  # it said nothing, which the server of HTTP deals with


async def _read(stream: trio.abc.Stream, begun: bytes, size: int) -> bytes:
    """At least `size` bytes, or fewer once it is clear that no header comes."""
    while len(begun) < size and begun[: len(SIGNATURE)] == SIGNATURE[: len(begun)]:
        try:
            part = await stream.receive_some()
        except trio.BrokenResourceError:
            break
        if not part:
            break
        begun += part
    return begun
