"""WebSocket in both roles, handed over by the HTTP server, and the ways in which it can fail."""

from __future__ import annotations

import base64
import hashlib
import logging
import os
import shutil
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TypeAlias

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

from tlslab.errors import TLSError
from tlslab.http import (
    ExchangeError,
    ExchangeLog,
    ExchangeTimeout,
    Handler,
    PeerGone,
    ReplayStream,
    Upgrade,
    WebSocketClosed,
    serve_http,
    websocket_client,
)

Exchange: TypeAlias = Callable[..., Awaitable[bytes]]
Served: TypeAlias = Callable[..., AbstractAsyncContextManager[trio.abc.HalfCloseableStream]]
Split: TypeAlias = Callable[[bytes], Iterable[bytes]]

KEY = base64.b64encode(os.urandom(16))
UPGRADE = (
    b"GET /chat HTTP/1.1\r\nHost: x.test\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade"
    b"\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + KEY + b"\r\n\r\n"
)


def frame(opcode: int, payload: bytes) -> bytes:
    """A final, masked frame of a client (RFC 6455 5.2)."""
    mask = os.urandom(4)
    masked = bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + mask + masked


async def shout(upgrade: Upgrade) -> None:
    """Answers each message in capitals."""
    socket = await upgrade.accept()
    while True:
        message = await socket.get_message()
        await socket.send_message(message.upper())


async def test_messages_go_both_ways(served: Served, hello: Handler) -> None:
    log: list[ExchangeLog] = []
    async with served(hello, websocket=shout, on_exchange=log.append) as stream:
        async with websocket_client(stream, "x.test", "/chat") as socket:
            for message in ("hello", "wörld" * 1000, b"\x00bytes"):
                await socket.send_message(message)
                assert await socket.get_message() == message.upper()
        assert socket.closed is not None
        assert socket.closed.code == 1000
    assert (log[0].target, log[0].status) == ("/chat", 101)
    assert log[0].bytes_in > 5000
    assert log[0].bytes_out > 5000


async def test_the_handshake_and_frames_on_the_wire(
    served: Served, hello: Handler, split: Split
) -> None:
    """Frames that follow the head at once are not lost, however all is cut."""
    answer = b""
    async with served(hello, websocket=shout) as client:
        for part in split(UPGRADE + frame(1, b"pipelined")):
            await client.send_all(part)
        while not answer.endswith(b"PIPELINED"):
            answer += await client.receive_some()
        await client.send_all(frame(8, (1000).to_bytes(2, "big")))
        answer += b"".join([bytes(part) async for part in client])
    head, _, frames = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    accept = hashlib.sha1(KEY + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    assert b"Sec-WebSocket-Accept: " + base64.b64encode(accept) in head
    assert frames == b"\x81\x09PIPELINED" + b"\x88\x02\x03\xe8"


async def test_other_requests_still_go_to_the_handler(exchange: Exchange, hello: Handler) -> None:
    plain = b"GET / HTTP/1.1\r\nHost: x.test\r\n\r\n"
    h2c = b"GET / HTTP/1.1\r\nHost: x.test\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    answer = await exchange(hello, plain + h2c + plain + UPGRADE, websocket=shout)
    assert answer.count(b"HTTP/1.1 200 OK") == 3
    assert answer.count(b"HTTP/1.1 101 ") == 1
    assert (await exchange(hello, UPGRADE + plain)).count(b"HTTP/1.1 200 OK") == 2


async def test_the_server_chooses_a_subprotocol_and_sees_the_fields(
    served: Served, hello: Handler
) -> None:
    async def handler(upgrade: Upgrade) -> None:
        assert upgrade.target == "/chat?room=1"
        assert upgrade.subprotocols == ("v2", "v1")
        assert (b"x-token", b"abc") in upgrade.headers
        await upgrade.accept(subprotocol="v1", headers=[(b"X-Answer", b"1")])

    async with (
        served(hello, websocket=handler) as stream,
        websocket_client(
            stream,
            "x.test",
            "/chat?room=1",
            headers=[(b"X-Token", b"abc")],
            subprotocols=["v2", "v1"],
        ) as socket,
    ):
        assert socket.subprotocol == "v1"
        assert (b"x-answer", b"1") in socket.handshake_headers
        with pytest.raises(WebSocketClosed):
            await socket.get_message()  # the handler has returned, which closes it


async def test_a_refused_upgrade_has_its_status(
    served: Served, hello: Handler, autojump_clock: MockClock
) -> None:
    async def reject(upgrade: Upgrade) -> None:
        await upgrade.reject(403)

    async def forget(_: Upgrade) -> None:
        return

    async def fail(_: Upgrade) -> None:
        raise ValueError

    for handler, status in ((reject, 403), (forget, 500), (fail, 500), (None, 200)):
        log: list[ExchangeLog] = []
        async with served(hello, websocket=handler, on_exchange=log.append) as stream:
            with pytest.raises(ExchangeError) as caught:
                async with websocket_client(stream, "x.test", "/"):
                    raise AssertionError("it was not refused")
            assert caught.value.status == status
        assert log[0].status == status
    assert trio.current_time() < 5, "nobody waited for a timeout"


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (b"Version: 13", b"Version: 12", 426),
        (b"Sec-WebSocket-Version", b"X", 400),
        (b"Sec-WebSocket-Key", b"X", 400),
    ],
)
async def test_a_faulty_handshake_is_refused(
    exchange: Exchange, hello: Handler, old: bytes, new: bytes, status: int
) -> None:
    log: list[ExchangeLog] = []
    message = UPGRADE.replace(old, new)
    answer = await exchange(hello, message, websocket=shout, on_exchange=log.append)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert log[0].status == status


