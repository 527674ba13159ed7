"""Who is believed. Each defence holds, and without it the attack wins: the failing twin."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from tlslab.pki import Authority, Credential, TrustStore
from tlslab.tls import CertificateRefused, ClientPolicy, ServerPolicy, Version, bindings


@pytest.fixture(scope="module")
def stranger() -> Authority:
    """A CA that nobody trusts: the interceptor's."""
    return Authority.create("stranger")


async def check(
    refused: Any,
    client: ClientPolicy,
    server: ServerPolicy,
    expected: tuple[int, int, int],
    **kw: Any,
) -> CertificateRefused:
    """The client refuses with this X509 number, depth and alert, and the server gets the alert."""
    mine, theirs = await refused(client, server, **kw)
    assert isinstance(mine, CertificateRefused)
    assert mine.alert is not None
    assert (mine.x509_number, mine.depth, mine.alert.number) == expected
    assert mine.alert_direction == "sent"
    assert mine.explanation.fix
    assert mine.peer_chain == server.credential.chain
    assert (theirs.alert.number, theirs.alert_direction) == (expected[2], "received")
    return mine


@pytest.mark.parametrize("version", Version)
async def test_a_name_that_is_not_in_the_certificate(
    refused: Any, connect: Any, careful: ClientPolicy, serving: ServerPolicy, version: Version
) -> None:
    policy = dataclasses.replace(careful, maximum=version)
    error = await check(refused, policy, serving, (62, 0, 42), name="other.test")
    assert error.certificate == serving.credential.certificate
    twin = dataclasses.replace(policy, verify_name=False)
    client, _ = await connect(twin, serving, name="other.test")
    assert client.facts.tolerated == (62,)


async def test_an_address_that_is_not_in_the_certificate(
    refused: Any, connect: Any, careful: ClientPolicy, serving: ServerPolicy
) -> None:
    await check(refused, careful, serving, (64, 0, 42), name="127.0.0.2")
    await check(refused, careful, serving, (64, 0, 42), name="::2")
    twin = dataclasses.replace(careful, verify_name=False)
    client, _ = await connect(twin, serving, name="127.0.0.2")
    assert client.facts.tolerated == (64,)


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("*.shop.test", "a.shop.test", True),
        ("*.shop.test", "a.b.shop.test", False),
        ("*.shop.test", "shop.test", False),
    ],
)
async def test_wildcards(
    refused: Any,
    connect: Any,
    authority: Authority,
    careful: Any,
    pattern: str,
    name: str,
    matches: bool,
) -> None:
    server = ServerPolicy(authority.issue(pattern))
    if matches:
        await connect(careful, server, name=name)
    else:
        await check(refused, careful, server, (62, 0, 42), name=name)


async def test_an_unknown_root(
    refused: Any, connect: Any, careful: ClientPolicy, stranger: Authority
) -> None:
    server = ServerPolicy(stranger.issue("shop.test"))
    error = await check(refused, careful, server, (20, 1, 48))
    assert error.certificate == stranger.intermediate
    twin = dataclasses.replace(careful, verify_chain=False)
    client, _ = await connect(twin, server)
    assert client.facts.tolerated != ()
    assert careful.trust is not None
    installed = dataclasses.replace(careful, trust=careful.trust.adding(stranger.root))
    client, _ = await connect(installed, server)
    assert client.facts.tolerated == ()


async def test_careless_about_chains_still_checks_names(
    refused: Any, connect: Any, careful: ClientPolicy, stranger: Authority
) -> None:
    server = ServerPolicy(stranger.issue("shop.test"))
    policy = dataclasses.replace(careful, verify_chain=False)
    await check(refused, policy, server, (62, 0, 42), name="other.test")
    twin = dataclasses.replace(policy, verify_name=False)
    client, _ = await connect(twin, server, name="other.test")
    assert {20, 62} <= set(client.facts.tolerated)


async def test_careless_about_names_still_checks_chains(
    refused: Any, careful: ClientPolicy, stranger: Authority
) -> None:
    policy = dataclasses.replace(careful, verify_name=False)
    server = ServerPolicy(stranger.issue("other.test"))
    await check(refused, policy, server, (20, 1, 48))


async def test_a_chain_without_its_intermediate(
    refused: Any, connect: Any, careful: ClientPolicy, credential: Credential
) -> None:
    incomplete = dataclasses.replace(credential, chain=credential.chain[:1])
    await check(refused, careful, ServerPolicy(incomplete), (20, 0, 48))
    await connect(careful, ServerPolicy(credential))


