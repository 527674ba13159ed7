"""Early data (0-RTT): sent, refused, replayed, and opened from a recording."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import pytest
import trio
import trio.testing

from tlslab.errors import UsageError
from tlslab.pki import Credential, TrustStore
from tlslab.tls import ClientPolicy, HandshakeFailure, KeyLog, ServerPolicy, TLSStream, Version
from tlslab.tls.decryption import Decryptor, KeyLogSecrets, Opened, Secrets

NAME, ORDER = "shop.test", b"POST /buy HTTP/1.1\r\n\r\n"


@pytest.fixture
def serving(ecdsa: Credential) -> ServerPolicy:
    return ServerPolicy(ecdsa, early_data=2**14)


async def session_of(client: ClientPolicy, server: ServerPolicy) -> Any:
    left, right = trio.testing.memory_stream_pair()
    near, far = TLSStream.client(left, client, NAME), TLSStream.server(right, server)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(near.do_handshake)
        nursery.start_soon(far.do_handshake)
    await far.send_all(b"x")
    assert await near.receive_some() == b"x"
    session = near.session
    await near.aclose()
    await far.aclose()
    return session


async def early(server: TLSStream) -> bytes:
    data = b""
    while part := await server.receive_early_data():
        data += part
    return data


async def replayed(flight: bytes, server: ServerPolicy) -> bytes:
    """What a server takes when a recorded first flight is sent once more."""
    left, right = trio.testing.memory_stream_pair()
    stream = TLSStream.server(right, server)
    await left.send_all(flight)
    await left.send_eof()
    taken = await stream.receive_early_data()
    await trio.aclose_forcefully(stream)
    return taken


@dataclass
class Taken:
    """A connection with early data: the first flight, what the server took early, and the rest."""

    flight: bytes
    early: bytes
    to_server: bytes
    to_client: bytes
    opened: Opened
    key_log: str


@pytest.fixture
def flight_of(recorder: Any) -> Any:
    """Has a client send early data; the server asks for it, or does not."""

    async def run(
        client: ClientPolicy, server: ServerPolicy, data: bytes = ORDER, *, ask: bool = True
    ) -> Taken:
        session, keylog = await session_of(client, server), KeyLog()
        seen: list[Any] = []
        left, right = (recorder(end, seen) for end in trio.testing.memory_stream_pair())
        near = TLSStream.client(left, client, NAME, session=session, early_data=data, keylog=keylog)
        far = TLSStream.server(right, server)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(near.do_handshake)
            taken = await early(far) if ask else b""
            flight = left.sent
            await far.do_handshake()
        assert near.facts.resumed
        await near.send_all(b"later")
        assert await far.receive_some() == b"later"
        await far.send_all(b"answer")
        assert await near.receive_some() == b"answer"
        await near.aclose()
        await far.aclose()
        recorded = left.sent, right.sent
        decryptor = Decryptor(Secrets(KeyLogSecrets.parse(keylog.text)))
        return Taken(flight, taken, *recorded, decryptor.open(*recorded), keylog.text)

    return run


@pytest.fixture
def careful(trust: TrustStore) -> ClientPolicy:
    return ClientPolicy(trust=trust)


async def test_early_data_is_taken_once(
    flight_of: Any, careful: ClientPolicy, serving: ServerPolicy
) -> None:
    genuine = await flight_of(careful, serving)
    assert genuine.early == ORDER
    for _ in range(3):
        assert await replayed(genuine.flight, serving) == b""


async def test_without_single_use_tickets_it_is_replayed(
    flight_of: Any, careful: ClientPolicy, serving: ServerPolicy
) -> None:
    """The twin: the very bytes of the client's first flight, from somebody who has no key."""
    lax = dataclasses.replace(serving, single_use_tickets=False)
    genuine = await flight_of(careful, lax)
    assert genuine.early == ORDER
    for _ in range(3):
        assert await replayed(genuine.flight, lax) == ORDER


@pytest.mark.parametrize("ask", [True, False])
async def test_early_data_is_opened_by_the_key_log(
    flight_of: Any, careful: ClientPolicy, serving: ServerPolicy, ask: bool
) -> None:
    """Also what the server refused: it was sent."""
    opened = (await flight_of(careful, serving, ask=ask)).opened
    assert opened.to_server.data == ORDER + b"later"
    assert [fragment.early for fragment in opened.to_server.fragments] == [True, False]
    assert opened.to_client.data == b"answer"
    assert opened.to_server.left is None


async def test_early_data_without_its_secret(
    flight_of: Any, careful: ClientPolicy, serving: ServerPolicy
) -> None:
    taken = await flight_of(careful, serving)
    kept = "\n".join(line for line in taken.key_log.splitlines() if "EARLY" not in line)
    decryptor = Decryptor(Secrets(KeyLogSecrets.parse(kept)))
    opened = decryptor.open(taken.to_server, taken.to_client)
    assert opened.to_server.data == b"later"
    assert opened.to_server.left is not None
    assert "CLIENT_EARLY_TRAFFIC_SECRET" in opened.to_server.left


async def test_a_server_that_takes_none(careful: ClientPolicy, ecdsa: Credential) -> None:
    server = ServerPolicy(ecdsa)
    session = await session_of(careful, server)
    left, _ = trio.testing.memory_stream_pair()
    with pytest.raises(UsageError):
        TLSStream.client(left, careful, NAME, session=session, early_data=b"x")
    with pytest.raises(UsageError):
        TLSStream.client(left, careful, NAME, early_data=b"x")


async def test_too_much_early_data(
    flight_of: Any, careful: ClientPolicy, serving: ServerPolicy
) -> None:
    server = dataclasses.replace(serving, early_data=100)
    assert (await flight_of(careful, server, bytes(100))).early == bytes(100)
    session = await session_of(careful, server)
    left, _ = trio.testing.memory_stream_pair()
    with pytest.raises(UsageError):
        TLSStream.client(left, careful, NAME, session=session, early_data=bytes(101))


@pytest.mark.parametrize("version", Version)
async def test_clients_without_early_data(
    careful: ClientPolicy, serving: ServerPolicy, version: Version
) -> None:
    left, right = trio.testing.memory_stream_pair()
    policy = dataclasses.replace(careful, maximum=version)
    near, far = TLSStream.client(left, policy, NAME), TLSStream.server(right, serving)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(near.do_handshake)
        assert await early(far) == b""
        await far.do_handshake()
    assert near.facts.version == version.value
    with pytest.raises(UsageError):
        await far.receive_early_data()


async def test_garbage_and_silence(serving: ServerPolicy, autojump_clock: Any) -> None:
    for first in (b"GET / HTTP/1.1\r\n\r\n", b""):
        left, right = trio.testing.memory_stream_pair()
        await left.send_all(first)
        if not first:
            await left.send_eof()
        with pytest.raises(HandshakeFailure):
            await TLSStream.server(right, serving).receive_early_data()
    _, right = trio.testing.memory_stream_pair()
    with pytest.raises(HandshakeFailure, match="longer"):
        await TLSStream.server(right, serving).receive_early_data()
