"""Attacks on what is negotiated: edits are noticed, and what is only dropped is not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeAlias

import pytest

from tlslab.attack import (
    Attack,
    DropHellos,
    EditServerName,
    KeepCiphers,
    KeepSignatures,
    StripALPN,
    StripExtendedMasterSecret,
    StripGroups,
    StripVersions,
)
from tlslab.pki import Authority, KeyType
from tlslab.tls import (
    AnyVersion,
    ClientPolicy,
    HandshakeFailure,
    RetiredVersion,
    ServerPolicy,
    Version,
)

Meet: TypeAlias = Callable[..., Awaitable[Any]]

ILLEGAL_PARAMETER, BAD_RECORD_MAC, DECRYPT_ERROR, HANDSHAKE_FAILURE = 47, 20, 51, 40
ECDSA_SECP256R1_SHA256, RSA_PSS_RSAE_SHA256 = 0x0403, 0x0804
V12, V13 = Version.TLS_1_2, Version.TLS_1_3

EDITS = [
    (StripVersions(), V13, "client", ILLEGAL_PARAMETER),  # the sentinel
    (StripGroups(), V13, "client", BAD_RECORD_MAC),
    (StripGroups(shares=False), V13, "server", ILLEGAL_PARAMETER),
    (StripALPN(), V12, "server", BAD_RECORD_MAC),
    (StripALPN(), V13, "client", BAD_RECORD_MAC),
    (EditServerName("x.test"), V12, "server", BAD_RECORD_MAC),
    (EditServerName("x.test"), V13, "client", BAD_RECORD_MAC),
    (StripExtendedMasterSecret(), V12, "server", DECRYPT_ERROR),
    (KeepCiphers("AES_128"), V12, "server", BAD_RECORD_MAC),
    (KeepCiphers("AES_128"), V13, "client", BAD_RECORD_MAC),
    (KeepSignatures(ECDSA_SECP256R1_SHA256), V12, "server", BAD_RECORD_MAC),
    (KeepSignatures(ECDSA_SECP256R1_SHA256), V13, "client", BAD_RECORD_MAC),
    (KeepSignatures(RSA_PSS_RSAE_SHA256), V13, "server", HANDSHAKE_FAILURE),  # the key is no RSA
    (KeepSignatures(), V12, "server", HANDSHAKE_FAILURE),  # SHA-1
    (KeepSignatures(), V13, "server", HANDSHAKE_FAILURE),
]


@pytest.mark.parametrize(("edit", "version", "finder", "alert"), EDITS)
async def test_an_edited_hello_is_noticed(
    edit: Attack,
    version: Version,
    finder: str,
    alert: int,
    careful: ClientPolicy,
    serving: ServerPolicy,
    meet: Meet,
) -> None:
    client = replace(careful, maximum=version, alpn=("h2",))
    meeting = await meet(edit, client, replace(serving, alpn=("h2",)))
    at_client = "sent" if finder == "client" else "received"
    assert meeting.client.alert == (alert, at_client)
    assert meeting.server.alert == (alert, "received" if at_client == "sent" else "sent")
    assert meeting.server.took == []
    assert len(meeting.struck) == 1


@pytest.mark.parametrize(
    ("edit", "client"),
    [
        (StripVersions(), {"maximum": V12}),
        (StripGroups(), {"groups": ("X25519",)}),
        (StripALPN(), {}),
        (KeepCiphers("no such cipher"), {}),
        (DropHellos(("TLS 1.3",)), {"maximum": V12}),
        (DropHellos(("MLKEM",)), {"groups": ("X25519",)}),
        (DropHellos(("h2",)), {"alpn": ("http/1.1",)}),
    ],
)
async def test_a_hello_without_what_is_wanted_passes(
    edit: Attack,
    client: dict[str, object],
    careful: ClientPolicy,
    serving: ServerPolicy,
    meet: Meet,
) -> None:
    meeting = await meet(edit, replace(careful, **client), serving)  # type: ignore[arg-type]
    assert meeting.server.took == list(meeting.said)
    assert meeting.struck == []


@pytest.mark.parametrize("offering", ["TLS 1.3", "MLKEM", "AES_256", "http/1.1"])
async def test_a_hello_with_it_is_dropped(
    offering: str, careful: ClientPolicy, serving: ServerPolicy, meet: Meet
) -> None:
    client = replace(careful, alpn=("http/1.1",))
    meeting = await meet(DropHellos((offering,)), client, serving)
    assert isinstance(meeting.client.error, HandshakeFailure)
    assert meeting.client.alert is None
    assert meeting.server.facts is None


async def test_a_second_attempt_that_says_so_is_refused(
    careful: ClientPolicy, serving: ServerPolicy, meet: Meet
) -> None:
    dance, again = DropHellos(), replace(careful, maximum=V12)
    assert (await meet(dance, careful, serving)).client.error is not None
    silent = await meet(dance, again, serving)
    assert silent.server.facts is not None
    assert silent.server.facts.version == "TLS 1.2"
    told = await meet(dance, replace(again, fallback_scsv=True), serving)
    assert told.client.alert == (86, "received")  # inappropriate_fallback, RFC 7507
    # ... and to a server that has nothing better it is no reason to refuse
    old = await meet(dance, replace(again, fallback_scsv=True), replace(serving, maximum=V12))
    assert old.client.error is None


@pytest.mark.parametrize("version", RetiredVersion)
async def test_a_retired_version_needs_two_lax_ends(
    version: AnyVersion, careful: ClientPolicy, serving: ServerPolicy, meet: Meet
) -> None:
    lax = {"minimum": version, "ciphers": "ALL:@SECLEVEL=0"}
    client = replace(careful, maximum=version, **lax)  # type: ignore[arg-type]
    spoken = await meet(DropHellos(), client, replace(serving, **lax))  # type: ignore[arg-type]
    assert spoken.client.facts is not None
    assert spoken.client.facts.version == version.value
    assert b"".join(spoken.server.took) == b"".join(spoken.said)  # 1.0 splits records (BEAST)
    refused = await meet(DropHellos(), client, serving)
    assert refused.client.alert == (70, "received")  # protocol_version


@pytest.mark.parametrize(
    ("suite", "key"),
    [
        ("NULL-SHA256", KeyType.RSA_2048),
        ("ECDHE-ECDSA-NULL-SHA", KeyType.ECDSA_P256),
        ("AECDH-NULL-SHA", KeyType.ECDSA_P256),
    ],
)
async def test_a_null_cipher_hides_nothing(
    suite: str, key: KeyType, authority: Authority, careful: ClientPolicy, meet: Meet
) -> None:
    weak = f"{suite}:@SECLEVEL=0"
    client = replace(careful, ciphers=weak, maximum=V12)
    server = ServerPolicy(authority.issue("shop.test", key_type=key), ciphers=weak, maximum=V12)
    meeting = await meet(DropHellos(), client, server)
    on_the_wire = b"".join(passed.data for passed in meeting.passed if passed.arrived)
    assert all(message in on_the_wire for message in meeting.said)
    sane = await meet(DropHellos(), client, replace(server, ciphers=None))
    assert sane.client.alert == (40, "received")  # handshake_failure


async def test_a_null_cipher_cannot_be_forced_on_ends_that_have_it(
    authority: Authority, careful: ClientPolicy, meet: Meet
) -> None:
    lax = "ALL:NULL-SHA256:@SECLEVEL=0"
    client = replace(careful, ciphers=lax, maximum=V12)
    credential = authority.issue("shop.test", key_type=KeyType.RSA_2048)
    server = ServerPolicy(credential, ciphers=lax, maximum=V12)
    meeting = await meet(KeepCiphers("_NULL_"), client, server)
    assert meeting.server.alert == (BAD_RECORD_MAC, "sent")
    assert meeting.server.took == []