async def test_a_host_that_is_no_name_is_no_crash(exchange: Exchange, hello: Handler) -> None:
    message = UPGRADE.replace(b"x.test", b"\xff.test")
    assert await exchange(hello, message, websocket=shout) == b""


async def test_a_failing_handler_closes_with_1011_and_no_secret(
    served: Served, hello: Handler, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(upgrade: Upgrade) -> None:
        await upgrade.accept()
        raise ValueError("hunter2")

    caplog.set_level(logging.INFO)
    async with (
        served(hello, websocket=fail) as stream,
        websocket_client(stream, "x.test", "/") as socket,
    ):
        with pytest.raises(WebSocketClosed) as caught:
            await socket.get_message()
    assert caught.value.reason is not None
    assert caught.value.reason.code == 1011
    assert "ValueError" in caplog.text
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 101 Switch"])
async def test_a_server_that_leaves_in_the_handshake(
    autojump_clock: MockClock, said: bytes
) -> None:
    ours, theirs = memory_stream_pair()
    if said:
        await theirs.send_all(said)
    await theirs.send_eof()
    with pytest.raises(PeerGone):
        async with websocket_client(ours, "x.test", "/"):
            raise AssertionError
    assert trio.current_time() < 1


@pytest.mark.parametrize("said", [b"garbage\r\n\r\n", b"HTTP/1.1 101 Switching\r\n\r\n"])
async def test_a_malformed_answer(said: bytes) -> None:
    ours, theirs = memory_stream_pair()
    await theirs.send_all(said)
    with pytest.raises(ExchangeError) as caught:
        async with websocket_client(ours, "x.test", "/"):
            raise AssertionError
    assert caught.value.status == 502


async def test_a_silent_server_times_out(autojump_clock: MockClock) -> None:
    ours, _theirs = memory_stream_pair()
    with pytest.raises(ExchangeTimeout):
        async with websocket_client(ours, "x.test", "/", open_seconds=7):
            raise AssertionError
    assert trio.current_time() == pytest.approx(7)


async def test_a_peer_that_never_says_goodbye(
    served: Served, hello: Handler, autojump_clock: MockClock
) -> None:
    async def accept(upgrade: Upgrade) -> None:
        await upgrade.accept()

    async with served(hello, websocket=accept) as client:
        await client.send_all(UPGRADE)
        assert [part async for part in client], "closed for all that, after a while"
    assert trio.current_time() == pytest.approx(5)


async def test_a_message_too_large_is_refused(served: Served, hello: Handler) -> None:
    async with (
        served(hello, websocket=shout) as stream,
        websocket_client(stream, "x.test", "/", max_message_bytes=4000) as socket,
    ):
        await socket.send_message("x" * 4000)
        assert len(await socket.get_message()) == 4000
        await socket.send_message("x" * 4001)
        with pytest.raises(WebSocketClosed):
            await socket.get_message()


class Truncated(TLSError, trio.BrokenResourceError):
    """What a TLS stream raises when the transport ends without close_notify."""


class _FailsLater(ReplayStream):
    """Passes `prefix` and then fails as a TLS stream does."""

    def __init__(self, stream: trio.abc.Stream, prefix: bytes, error: Exception) -> None:
        super().__init__(stream, prefix)
        self._error = error

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        return await super().receive_some(max_bytes) if self._prefix else await self._fail()

    async def _fail(self) -> bytes:
        await trio.lowlevel.checkpoint()
        raise self._error


async def test_tls_errors_do_not_escape_from_the_background(hello: Handler) -> None:
    closed: list[int] = []

    async def handler(upgrade: Upgrade) -> None:
        socket = await upgrade.accept()
        try:
            await socket.get_message()
        except WebSocketClosed:
            closed.append(1)
            raise

    _, server = memory_stream_pair()
    cut = _FailsLater(server, UPGRADE, Truncated("no close_notify"))
    await serve_http(cut, hello, websocket=handler)
    assert closed == [1]


async def test_a_refused_tls_handshake_is_raised_as_itself() -> None:
    ours, _ = memory_stream_pair()
    stream = _FailsLater(ours, b"", TLSError("certificate required"))
    with pytest.raises(TLSError):
        async with websocket_client(stream, "x.test", "/"):
            raise AssertionError


async def test_the_callers_own_error_is_raised_as_itself(served: Served, hello: Handler) -> None:
    async with served(hello, websocket=shout) as stream:
        with pytest.raises(ZeroDivisionError):
            async with websocket_client(stream, "x.test", "/"):
                raise ZeroDivisionError


NODE_CLIENT = """
const socket = new WebSocket(process.argv[1]);
socket.onopen = () => socket.send('hello from node');
socket.onmessage = (event) => { console.log(event.data); socket.close(1000, 'done'); };
socket.onclose = (event) => console.log(event.code);
"""


async def test_node_talks_to_our_server(hello: Handler) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    async with trio.open_nursery() as nursery:
        serve = partial(
            trio.serve_tcp, partial(serve_http, handler=hello, websocket=shout), 0, host="127.0.0.1"
        )
        listeners: list[trio.SocketListener] = await nursery.start(serve)
        url = f"ws://127.0.0.1:{listeners[0].socket.getsockname()[1]}/chat"
        with trio.fail_after(20):
            done = await trio.run_process(
                [node, "--experimental-websocket", "-e", NODE_CLIENT, url],
                capture_stdout=True,
                env={**os.environ, "no_proxy": "127.0.0.1"},
            )
        nursery.cancel_scope.cancel()
    assert done.stdout.split(b"\n")[:2] == [b"HELLO FROM NODE", b"1000"]
