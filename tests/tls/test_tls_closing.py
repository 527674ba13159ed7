"""How connections end: close_notify, half-close, truncation, tampering, peers that are stuck."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import trio
import trio.testing

from tlslab.tls import BrokenConnection, KeyLog, ServerPolicy, TruncationError, Version
from tlslab.tls.duplex import FAREWELL_SECONDS

both_versions = pytest.mark.parametrize("version", Version)


@both_versions
async def test_the_other_direction_goes_on_after_send_eof(
    connect: Any, careful: Any, version: Version
) -> None:
    client, server = await connect(dataclasses.replace(careful, maximum=version))
    await client.send_all(b"request")
    await client.send_eof()
    assert await server.receive_some() == b"request"
    assert await server.receive_some() == b""
    assert await server.receive_some() == b""
    for _ in range(3):
        await server.send_all(b"response")
        assert await client.receive_some() == b"response"
    await server.send_eof()
    assert await client.receive_some() == b""
    with pytest.raises(trio.ClosedResourceError):
        await client.send_all(b"more")


@both_versions
@pytest.mark.parametrize("cut", ["between records", "inside a record"])
async def test_truncation(connect: Any, careful: Any, version: Version, cut: str) -> None:
    """With close_notify the end is the end; a cut connection is an error."""
    client, server = await connect(dataclasses.replace(careful, maximum=version))
    await client.send_all(b"x" * 1000)
    await client.aclose()
    assert await server.receive_some() == b"x" * 1000
    assert await server.receive_some() == b""

    client, server = await connect(dataclasses.replace(careful, maximum=version))
    await client.send_all(b"x" * 1000)
    if cut == "inside a record":
        await client.transport_stream.send_all(b"\x17\x03\x03\x00")
    await client.transport_stream.send_eof()
    assert await server.receive_some() == b"x" * 1000
    for _ in range(2):
        with pytest.raises(TruncationError) as failure:
            await server.receive_some()
        assert isinstance(failure.value, trio.BrokenResourceError)
    await server.send_all(b"answer")  # this direction was not cut
    assert await client.receive_some() == b"answer"


@both_versions
async def test_the_twin_who_takes_truncation_for_the_end(
    connect: Any, careful: Any, serving: ServerPolicy, version: Version
) -> None:
    careless = dataclasses.replace(serving, require_close_notify=False)
    client, server = await connect(dataclasses.replace(careful, maximum=version), careless)
    await client.send_all(b"pay 1000")
    await client.transport_stream.send_eof()
    assert await server.receive_some() == b"pay 1000"
    assert await server.receive_some() == b""  # nobody knows that a word is missing
    careless_client = dataclasses.replace(careful, require_close_notify=False, maximum=version)
    client, server = await connect(careless_client)
    await server.transport_stream.send_eof()
    assert await client.receive_some() == b""


@both_versions
@pytest.mark.parametrize("where", [5, 20, -1])
async def test_an_altered_record(connect: Any, careful: Any, version: Version, where: int) -> None:
    client, server = await connect(dataclasses.replace(careful, maximum=version))
    await client.send_all(b"amount=1000")
    wire = bytearray(await server.transport_stream.receive_some())
    wire[where] ^= 1
    await client.transport_stream.send_all(wire)
    with pytest.raises(BrokenConnection) as failure:
        await server.receive_some()
    assert failure.value.alert is not None
    assert (failure.value.alert.number, failure.value.alert_direction) == (20, "sent")
    with pytest.raises(BrokenConnection) as failure:
        await client.receive_some()
    assert failure.value.alert is not None
    assert (failure.value.alert.number, failure.value.alert_direction) == (20, "received")
    for stream in (client, server):
        with pytest.raises(trio.BrokenResourceError):
            await stream.send_all(b"x")


@pytest.mark.parametrize(("sent", "received"), [((0, 0), [b"one"]), ((1,), []), ((1, 0), [])])
async def test_replayed_dropped_and_reordered_records(
    connect: Any, sent: tuple[int, ...], received: list[bytes]
) -> None:
    client, server = await connect()
    wires = []
    for word in (b"one", b"two"):
        await client.send_all(word)
        wires.append(bytes(await server.transport_stream.receive_some()))
    await client.transport_stream.send_all(b"".join(wires[i] for i in sent))
    for word in received:
        assert await server.receive_some() == word
    with pytest.raises(BrokenConnection):
        await server.receive_some()


async def test_plaintext_before_an_altered_record_is_handed_out_first(
    connect: Any, careful: Any
) -> None:
    client, server = await connect()
    await client.send_all(b"good")
    await client.transport_stream.send_all(b"\x17\x03\x03\x00\x20" + bytes(32))
    assert await server.receive_some() == b"good"
    for _ in range(2):
        with pytest.raises(trio.BrokenResourceError):
            await server.receive_some()


async def test_a_forged_close_notify_ends_nothing(connect: Any) -> None:
    client, server = await connect()
    await client.transport_stream.send_all(b"\x15\x03\x03\x00\x02\x01\x00")
    with pytest.raises(BrokenConnection) as failure:
        await server.receive_some()
    assert failure.value.alert is not None
    assert failure.value.alert.number == 10


async def test_closing_does_not_wait_for_a_stuck_peer(connect: Any, autojump_clock: object) -> None:
    client, _ = await connect(transports=trio.testing.lockstep_stream_pair())
    begun = trio.current_time()
    await client.aclose()  # nobody reads, so the close_notify does not go through
    assert trio.current_time() - begun <= FAREWELL_SECONDS
    with pytest.raises(trio.ClosedResourceError):
        await client.transport_stream.send_all(b"x")


async def test_closing_while_a_sender_is_stuck(connect: Any, autojump_clock: object) -> None:
    client, _ = await connect(transports=trio.testing.lockstep_stream_pair())
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await client.send_all(bytes(2**20))

        await trio.testing.wait_all_tasks_blocked()
        await client.aclose()


async def test_closing_when_cancelled_closes_the_transport(connect: Any) -> None:
    client, _ = await connect(transports=trio.testing.lockstep_stream_pair())
    with trio.CancelScope() as scope:
        scope.cancel()
        await client.aclose()
    assert scope.cancelled_caught
    with pytest.raises(trio.ClosedResourceError):
        await client.transport_stream.receive_some()


async def test_closing_before_and_during_the_handshake(ends: Any) -> None:
    client, server = ends()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await server.do_handshake()

        await trio.testing.wait_all_tasks_blocked()
        await server.aclose()
    await client.aclose()
    await client.aclose()
    for stream in (client, server):
        with pytest.raises(trio.ClosedResourceError):
            await stream.do_handshake()


async def test_a_message_from_the_peer_split_over_records(
    connect: Any, careful: Any, sealer: Any, autojump_clock: object
) -> None:
    """In the middle of one, OpenSSL neither writes nor closes: the sender fetches the rest."""
    ticket = bytes.fromhex("04000019 00001c20 00000001 01 00 000b") + b"eleven byte" + b"\0\0"
    for action in ("send_all", "send_eof"):
        keylog = KeyLog()
        policy = dataclasses.replace(careful, ciphersuites="TLS_AES_128_GCM_SHA256")
        client, server = await connect(policy, client_options={"keylog": keylog})
        forge = sealer(keylog, "SERVER")
        await server.transport_stream.send_all(forge.record(22, ticket[:10]))
        with trio.move_on_after(0.01):
            await client.receive_some()
        async with trio.open_nursery() as nursery:
            if action == "send_all":
                nursery.start_soon(client.send_all, b"request")
            else:
                nursery.start_soon(client.send_eof)
            await trio.testing.wait_all_tasks_blocked()
            await server.transport_stream.send_all(forge.record(22, ticket[10:]))
        assert await server.receive_some() == (b"request" if action == "send_all" else b"")
        assert client.session is not None
        await server.transport_stream.send_all(forge.data(b"answer"))
        assert await client.receive_some() == b"answer"
