"""The client: reuse, streaming, early answers, interim responses, truncation, timeouts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

from tlslab.errors import HTTPError, TLSError
from tlslab.http import (
    BodyTruncated,
    ClientResponse,
    ExchangeError,
    ExchangeTimeout,
    Fault,
    Handler,
    HTTPClient,
    Limits,
    PeerGone,
    ReplayStream,
    Request,
    Response,
)

Served: TypeAlias = Callable[..., AbstractAsyncContextManager[trio.abc.HalfCloseableStream]]
Split: TypeAlias = Callable[[bytes], Iterable[bytes]]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def parts_of(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        await trio.lowlevel.checkpoint()
        yield part


async def answered(
    *answer: bytes,
    eof: bool = True,
    use: Callable[[HTTPClient], Awaitable[ClientResponse]] | None = None,
    limits: Limits | None = None,
) -> tuple[ClientResponse, HTTPClient]:
    """A client whose server says `answer` whatever it is asked."""
    ours, theirs = memory_stream_pair()
    for part in answer:
        await theirs.send_all(part)
    if eof:
        await theirs.send_eof()
    client = HTTPClient(ours, host="x.test", limits=limits)
    response = await (use(client) if use else client.request("GET", "/"))
    return response, client


async def test_one_connection_serves_many_requests(served: Served, collect: Handler) -> None:
    async with served(collect) as stream:
        client = HTTPClient(stream, host="x.test:8443")
        for number in range(3):
            response = await client.request("POST", f"/{number}", body=b"b%d" % number)
            assert (response.status, response.reason) == (200, "OK")
            assert response.header("x-target") == f"/{number}"
            assert await response.read() == b"b%d" % number
            assert client.reusable


@pytest.mark.parametrize("length", [None, b"11"])
async def test_a_streamed_body_is_sent_chunked_or_with_the_length_given(
    served: Served, length: bytes | None
) -> None:
    async def handler(request: Request) -> Response:
        assert request.header("host") == "x.test"
        assert (request.header("transfer-encoding") == "chunked") == (length is None)
        assert request.header("content-length") == (length.decode() if length else None)
        return Response(200, [], await request.read())

    async with served(handler) as stream, HTTPClient(stream, host="x.test") as client:
        headers = [(b"Content-Length", length)] if length else []
        body = parts_of(b"hello ", b"", b"world")
        response = await client.request("PUT", "/", headers=headers, body=body)
        assert await response.read() == b"hello world"


async def test_a_response_is_read_as_it_comes(served: Served) -> None:
    more = trio.Event()

    async def stream_slowly() -> AsyncIterator[bytes]:
        yield b"first"
        await more.wait()
        yield b"second"

    async def handler(_: Request) -> Response:
        return Response(200, [], stream_slowly())

    async with served(handler) as stream:
        response = await HTTPClient(stream, host="x.test").request("GET", "/")
        assert await anext(response) == b"first"
        more.set()
        assert [part async for part in response] == [b"second"]


async def test_an_unread_response_blocks_the_next_request(served: Served, hello: Handler) -> None:
    async with served(hello) as stream:
        client = HTTPClient(stream, host="x.test")
        first = await client.request("GET", "/")
        assert not client.reusable
        with pytest.raises(ExchangeError) as caught:
            await client.request("GET", "/")
        assert caught.value.fault is Fault.LOCAL
        assert await first.read() == b"hello"
        assert (await client.request("GET", "/")).status == 200


async def test_connection_close_makes_it_not_reusable() -> None:
    response, client = await answered(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert await response.read() == b"ok"
    assert not client.reusable


@pytest.mark.parametrize("waits", [True, False])
async def test_expect_continue(
    served: Served, collect: Handler, hello: Handler, autojump_clock: MockClock, waits: bool
) -> None:
    """The body follows the 100; and does not follow a final answer that is an error."""
    asked: list[bytes] = []

    async def body() -> AsyncIterator[bytes]:
        asked.append(b"body")
        yield b"body"

    async def refuse(_: Request) -> Response:
        return Response(403)

    began = trio.current_time()
    async with served(collect if waits else refuse) as stream:
        client = HTTPClient(stream, host="x.test")
        expect = [(b"Expect", b"100-continue")]
        response = await client.request("PUT", "/", headers=expect, body=body())
        assert response.status == (200 if waits else 403)
        assert asked == ([b"body"] if waits else [])
        assert trio.current_time() == began, "nobody waited for a timeout"
        assert client.reusable is False


async def test_a_server_that_ignores_expect_gets_the_body_after_a_while(
    autojump_clock: MockClock,
) -> None:
    ours, theirs = memory_stream_pair()
    client = HTTPClient(ours, host="x.test")
    async with trio.open_nursery() as nursery:

        async def ask() -> None:
            expect = [(b"Expect", b"100-continue")]
            response = await client.request("PUT", "/", headers=expect, body=b"body")
            assert await response.read() == b"ok"

        nursery.start_soon(ask)
        received = b""
        while not received.endswith(b"body"):
            received += await theirs.receive_some()
        await theirs.send_all(OK)
    assert trio.current_time() >= 1


async def test_an_early_refusal_stops_the_upload(autojump_clock: MockClock) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            yield bytes(1000)
            sent += 1000
            await trio.sleep(1)

    async def use(client: HTTPClient) -> ClientResponse:
        return await client.request("PUT", "/", body=endless())

    early = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno"
    response, client = await answered(early, eof=False, use=use)
    assert response.status == 413
    assert await response.read() == b"no"
    assert sent < 10_000
    assert not client.reusable


async def test_the_answer_of_a_server_that_left_is_still_heard() -> None:
    ours, theirs = memory_stream_pair()
    await theirs.send_all(OK)
    await theirs.aclose()  # so that sending to it fails
    response = await HTTPClient(ours, host="x.test").request("PUT", "/", body=b"x")
    assert await response.read() == b"ok"


@pytest.mark.parametrize("interim", [b"100 Continue", b"102 Processing", b"103 Early Hints"])
async def test_interim_responses_are_passed_over(split: Split, interim: bytes) -> None:
    answer = b"HTTP/1.1 " + interim + b"\r\nX: 1\r\n\r\n" + OK
    response, _ = await answered(*split(answer * 1))
    assert response.status == 200
    assert await response.read() == b"ok"


@pytest.mark.parametrize(("count", "passes"), [(19, True), (20, False)])
async def test_interim_responses_are_bounded(count: int, passes: bool) -> None:
    answer = b"HTTP/1.1 100 Continue\r\n\r\n" * count + OK
    if passes:
        assert (await answered(answer))[0].status == 200
    else:
        with pytest.raises(ExchangeError):
            await answered(answer)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
    ],
)
async def test_a_truncated_body_is_an_error(split: Split, answer: bytes) -> None:
    response, client = await answered(*split(answer))
    received: list[bytes] = []

    async def receive() -> None:
        received.extend([part async for part in response])

    with pytest.raises(BodyTruncated) as caught:
        await receive()
    assert isinstance(caught.value, HTTPError)
    assert caught.value.status == 502
    assert not client.reusable
    with pytest.raises(BodyTruncated):
        await response.read()


async def test_a_body_that_ends_with_the_connection(split: Split) -> None:
    response, client = await answered(*split(b"HTTP/1.1 200 OK\r\n\r\nall of it"))
    assert await response.read() == b"all of it"
    assert not client.reusable


@pytest.mark.parametrize(
    "answer",
    [
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 40_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 101 + b"\r\n",
    ],
)
async def test_a_faulty_response_is_the_servers_fault(split: Split, answer: bytes) -> None:
    with pytest.raises(ExchangeError) as caught:
        await answered(answer)
    assert caught.value.status == 502
    assert caught.value.fault is Fault.PEER


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 O"])
async def test_a_server_that_leaves_without_an_answer(said: bytes) -> None:
    with pytest.raises(PeerGone) as caught:
        await answered(said) if said else await answered()
    assert caught.value.status == 502


async def test_a_refused_handshake_is_raised_as_itself() -> None:
    class Refused(ReplayStream):
        async def receive_some(self, max_bytes: int | None = None) -> bytes:
            raise TLSError("certificate required")

    ours, _ = memory_stream_pair()
    with pytest.raises(TLSError):
        await HTTPClient(Refused(ours, b""), host="x.test").request("PUT", "/", body=b"x")


async def test_a_silent_server_times_out(autojump_clock: MockClock) -> None:
    ours, _theirs = memory_stream_pair()
    client = HTTPClient(ours, host="x.test", limits=Limits(idle_seconds=60))
    with pytest.raises(ExchangeTimeout) as caught:
        await client.request("GET", "/")
    assert trio.current_time() == pytest.approx(60)
    assert caught.value.status == 504
    assert not client.reusable


async def test_uploading_counts_as_progress(autojump_clock: MockClock) -> None:
    async def slow() -> AsyncIterator[bytes]:
        for _ in range(10):
            await trio.sleep(30)
            yield b"x"

    async def use(client: HTTPClient) -> ClientResponse:
        async with trio.open_nursery() as nursery:

            async def answer_late() -> None:
                await trio.sleep(310)
                await theirs.send_all(OK)

            nursery.start_soon(answer_late)
            return await client.request("PUT", "/", body=slow())

    ours, theirs = memory_stream_pair()
    response = await use(HTTPClient(ours, host="x.test", limits=Limits(idle_seconds=60)))
    assert response.status == 200
    with pytest.raises(ExchangeTimeout):
        await HTTPClient(
            memory_stream_pair()[0], host="x", limits=Limits(idle_seconds=60, total_seconds=200)
        ).request("PUT", "/", body=slow())


async def test_the_total_bounds_a_dripping_response(
    served: Served, autojump_clock: MockClock
) -> None:
    async def drip() -> AsyncIterator[bytes]:
        while True:
            yield b"x"
            await trio.sleep(10)

    async def handler(_: Request) -> Response:
        return Response(200, [], drip())

    limits = Limits(idle_seconds=60, total_seconds=100)
    async with served(handler) as stream:
        response = await HTTPClient(stream, host="x.test", limits=limits).request("GET", "/")
        with pytest.raises(ExchangeTimeout):
            await response.read()
        assert trio.current_time() == pytest.approx(100)


@pytest.mark.parametrize(("size", "whole"), [(10, True), (11, False)])
async def test_the_body_is_bounded(size: int, whole: bool) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size)
    response, _ = await answered(answer, limits=Limits(body_bytes=10))
    if whole:
        assert len(await response.read()) == size
    else:
        with pytest.raises(ExchangeError):
            await response.read()


async def test_bytes_nobody_asked_for_end_the_connection() -> None:
    response, client = await answered(OK + OK.replace(b"ok", b"no"))
    assert await response.read() == b"ok"
    assert not client.reusable, "the second response would answer a request not yet made"


async def test_head_and_no_content_have_no_body() -> None:
    async def ask_head(client: HTTPClient) -> ClientResponse:
        return await client.request("HEAD", "/")

    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999999\r\n\r\n"
    response, client = await answered(answer, use=ask_head, eof=False)
    assert await response.read() == b""
    assert client.reusable
    response, client = await answered(b"HTTP/1.1 204 No Content\r\n\r\n", eof=False)
    assert await response.read() == b""
    assert client.reusable


async def test_wrong_use_is_our_own_fault(served: Served, hello: Handler) -> None:
    async def ask(client: HTTPClient, **options: object) -> Fault:
        with pytest.raises(ExchangeError) as caught:
            await client.request("PUT", **options)  # type: ignore[arg-type]
        return caught.value.fault

    for options in (
        {"target": "/a b"},
        {"target": "/", "headers": [(b"A", b"1\r\nB: 2")]},
        {"target": "/", "headers": [(b"Content-Length", b"3")], "body": b"more"},
        {"target": "/", "headers": [(b"Content-Length", b"3")], "body": b"x"},
    ):
        async with served(hello) as stream:
            assert await ask(HTTPClient(stream, host="x.test"), **options) is Fault.LOCAL


async def test_an_error_in_the_callers_own_body_is_raised_as_itself(
    served: Served, hello: Handler
) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise ZeroDivisionError

    async with served(hello) as stream:
        client = HTTPClient(stream, host="x.test")
        with pytest.raises(ZeroDivisionError):
            await client.request("PUT", "/", body=broken())
        assert not client.reusable