async def test_a_self_signed_certificate(
    refused: Any, connect: Any, careful: ClientPolicy, stranger: Authority
) -> None:
    # A root that answers itself has no shop.test in it either; the chain is judged first.
    leaf = stranger.issue("shop.test")
    untrusted = dataclasses.replace(leaf, chain=(*leaf.chain, stranger.root))
    await check(refused, careful, ServerPolicy(untrusted), (19, 2, 48))
    await connect(
        dataclasses.replace(careful, trust=TrustStore((stranger.root,))), ServerPolicy(leaf)
    )


@pytest.mark.parametrize(
    ("shift", "expected"), [(timedelta(days=-3650), (10, 0, 45)), (timedelta(days=+30), (9, 0, 42))]
)
async def test_time(
    refused: Any,
    connect: Any,
    authority: Authority,
    careful: ClientPolicy,
    shift: timedelta,
    expected: tuple[int, int, int],
) -> None:
    # Issued by the same CA at another time: only the leaf is out of its time.
    then = datetime.now(UTC) + shift
    server = ServerPolicy(authority.issue("shop.test", now=then, lifetime=timedelta(days=1)))
    await check(refused, careful, server, expected)
    twin = dataclasses.replace(careful, verify_chain=False)
    client, _ = await connect(twin, server)
    assert expected[0] in client.facts.tolerated


async def test_a_certificate_for_another_purpose(
    refused: Any, connect: Any, authority: Authority, careful: ClientPolicy
) -> None:
    """OpenSSL applies the sslserver purpose on its own in a handshake."""
    server = ServerPolicy(authority.issue("shop.test", profile="client"))
    await check(refused, careful, server, (26, 0, 43))
    twin = dataclasses.replace(careful, verify_chain=False)
    client, _ = await connect(twin, server)
    assert 26 in client.facts.tolerated


async def test_without_a_trust_store_the_system_decides(
    refused: Any, serving: ServerPolicy
) -> None:
    await check(refused, ClientPolicy(), serving, (20, 1, 48))


async def test_a_key_too_weak_for_the_security_level(
    connect: Any, careful: Any, serving: Any
) -> None:
    """A policy may lower OpenSSL's security level, since its cipher list says so."""
    weak = "DEFAULT@SECLEVEL=0"
    client, _ = await connect(
        dataclasses.replace(careful, ciphers=weak), dataclasses.replace(serving, ciphers=weak)
    )
    assert client.facts.version == "TLS 1.3"


async def test_the_peers_chain_is_kept(connect: Any, credential: Credential) -> None:
    client, server = await connect()
    assert client.facts.peer_chain == credential.chain
    assert server.facts.peer_chain == ()


@pytest.fixture(scope="module")
def nameless() -> Callable[..., tuple[TrustStore, Credential]]:
    """Certificates that tlslab.pki rightly does not issue: by a root, with these very names."""

    def make(common_name: str, *names: str) -> tuple[TrustStore, Credential]:
        now = datetime.now(UTC)
        keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
        subjects = [
            x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, cn)])
            for cn in ("a root", common_name)
        ]

        def sign(index: int, *extensions: x509.ExtensionType) -> x509.Certificate:
            builder = x509.CertificateBuilder(
                issuer_name=subjects[0],
                subject_name=subjects[index],
                public_key=keys[index].public_key(),
                serial_number=x509.random_serial_number(),
                not_valid_before=now - timedelta(hours=1),
                not_valid_after=now + timedelta(hours=1),
            )
            for extension in extensions:
                builder = builder.add_extension(extension, critical=False)
            return builder.sign(keys[0], SHA256())

        root = sign(0, x509.BasicConstraints(ca=True, path_length=None))
        san = [x509.SubjectAlternativeName([x509.DNSName(n) for n in names])] if names else []
        leaf = sign(1, *san)
        return TrustStore((root,)), Credential(keys[1], leaf, (leaf,))

    return make


@pytest.mark.parametrize(
    ("common_name", "names", "asked"),
    [("shop.test", (), "shop.test"), ("x", ("sh*.shop.test",), "sho.shop.test")],
)
async def test_a_common_name_and_a_partial_wildcard_are_no_names(
    refused: Any,
    connect: Any,
    monkeypatch: pytest.MonkeyPatch,
    nameless: Any,
    common_name: str,
    names: tuple[str, ...],
    asked: str,
) -> None:
    """RFC 9525 section 6.3. Without our host flags OpenSSL takes both: the failing twin."""
    trust, credential = nameless(common_name, *names)
    policy, server = ClientPolicy(trust=trust), ServerPolicy(credential)
    await check(refused, policy, server, (62, 0, 42), name=asked)
    monkeypatch.setattr(bindings, "_HOST_FLAGS", 0)
    await connect(policy, server, name=asked)
