"""The loopback network: names, wires, taps and diversions over real sockets."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from tlslab.errors import AddressInUse, NetworkError
from tlslab.net import Chunk, Connection, Direction, Host, Kind, LoopbackListener, LoopbackNetwork

TO_SERVER, TO_CLIENT = Direction.TO_SERVER, Direction.TO_CLIENT


async def echo(stream: Connection) -> None:
    """Send back, in capitals, what comes in."""
    async with stream:
        async for data in stream:
            await stream.send_all(bytes(data).upper())


@asynccontextmanager
async def serving(host: Host, port: int) -> AsyncIterator[LoopbackListener]:
    async with trio.open_nursery() as nursery:
        listener = await host.listen(port)
        assert isinstance(listener, LoopbackListener)
        nursery.start_soon(trio.serve_listeners, echo, [listener])
        yield listener
        nursery.cancel_scope.cancel()


async def say(connection: Connection, data: bytes) -> bytes:
    async with connection:
        await connection.send_all(data)
        await connection.send_eof()
        return b"".join([bytes(part) async for part in connection])


async def test_hosts_reach_each_other_by_name() -> None:
    network = LoopbackNetwork()
    async with serving(network.host("shop.test"), 80):
        connection = await network.host("client").connect("shop.test", 80)
        assert await say(connection, b"hello") == b"HELLO"


async def test_a_tap_sees_every_byte_once_in_causal_order() -> None:
    network = LoopbackNetwork(clock=iter(range(1000)).__next__)
    seen: list[Chunk] = []
    network.tap(seen.append)
    async with serving(network.host("shop.test"), 80):
        await say(await network.host("client").connect("shop.test", 80), b"hello")
        with trio.fail_after(5):
            while len(seen) < 5:
                await trio.lowlevel.checkpoint()
    assert [(c.kind, c.direction, c.data) for c in seen] == [
        (Kind.OPENED, TO_SERVER, b""),
        (Kind.DATA, TO_SERVER, b"hello"),
        (Kind.CLOSED, TO_SERVER, b""),
        (Kind.DATA, TO_CLIENT, b"HELLO"),
        (Kind.CLOSED, TO_CLIENT, b""),
    ]
    assert [c.time_ns for c in seen] == sorted(c.time_ns for c in seen)
    flow = seen[0].flow
    assert flow.leg == "client → shop.test"
    assert (flow.server.name, flow.server.port) == ("shop.test", 80)


async def test_a_tap_between_others_sees_nothing() -> None:
    network = LoopbackNetwork()
    here: list[Chunk] = []
    elsewhere: list[Chunk] = []
    network.tap(here.append, between=("shop.test", "client"))
    network.tap(elsewhere.append, between=("client", "bank.test"))
    async with serving(network.host("shop.test"), 80):
        await say(await network.host("client").connect("shop.test", 80), b"hello")
    assert here
    assert elsewhere == []


async def test_a_process_outside_the_lab_is_seen_too() -> None:
    network = LoopbackNetwork()
    seen: list[Chunk] = []
    network.tap(seen.append)
    async with serving(network.host("shop.test"), 80) as listener:
        stream = await trio.open_tcp_stream(*listener.address)
        async with stream:
            await stream.send_all(b"hello")
            await stream.send_eof()
            assert await stream.receive_some() == b"HELLO"
            assert await stream.receive_some() == b""
    data = [(c.direction, c.data) for c in seen if c.kind is Kind.DATA]
    assert data == [(TO_SERVER, b"hello"), (TO_CLIENT, b"HELLO")]
    assert seen[0].flow.client.name == "external client"


async def test_a_diversion_leads_the_victim_and_only_the_victim_astray() -> None:
    network = LoopbackNetwork()
    mallory = network.host("mallory")
    async with serving(network.host("shop.test"), 80):
        listener = await mallory.listen(8080)
        network.divert(mallory, 8080, victim="client", target="shop.test")
        victims_end = await network.host("client").connect("shop.test", 80)
        taken = await listener.accept()
        async with victims_end, taken, listener:
            assert taken.intended.name == "shop.test"
            assert taken.intended.port == 80
            assert taken.flow.leg == "client → mallory"
            assert taken.reached == victims_end.reached == "mallory"
        for unaffected in (mallory, network.host("other")):
            assert await say(await unaffected.connect("shop.test", 80), b"x") == b"X"


async def test_a_port_in_use_is_told() -> None:
    network = LoopbackNetwork()
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(AddressInUse) as caught:
        await network.host("shop.test").listen(80, bind_port=taken.getsockname()[1])
    assert caught.value.hint
    async with await network.host("shop.test").listen(80):
        with pytest.raises(AddressInUse):
            await network.host("shop.test").listen(80)
    async with await network.host("shop.test").listen(80):
        pass  # a closed port is free again


@pytest.mark.parametrize("name", ["example.com", "shop.local", "a.b.dev"])
def test_names_that_could_be_real_are_refused(name: str) -> None:
    with pytest.raises(NetworkError) as caught:
        LoopbackNetwork().host(name)
    assert caught.value.hint


@pytest.mark.parametrize("name", ["shop.test", "a.b.example", "x.invalid", "client"])
def test_reserved_and_single_labels_are_hosts(name: str) -> None:
    network = LoopbackNetwork()
    assert network.host(name) is network.host(name)
    assert network.names[network.host(name).address] == name


async def test_unknown_names_and_silent_ports_are_told() -> None:
    network = LoopbackNetwork()
    client = network.host("client")
    with pytest.raises(NetworkError):
        await client.connect("nowhere.test", 80)
    network.host("shop.test")
    with pytest.raises(NetworkError):
        await client.connect("shop.test", 81)


async def test_a_name_is_not_an_address_to_bind() -> None:
    with pytest.raises(NetworkError):
        await LoopbackNetwork().host("shop.test").listen(80, bind_address="localhost")


def test_addresses_are_documentation_addresses_and_distinct() -> None:
    network = LoopbackNetwork()
    hosts = [network.host(f"h{n}") for n in range(300)]
    assert len({host.address for host in hosts}) == 300
    assert hosts[0].address == "192.0.2.1"
    with pytest.raises(NetworkError):
        network.host("twin", hosts[0].address)


async def test_a_diversion_can_be_of_one_port() -> None:
    network = LoopbackNetwork()
    mallory, client = network.host("mallory"), network.host("client")
    shop = network.host("shop.test")
    async with serving(shop, 80), serving(shop, 443), await mallory.listen(8080) as listener:
        network.divert(mallory, 8080, victim="client", target_port=80)
        assert await say(await client.connect("shop.test", 443), b"x") == b"X"
        async with await client.connect("shop.test", 80) as ours, await listener.accept() as taken:
            assert (ours.reached, taken.intended.port) == ("mallory", 80)
