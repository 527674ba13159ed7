"""HTTP through the proxy: bytes unchanged, connections reused, failures answered, nothing mixed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, lockstep_stream_pair, memory_stream_pair, wait_all_tasks_blocked

from tlslab.http import (
    BodyTruncated,
    HTTPClient,
    Limits,
    Request,
    Response,
    Upgrade,
    serve_http,
    websocket_client,
)
from tlslab.proxy import TerminatingProxy

Proxied: TypeAlias = Callable[..., AbstractAsyncContextManager[trio.abc.HalfCloseableStream]]
Stream: TypeAlias = trio.abc.HalfCloseableStream

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


class Recorder:
    """An upstream that keeps all it receives, and answers each time `ends` was received."""

    def __init__(self, *answers: bytes, until: bytes = b"\r\n\r\n", close: bool = False) -> None:
        self.received = b""
        self._answers = list(answers)
        self._until = until
        self._close = close

    async def __call__(self, stream: Stream) -> None:
        received = b""
        async for part in stream:
            self.received += part
            received += part
            while self._answers and self._until in received:
                received = received.partition(self._until)[2]
                await stream.send_all(self._answers.pop(0))
                if self._close:
                    await stream.aclose()
                    return
        await stream.aclose()


async def receive_until(stream: Stream, end: bytes) -> bytes:
    received = b""
    while not received.endswith(end):
        part = await stream.receive_some()
        assert part, received
        received += part
    return received


async def collect(request: Request) -> Response:
    body = await request.read(at_most=1 << 24)
    return Response(200, [(b"X-Target", request.target.encode())], body)


async def collecting(stream: Stream) -> None:
    await serve_http(stream, collect)


@pytest.mark.parametrize("step", [1, 9, 10_000])
async def test_a_request_arrives_byte_for_byte(proxied: Proxied, step: int) -> None:
    upstream = Recorder(OK, until=b"0\r\nX-Sum: 1\r\n\r\n")
    request = (
        b"PUT /a%2fb?X-Amz=%20+ HTTP/1.1\r\nhost:  a.test \r\nX-AMZ-Date:20260101\r\n"
        b"User-agent: x\r\ntransfer-encoding: chunked\r\nX-Amz-Trailer: X-Sum\r\n\r\n"
        b"003;a=b\r\nabc\r\n1\r\nd\r\n0\r\nX-Sum: 1\r\n\r\n"
    )
    async with proxied(upstream) as client:
        for start in range(0, len(request), step):
            await client.send_all(request[start : start + step])
        assert await receive_until(client, b"ok") == OK
    assert upstream.received == request


@pytest.mark.parametrize("step", [1, 9, 10_000])
async def test_a_response_arrives_byte_for_byte(proxied: Proxied, step: int) -> None:
    response = (
        b"HTTP/1.1 207 \xc3\xa4\r\nX-lower:  v \r\nTransfer-Encoding: CHUNKED\r\n\r\n"
        b"05\r\nhello\r\n0\r\nX-Sum: 2\r\n\r\n"
    )

    async def upstream(stream: Stream) -> None:
        await stream.receive_some()
        for start in range(0, len(response), step):
            await stream.send_all(response[start : start + step])

    async with proxied(upstream) as client:
        await client.send_all(GET)
        assert await receive_until(client, b"2\r\n\r\n") == response


async def test_fields_of_one_hop_stay_there(proxied: Proxied) -> None:
    upstream = Recorder(
        OK.replace(b"OK\r\n", b"OK\r\nConnection: X-B\r\nX-B: 1\r\nKeep-Alive: 5\r\n")
    )
    async with proxied(upstream) as client:
        await client.send_all(
            GET[:-2] + b"Connection: keep-alive, X-A\r\nX-A: 1\r\nProxy-X: 1\r\n\r\n"
        )
        assert await receive_until(client, b"ok") == OK
    assert upstream.received == GET


async def test_pipelined_requests_share_one_upstream_connection(
    proxied: Proxied, seen: Any
) -> None:
    requests = b"".join(
        b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nb-%d" % (n, n) for n in range(5)
    )
    async with proxied(collecting, seen) as client:
        await client.send_all(requests)
        answer = await receive_until(client, b"b-4")
    positions = [answer.index(b"X-Target: /%d\r\n" % n) for n in range(5)]
    assert positions == sorted(positions)
    assert [log.target for log in seen.exchanges] == ["/0", "/1", "/2", "/3", "/4"]
    assert seen.connections == 1
    assert seen.exchanges[0].bytes_in == seen.exchanges[0].bytes_out == 3


async def test_an_upstream_that_closed_in_between_is_replaced(proxied: Proxied, seen: Any) -> None:
    async def once(stream: Stream) -> None:
        await stream.receive_some()
        await stream.send_all(OK)
        await stream.aclose()

    async with proxied(once, seen) as client:
        for _ in range(3):
            await client.send_all(GET)
            assert await receive_until(client, b"ok") == OK
            await wait_all_tasks_blocked()
    assert seen.connections == 3


async def test_an_upstream_that_says_close_is_replaced_and_the_client_not_told(
    proxied: Proxied, seen: Any
) -> None:
    answer = OK.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n")
    async with proxied(Recorder(answer, answer), seen) as client:
        for _ in range(2):
            await client.send_all(GET)
            assert await receive_until(client, b"ok") == OK
    assert seen.connections == 2


async def test_a_second_response_to_one_request_reaches_nobody(proxied: Proxied, seen: Any) -> None:
    """Bytes that an upstream sends unasked could be taken for the answer to the next request."""
    answers = iter([OK + OK.replace(b"ok", b"no"), OK])

    async def upstream(stream: Stream) -> None:
        async for _ in stream:
            await stream.send_all(next(answers))

    async with proxied(upstream, seen) as client:
        await client.send_all(GET)
        assert await receive_until(client, b"ok") == OK
        await client.send_all(GET)
        assert await receive_until(client, b"ok") == OK
    assert seen.connections == 2


async def test_continue_passes_through(proxied: Proxied) -> None:
    async with proxied(collecting) as stream:
        client = HTTPClient(stream, host="a")
        began = trio.current_time()
        response = await client.request(
            "PUT", "/", headers=[(b"Expect", b"100-continue")], body=b"x" * 10
        )
        assert await response.read() == b"x" * 10
        assert trio.current_time() - began < 0.9, "it did not wait in vain"


async def test_an_early_refusal_is_heard_and_the_rest_not_awaited(
    proxied: Proxied, seen: Any
) -> None:
    refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"
    async with proxied(Recorder(refusal), seen) as client:
        await client.send_all(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\nsome")
        answer = await receive_until(client, b"no")
        assert status_of(answer) == 403
        assert b"Connection: close\r\n" in answer
        await client.send_eof()
        assert await client.receive_some() == b""
    assert seen.exchanges[0].status == 403


async def test_a_response_that_ends_with_the_connection(proxied: Proxied) -> None:
    async with proxied(Recorder(b"HTTP/1.1 200 OK\r\n\r\nall of it", close=True)) as client:
        await client.send_all(GET)
        answer = b"".join([bytes(part) async for part in client])
    assert answer == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it"


async def test_http_1_0_is_passed_on_as_such_and_closed(proxied: Proxied) -> None:
    upstream = Recorder(b"HTTP/1.1 103 Early\r\n\r\n" + OK)
    async with proxied(upstream) as client:
        await client.send_all(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        answer = b"".join([bytes(part) async for part in client])
    assert upstream.received == b"GET / HTTP/1.0\r\n\r\n"
    assert answer == OK.replace(b"2\r\n\r\n", b"2\r\nConnection: close\r\n\r\n")


async def test_head_and_interim_responses(proxied: Proxied) -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"
    async with proxied(Recorder(early + head, OK)) as client:
        await client.send_all(GET.replace(b"GET", b"HEAD"))
        assert await receive_until(client, b"999\r\n\r\n") == early + head
        await client.send_all(GET)
        assert await receive_until(client, b"ok") == OK


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01", 400),
        (b"GET / HTTP/1.1\nHost: a\n\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (
            b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
        ),
        (b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"GET /" + b"t" * 8000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 32768 + b"\r\n\r\n", 431),
        (b"GET /" + b"t" * 40000, 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: 1\r\n" * 100 + b"\r\n", 431),
        (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", 413),
        (
            b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + bytes(1001),
            413,
        ),
        (
            GET[:-2] + b"Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\nx",
            400,
        ),
        (b"GET / HTTP/1.1\r\nHo", 400),
    ],
)
async def test_what_is_refused_reaches_no_upstream_as_a_whole(
    proxied: Proxied, seen: Any, message: bytes, status: int
) -> None:
    upstream = Recorder()
    async with proxied(upstream, seen, limits=Limits(body_bytes=1000)) as client:
        await client.send_all(message)
        await client.send_eof()
        answer = b"".join([bytes(part) async for part in client])
    assert status_of(answer) == status
    assert answer.count(b"HTTP/1.1") == 1
    assert seen.exchanges[0].status == status
    if b"\r\n\r\n" in message and b"chunked\r\n\r\n" not in message:
        assert upstream.received == b""


@pytest.mark.parametrize("said", [b"\x16\x03\x01\x02\x00", b"GET / HTTP/1.1\nHost: a\n\n", b"\r\n"])
async def test_what_cannot_become_a_head_is_refused_at_once(
    proxied: Proxied, autojump_clock: MockClock, said: bytes
) -> None:
    async with proxied(Recorder()) as client:
        await client.send_all(said)
        assert status_of(bytes(await client.receive_some())) == 400
        assert trio.current_time() < 1


async def test_smuggling_needs_a_proxy_less_strict(proxied: Proxied, seen: Any) -> None:
    """The same bytes are one request to one parser and two to another; here they are none."""
    smuggled = b"0\r\n\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n"
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n" % len(smuggled)
    async with proxied(collecting, seen) as client:
        await client.send_all(head + b"Transfer-Encoding: chunked\r\n\r\n" + smuggled)
        assert status_of(await receive_until(client, b"Bad Request\n")) == 400
    assert seen.connections == 0
    async with proxied(collecting) as client:
        await client.send_all(head + b"\r\n" + smuggled)
        assert status_of(await receive_until(client, smuggled)) == 200, "with one length: one body"


@pytest.mark.parametrize(
    "answer",
    [
        b"garbage\r\n\r\n",
        b"",
        b"HTTP/1.1 200 O",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 21,
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 40000,
    ],
)
async def test_an_upstream_that_talks_nonsense_is_a_502(
    proxied: Proxied, seen: Any, answer: bytes
) -> None:
    async with proxied(Recorder(answer, close=True), seen) as client:
        await client.send_all(GET)
        received = b"".join([bytes(part) async for part in client])
    last = received.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n" * 20)
    assert status_of(last) == 502
    assert seen.failures[0].status == 502
    assert seen.exchanges[0].status == 502


async def test_a_truncated_response_is_cut_not_ended(proxied: Proxied, seen: Any) -> None:
    truncated = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"
    async with proxied(Recorder(truncated, close=True), seen) as stream:
        response = await HTTPClient(stream, host="a").request("GET", "/")
        with pytest.raises(BodyTruncated):
            await response.read()
    assert seen.exchanges[0].bytes_out == 5
    assert len(seen.failures) == 1


@pytest.mark.parametrize(
    ("error", "status"), [(OSError("refused"), 502), (None, 504)], ids=["refused", "silent"]
)
async def test_an_upstream_that_cannot_be_reached(
    autojump_clock: MockClock, error: OSError | None, status: int
) -> None:
    async def connect() -> trio.abc.Stream:
        if error is not None:
            raise error
        await trio.sleep_forever()
        raise AssertionError

    client, front = memory_stream_pair()
    proxy = TerminatingProxy(policy=None, connect_upstream=connect, connect_seconds=7)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(proxy.serve, front)
        await client.send_all(GET)
        assert status_of(bytes(await client.receive_some())) == status
        await client.aclose()
    assert trio.current_time() == pytest.approx(0 if error else 7, abs=2)


async def test_an_upstream_that_does_not_answer_is_a_504(
    proxied: Proxied, seen: Any, autojump_clock: MockClock
) -> None:
    async with proxied(Recorder(), seen, limits=Limits(idle_seconds=30)) as client:
        await client.send_all(GET)
        assert status_of(bytes(await client.receive_some())) == 504
        assert trio.current_time() == pytest.approx(30)
    assert seen.failures[0].status == 504


async def test_a_client_that_does_not_go_on_is_a_408(
    proxied: Proxied, autojump_clock: MockClock
) -> None:
    limits = Limits(idle_seconds=30)
    async with proxied(Recorder(), limits=limits) as client:
        await client.send_all(b"GET / HT")
        assert status_of(bytes(await client.receive_some())) == 408
    async with proxied(Recorder(), limits=limits) as client:
        assert await client.receive_some() == b"", "one that said nothing is told nothing"


async def test_a_client_that_leaves_mid_body_cuts_the_upstream(proxied: Proxied, seen: Any) -> None:
    truncated: list[Exception] = []

    async def handler(request: Request) -> Response:
        try:
            await request.read()
        except BodyTruncated as error:
            truncated.append(error)
            raise
        raise AssertionError("a truncated body was taken for whole")

    async def upstream(stream: Stream) -> None:
        await serve_http(stream, handler)

    async with proxied(upstream, seen) as client:
        await client.send_all(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nshort")
        await wait_all_tasks_blocked()
        await client.aclose()
    assert len(truncated) == 1


async def test_a_websocket_passes_through(proxied: Proxied, seen: Any) -> None:
    async def shout(upgrade: Upgrade) -> None:
        socket = await upgrade.accept()
        await socket.send_message("welcome")
        while True:
            message = await socket.get_message()
            await socket.send_message(message.upper())

    async def upstream(stream: Stream) -> None:
        await serve_http(stream, collect, websocket=shout)

    async with (
        proxied(upstream, seen) as stream,
        websocket_client(stream, "a", "/chat") as socket,
    ):
        assert await socket.get_message() == "welcome"
        await socket.send_message("x" * 100_000)
        assert await socket.get_message() == "X" * 100_000
    assert seen.exchanges[0].status == 101
    assert seen.exchanges[0].bytes_in > 100_000


async def test_a_refused_upgrade_stays_http(proxied: Proxied) -> None:
    upgrade = GET.replace(b"a\r\n", b"a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n")
    async with proxied(Recorder(OK, OK)) as client:
        for request in (upgrade, GET):
            await client.send_all(request)
            assert await receive_until(client, b"ok") == OK


async def test_a_stalled_client_stops_the_upstream() -> None:
    """Lockstep streams buffer nothing: what the upstream got rid of is in the proxy, or read."""
    client, front = lockstep_stream_pair()
    near, far = lockstep_stream_pair()
    sent = 0

    async def connect() -> trio.abc.Stream:
        return near

    async def upstream() -> None:
        nonlocal sent
        await far.receive_some()
        await far.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n")
        while True:
            await far.send_all(bytes(65536))
            sent += 65536

    proxy = TerminatingProxy(policy=None, connect_upstream=connect)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(proxy.serve, front)
        nursery.start_soon(upstream)
        await client.send_all(GET)
        await client.receive_some(20)
        await wait_all_tasks_blocked()
        assert sent <= 2 * 65536
        nursery.cancel_scope.cancel()


async def test_a_stalled_upstream_stops_the_client() -> None:
    client, front = lockstep_stream_pair()
    near, far = lockstep_stream_pair()
    sent = 0

    async def connect() -> trio.abc.Stream:
        return near

    async def upload() -> None:
        nonlocal sent
        await client.send_all(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n")
        while True:
            await client.send_all(bytes(65536))
            sent += 65536

    proxy = TerminatingProxy(policy=None, connect_upstream=connect)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(proxy.serve, front)
        nursery.start_soon(upload)
        assert await far.receive_some(10)
        await wait_all_tasks_blocked()
        assert sent <= 2 * 65536
        nursery.cancel_scope.cancel()


async def test_an_upload_cut_off_by_its_answer_does_not_spoil_the_next_request() -> None:
    """An upstream that answers before it has read the body must not be used again."""
    connections = 0

    async def connect() -> trio.abc.Stream:
        nonlocal connections
        connections += 1
        near, far = lockstep_stream_pair()
        nursery.start_soon(upstream, far)
        return near

    async def upstream(stream: Stream) -> None:
        await stream.receive_some(1 << 20)  # the head; the body stays where it is
        await stream.send_all(OK)
        await trio.sleep_forever()

    client, front = memory_stream_pair()
    proxy = TerminatingProxy(policy=None, connect_upstream=connect)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(proxy.serve, front)
        await client.send_all(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody" + GET)
        answer = b"".join([bytes(part) async for part in client])
        nursery.cancel_scope.cancel()
    assert answer.count(b"HTTP/1.1 200 OK") == 1
    assert b"Connection: close\r\n" in answer
    assert connections == 1


@settings(max_examples=40, deadline=None)
@given(
    bodies=st.lists(st.lists(st.binary(max_size=100), max_size=5), min_size=1, max_size=3),
    whole=st.booleans(),
)
def test_bodies_arrive_identical(bodies: list[list[bytes]], whole: bool) -> None:
    async def stream_of(parts: list[bytes]) -> AsyncIterator[bytes]:
        for part in parts:
            await trio.lowlevel.checkpoint()
            yield part

    async def main() -> None:
        front, back = memory_stream_pair()
        near, far = memory_stream_pair()

        async def connect() -> trio.abc.Stream:
            return near

        proxy = TerminatingProxy(policy=None, connect_upstream=connect)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(collecting, far)
            nursery.start_soon(proxy.serve, back)
            async with HTTPClient(front, host="a") as client:
                for parts in bodies:
                    body = b"".join(parts) if whole else stream_of(parts)
                    response = await client.request("PUT", "/", body=body)
                    assert await response.read() == b"".join(parts)

    trio.run(main)
