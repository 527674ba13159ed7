"""Every limit from both sides, and every timeout on a virtual clock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import TypeAlias

import pytest
import trio
from trio.testing import MockClock

from tlslab.http import ExchangeLog, ExchangeTimeout, Handler, Limits, Request, Response, serve_http

Exchange: TypeAlias = Callable[..., Awaitable[bytes]]
Served: TypeAlias = Callable[..., AbstractAsyncContextManager[trio.abc.HalfCloseableStream]]


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def head_of(size: int, *, target: bytes = b"/") -> bytes:
    """A request head of exactly `size` bytes."""
    head = b"GET " + target + b" HTTP/1.1\r\nHost: x.test\r\nX-Pad: %s\r\n\r\n"
    return head % (b"p" * (size - len(head % b"")))


@pytest.mark.parametrize("step", [None, 100])
@pytest.mark.parametrize(("size", "status"), [(1000, 200), (1001, 431), (100_000, 431)])
async def test_head_size(
    exchange: Exchange, hello: Handler, size: int, status: int, step: int | None
) -> None:
    head = head_of(size)
    parts = [head[n : n + (step or size)] for n in range(0, min(size, 5000), step or size)]
    answer = await exchange(hello, *parts, limits=Limits(head_bytes=1000))
    assert status_of(answer) == status


async def test_pipelined_heads_are_measured_one_by_one(exchange: Exchange, hello: Handler) -> None:
    answer = await exchange(hello, head_of(900) * 5, limits=Limits(head_bytes=1000))
    assert answer.count(b"HTTP/1.1 200") == 5


@pytest.mark.parametrize(("count", "status"), [(10, 200), (11, 431)])
async def test_header_count(exchange: Exchange, hello: Handler, count: int, status: int) -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: 1\r\n" * (count - 1) + b"\r\n"
    assert status_of(await exchange(hello, head, limits=Limits(header_count=10))) == status


@pytest.mark.parametrize(("size", "status"), [(100, 200), (101, 414), (5000, 414)])
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
async def test_target_length(
    exchange: Exchange, hello: Handler, size: int, status: int, method: bytes
) -> None:
    head = b"%s /%s HTTP/1.1\r\nHost: a\r\n\r\n" % (method, b"t" * (size - 1))
    limits = Limits(target_bytes=100, head_bytes=1000)
    assert status_of(await exchange(hello, head, limits=limits)) == status
    if size > limits.head_bytes:  # not even the first line has ended
        assert status_of(await exchange(hello, head[:4000], limits=limits)) == status


@pytest.mark.parametrize(("size", "status"), [(100, 200), (101, 413)])
@pytest.mark.parametrize("chunked", [False, True])
async def test_body_size(exchange: Exchange, size: int, status: int, chunked: bool) -> None:
    asked = 0

    async def handler(request: Request) -> Response:
        nonlocal asked
        asked += 1
        return Response(200, [], b"%d" % len(await request.read()))

    if chunked:
        framing = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (size, bytes(size))
    else:
        framing = b"Content-Length: %d\r\n\r\n%s" % (size, bytes(size))
    request = b"PUT / HTTP/1.1\r\nHost: a\r\n" + framing
    answer = await exchange(handler, request, limits=Limits(body_bytes=100))
    assert status_of(answer) == status
    assert asked == (1 if chunked or status == 200 else 0), "a declared length is refused at once"


@pytest.mark.parametrize(("size", "status"), [(10, 200), (11, 413)])
async def test_read_is_bounded(exchange: Exchange, size: int, status: int) -> None:
    async def handler(request: Request) -> Response:
        return Response(200, [], await request.read(at_most=10))

    request = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (size, bytes(size))
    assert status_of(await exchange(handler, request)) == status


async def test_silence_between_requests_is_ended_silently(
    exchange: Exchange, hello: Handler, autojump_clock: MockClock
) -> None:
    began = trio.current_time()
    assert await exchange(hello, eof=False, limits=Limits(idle_seconds=60)) == b""
    assert trio.current_time() - began == pytest.approx(60)
    answer = await exchange(hello, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", eof=False)
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(("pause", "status"), [(1, 200), (5, 408)])
async def test_a_dripping_head_is_cut_off(
    served: Served, hello: Handler, autojump_clock: MockClock, pause: float, status: int
) -> None:
    async with served(hello, limits=Limits(idle_seconds=60)) as client:
        with trio.move_on_after(1000) as dripping:
            async with trio.open_nursery() as nursery:

                async def drip() -> None:
                    for byte in b"GET / HTTP/1.1\r\nHost: example.test\r\n\r\n":
                        await client.send_all(bytes([byte]))
                        await trio.sleep(pause)

                nursery.start_soon(drip)
                answer = await client.receive_some()
                nursery.cancel_scope.cancel()
        assert not dripping.cancelled_caught
    assert status_of(bytes(answer)) == status


async def test_a_stalled_body_gets_408(
    exchange: Exchange, echo: Handler, autojump_clock: MockClock
) -> None:
    log: list[ExchangeLog] = []
    request = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"
    answer = await exchange(
        echo, request, eof=False, limits=Limits(idle_seconds=60), on_exchange=log.append
    )
    assert status_of(answer) == 408
    assert log[0].status == 408
    assert log[0].seconds >= 60


@pytest.mark.parametrize(("total", "status"), [(120, 200), (60, 408)])
async def test_a_dripping_body_is_bounded_by_the_total(
    served: Served, autojump_clock: MockClock, total: float, status: int
) -> None:
    async def handler(request: Request) -> Response:
        return Response(200, [], await request.read())

    limits = Limits(idle_seconds=30, total_seconds=total)
    async with served(handler, limits=limits) as client:
        await client.send_all(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
        for _ in range(9):
            await trio.sleep(10)
            with suppress(trio.BrokenResourceError):  # it is told why, and then not listened to
                await client.send_all(b"x")
        assert status_of(bytes(await client.receive_some())) == status


async def test_a_handler_that_never_answers_gives_503(
    exchange: Exchange, autojump_clock: MockClock
) -> None:
    cancelled = False

    async def handler(_: Request) -> Response:
        nonlocal cancelled
        try:
            await trio.sleep_forever()
        finally:
            cancelled = True
        raise AssertionError

    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    answer = await exchange(handler, request, limits=Limits(total_seconds=60))
    assert status_of(answer) == 503
    assert cancelled


async def test_a_stalled_reader_stops_the_writer(autojump_clock: MockClock) -> None:
    produced = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal produced
        while True:
            produced += 65536
            yield bytes(65536)

    async def handler(_: Request) -> Response:
        return Response(200, [], endless())

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    client = await trio.open_tcp_stream(*listeners[0].socket.getsockname())
    server = await listeners[0].accept()
    await listeners[0].aclose()
    await client.send_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    began = trio.current_time()
    await serve_http(server, handler, limits=Limits(idle_seconds=60))
    assert trio.current_time() - began == pytest.approx(60, abs=6)
    assert produced < 16 * 1024 * 1024, "bounded by the socket's buffers, not by the body"
    await client.aclose()


async def test_timeouts_name_the_peer() -> None:
    error = ExchangeTimeout("too slow", status=408)
    assert error.status == 408
    assert error.fault.value == "peer"
