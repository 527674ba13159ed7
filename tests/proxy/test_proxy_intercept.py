"""The interceptor: reads clients that trust it or do not look, is refused by the others.

Each success of the attack stands beside its twin with the defence in place.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from trio.testing import MockClock, memory_stream_pair

from tlslab.errors import TLSError, UsageError
from tlslab.http import HTTPClient, Request, Response, serve_http
from tlslab.net import Direction, Endpoint
from tlslab.pki import Authority, Credential, TrustStore
from tlslab.proxy import InterceptingProxy, UpstreamFailure
from tlslab.proxy.leaves import Leaves
from tlslab.tls import (
    CertificateRefused,
    ClientPolicy,
    HandshakeFailure,
    ServerPolicy,
    TLSFacts,
    TLSStream,
    Version,
)
from tlslab.tls.hello import ClientHello

SHOP = Endpoint("shop.test", "192.0.2.1", 443)
SECRET = b"card 4711"
REQUEST = b"POST /pay HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 9\r\n\r\n" + SECRET


def key_of(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


async def thank(request: Request) -> Response:
    await request.read()
    return Response(200, [], b"thank you")


@dataclass
class Attack:
    """An interceptor with its view of the world."""

    read: dict[Direction, bytes] = field(default_factory=lambda: dict.fromkeys(Direction, b""))
    handshakes: list[TLSFacts] = field(default_factory=list)
    refused: list[HandshakeFailure] = field(default_factory=list)
    failures: list[UpstreamFailure] = field(default_factory=list)
    raised: list[Exception] = field(default_factory=list)
    hellos: list[ClientHello | None] = field(default_factory=list)
    server_facts: list[TLSFacts] = field(default_factory=list)

    def on_data(self, direction: Direction, data: bytes) -> None:
        self.read[direction] += data


@asynccontextmanager
async def attacked(
    attack: Attack,
    rogue: Authority,
    server: ServerPolicy | None,
    upstream_policy: ClientPolicy,
    *,
    reachable: bool = True,
    greedy: bool = True,
) -> AsyncIterator[trio.abc.HalfCloseableStream]:
    """A client's transport that ends at an interceptor instead of at the shop."""
    client, front = memory_stream_pair()

    async def shop(far: trio.abc.Stream) -> None:
        stream = far if server is None else TLSStream.server(far, server)
        try:
            await serve_http(stream, thank)
        except TLSError:
            return
        if isinstance(stream, TLSStream):
            attack.server_facts.append(stream.facts)

    async def connect(intended: Endpoint, hello: ClientHello | None) -> trio.abc.Stream:
        assert intended == SHOP
        attack.hellos.append(hello)
        if not reachable:
            raise ConnectionRefusedError
        near, far = memory_stream_pair()
        nursery.start_soon(shop, far)
        return near

    proxy = InterceptingProxy(
        authority=rogue,
        connect_upstream=connect,
        upstream_policy=upstream_policy,
        greedy=greedy,
        on_handshake=attack.handshakes.append,
        on_refused=attack.refused.append,
        on_upstream_failure=attack.failures.append,
    )

    async def serve() -> None:
        try:
            await proxy.serve(front, SHOP, on_data=attack.on_data)
        except (HandshakeFailure, UpstreamFailure) as error:
            attack.raised.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        yield client
        await trio.aclose_forcefully(client)


@pytest.fixture(scope="module")
def shop_policy(authority: Authority) -> ServerPolicy:
    return ServerPolicy(authority.issue("shop.test"), alpn=("h2", "http/1.1"))


@pytest.fixture(scope="module")
def careful(authority: Authority) -> ClientPolicy:
    return ClientPolicy(trust=TrustStore((authority.root,)), alpn=("http/1.1",))


async def pay(transport: trio.abc.Stream, policy: ClientPolicy) -> TLSFacts:
    """A client that pays in the shop. Raises HandshakeFailure if it does not like what it sees."""
    tls = TLSStream.client(transport, policy, "shop.test")
    await tls.do_handshake()
    http = HTTPClient(tls, host="shop.test")
    response = await http.request("POST", "/pay", body=SECRET)
    assert await response.read() == b"thank you"
    await http.aclose()
    return tls.facts


