"""What a handshake settles, and how it fails: nothing hangs, and every failure has its numbers."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import trio
import trio.testing

from tlslab.errors import UsageError
from tlslab.pki import Authority, KeyType, TrustStore
from tlslab.tls import (
    CertificateRefused,
    ClientPolicy,
    HandshakeFailure,
    ServerPolicy,
    TLSStream,
    Version,
)


async def test_the_defaults_are_tls_1_3_with_post_quantum_key_agreement(connect: Any) -> None:
    client, server = await connect()
    for facts in (client.facts, server.facts):
        assert facts.version == "TLS 1.3"
        assert facts.group == "X25519MLKEM768"
        assert facts.cipher == "TLS_AES_256_GCM_SHA384"
        assert facts.server_name == "shop.test"
        assert facts.alpn is None
        assert not facts.resumed
        assert facts.tolerated == ()


async def test_each_policy_field_takes_effect(connect: Any, trust: Any, credential: Any) -> None:
    policy = ClientPolicy(
        trust=trust,
        ciphersuites="TLS_CHACHA20_POLY1305_SHA256",
        groups=("P-256",),
        alpn=("h2", "http/1.1"),
    )
    server_policy = ServerPolicy(credential, alpn=("http/1.1", "h2"))
    client, server = await connect(policy, server_policy)
    assert client.facts.cipher == server.facts.cipher == "TLS_CHACHA20_POLY1305_SHA256"
    assert client.facts.group == "secp256r1"
    assert client.facts.alpn == server.facts.alpn == "http/1.1"  # the server's preference counts


@pytest.mark.parametrize("side", ["client", "server"])
async def test_tls_1_2_where_one_side_insists(
    connect: Any, careful: ClientPolicy, serving: ServerPolicy, side: str
) -> None:
    old: dict[str, Any] = {
        "minimum": Version.TLS_1_2,
        "maximum": Version.TLS_1_2,
        "ciphers": "ECDHE-ECDSA-AES128-GCM-SHA256",
    }
    client, server = await connect(
        dataclasses.replace(careful, **old) if side == "client" else careful,
        dataclasses.replace(serving, **old) if side == "server" else serving,
    )
    assert client.facts.version == server.facts.version == "TLS 1.2"
    assert client.facts.cipher == "ECDHE-ECDSA-AES128-GCM-SHA256"
    assert server.facts.server_name == "shop.test"


async def test_versions_without_overlap(
    refused: Any, careful: ClientPolicy, serving: ServerPolicy
) -> None:
    client, server = await refused(
        dataclasses.replace(careful, maximum=Version.TLS_1_2),
        dataclasses.replace(serving, minimum=Version.TLS_1_3),
    )
    assert (client.alert.number, client.alert_direction) == (70, "received")
    assert (server.alert.number, server.alert_direction) == (70, "sent")
    assert server.explanation.name == "protocol_version"


async def test_groups_without_overlap(refused: Any, careful: Any, serving: Any) -> None:
    client, server = await refused(
        dataclasses.replace(careful, groups=("X25519MLKEM768",)),
        dataclasses.replace(serving, groups=("X25519",)),
    )
    assert client.alert.number == server.alert.number == 40


@pytest.mark.parametrize("version", Version)
async def test_alpn_without_overlap_is_refused(
    refused: Any, careful: Any, serving: Any, version: Version
) -> None:
    client, server = await refused(
        dataclasses.replace(careful, alpn=("h3",), maximum=version),
        dataclasses.replace(serving, alpn=("h2", "http/1.1")),
    )
    assert (client.alert.number, client.alert_direction) == (120, "received")
    assert (server.alert.number, server.alert_direction) == (120, "sent")


@pytest.mark.parametrize(("client", "server"), [(("h2",), ()), ((), ("h2",)), ((), ())])
async def test_alpn_of_one_side_only_is_not_spoken(
    connect: Any, careful: Any, serving: Any, client: tuple[str, ...], server: tuple[str, ...]
) -> None:
    ours, theirs = await connect(
        dataclasses.replace(careful, alpn=client), dataclasses.replace(serving, alpn=server)
    )
    assert ours.facts.alpn is theirs.facts.alpn is None


async def test_the_longest_protocol_name(connect: Any, careful: Any, serving: Any) -> None:
    name = "x" * 255
    client, _ = await connect(
        dataclasses.replace(careful, alpn=("h2", name)), dataclasses.replace(serving, alpn=(name,))
    )
    assert client.facts.alpn == name


# ---- Names ----


@pytest.mark.parametrize(
    ("name", "sni"),
    [
        ("shop.test", "shop.test"),
        ("SHOP.test.", "shop.test"),
        ("bücher.test", "xn--bcher-kva.test"),
        ("BÜCHER.test", "xn--bcher-kva.test"),
        ("127.0.0.1", None),
        ("::1", None),
        ("0:0::1", None),
    ],
)
async def test_names_as_sent_and_verified(connect: Any, name: str, sni: str | None) -> None:
    client, server = await connect(name=name)
    assert client.facts.server_name == server.facts.server_name == sni


@pytest.mark.parametrize("name", ["", "a b.test", "x" * 254, "sho\np.test", "\u2028.test", "."])
def test_what_is_no_name(ends: Any, name: str) -> None:
    with pytest.raises(UsageError):
        ends(name=name)


async def test_the_server_chooses_its_policy_by_name(
    connect: Any, authority: Authority, careful: ClientPolicy
) -> None:
    policies = {
        "a.test": ServerPolicy(authority.issue("a.test"), maximum=Version.TLS_1_2),
        "b.test": ServerPolicy(authority.issue("b.test"), minimum=Version.TLS_1_3, alpn=("h2",)),
    }
    both = dataclasses.replace(careful, alpn=("h2",))
    client, _ = await connect(both, policies.get, name="a.test")
    assert (client.facts.version, client.facts.alpn) == ("TLS 1.2", None)
    client, server = await connect(both, policies.get, name="b.test")
    assert (client.facts.version, client.facts.alpn) == ("TLS 1.3", "h2")
    assert server.facts.server_name == "b.test"


async def test_the_chosen_server_also_works_bytewise(
    connect: Any, bytewise: Any, serving: ServerPolicy
) -> None:
    asked: list[str | None] = []

    def choose(name: str | None) -> ServerPolicy:
        asked.append(name)
        return serving

    await connect(None, choose, transports=bytewise(trio.testing.memory_stream_pair()))
    await connect(None, choose, name="127.0.0.1")
    assert asked == ["shop.test", None]


async def test_a_name_that_is_not_served(refused: Any) -> None:
    client, server = await refused(None, lambda name: None)
    assert (client.alert.number, client.alert_direction) == (112, "received")
    assert (server.alert.number, server.alert_direction) == (112, "sent")


async def test_a_choice_that_fails_is_the_servers_error(ends: Any) -> None:
    def broken(name: str | None) -> ServerPolicy:
        raise LookupError(name)

    client, server = ends(None, broken)
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            with pytest.raises(HandshakeFailure) as failure:
                await client.do_handshake()
            assert failure.value.alert is not None
            assert failure.value.alert.number == 80

        with pytest.raises(LookupError):
            await server.do_handshake()


# ---- Peers that do not speak TLS, or not for long ----


@pytest.mark.parametrize("chosen", [False, True])
@pytest.mark.parametrize("split", [False, True])
async def test_plain_http_on_a_tls_port(serving: Any, chosen: bool, split: bool) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    server = TLSStream.server(ours, (lambda name: serving) if chosen else serving)
    request = b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n"
    for piece in [request[i : i + 1] for i in range(len(request))] if split else [request]:
        await theirs.send_all(piece)
    with pytest.raises(HandshakeFailure) as failure:
        await server.do_handshake()
    assert failure.value.reason_number == 156
    assert "plain HTTP" in (failure.value.hint or "")


async def test_a_plain_server_for_a_tls_client(careful: ClientPolicy) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    client = TLSStream.client(ours, careful, "shop.test")
    await theirs.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(HandshakeFailure) as failure:
        await client.do_handshake()
    assert "does not speak TLS" in (failure.value.hint or "")


@pytest.mark.parametrize("chosen", [False, True])
@pytest.mark.parametrize(
    "garbage",
    [
        b"\0" * 64,
        b"\xff" * 4096,
        bytes.fromhex("1603010005") + b"\x01\x00\x00\x01\x03",  # a ClientHello of one byte
        bytes.fromhex("16030100040100ffff") + bytes(100),
        b"\x16\x03\x01\xff\xff" + bytes(70000),  # a record beyond the limit
        b"SSH-2.0-OpenSSH_9.2\r\n" * 4,
        b"CONNECT shop.test:443 HTTP/1.1\r\n\r\n",
    ],
)
async def test_garbage(
    serving: Any, careful: Any, garbage: bytes, chosen: bool, autojump_clock: object
) -> None:
    for server_side in (True, False):
        ours, theirs = trio.testing.memory_stream_pair()
        stream = (
            TLSStream.server(ours, (lambda name: serving) if chosen else serving)
            if server_side
            else TLSStream.client(ours, careful, "shop.test")
        )
        await theirs.send_all(garbage)
        with pytest.raises(HandshakeFailure):
            await stream.do_handshake()
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some()
        await stream.aclose()


async def test_an_endless_handshake_message_is_refused(careful: Any) -> None:
    """OpenSSL's limit for a server's hello flight; the rest of the 16 MiB is never kept."""
    ours, theirs = trio.testing.memory_stream_pair()
    client = TLSStream.client(ours, careful, "shop.test")
    await theirs.send_all(b"\x16\x03\x03\x40\x00" + b"\x02\xff\xff\xff" + bytes(2**14 - 4))
    with pytest.raises(HandshakeFailure) as failure:
        await client.do_handshake()
    assert failure.value.alert is not None
    assert (failure.value.alert.number, failure.value.alert_direction) == (47, "sent")


@pytest.mark.parametrize("sent", [0, 1, 5, 40, 700])
@pytest.mark.parametrize("chosen", [False, True])
async def test_a_peer_that_leaves_during_the_handshake(
    careful: Any, serving: Any, sent: int, chosen: bool
) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    client = TLSStream.client(ours, careful, "shop.test")
    with trio.move_on_after(0.01):
        await client.do_handshake()
    hello = await theirs.receive_some()
    far, near = trio.testing.memory_stream_pair()
    server = TLSStream.server(near, (lambda name: serving) if chosen else serving)
    await far.send_all(hello[:sent])
    await far.send_eof()
    with pytest.raises(HandshakeFailure) as failure:
        await server.do_handshake()
    assert failure.value.alert is None
    await theirs.send_eof()
    with pytest.raises(HandshakeFailure):
        await client.do_handshake()  # takes up where it was cancelled


async def test_a_silent_peer_meets_the_deadline(ends: Any, autojump_clock: object) -> None:
    client, server = ends(client_options={"handshake_timeout": 3}, server_options={})
    for stream, seconds in ((client, 3), (server, 10)):
        begun = trio.current_time()
        with pytest.raises(HandshakeFailure) as failure:
            await stream.do_handshake()
        assert failure.value.reason == "the deadline passed"
        assert 0 < trio.current_time() - begun <= seconds
        with pytest.raises(trio.BrokenResourceError):
            await stream.send_all(b"x")


async def test_a_peer_that_drips_meets_the_deadline(serving: Any, autojump_clock: object) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    server = TLSStream.server(ours, lambda name: serving, handshake_timeout=5)
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def _() -> None:
            for byte in b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" + bytes(500):
                await theirs.send_all(bytes((byte,)))
                await trio.sleep(1)

        with pytest.raises(HandshakeFailure):
            await server.do_handshake()
        nursery.cancel_scope.cancel()


async def test_the_handshake_of_two_tasks_happens_once(ends: Any) -> None:
    client, server = ends()
    async with trio.open_nursery() as nursery:
        for stream in (client, server):
            nursery.start_soon(stream.send_all, b"x")
            nursery.start_soon(stream.receive_some)
    assert client.facts.version == "TLS 1.3"


async def test_facts_come_after_the_handshake(ends: Any) -> None:
    client, _ = ends()
    with pytest.raises(UsageError):
        _ = client.facts
    with pytest.raises(UsageError):
        _ = client.session
    with pytest.raises(UsageError):
        client.export_keying_material(b"EXPORTER-x", 32)


# ---- Policies that cannot be ----


def test_policies_that_contradict_themselves(credential: Any) -> None:
    with pytest.raises(UsageError):
        ClientPolicy(minimum=Version.TLS_1_3, maximum=Version.TLS_1_2)
    with pytest.raises(UsageError):
        ServerPolicy(credential, client_certificate="required")
    with pytest.raises(UsageError):
        ServerPolicy(credential, client_certificate="please")  # type: ignore[arg-type]
    for protocol in ("", "x" * 256):
        with pytest.raises(UsageError):
            ClientPolicy(alpn=(protocol,))


@pytest.mark.parametrize(
    "bad", [{"ciphers": "NONSENSE"}, {"ciphersuites": "TLS_NONSENSE"}, {"groups": ("nonsense",)}]
)
def test_policies_that_openssl_does_not_know(ends: Any, credential: Any, bad: Any) -> None:
    with pytest.raises(UsageError):
        ends(ClientPolicy(trust=TrustStore(), **bad))
    with pytest.raises(UsageError):
        ends(None, ServerPolicy(credential, **bad))


def test_a_key_that_is_not_the_certificates(ends: Any, authority: Authority) -> None:
    one, other = authority.issue("a.test"), authority.issue("b.test")
    with pytest.raises(UsageError):
        ends(None, ServerPolicy(dataclasses.replace(one, key=other.key)))


def test_policies_show_no_key(serving: ServerPolicy, careful: ClientPolicy) -> None:
    assert "PRIVATE" not in repr(serving)
    assert "key=" not in repr(serving)


async def test_refusal_is_an_error_of_both_kinds(refused: Any) -> None:
    client, _ = await refused(ClientPolicy(trust=TrustStore()))
    assert isinstance(client, CertificateRefused)
    assert isinstance(client, HandshakeFailure)
    assert not isinstance(client, trio.BrokenResourceError)


async def test_tls_1_2_without_forward_secrecy_has_no_group(
    connect: Any, authority: Authority, careful: ClientPolicy
) -> None:
    """RSA key exchange: whoever gets the server's key later reads what was recorded."""
    server_policy = ServerPolicy(
        authority.issue("shop.test", key_type=KeyType.RSA_2048),
        maximum=Version.TLS_1_2,
        ciphers="AES128-GCM-SHA256",
    )
    client, _ = await connect(dataclasses.replace(careful, ciphers="ALL"), server_policy)
    assert (client.facts.cipher, client.facts.group) == ("AES128-GCM-SHA256", None)


async def test_versions_and_ciphers_by_key_type(connect: Any, careful: ClientPolicy) -> None:
    for key_type in (KeyType.ECDSA_P256, KeyType.RSA_2048, KeyType.ED25519):
        authority = Authority.create(key_type=key_type)
        policy = dataclasses.replace(careful, trust=TrustStore((authority.root,)))
        for version in Version:
            client, _ = await connect(
                dataclasses.replace(policy, maximum=version),
                ServerPolicy(authority.issue("shop.test", key_type=key_type)),
            )
            assert client.facts.version == version.value
