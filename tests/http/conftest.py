"""A server on one end of an in-memory stream, a raw client on the other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import memory_stream_pair, wait_all_tasks_blocked

from tlslab.http import Handler, Request, Response, serve_http


@asynccontextmanager
async def _served(handler: Handler, **options: Any) -> AsyncIterator[trio.abc.HalfCloseableStream]:
    client, server = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(serve_http, server, handler, **options))
        yield client
        await client.aclose()


async def _exchange(handler: Handler, *parts: bytes, eof: bool = True, **options: Any) -> bytes:
    async with _served(handler, **options) as client:
        for part in parts:
            await client.send_all(part)
            await wait_all_tasks_blocked()
        if eof:
            await client.send_eof()
        return b"".join([bytes(part) async for part in client])


@pytest.fixture
def served() -> Callable[..., AbstractAsyncContextManager[trio.abc.HalfCloseableStream]]:
    """`async with served(handler, **options) as client`: a raw client of `serve_http`."""
    return _served


@pytest.fixture
def exchange() -> Callable[..., Awaitable[bytes]]:
    """`await exchange(handler, *parts, eof=True, **options)`: all that the server answers."""
    return _exchange


@pytest.fixture
def echo() -> Handler:
    """Answers with the request's body, as it is read."""

    async def handler(request: Request) -> Response:
        return Response(200, [(b"X-Target", request.target.encode())], request.body)

    return handler


@pytest.fixture
def collect() -> Handler:
    """Reads the whole body, then answers with it."""

    async def handler(request: Request) -> Response:
        body = await request.read()
        return Response(200, [(b"X-Target", request.target.encode())], body)

    return handler


@pytest.fixture
def hello() -> Handler:
    """Answers `hello` and does not look at the body."""

    async def handler(_: Request) -> Response:
        return Response(200, [], b"hello")

    return handler


@pytest.fixture(params=[1, 7, None], ids=["byte by byte", "in sevens", "whole"])
def split(request: pytest.FixtureRequest) -> Callable[[bytes], Iterable[bytes]]:
    """How the bytes of a message are cut into writes."""
    size: int | None = request.param

    def cut(data: bytes) -> Iterable[bytes]:
        step = size or len(data)
        return [data[start : start + step] for start in range(0, len(data), step)]

    return cut