@pytest.mark.parametrize("version", list(Version))
@pytest.mark.parametrize("tricked", ["rogue root installed", "no verification", "careful"])
async def test_who_is_read_and_who_refuses(
    authority: Authority,
    rogue: Authority,
    shop_policy: ServerPolicy,
    careful: ClientPolicy,
    version: Version,
    tricked: str,
) -> None:
    attack = Attack()
    policy = replace(careful, maximum=version)
    if tricked == "rogue root installed":
        policy = replace(policy, trust=TrustStore((authority.root, rogue.root)))
    elif tricked == "no verification":
        policy = replace(policy, verify_chain=False, verify_name=False)
    async with attacked(attack, rogue, shop_policy, careful) as transport:
        if tricked == "careful":
            with pytest.raises(CertificateRefused) as caught:
                await pay(transport, policy)
            assert caught.value.x509_number in (19, 20)  # no trusted issuer
        else:
            facts = await pay(transport, policy)
            assert facts.version == version.value
            assert facts.peer_chain[1] == rogue.intermediate
    if tricked == "careful":
        assert attack.read == {Direction.TO_SERVER: b"", Direction.TO_CLIENT: b""}
        assert attack.handshakes == []
        refusal = attack.refused[0]
        assert attack.raised == [refusal]
        assert refusal.alert is not None
        assert refusal.alert.number == 48  # unknown_ca
        assert refusal.alert_direction == "received"
    else:
        assert SECRET in attack.read[Direction.TO_SERVER]
        assert b"thank you" in attack.read[Direction.TO_CLIENT]
        assert attack.refused == []
        assert attack.server_facts, "the shop never noticed"


async def test_alpn_is_the_real_servers_choice(
    rogue: Authority, authority: Authority, shop_policy: ServerPolicy, careful: ClientPolicy
) -> None:
    for offered, expected in (
        (("http/1.1",), "http/1.1"),
        (("spdy/1", "http/1.1", "h2"), "http/1.1"),  # the attacker's own policy rules out h2
        ((), None),
    ):
        attack = Attack()
        policy = ClientPolicy(trust=TrustStore((rogue.root,)), alpn=offered)
        async with attacked(attack, rogue, shop_policy, careful) as transport:
            assert (await pay(transport, policy)).alpn == expected
        assert attack.server_facts[0].alpn == expected
        hello = attack.hellos[0]
        assert hello is not None
        assert hello.alpn == offered


@pytest.mark.parametrize("greedy", [True, False])
async def test_a_server_that_cannot_be_verified_is_not_talked_to(
    rogue: Authority, careful: ClientPolicy, greedy: bool, autojump_clock: MockClock
) -> None:
    """The interceptor is a careful client itself; but greedy, it reads what the client says."""
    attack = Attack()
    impostor = ServerPolicy(Authority.create("Other").issue("shop.test"))
    trusting = replace(careful, trust=TrustStore((rogue.root,)))
    async with attacked(attack, rogue, impostor, careful, greedy=greedy) as transport:
        tls = TLSStream.client(transport, trusting, "shop.test")
        if greedy:
            await tls.send_all(REQUEST)
            assert await tls.receive_some() == b"", "closed, without an answer"
            assert trio.current_time() < 1, "a whole request is not waited for any longer"
        else:
            with pytest.raises(HandshakeFailure):
                await tls.do_handshake()
    assert attack.read[Direction.TO_SERVER] == (REQUEST if greedy else b"")
    failure = attack.failures[0]
    assert attack.raised == [failure]
    assert isinstance(failure.error, CertificateRefused)
    assert attack.server_facts == []


async def test_an_interceptor_that_does_not_verify_can_itself_be_intercepted(
    rogue: Authority, careful: ClientPolicy
) -> None:
    attack = Attack()
    impostor = ServerPolicy(Authority.create("Other").issue("shop.test"))
    careless = ClientPolicy(verify_chain=False, verify_name=False)
    trusting = replace(careful, trust=TrustStore((rogue.root,)))
    async with attacked(attack, rogue, impostor, careless) as transport:
        await pay(transport, trusting)
    assert attack.failures == []


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (REQUEST[:30], REQUEST[:30]),  # waits for more, for a while
        (b"\x00 not http", b"\x00 not http"),
        (REQUEST + REQUEST, REQUEST + REQUEST),
    ],
)
async def test_greed_is_bounded(
    rogue: Authority, careful: ClientPolicy, autojump_clock: MockClock, sent: bytes, read: bytes
) -> None:
    attack = Attack()
    trusting = replace(careful, trust=TrustStore((rogue.root,)))
    async with attacked(attack, rogue, None, careful, reachable=False) as transport:
        tls = TLSStream.client(transport, trusting, "shop.test")
        await tls.send_all(sent)
        assert await tls.receive_some() == b""
    assert attack.read[Direction.TO_SERVER] == read
    assert trio.current_time() < 3
    assert isinstance(attack.failures[0].error, ConnectionRefusedError)


