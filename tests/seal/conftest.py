"""External roots of trust, to be asked over real connections."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from typing import TypeAlias

import pytest
import trio

from tlslab.errors import TLSError
from tlslab.http import Request, Response, serve_http
from tlslab.pki import Authority
from tlslab.seal import Service
from tlslab.tls import ServerPolicy, TLSStream

Answer: TypeAlias = Callable[[Request], Awaitable[Response]]
Serving: TypeAlias = Callable[[Answer], AbstractAsyncContextManager[Service]]

_authority: list[Authority] = []


@pytest.fixture
def authority() -> Authority:
    """One for all tests."""
    if not _authority:
        _authority.append(Authority.create("roots of trust"))
    return _authority[0]


@pytest.fixture
def serving(authority: Authority) -> Serving:
    """Serves a handler over TLS on loopback, as `localhost`, and tells how to ask it."""
    credential = authority.issue("localhost")

    @asynccontextmanager
    async def serving(answer: Answer) -> AsyncIterator[Service]:
        async def connection(stream: trio.SocketStream) -> None:
            with suppress(TLSError):  # a client that did not like the certificate
                await serve_http(TLSStream.server(stream, ServerPolicy(credential)), answer)

        async with trio.open_nursery() as nursery:
            serve = partial(trio.serve_tcp, connection, 0, host="127.0.0.1")
            listeners = await nursery.start(serve)
            port = listeners[0].socket.getsockname()[1]
            yield Service(f"https://localhost:{port}", authority.trust, timeout=5)
            nursery.cancel_scope.cancel()

    return serving
