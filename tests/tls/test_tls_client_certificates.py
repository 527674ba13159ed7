"""Client certificates: none, optional, required; and the refusals that come late."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import trio
import trio.testing

from tlslab.pki import Authority
from tlslab.tls import (
    BrokenConnection,
    CertificateRefused,
    ClientPolicy,
    HandshakeFailure,
    KeyLog,
    ServerPolicy,
    Version,
)


@pytest.fixture
def asking(serving: ServerPolicy, trust: Any) -> Any:
    return lambda mode: dataclasses.replace(serving, client_trust=trust, client_certificate=mode)


@pytest.mark.parametrize("version", Version)
@pytest.mark.parametrize("mode", ["none", "optional", "required"])
async def test_a_client_that_has_one(
    connect: Any, careful: Any, asking: Any, client_credential: Any, mode: str, version: Version
) -> None:
    policy = dataclasses.replace(careful, credential=client_credential, maximum=version)
    client, server = await connect(policy, asking(mode))
    expected = () if mode == "none" else client_credential.chain
    assert server.facts.peer_chain == expected
    await client.send_all(b"x")
    assert await server.receive_some() == b"x"


@pytest.mark.parametrize("mode", ["none", "optional"])
async def test_a_client_that_needs_none(connect: Any, asking: Any, mode: str) -> None:
    _, server = await connect(None, asking(mode))
    assert server.facts.peer_chain == ()


async def test_tls_1_2_tells_in_the_handshake(refused: Any, careful: Any, asking: Any) -> None:
    policy = dataclasses.replace(careful, maximum=Version.TLS_1_2)
    client, server = await refused(policy, asking("required"))
    assert (client.alert.number, client.alert_direction) == (40, "received")
    assert not client.after_handshake
    assert (server.alert.number, server.alert_direction) == (40, "sent")


async def test_tls_1_3_tells_with_the_first_read(ends: Any, asking: Any) -> None:
    client, server = ends(None, asking("required"))
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            with pytest.raises(HandshakeFailure) as failure:
                await server.do_handshake()
            assert failure.value.alert is not None
            assert (failure.value.alert.number, failure.value.alert_direction) == (116, "sent")

        await client.do_handshake()  # succeeds
    assert client.facts.version == "TLS 1.3"
    with pytest.raises(HandshakeFailure) as failure:
        await client.receive_some()
    assert failure.value.after_handshake
    assert failure.value.alert is not None
    assert (failure.value.alert.number, failure.value.alert_direction) == (116, "received")
    assert failure.value.peer_chain != ()


@pytest.mark.parametrize("sockets", [False, True])
async def test_a_client_that_only_sends_learns_it_too(
    ends: Any, asking: Any, sockets: bool
) -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    if sockets:
        left: trio.abc.Stream = await trio.testing.open_stream_to_socket_listener(listeners[0])
        right: trio.abc.Stream = await listeners[0].accept()
    else:
        left, right = trio.testing.memory_stream_pair()
    client, server = ends(None, asking("required"), transports=(left, right))
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            with pytest.raises(HandshakeFailure):
                await server.do_handshake()
            await server.aclose()

        await client.do_handshake()

    async def send_on() -> None:
        while True:
            await client.send_all(bytes(2**16))

    with pytest.raises(HandshakeFailure) as failure:
        await send_on()
    assert failure.value.alert is not None
    assert failure.value.alert.number == 116
    await client.aclose()
    await listeners[0].aclose()


@pytest.mark.parametrize("version", Version)
@pytest.mark.parametrize(
    ("kind", "number", "depth", "alert"),
    [("stranger", 20, 1, 48), ("server's", 26, 0, 43)],
)
async def test_certificates_that_do_not_count(
    refused: Any,
    connect: Any,
    careful: Any,
    asking: Any,
    credential: Any,
    version: Version,
    kind: str,
    number: int,
    depth: int,
    alert: int,
) -> None:
    if kind == "stranger":
        credential = Authority.create("stranger").issue("mallory.test", profile="client")
    policy: ClientPolicy = dataclasses.replace(careful, credential=credential, maximum=version)
    client, server = await refused(policy, asking("optional"))
    assert isinstance(server, CertificateRefused)
    assert server.alert is not None
    assert (server.x509_number, server.depth, server.alert.number) == (number, depth, alert)
    assert server.peer_chain[0] == credential.certificate
    assert (client.alert.number, client.alert_direction) == (alert, "received")
    assert client.after_handshake == (version is Version.TLS_1_3)
    await connect(policy, asking("none"))  # the twin: who does not ask is not told


async def test_a_late_alert_is_a_broken_connection_not_a_handshake_failure(
    connect: Any, sealer: Any, careful: Any
) -> None:
    """Once the server has sent data, it has accepted the handshake."""
    keylog = KeyLog()
    policy = dataclasses.replace(careful, ciphersuites="TLS_AES_128_GCM_SHA256")
    client, server = await connect(policy, client_options={"keylog": keylog})
    forge = sealer(keylog, "SERVER")
    await server.transport_stream.send_all(forge.data(b"welcome") + forge.record(21, b"\x02\x31"))
    assert await client.receive_some() == b"welcome"
    with pytest.raises(BrokenConnection) as failure:
        await client.receive_some()
    assert failure.value.alert is not None
    assert (failure.value.alert.number, failure.value.alert_direction) == (49, "received")
    assert isinstance(failure.value, trio.BrokenResourceError)