async def test_greed_reads_no_more_than_its_bound(
    rogue: Authority, careful: ClientPolicy, autojump_clock: MockClock
) -> None:
    attack = Attack()
    trusting = replace(careful, trust=TrustStore((rogue.root,)))
    async with attacked(attack, rogue, None, careful, reachable=False) as transport:
        tls = TLSStream.client(transport, trusting, "shop.test")
        await tls.do_handshake()
        for _ in range(40):
            try:
                await tls.send_all(b"x" * 16384)
            except trio.BrokenResourceError:
                break
        await trio.testing.wait_all_tasks_blocked()
    assert 65536 <= len(attack.read[Direction.TO_SERVER]) <= 2 * 65536


async def test_plain_http_is_read_as_it_is(rogue: Authority, careful: ClientPolicy) -> None:
    attack = Attack()
    async with attacked(attack, rogue, None, careful) as transport:
        response = await HTTPClient(transport, host="shop.test").request(
            "POST", "/pay", body=SECRET
        )
        assert await response.read() == b"thank you"
        await transport.send_eof()
        assert await transport.receive_some() == b""
    assert SECRET in attack.read[Direction.TO_SERVER]
    assert attack.hellos == [None]
    assert attack.handshakes == []


async def test_a_server_that_speaks_first_is_not_waited_out(
    rogue: Authority, careful: ClientPolicy, autojump_clock: MockClock
) -> None:
    client, front = memory_stream_pair()
    near, far = memory_stream_pair()

    async def connect(_: Endpoint, hello: ClientHello | None) -> trio.abc.Stream:
        assert hello is None
        await far.send_all(b"220 mail.test\r\n")
        return near

    attack = Attack()
    proxy = InterceptingProxy(authority=rogue, connect_upstream=connect, upstream_policy=careful)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: proxy.serve(front, SHOP, on_data=attack.on_data))
        assert await client.receive_some() == b"220 mail.test\r\n"
        assert trio.current_time() == pytest.approx(1)
        await client.send_eof()
        await far.send_eof()
    assert attack.read[Direction.TO_CLIENT] == b"220 mail.test\r\n"


async def test_mutual_tls_keeps_the_interceptor_out(
    authority: Authority, rogue: Authority, careful: ClientPolicy, autojump_clock: MockClock
) -> None:
    """It reads the client's request, but cannot pass itself off as the client."""
    for credential, passes in ((None, False), (authority.issue("alice", profile="client"), True)):
        attack = Attack()
        mutual = ServerPolicy(
            authority.issue("shop.test"),
            client_trust=TrustStore((authority.root,)),
            client_certificate="required",
        )
        trusting = ClientPolicy(trust=TrustStore((rogue.root,)))
        # The twin: an interceptor that has stolen the client's key gets through.
        upstream = ClientPolicy(trust=careful.trust, credential=credential)
        async with attacked(attack, rogue, mutual, upstream) as transport:
            if passes:
                await pay(transport, trusting)
            else:
                tls = TLSStream.client(transport, trusting, "shop.test")
                await tls.do_handshake()
                await trio.testing.wait_all_tasks_blocked()  # the shop's refusal comes first
                await tls.send_all(REQUEST)
                with pytest.raises(trio.BrokenResourceError):
                    await tls.receive_some()
        assert bool(attack.server_facts) == passes
        assert SECRET in attack.read[Direction.TO_SERVER]
        assert len(attack.raised) == (0 if passes else 1)
        if not passes:
            failure = attack.raised[0]
            assert isinstance(failure, UpstreamFailure)
            assert isinstance(failure.error, HandshakeFailure)
            assert failure.error.alert is not None
            assert failure.error.alert.number == 116  # certificate_required


