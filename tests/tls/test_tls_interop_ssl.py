"""The standard library's ssl (trio.SSLStream) as the peer, in both roles and both versions."""

from __future__ import annotations

import dataclasses
import socket
import ssl
from typing import Any

import pytest
import trio
import trio.testing

from tlslab.pki import Authority, Credential
from tlslab.tls import (
    CertificateRefused,
    ClientPolicy,
    HandshakeFailure,
    ServerPolicy,
    TLSStream,
    TruncationError,
    Version,
)

VERSIONS = {Version.TLS_1_2: ssl.TLSVersion.TLSv1_2, Version.TLS_1_3: ssl.TLSVersion.TLSv1_3}


def client_context(authority: Authority, version: Version) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=authority.root_pem.decode())
    context.maximum_version = VERSIONS[version]
    context.set_alpn_protocols(["http/1.1"])
    return context


@pytest.fixture
def server_context(credential: Credential, tmp_path: Any) -> ssl.SSLContext:
    pem = tmp_path / "credential.pem"
    pem.write_bytes(credential.key_pem + credential.chain_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    context.set_alpn_protocols(["http/1.1"])
    return context


async def exchange(ours: TLSStream, theirs: Any) -> None:
    """Data both ways, then the end, first theirs and then ours."""

    async def echo() -> None:
        while data := await ours.receive_some():
            await ours.send_all(data)
        await ours.aclose()

    data = bytes(range(256)) * 4000
    got = bytearray()

    async def drain() -> None:
        while len(got) < len(data):
            got.extend(await theirs.receive_some())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(echo)
        nursery.start_soon(drain)
        await theirs.send_all(data)
        while len(got) < len(data):
            await trio.lowlevel.checkpoint()
        await theirs.unwrap()
    assert got == data


@pytest.mark.parametrize("version", Version)
async def test_as_the_server(authority: Authority, serving: ServerPolicy, version: Version) -> None:
    left, right = trio.testing.memory_stream_pair()
    theirs = trio.SSLStream(left, client_context(authority, version), server_hostname="shop.test")
    ours = TLSStream.server(right, dataclasses.replace(serving, alpn=("http/1.1",)))
    await exchange(ours, theirs)
    assert theirs.version() == version.value.replace(" ", "v")
    assert theirs.selected_alpn_protocol() == "http/1.1"


@pytest.mark.parametrize("version", Version)
async def test_as_the_client(
    careful: ClientPolicy, server_context: ssl.SSLContext, version: Version
) -> None:
    left, right = trio.testing.memory_stream_pair()
    policy = dataclasses.replace(careful, alpn=("h2", "http/1.1"), maximum=version)
    ours = TLSStream.client(left, policy, "shop.test")
    theirs = trio.SSLStream(right, server_context, server_side=True)
    await exchange(ours, theirs)


@pytest.mark.parametrize("version", Version)
async def test_resumption_with_their_server(
    careful: ClientPolicy, server_context: ssl.SSLContext, version: Version
) -> None:
    policy = dataclasses.replace(careful, maximum=version)
    session = None
    for resumed in (False, True):
        left, right = trio.testing.memory_stream_pair()
        ours = TLSStream.client(left, policy, "shop.test", session=session)
        theirs = trio.SSLStream(right, server_context, server_side=True)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(theirs.send_all, b"x")
            assert await ours.receive_some() == b"x"
        assert ours.facts.resumed == resumed
        session = ours.session
        await ours.aclose()  # OpenSSL forgets the sessions of connections that were just dropped


async def test_their_truncation_is_seen(authority: Authority, serving: ServerPolicy) -> None:
    left, right = trio.testing.memory_stream_pair()
    context = client_context(authority, Version.TLS_1_3)
    theirs = trio.SSLStream(left, context, server_hostname="shop.test", https_compatible=True)
    ours = TLSStream.server(right, serving)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.do_handshake)
        await theirs.do_handshake()
    await left.aclose()
    with pytest.raises(TruncationError):
        await ours.receive_some()


async def test_they_see_our_truncation_and_our_end(
    authority: Authority, serving: ServerPolicy
) -> None:
    for cut in (True, False):
        left, right = trio.testing.memory_stream_pair()
        context = client_context(authority, Version.TLS_1_3)
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF  # which some builds of Python set
        theirs = trio.SSLStream(left, context, server_hostname="shop.test")
        ours = TLSStream.server(right, serving)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ours.do_handshake)
            await theirs.do_handshake()
        await (right.aclose() if cut else ours.aclose())
        if cut:
            with pytest.raises(trio.BrokenResourceError):
                await theirs.receive_some()
        else:
            assert await theirs.receive_some() == b""


async def test_their_client_refuses_us(serving: ServerPolicy) -> None:
    """With plain sockets, for trio.SSLStream does not send its alerts."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    address = listener.socket.getsockname()

    def their_client() -> int:
        with (
            socket.create_connection(address) as plain,
            pytest.raises(ssl.SSLCertVerificationError) as failure,
        ):
            ssl.create_default_context().wrap_socket(plain, server_hostname="shop.test")
        return failure.value.verify_code

    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            ours = TLSStream.server(await listener.accept(), serving)
            with pytest.raises(HandshakeFailure) as failure:
                await ours.do_handshake()
            await ours.aclose()
            assert failure.value.alert is not None
            assert (failure.value.alert.number, failure.value.alert_direction) == (48, "received")

        assert await trio.to_thread.run_sync(their_client) == 20
    await listener.aclose()


async def test_we_refuse_their_server(careful: ClientPolicy, server_context: Any) -> None:
    left, right = trio.testing.memory_stream_pair()
    theirs = trio.SSLStream(right, server_context, server_side=True)
    ours = TLSStream.client(left, careful, "other.test")
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            with pytest.raises(trio.BrokenResourceError) as failure:
                await theirs.do_handshake()
            assert "ALERT_BAD_CERTIFICATE" in str(failure.value.__cause__)

        with pytest.raises(CertificateRefused) as refusal:
            await ours.do_handshake()
    assert refusal.value.x509_number == 62
