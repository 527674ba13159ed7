"""TLSStream is a trio stream: trio's own conformance tests, over several transports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from tlslab.tls import ClientPolicy, ServerPolicy, TLSStream, Version

Connect = Callable[..., Any]


@pytest.mark.parametrize("version", Version)
async def test_it_is_a_half_closeable_stream(
    connect: Connect, credential: Any, trust: Any, version: Version, autojump_clock: object
) -> None:
    client = ClientPolicy(trust=trust, minimum=version, maximum=version)
    server = ServerPolicy(credential)

    async def make() -> tuple[TLSStream, TLSStream]:
        pair: tuple[TLSStream, TLSStream] = await connect(client, server)
        return pair

    async def make_clogged() -> tuple[TLSStream, TLSStream]:
        pair: tuple[TLSStream, TLSStream] = await connect(
            client, server, transports=trio.testing.lockstep_stream_pair()
        )
        return pair

    await trio.testing.check_half_closeable_stream(make, make_clogged)


@pytest.mark.parametrize("version", Version)
async def test_it_is_a_two_way_stream_over_sockets(
    connect: Connect, trust: Any, serving: ServerPolicy, version: Version
) -> None:
    client = ClientPolicy(trust=trust, minimum=version, maximum=version)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")

    async def make() -> tuple[TLSStream, TLSStream]:
        left = await trio.testing.open_stream_to_socket_listener(listeners[0])
        right = await listeners[0].accept()
        pair: tuple[TLSStream, TLSStream] = await connect(client, transports=(left, right))
        return pair

    await trio.testing.check_two_way_stream(make, None)
    await listeners[0].aclose()


async def test_a_session_in_tls_is_a_stream_again(connect: Connect) -> None:
    outer = await connect()
    client, server = await connect(transports=outer)
    await client.send_all(b"twice wrapped")
    assert await server.receive_some() == b"twice wrapped"


async def test_bytes_may_come_one_by_one(connect: Connect, bytewise: Any) -> None:
    transports = bytewise(trio.testing.memory_stream_pair())
    client, server = await connect(transports=transports)
    await client.send_all(b"request")
    await server.send_all(b"response")
    assert await server.receive_some() == b"request"
    assert await client.receive_some() == b"response"
    await client.aclose()
    assert await server.receive_some() == b""


@pytest.mark.parametrize("size", [1, 16383, 16384, 16385, 49152, 49153, 262144, 262145, 1000003])
async def test_sizes_around_records_slices_and_reads(connect: Connect, size: int) -> None:
    client, server = await connect()
    data = bytes(i * 7 & 0xFF for i in range(251)) * (size // 251 + 1)
    got = bytearray()

    async def receive() -> None:
        while chunk := await server.receive_some():
            assert len(chunk) <= 256 * 1024
            got.extend(chunk)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await client.send_all(data[:size])
        await client.send_eof()
    assert got == data[:size]


async def test_a_read_takes_up_to_256_kib(connect: Connect) -> None:
    client, server = await connect()
    await client.send_all(bytes(300 * 1024))
    assert len(await server.receive_some()) > 200 * 1024