async def test_without_sni_the_leaf_is_for_whom_the_client_meant(
    rogue: Authority, authority: Authority
) -> None:
    address = Endpoint("192.0.2.1", "192.0.2.1", 443)
    client, front = memory_stream_pair()

    async def connect(_: Endpoint, hello: ClientHello | None) -> trio.abc.Stream:
        assert hello is not None
        assert hello.server_name is None
        near, far = memory_stream_pair()
        policy = ServerPolicy(authority.issue("192.0.2.1"))
        nursery.start_soon(serve_http, TLSStream.server(far, policy), thank)
        return near

    upstream = ClientPolicy(trust=TrustStore((authority.root,)))
    proxy = InterceptingProxy(authority=rogue, connect_upstream=connect, upstream_policy=upstream)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(proxy.serve, front, address)
        trusting = ClientPolicy(trust=TrustStore((rogue.root,)))
        async with HTTPClient(TLSStream.client(client, trusting, "192.0.2.1"), host="x") as http:
            response = await http.request("GET", "/")
            assert await response.read() == b"thank you"


async def test_each_leaf_has_a_key_of_its_own(
    rogue: Authority, shop_policy: ServerPolicy, careful: ClientPolicy
) -> None:
    leaves = Leaves(rogue.issue)
    made = [leaves.leaf(name).certificate for name in ("a.test", "b.test", "A.test", "192.0.2.1")]
    assert made[0] is made[2], "cached, whatever the case"
    keys = {key_of(made[n]) for n in (0, 1, 3)}
    assert len(keys) == 3
    assert not keys & {key_of(rogue.root), key_of(rogue.intermediate)}
    attack = Attack()
    trusting = replace(careful, trust=TrustStore((rogue.root,)))
    async with attacked(attack, rogue, shop_policy, careful) as transport:
        shown = (await pay(transport, trusting)).peer_chain
    assert key_of(shown[0]) not in {key_of(shop_policy.credential.certificate), *keys}


def test_the_cache_is_bounded_and_forgets_the_oldest(rogue: Authority) -> None:
    made: list[str] = []

    def issue(name: str) -> Credential:
        made.append(name)
        return rogue.issue(name)

    leaves = Leaves(issue, kept=2)
    for name in ("a.test", "b.test", "a.test", "c.test", "a.test", "b.test"):
        leaves.leaf(name)
    assert made == ["a.test", "b.test", "c.test", "b.test"]


async def test_a_client_that_leaves_is_no_crash(rogue: Authority, careful: ClientPolicy) -> None:
    for said in (b"", b"\x16\x03\x01\x02\x00\x01"):
        attack = Attack()
        async with attacked(attack, rogue, None, careful) as transport:
            if said:
                await transport.send_all(said)
            await transport.send_eof()
            await trio.testing.wait_all_tasks_blocked()


async def test_a_name_that_cannot_be_certified_is_refused(
    shop_policy: ServerPolicy, careful: ClientPolicy
) -> None:
    def issue(name: str) -> Credential:
        raise UsageError(f"{name!r} cannot be in a certificate")

    client, front = memory_stream_pair()
    refused: list[HandshakeFailure] = []

    async def connect(_: Endpoint, __: ClientHello | None) -> trio.abc.Stream:
        near, far = memory_stream_pair()
        nursery.start_soon(shop, far)
        return near

    async def shop(far: trio.abc.Stream) -> None:
        tls = TLSStream.server(far, shop_policy)
        await tls.do_handshake()
        with pytest.raises(trio.BrokenResourceError):
            await tls.receive_some()
        await trio.aclose_forcefully(tls)

    proxy = InterceptingProxy(
        issue=issue,
        connect_upstream=connect,
        upstream_policy=careful,
        on_refused=refused.append,
    )

    async def serve() -> None:
        with pytest.raises(HandshakeFailure):
            await proxy.serve(front, SHOP)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        with pytest.raises(HandshakeFailure) as caught:
            await TLSStream.client(client, careful, "shop.test").do_handshake()
    assert caught.value.alert is not None
    assert caught.value.alert.number == 112  # unrecognized_name
    assert len(refused) == 1


def test_it_needs_exactly_one_way_to_make_leaves(rogue: Authority) -> None:
    async def connect(_: Endpoint, __: ClientHello | None) -> trio.abc.Stream:
        raise AssertionError

    with pytest.raises(UsageError):
        InterceptingProxy(connect_upstream=connect)
    with pytest.raises(UsageError):
        InterceptingProxy(authority=rogue, issue=rogue.issue, connect_upstream=connect)
