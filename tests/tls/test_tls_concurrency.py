"""Two tasks on one stream: no deadlock, no lost byte, no unbounded memory, clean cancellation."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import pytest
import trio
import trio.testing

from tlslab.tls import KeyLog, Version
from tlslab.tls.bindings import SCRATCH
from tlslab.tls.duplex import MAX_ANSWERS


class Narrow(trio.abc.Stream):
    """A transport that holds `room` bytes at most, as a socket does; counts the largest send."""

    def __init__(self, inner: trio.abc.Stream, room: int = 1000) -> None:
        self.inner = inner
        self.room = room
        self.largest = 0
        self.taken = 0
        self.gate = trio.Event()
        self.gate.set()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self.largest = max(self.largest, len(data))
        for start in range(0, len(data), self.room):
            await self.gate.wait()
            await self.inner.send_all(data[start : start + self.room])
            self.taken += len(data[start : start + self.room])

    async def wait_send_all_might_not_block(self) -> None:
        await self.gate.wait()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self.inner.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self.inner.aclose()


def narrow_pair() -> tuple[Narrow, Narrow]:
    left, right = trio.testing.lockstep_stream_pair()
    return Narrow(left), Narrow(right)


async def push(stream: Any, size: int) -> None:
    block = bytes(range(256)) * 256
    for start in range(0, size, len(block)):
        await stream.send_all(block[: size - start])
    await stream.send_eof()


async def pull(stream: Any, size: int) -> None:
    total = 0
    while data := await stream.receive_some():
        assert data[0] == total % 256
        total += len(data)
    assert total == size


@pytest.mark.parametrize("version", Version)
async def test_much_data_both_ways_through_a_narrow_pipe(
    connect: Any, careful: Any, version: Version, autojump_clock: object
) -> None:
    policy = dataclasses.replace(careful, maximum=version)
    client, server = await connect(policy, transports=narrow_pair())
    size = 1_000_001
    with trio.fail_after(20):  # of the virtual clock: it passes only when every task is stuck
        async with trio.open_nursery() as nursery:
            for stream in (client, server):
                nursery.start_soon(push, stream, size)
                nursery.start_soon(pull, stream, size)


async def test_a_slow_reader_slows_the_writer(connect: Any, autojump_clock: object) -> None:
    left, right = narrow_pair()
    client, _ = await connect(transports=(left, right))
    left.gate = trio.Event()
    before = left.taken
    with trio.move_on_after(0.05):
        await client.send_all(bytes(50 * 2**20))
    assert left.taken == before  # nothing was read, so nothing more was encrypted than
    assert left.largest <= SCRATCH  # ... one send's worth


async def test_a_reader_takes_no_more_than_asked(connect: Any) -> None:
    client, server = await connect()
    await client.send_all(bytes(10 * 2**20))
    await server.receive_some(10)
    fed = len(server._duplex.engine._incoming)
    assert fed <= SCRATCH
    await server.receive_some(10)
    assert len(server._duplex.engine._incoming) == fed  # read from what is there


async def test_two_readers_or_two_writers_are_refused(connect: Any) -> None:
    client, _ = await connect(transports=trio.testing.lockstep_stream_pair())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.receive_some)
        nursery.start_soon(client.send_all, b"x")
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await client.receive_some()
        for call in (client.send_eof, client.wait_send_all_might_not_block):
            with pytest.raises(trio.BusyResourceError):
                await call()
        with pytest.raises(trio.BusyResourceError):
            await client.send_all(b"y")
        nursery.cancel_scope.cancel()


async def test_a_send_cancelled_half_way_breaks_the_stream(
    connect: Any, autojump_clock: object
) -> None:
    client, _ = await connect(transports=trio.testing.lockstep_stream_pair())
    with trio.move_on_after(0.01) as scope:
        await client.send_all(bytes(2**20))
    assert scope.cancelled_caught
    with pytest.raises(trio.BrokenResourceError):
        await client.send_all(b"x")
    with pytest.raises(trio.BrokenResourceError):
        await client.receive_some()
    await client.aclose()


async def test_a_send_cancelled_before_it_began_breaks_nothing(connect: Any) -> None:
    client, server = await connect()
    with trio.CancelScope() as scope:
        scope.cancel()
        await client.send_all(b"never")
    await client.send_all(b"later")
    assert await server.receive_some() == b"later"


async def test_a_cancelled_receive_loses_nothing(connect: Any, bytewise: Any) -> None:
    client, server = await connect(transports=bytewise(trio.testing.memory_stream_pair()))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.send_all, b"whole")
        for deadline in itertools.count(1):
            with trio.move_on_after(deadline * 1e-4) as scope:
                data = await server.receive_some()
            if not scope.cancelled_caught:
                break
    assert data == b"whole"


async def forged_client(connect: Any, careful: Any, sealer: Any, **kw: Any) -> tuple[Any, Any, Any]:
    keylog = KeyLog()
    policy = dataclasses.replace(careful, ciphersuites="TLS_AES_128_GCM_SHA256")
    client, server = await connect(policy, client_options={"keylog": keylog}, **kw)
    return client, server, sealer(keylog, "CLIENT")


async def test_key_updates_are_answered_with_the_next_send(
    connect: Any, careful: Any, sealer: Any
) -> None:
    client, server, forge = await forged_client(connect, careful, sealer)
    tickets = server._duplex.engine.pending
    wire = b"".join(forge.key_update(request=True) for _ in range(3)) + forge.data(b"new keys")
    await client.transport_stream.send_all(wire)
    assert await server.receive_some() == b"new keys"
    assert server._duplex.engine.pending > tickets
    await server.send_all(b"answer")
    assert server._duplex.engine.pending == 0
    assert await client.receive_some() == b"answer"  # the client followed the server's update


async def test_a_receiver_does_not_wait_until_the_peer_reads(
    connect: Any, careful: Any, sealer: Any, autojump_clock: object
) -> None:
    """The peer asks for a KeyUpdate while nobody reads what we send: reading goes on."""
    left, right = narrow_pair()
    _, server, forge = await forged_client(connect, careful, sealer, transports=(left, right))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.send_all, bytes(2**20))  # stuck
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(left.inner.send_all, forge.key_update(request=True) + forge.data(b"x"))
        with trio.fail_after(1):
            assert await server.receive_some() == b"x"
        nursery.cancel_scope.cancel()


async def test_a_flood_of_key_updates_is_slowed(
    connect: Any, careful: Any, sealer: Any, autojump_clock: object
) -> None:
    """Answers are bounded: beyond that a peer that does not read them is not read either."""
    left, right = narrow_pair()
    _, server, forge = await forged_client(connect, careful, sealer, transports=(left, right))

    async def flood() -> None:
        for _ in range(2000):
            await left.inner.send_all(forge.key_update(request=True) + forge.data(b"x"))

    got = 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(flood)
        with trio.move_on_after(2):
            while got < 2000:
                await server.receive_some()
                got += 1
        nursery.cancel_scope.cancel()
    assert 300 < got < 2000
    assert server._duplex.engine.pending <= 2 * MAX_ANSWERS
