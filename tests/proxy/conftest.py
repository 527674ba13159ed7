"""Authorities made fresh, and a proxy between an in-memory client and in-memory upstreams."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import trio
from trio.testing import memory_stream_pair

from tlslab.http import ExchangeLog
from tlslab.pki import Authority
from tlslab.proxy import TerminatingProxy, UpstreamFailure

Upstream = Callable[[trio.abc.HalfCloseableStream], Awaitable[None]]


@pytest.fixture(scope="session")
def authority() -> Authority:
    """The authority that everybody trusts."""
    return Authority.create("Honest")


@pytest.fixture(scope="session")
def rogue() -> Authority:
    """The interceptor's own authority."""
    return Authority.create("Rogue")


@dataclass
class Seen:
    """What a proxy under test reported, and how often it connected."""

    connections: int = 0
    exchanges: list[ExchangeLog] = field(default_factory=list)
    failures: list[UpstreamFailure] = field(default_factory=list)


@asynccontextmanager
async def _proxied(
    upstream: Upstream, seen: Seen | None = None, **options: Any
) -> AsyncIterator[trio.abc.HalfCloseableStream]:
    seen = seen or Seen()
    client, front = memory_stream_pair()

    async with trio.open_nursery() as upstreams, trio.open_nursery() as nursery:

        async def connect() -> trio.abc.Stream:
            seen.connections += 1
            near, far = memory_stream_pair()
            upstreams.start_soon(upstream, far)
            return near

        proxy = TerminatingProxy(
            policy=None,
            connect_upstream=connect,
            on_exchange=seen.exchanges.append,
            on_upstream_failure=seen.failures.append,
            **options,
        )
        nursery.start_soon(proxy.serve, front)
        yield client
        await client.aclose()


@pytest.fixture
def seen() -> Seen:
    """Where a proxy's reports go."""
    return Seen()


@pytest.fixture
def proxied() -> Callable[..., AbstractAsyncContextManager[trio.abc.HalfCloseableStream]]:
    """`async with proxied(upstream, seen, **options) as client`: a client of an HTTP proxy.

    `upstream(stream)` is run for each connection that the proxy opens.
    """
    return _proxied
