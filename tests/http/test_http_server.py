"""What a client sees of one connection: order, framing, 100 Continue, errors, the log."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tlslab.errors import TLSError
from tlslab.http import (
    BodyTruncated,
    ExchangeError,
    ExchangeLog,
    Fault,
    Handler,
    ReplayStream,
    Request,
    Response,
    serve_http,
)

Exchange: TypeAlias = Callable[..., Awaitable[bytes]]
Served: TypeAlias = Callable[..., AbstractAsyncContextManager[trio.abc.HalfCloseableStream]]
Split: TypeAlias = Callable[[bytes], Iterable[bytes]]

GET = b"GET / HTTP/1.1\r\nHost: x.test\r\n\r\n"
CLOSE = b"GET / HTTP/1.1\r\nHost: x.test\r\nConnection: close\r\n\r\n"


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


async def test_requests_in_one_write_are_answered_in_order(
    exchange: Exchange, collect: Handler, split: Split
) -> None:
    requests = b"".join(
        b"POST /%d HTTP/1.1\r\nHost: x.test\r\nContent-Length: 3\r\n\r\nb-%d" % (n, n)
        for n in range(4)
    )
    answer = await exchange(collect, *split(requests))
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 4
    order = [answer.index(b"X-Target: /%d" % n) for n in range(4)]
    assert order == sorted(order)
    assert [answer.index(b"b-%d" % n) > order[n] for n in range(4)] == [True] * 4


async def test_chunked_request_body_arrives_without_its_framing(
    exchange: Exchange, split: Split
) -> None:
    seen: list[bytes] = []

    async def handler(request: Request) -> Response:
        seen.append(await request.read())
        return Response(204)

    head = b"PUT / HTTP/1.1\r\nHost: x.test\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = await exchange(handler, *split(head + b"3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\n\r\n" + GET))
    assert seen == [b"abcde", b""]
    assert answer.count(b"HTTP/1.1 204 No Content\r\n") == 2


async def test_the_case_of_header_names_is_kept(exchange: Exchange) -> None:
    seen: list[tuple[bytes, bytes]] = []

    async def handler(request: Request) -> Response:
        seen.extend(request.headers)
        assert request.header("x-odd-case") == "1"
        assert request.header("missing") is None
        return Response(200, [(b"x-lower", b"kept")])

    answer = await exchange(
        handler, b"GET /a?b=c HTTP/1.1\r\nhOsT: x.test\r\nX-oDd-CaSe:  1 \r\n\r\n"
    )
    assert seen == [(b"hOsT", b"x.test"), (b"X-oDd-CaSe", b"1")]
    assert b"x-lower: kept\r\n" in answer


async def test_target_is_split_into_path_and_query(exchange: Exchange) -> None:
    async def handler(request: Request) -> Response:
        return Response(200, [], f"{request.path}|{request.query}".encode())

    answer = await exchange(handler, GET.replace(b"/ ", b"/a%20b?c=d?e ", 1))
    assert answer.endswith(b"/a%20b|c=d?e")


async def test_continue_is_sent_when_the_body_is_first_read(served: Served) -> None:
    reading = trio.Event()

    async def handler(request: Request) -> Response:
        await reading.wait()
        return Response(200, [], await request.read())

    async with served(handler) as client:
        await client.send_all(
            b"PUT / HTTP/1.1\r\nHost: x.test\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        )
        with trio.move_on_after(0.05) as waited:
            await client.receive_some()
        assert waited.cancelled_caught, "nothing is sent before the handler wants the body"
        reading.set()
        assert (await client.receive_some()).startswith(b"HTTP/1.1 100 ")
        await client.send_all(b"ok")
        assert (await client.receive_some()).endswith(b"\r\n\r\nok")


async def test_continue_reaches_a_client_whose_body_is_echoed(
    served: Served, echo: Handler
) -> None:
    async with served(echo) as client:
        await client.send_all(
            b"PUT / HTTP/1.1\r\nHost: x.test\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        )
        assert (await client.receive_some()).startswith(b"HTTP/1.1 100 ")
        await client.send_all(b"ok")
        assert (await client.receive_some()).startswith(b"HTTP/1.1 200 ")


async def test_a_body_asked_for_too_late_is_an_error_not_a_hang(exchange: Exchange) -> None:
    """After a response, a client that waits for 100 Continue need not send its body any more."""
    caught: list[ExchangeError] = []

    async def late(request: Request) -> AsyncIterator[bytes]:
        yield b"answer first"
        try:
            await request.read()
        except ExchangeError as error:
            caught.append(error)

    async def handler(request: Request) -> Response:
        return Response(200, [], late(request))

    head = b"PUT / HTTP/1.1\r\nHost: x.test\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    answer = await exchange(handler, head, eof=False)
    assert b" 100 " not in answer
    assert caught[0].fault is Fault.LOCAL


async def test_no_continue_and_a_close_when_the_body_is_not_wanted(
    exchange: Exchange, hello: Handler
) -> None:
    head = b"PUT / HTTP/1.1\r\nHost: x.test\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    # Whether the two bytes follow is the client's choice: after a guess, `GET` could be read as
    # a body, or a body as a request.
    answer = await exchange(hello, head + GET)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close\r\n" in answer.lower()
    assert answer.count(b"HTTP/1.1") == 1


async def test_a_small_unread_body_is_read_away(exchange: Exchange, hello: Handler) -> None:
    body = b"GET /evil HTTP/1.1\r\nHost: x.test\r\n\r\n"
    head = b"PUT / HTTP/1.1\r\nHost: x.test\r\nContent-Length: %d\r\n\r\n" % len(body)
    answer = await exchange(hello, head + body + GET)
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert b"close" not in answer


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_large_unread_body_ends_the_connection(
    exchange: Exchange, hello: Handler, framing: str
) -> None:
    size = 600 * 1024
    if framing == "length":
        head = b"PUT / HTTP/1.1\r\nHost: x.test\r\nContent-Length: %d\r\n\r\n" % size
        message = head + bytes(size)
    else:
        head = b"PUT / HTTP/1.1\r\nHost: x.test\r\nTransfer-Encoding: chunked\r\n\r\n"
        message = head + b"%x\r\n" % size + bytes(size) + b"\r\n0\r\n\r\n"
    answer = await exchange(hello, message + GET)
    assert answer.count(b"HTTP/1.1 200 OK") == 1
    assert (b"Connection: close" in answer) == (framing == "length"), "known beforehand or not"


async def test_connection_close_is_honoured(exchange: Exchange, hello: Handler) -> None:
    answer = await exchange(hello, CLOSE + GET, eof=False)
    assert answer.count(b"HTTP/1.1 200 OK") == 1
    assert b"Connection: close" in answer


async def test_handler_can_close_the_connection(exchange: Exchange) -> None:
    async def handler(_: Request) -> Response:
        return Response(200, [(b"Connection", b"close")], b"bye")

    assert (await exchange(handler, GET + GET, eof=False)).count(b"bye") == 1


async def test_http_1_0_gets_no_chunks_and_a_close(exchange: Exchange) -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield b"first "
        yield b"second"

    async def handler(_: Request) -> Response:
        return Response(200, [], stream())

    answer = await exchange(handler, b"GET / HTTP/1.0\r\n\r\n", eof=False)
    assert answer.endswith(b"\r\n\r\nfirst second")
    assert b"Transfer-Encoding" not in answer


async def test_head_has_the_length_but_not_the_body(exchange: Exchange, hello: Handler) -> None:
    answer = await exchange(hello, GET.replace(b"GET", b"HEAD") + GET)
    first, _, rest = answer.partition(b"\r\n\r\n")
    assert b"Content-Length: 5" in first
    assert rest.startswith(b"HTTP/1.1 200 OK")


async def test_head_does_not_start_a_streamed_body(exchange: Exchange) -> None:
    started = False

    async def stream() -> AsyncIterator[bytes]:
        nonlocal started
        started = True
        yield b"x"

    async def handler(_: Request) -> Response:
        return Response(200, [], stream())

    answer = await exchange(handler, GET.replace(b"GET", b"HEAD"))
    assert status_of(answer) == 200
    assert not started


async def test_each_response_has_one_date(exchange: Exchange, hello: Handler) -> None:
    assert (await exchange(hello, GET)).count(b"Date: ") == 1

    async def dated(_: Request) -> Response:
        return Response(200, [(b"date", b"Thu, 01 Jan 1970 00:00:00 GMT")])

    assert (await exchange(dated, GET)).lower().count(b"date: ") == 1


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),  # a ClientHello on a plain port
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nBad Name: 1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", 400),
        (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\nx", 400),
        (b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\nHo", 400),
        (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nshort", 400),
    ],
)
async def test_faulty_messages_get_the_status_that_says_so(
    exchange: Exchange, collect: Handler, split: Split, message: bytes, status: int
) -> None:
    answer = await exchange(collect, *split(message))
    assert status_of(answer) == status
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_two_ways_to_tell_the_length_are_refused(
    exchange: Exchange, echo: Handler, split: Split, order: tuple[int, int]
) -> None:
    fields = [b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"]
    head = b"PUT / HTTP/1.1\r\nHost: a\r\n" + fields[order[0]] + fields[order[1]] + b"\r\n"
    smuggled = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    answer = await exchange(echo, *split(head + smuggled))
    assert status_of(answer) == 400
    assert answer.count(b"HTTP/1.1") == 1
    either = await exchange(echo, head.replace(fields[0], b"") + smuggled)
    assert either.count(b"HTTP/1.1 200") == 2, "with one of them, the same bytes are two requests"


async def test_a_failing_handler_gives_500_and_no_secret(
    exchange: Exchange, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "hunter2"

    async def handler(_: Request) -> Response:
        raise ValueError(f"cannot log in with {secret}")

    with caplog.at_level(logging.DEBUG):
        answer = await exchange(handler, GET.replace(b"/ ", b"/?password=hunter2 ", 1) + GET)
    assert status_of(answer) == 500
    assert answer.count(b"HTTP/1.1") == 1
    assert secret.encode() not in answer
    assert secret not in caplog.text
    assert "ValueError" in caplog.text
    assert __file__ in caplog.text


async def test_an_error_before_the_first_part_is_a_clean_500(exchange: Exchange) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield int("no number").to_bytes()

    async def handler(_: Request) -> Response:
        return Response(200, [], broken())

    assert status_of(await exchange(handler, GET)) == 500


async def test_an_error_after_the_first_part_truncates(exchange: Exchange) -> None:
    closed = False

    async def broken() -> AsyncIterator[bytes]:
        nonlocal closed
        try:
            yield b"first"
            raise ValueError
        finally:
            closed = True

    async def handler(_: Request) -> Response:
        return Response(200, [], broken())

    answer = await exchange(handler, GET + GET)
    assert answer.endswith(b"5\r\nfirst\r\n"), "no last chunk: the client can tell"
    assert closed


async def test_an_invalid_response_is_a_500(exchange: Exchange) -> None:
    for response in (
        Response(200, [(b"Bad Name", b"x")]),
        Response(99),
        Response(200, [(b"A", b"b\r\nc")]),
    ):

        async def handler(_: Request, response: Response = response) -> Response:
            return response

        assert status_of(await exchange(handler, GET)) == 500


async def test_a_handler_can_refuse_with_an_exchange_error(exchange: Exchange) -> None:
    async def gateway(_: Request) -> Response:
        raise ExchangeError("upstream is down", status=502)

    async def confused(_: Request) -> Response:
        raise ExchangeError("used the client wrongly", status=400, fault=Fault.LOCAL)

    assert status_of(await exchange(gateway, GET)) == 502
    assert status_of(await exchange(confused, GET)) == 500


async def test_a_client_that_leaves_mid_body_is_noticed(served: Served) -> None:
    noticed: list[Exception] = []

    async def handler(request: Request) -> Response:
        try:
            await request.read()
        except Exception as error:
            noticed.append(error)
            raise
        raise AssertionError("a truncated body was taken for whole")

    log: list[ExchangeLog] = []
    async with served(handler, on_exchange=log.append) as client:
        await client.send_all(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nshort")
        await wait_all_tasks_blocked()
        await client.aclose()
    assert isinstance(noticed[0], BodyTruncated)
    assert noticed[0].fault is Fault.PEER
    assert log[0].bytes_in == 5


async def test_a_client_that_is_gone_ends_the_response(served: Served) -> None:
    finished = False

    async def endless() -> AsyncIterator[bytes]:
        nonlocal finished
        try:
            while True:
                yield b"x" * 1000
                await trio.lowlevel.checkpoint()
        finally:
            finished = True

    async def handler(_: Request) -> Response:
        return Response(200, [], endless())

    async with served(handler) as client:
        await client.send_all(GET)
        assert await client.receive_some()
        await client.aclose()
    assert finished


class Truncated(TLSError, trio.BrokenResourceError):
    """What a TLS stream raises when the transport ends without close_notify."""


class _Failing(ReplayStream):
    """A stream that receives `prefix`, and then fails as TLS streams do."""

    def __init__(self, stream: trio.abc.Stream, prefix: bytes, error: Exception) -> None:
        super().__init__(stream, prefix)
        self._error: Exception = error

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if self._prefix:
            return await super().receive_some(max_bytes)
        raise self._error


async def test_tls_truncation_inside_a_body_is_truncation(hello: Handler) -> None:
    seen: list[ExchangeLog] = []
    noticed: list[Exception] = []

    async def handler(request: Request) -> Response:
        try:
            await request.read()
        except BodyTruncated as error:
            noticed.append(error)
        return Response(204)

    _, server = trio.testing.memory_stream_pair()
    head = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nshort"
    cut = _Failing(server, head, Truncated("no close_notify"))
    await serve_http(cut, handler, on_exchange=seen.append)
    assert len(noticed) == 1
    _, server = trio.testing.memory_stream_pair()
    await serve_http(_Failing(server, b"", Truncated("no close_notify")), hello)


async def test_a_failed_handshake_is_raised(hello: Handler) -> None:
    _, server = trio.testing.memory_stream_pair()
    with pytest.raises(TLSError):
        await serve_http(_Failing(server, b"", TLSError("refused")), hello)


async def test_every_exchange_is_logged(exchange: Exchange, echo: Handler) -> None:
    log: list[ExchangeLog] = []
    await exchange(
        echo,
        b"POST /pay?card=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody",
        b"garbage\r\n\r\n",
        on_exchange=log.append,
    )
    pay, garbage = log
    assert (pay.method, pay.target, pay.status) == ("POST", "/pay?card=1", 200)
    assert (pay.bytes_in, pay.bytes_out) == (4, 4)
    assert str(pay).startswith("POST /pay?card=1 200 in=4 out=4 ")
    assert (garbage.method, garbage.target, garbage.status) == ("-", "-", 400)


async def test_nobody_asked_nothing_is_logged(exchange: Exchange, hello: Handler) -> None:
    log: list[ExchangeLog] = []
    assert await exchange(hello, on_exchange=log.append) == b""
    assert log == []
