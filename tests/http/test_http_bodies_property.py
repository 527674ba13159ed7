"""Whatever the body and however it is cut: what arrives is what was sent."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

import h11
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import memory_stream_pair

from tlslab.http import HTTPClient, Request, Response, serve_http

BODIES = st.lists(st.binary(max_size=200), max_size=8)


async def stream(parts: list[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        await trio.lowlevel.checkpoint()
        yield part


class Cutting(trio.abc.Stream):
    """Delivers what comes over `inner` in pieces whose sizes repeat."""

    def __init__(self, inner: trio.abc.HalfCloseableStream, sizes: list[int]) -> None:
        self._inner = inner
        self._sizes = itertools.cycle(sizes)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        return bytes(await self._inner.receive_some(next(self._sizes)))

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._inner.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._inner.aclose()


@settings(max_examples=60, deadline=None)
@given(
    bodies=st.lists(BODIES, min_size=1, max_size=3),
    sizes=st.lists(st.integers(1, 90), min_size=1, max_size=5),
    whole=st.booleans(),
)
def test_bodies_arrive_identical(bodies: list[list[bytes]], sizes: list[int], whole: bool) -> None:
    async def echo(request: Request) -> Response:
        return Response(200, [], await request.read() if whole else request.body)

    async def main() -> None:
        ours, theirs = memory_stream_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve_http, Cutting(theirs, sizes), echo)
            async with HTTPClient(Cutting(ours, sizes[::-1]), host="x.test") as client:
                for parts in bodies:
                    body = b"".join(parts) if whole else stream(parts)
                    response = await client.request("PUT", "/", body=body)
                    assert response.status == 200
                    assert await response.read() == b"".join(parts)

    trio.run(main)


@settings(max_examples=150, deadline=None)
@given(
    prefix=st.sampled_from(
        [
            b"",
            b"GET / HTTP/1.1\r\nHost: a\r\n",
            b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n",
        ]
    ),
    garbage=st.binary(max_size=60),
    sizes=st.lists(st.integers(1, 20), min_size=1, max_size=3),
)
def test_garbage_never_breaks_the_server(prefix: bytes, garbage: bytes, sizes: list[int]) -> None:
    """It answers, or closes; every answer is well-formed HTTP as h11 sees it."""

    async def collect(request: Request) -> Response:
        return Response(200, [], await request.read())

    async def main() -> bytes:
        ours, theirs = memory_stream_pair()
        await ours.send_all(prefix + garbage)
        await ours.send_eof()
        await serve_http(Cutting(theirs, sizes), collect)
        return b"".join([bytes(part) async for part in ours])

    answers = trio.run(main)
    reader = h11.Connection(h11.CLIENT)
    reader.receive_data(answers)
    while answers and reader.trailing_data[0]:
        reader = h11.Connection(h11.CLIENT)
        reader.receive_data(answers)
        reader.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
        reader.send(h11.EndOfMessage())
        while not isinstance(reader.next_event(), h11.EndOfMessage):
            pass
        answers = reader.trailing_data[0]
