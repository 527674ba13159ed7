"""Whatever the sizes, the cuts or the damage: the same bytes arrive, or there is an error."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tlslab.errors import TLSError
from tlslab.tls import HandshakeFailure, TLSStream

quick = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@given(
    chunks=st.lists(st.binary(min_size=1, max_size=40_000), max_size=8),
    reads=st.lists(st.integers(1, 300_000), min_size=1, max_size=8),
)
@quick
def test_bytes_arrive_as_sent(connect: Any, chunks: list[bytes], reads: list[int]) -> None:
    async def main() -> None:
        client, server = await connect()
        for chunk in chunks:
            await client.send_all(chunk)
        await client.aclose()
        got, turn = b"", 0
        while data := await server.receive_some(reads[turn % len(reads)]):
            assert len(data) <= reads[turn % len(reads)]
            got, turn = got + data, turn + 1
        assert got == b"".join(chunks)

    trio.run(main)


@given(garbage=st.binary(min_size=1, max_size=300), chosen=st.booleans())
@quick
def test_garbage_is_refused(serving: Any, garbage: bytes, chosen: bool) -> None:
    async def main() -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        server = TLSStream.server(ours, (lambda name: serving) if chosen else serving)
        await theirs.send_all(garbage)
        await theirs.send_eof()
        with pytest.raises(HandshakeFailure):
            await server.do_handshake()
        await server.aclose()

    trio.run(main)


class Damaged(trio.abc.Stream):
    """A transport that flips one bit of the n-th byte received."""

    def __init__(self, inner: trio.abc.Stream, position: int, bit: int) -> None:
        self.inner, self.position, self.bit = inner, position, bit

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        data = bytearray(await self.inner.receive_some(max_bytes))
        if 0 <= self.position < len(data):
            data[self.position] ^= 1 << self.bit
        self.position -= len(data)
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self.inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.inner.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self.inner.aclose()


@given(position=st.integers(0, 3000), bit=st.integers(0, 7), side=st.integers(0, 1))
@quick
def test_one_damaged_bit_is_never_taken_for_data(
    ends: Any, position: int, bit: int, side: int
) -> None:
    """Both ends agree on everything, or at least one of them ends with an error."""
    errors: list[TLSError] = []

    async def run(stream: TLSStream, got: list[bytes]) -> None:
        try:
            await stream.send_all(b"payload" * 10)
            await stream.send_eof()
            while data := await stream.receive_some():
                got.append(data)
        except TLSError as error:
            errors.append(error)
        except trio.BrokenResourceError:
            pass  # the transport: the other end has gone
        await stream.aclose()

    async def main() -> tuple[bytes, bytes]:
        pair: list[trio.abc.Stream] = list(trio.testing.memory_stream_pair())
        pair[side] = Damaged(pair[side], position, bit)
        client, server = ends(
            transports=(pair[0], pair[1]),
            client_options={"handshake_timeout": 5},
            server_options={"handshake_timeout": 5},
        )
        got: tuple[list[bytes], list[bytes]] = ([], [])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run, client, got[0])
            nursery.start_soon(run, server, got[1])
        return b"".join(got[0]), b"".join(got[1])

    got = trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert all(data in (b"", b"payload" * 10) for data in got)
    if not errors:
        assert got == (b"payload" * 10,) * 2
