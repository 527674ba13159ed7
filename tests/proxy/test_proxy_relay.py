"""The relay: identical bytes, half-close, backpressure, and cuts that are not taken for ends."""

from __future__ import annotations

import itertools

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, lockstep_stream_pair, memory_stream_pair, wait_all_tasks_blocked

from tlslab.errors import TLSError
from tlslab.http import ReplayStream
from tlslab.net import Direction
from tlslab.proxy import RelayBroken, Relayed, relay

BYTES = st.lists(st.binary(min_size=1, max_size=300), max_size=6)


async def send(stream: trio.abc.HalfCloseableStream, parts: list[bytes]) -> None:
    for part in parts:
        await stream.send_all(part)
    await stream.send_eof()


async def receive(stream: trio.abc.ReceiveStream, into: list[bytes]) -> None:
    into.extend([bytes(part) async for part in stream])


@settings(max_examples=50, deadline=None)
@given(to_server=BYTES, to_client=BYTES)
def test_bytes_arrive_identical_both_ways(to_server: list[bytes], to_client: list[bytes]) -> None:
    async def main() -> None:
        client, a = memory_stream_pair()
        b, server = memory_stream_pair()
        observed: dict[Direction, bytes] = dict.fromkeys(Direction, b"")
        result: list[Relayed] = []

        def observe(direction: Direction, data: bytes) -> None:
            observed[direction] += data

        async def run() -> None:
            result.append(await relay(a, b, on_data=observe))

        at_server: list[bytes] = []
        at_client: list[bytes] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            nursery.start_soon(send, client, to_server)
            nursery.start_soon(send, server, to_client)
            nursery.start_soon(receive, server, at_server)
            nursery.start_soon(receive, client, at_client)
        assert b"".join(at_server) == b"".join(to_server) == observed[Direction.TO_SERVER]
        assert b"".join(at_client) == b"".join(to_client) == observed[Direction.TO_CLIENT]
        assert result[0].to_server == len(b"".join(to_server))
        assert result[0].to_client == len(b"".join(to_client))

    trio.run(main)


async def test_one_direction_ends_and_the_other_goes_on() -> None:
    client, a = memory_stream_pair()
    b, server = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(relay, a, b)
        await client.send_eof()
        assert await server.receive_some() == b""
        await server.send_all(b"still here")
        assert await client.receive_some() == b"still here"
        await server.send_eof()
        assert await client.receive_some() == b""


async def test_a_slow_reader_slows_the_writer() -> None:
    """Lockstep streams buffer nothing: what the writer got rid of is in the relay, or read."""
    client, a = lockstep_stream_pair()
    b, server = lockstep_stream_pair()
    written = 0

    async def write() -> None:
        nonlocal written
        for _ in itertools.count():
            await client.send_all(bytes(65536))
            written += 65536

    async with trio.open_nursery() as nursery:
        nursery.start_soon(relay, a, b)
        nursery.start_soon(write)
        await wait_all_tasks_blocked()
        assert written <= 2 * 65536, "nobody reads, so nothing more is taken"
        for _ in range(10):
            await server.receive_some(65536)
        await wait_all_tasks_blocked()
        assert 8 * 65536 <= written <= 12 * 65536, "the writer follows the reader"
        nursery.cancel_scope.cancel()


class Breaking(ReplayStream):
    """A connection that is reset as soon as it is read."""

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        raise trio.BrokenResourceError


async def test_a_cut_is_not_an_end(autojump_clock: MockClock) -> None:
    _client, a = memory_stream_pair()
    b, server = memory_stream_pair()
    with pytest.raises(RelayBroken) as caught:
        await relay(Breaking(a, b""), b)
    assert caught.value.direction is Direction.TO_SERVER
    assert trio.current_time() < 1, "the silent direction was not waited for"
    with trio.move_on_after(1) as waited:
        await server.receive_some()
    assert waited.cancelled_caught, "the server was not told that the client had finished"


class Refusing(ReplayStream):
    """A TLS stream whose handshake the server refuses only with the first read."""

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        raise TLSError("certificate required")


async def test_errors_of_ours_are_raised_as_themselves() -> None:
    _client, a = memory_stream_pair()
    b, _server = memory_stream_pair()
    with pytest.raises(TLSError):
        await relay(a, Refusing(b, b""))


@pytest.mark.parametrize(("pause", "survives"), [(50, True), (70, False)])
async def test_silence_both_ways_ends_it(
    autojump_clock: MockClock, pause: float, survives: bool
) -> None:
    client, a = memory_stream_pair()
    b, server = memory_stream_pair()

    async def talk() -> None:
        for _ in range(3):
            await trio.sleep(pause)
            await client.send_all(b"x")
        await client.send_eof()
        await server.send_eof()

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(talk)
            await relay(a, b, idle_seconds=60)

    if survives:
        await run()
    else:
        with pytest.RaisesGroup(RelayBroken):
            await run()
        assert trio.current_time() == pytest.approx(60)
