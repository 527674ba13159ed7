"""Attacks on a handshake in flight, from both sides."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeAlias

import pytest
import trio
import trio.testing
from cryptography.hazmat.primitives.serialization import Encoding

from tlslab.attack import CutServerFlight, FlipServerFlight, ForgedAlert, RelayCertificate
from tlslab.pki import Authority, Credential, KeyType, Profile
from tlslab.tls import ClientPolicy, HandshakeFailure, ServerPolicy, Version
from tlslab.tls.hello import certificate_list

Meet: TypeAlias = Callable[..., Awaitable[Any]]

both_versions = pytest.mark.parametrize("version", Version)


@pytest.mark.parametrize(("version", "alert"), [(Version.TLS_1_2, 51), (Version.TLS_1_3, 20)])
async def test_one_wrong_bit_in_the_servers_flight(
    version: Version, alert: int, careful: ClientPolicy, serving: ServerPolicy, meet: Meet
) -> None:
    client = replace(careful, maximum=version)
    meeting = await meet(FlipServerFlight(), client, serving)
    assert meeting.client.alert == (alert, "sent")
    assert meeting.server.alert == (alert, "received")
    assert meeting.server.took == []
    assert len(meeting.struck) == 1
    assert (await meet(FlipServerFlight(), None, None)).server.took  # without TLS: no handshake


@both_versions
@pytest.mark.parametrize("alert", [40, 80])
async def test_a_forged_alert_is_believed(
    version: Version, alert: int, careful: ClientPolicy, serving: ServerPolicy, meet: Meet
) -> None:
    meeting = await meet(ForgedAlert(alert), replace(careful, maximum=version), serving)
    assert meeting.client.alert == (alert, "received")
    assert meeting.server.alert is None  # which never heard of anything
    assert meeting.server.took == []


@both_versions
async def test_silence_is_ended_by_a_deadline_only(
    version: Version,
    careful: ClientPolicy,
    serving: ServerPolicy,
    autojump_clock: trio.testing.MockClock,
    meet: Meet,
) -> None:
    client = replace(careful, maximum=version)
    started = trio.current_time()
    meeting = await meet(CutServerFlight(), client, serving, handshake_timeout=5.0)
    assert trio.current_time() - started == pytest.approx(5.0, abs=0.1)
    assert isinstance(meeting.client.error, HandshakeFailure)
    assert meeting.server.took == []

    waited: list[Any] = []
    with trio.move_on_after(30.0) as patience:
        waited.append(await meet(CutServerFlight(), client, serving, handshake_timeout=math.inf))
    assert patience.cancelled_caught  # without a deadline both wait as long as the attacker likes
    assert waited == []


@both_versions
async def test_a_cut_handshake_gives_nothing_away(
    version: Version, careful: ClientPolicy, serving: ServerPolicy, meet: Meet
) -> None:
    client = replace(careful, maximum=version)
    meeting = await meet(CutServerFlight(fin=True), client, serving)
    assert isinstance(meeting.client.error, HandshakeFailure)
    assert meeting.client.alert is None
    assert not any(message in passed.data for passed in meeting.passed for message in meeting.said)


STATIC_RSA = "AES128-GCM-SHA256"
RSA, ECDSA = KeyType.RSA_2048, KeyType.ECDSA_P256


@pytest.mark.parametrize("verifies", [True, False])
@pytest.mark.parametrize(
    ("genuine", "other", "ciphers", "finder", "alert"),
    [
        (ECDSA, ECDSA, None, "client", 51),  # the signature does not fit
        (RSA, RSA, None, "client", 51),
        (ECDSA, RSA, None, "client", 47),  # the suite does not fit
        # The secret was sealed to the genuine key: to a longer one it is garbage, which OpenSSL
        # does not tell (RFC 5246 section 7.4.7.1), for a shorter one it is no number at all.
        (RSA, KeyType.RSA_3072, STATIC_RSA, "server", 20),
        (KeyType.RSA_3072, RSA, STATIC_RSA, "server", 51),
    ],
)
async def test_a_certificate_without_its_key_is_refused(
    genuine: KeyType,
    other: KeyType,
    ciphers: str | None,
    finder: str,
    alert: int,
    verifies: bool,
    authority: Authority,
    careful: ClientPolicy,
    meet: Meet,
) -> None:
    """Also by who verifies no certificate: that the server has its key is no part of that."""
    client = replace(
        careful,
        maximum=Version.TLS_1_2,
        ciphers=ciphers,
        verify_chain=verifies,
        verify_name=verifies,
    )
    shop = ServerPolicy(authority.issue("shop.test", key_type=genuine), ciphers=ciphers)
    fake = ServerPolicy(authority.issue("mallory.test", key_type=other), ciphers=ciphers)
    attack = RelayCertificate("mallory.test", 8443)
    assert attack.destination("shop.test", 443) == ("shop.test", 443)
    first = await meet(attack, client, shop)
    assert first.server.took == list(first.said)  # the copy is taken without a trace
    assert first.struck == []
    assert attack.destination("shop.test", 443) == ("mallory.test", 8443)
    meeting = await meet(attack, client, fake)
    assert meeting.client.alert == (alert, "sent" if finder == "client" else "received")
    assert meeting.server.alert == (alert, "received" if finder == "client" else "sent")
    assert meeting.server.took == []
    assert len(meeting.struck) == 1


async def test_the_copy_is_genuine(
    authority: Authority, careful: ClientPolicy, serving: ServerPolicy, meet: Meet
) -> None:
    """The same copy before the server that it is of changes nothing: only the key was missing."""
    client, attack = replace(careful, maximum=Version.TLS_1_2), RelayCertificate()
    await meet(attack, client, serving)
    meeting = await meet(attack, client, serving)
    assert meeting.struck == []
    assert meeting.server.took == list(meeting.said)
    assert attack.copied is not None
    chain = [one.public_bytes(Encoding.DER) for one in serving.credential.chain]
    assert list(certificate_list(attack.copied.body)) == chain


@pytest.mark.parametrize("ciphers", [None, STATIC_RSA])
async def test_even_with_the_key_a_swapped_certificate_is_noticed(
    ciphers: str | None, authority: Authority, careful: ClientPolicy, meet: Meet
) -> None:
    """The signature fits then, and the secret is learned; but both ends hash what they saw."""
    client = replace(careful, maximum=Version.TLS_1_2, ciphers=ciphers)
    genuine = authority.issue("shop.test", key_type=RSA)
    leaf = authority.draft(
        "mallory.test", public_key=genuine.key.public_key(), profile=Profile.named("server")
    ).signed_by(authority.intermediate_key)
    stolen = Credential(genuine.key, leaf, (leaf, authority.intermediate))
    attack = RelayCertificate()
    await meet(attack, client, ServerPolicy(genuine, ciphers=ciphers))
    meeting = await meet(attack, client, ServerPolicy(stolen, ciphers=ciphers))
    assert meeting.server.alert == (20, "sent")
    assert meeting.server.took == []


async def test_tls13_shows_no_certificate_to_copy(
    careful: ClientPolicy, serving: ServerPolicy, meet: Meet
) -> None:
    attack = RelayCertificate()
    for _ in range(2):
        meeting = await meet(attack, careful, serving)
        assert meeting.server.took == list(meeting.said)
        assert meeting.struck == []
    assert attack.copied is None
    assert (await meet(attack, None, None)).server.took  # nor does a connection without TLS
