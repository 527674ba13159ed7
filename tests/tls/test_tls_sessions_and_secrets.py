"""Resumption, exporters, key logs, and that secrets stay out of what people print."""

from __future__ import annotations

import dataclasses
import gc
import re
from typing import Any

import pytest
import trio

from tlslab.errors import UsageError
from tlslab.pki import Authority, TrustStore
from tlslab.tls import ClientPolicy, KeyLog, ServerPolicy, Version, context


async def session_of(connect: Any, client: Any, server: Any, **options: Any) -> Any:
    ours, theirs = await connect(client, server, **options)
    await theirs.send_all(b"x")
    assert await ours.receive_some() == b"x"
    session = ours.session
    assert session is not None
    await ours.aclose()
    await theirs.aclose()
    return session


@pytest.mark.parametrize("version", Version)
async def test_a_session_is_resumed(
    connect: Any, careful: Any, serving: Any, version: Version
) -> None:
    policy = dataclasses.replace(careful, maximum=version)
    session = await session_of(connect, policy, serving)
    equal = dataclasses.replace(policy)
    client, server = await connect(equal, serving, client_options={"session": session})
    assert client.facts.resumed
    assert server.facts.resumed
    assert client.facts.peer_chain == serving.credential.chain
    await server.send_all(b"again")
    assert await client.receive_some() == b"again"
    assert client.session is not None


@pytest.mark.parametrize("version", Version)
async def test_a_session_of_another_server_is_a_full_handshake(
    connect: Any, careful: Any, serving: Any, version: Version
) -> None:
    policy = dataclasses.replace(careful, maximum=version)
    session = await session_of(connect, policy, serving)
    other = dataclasses.replace(serving)  # equal, but with ticket keys of its own
    client, server = await connect(policy, other, client_options={"session": session})
    assert not client.facts.resumed
    assert not server.facts.resumed


@pytest.mark.parametrize("version", Version)
async def test_client_certificates_survive_resumption(
    connect: Any, careful: Any, serving: Any, trust: Any, client_credential: Any, version: Version
) -> None:
    asking = dataclasses.replace(serving, client_trust=trust, client_certificate="required")
    policy = dataclasses.replace(careful, credential=client_credential, maximum=version)
    session = await session_of(connect, policy, asking)
    client, server = await connect(policy, asking, client_options={"session": session})
    assert client.facts.resumed
    assert server.facts.peer_chain[0] == client_credential.certificate


async def test_a_session_serves_only_what_was_verified(
    connect: Any, ends: Any, careful: Any, serving: Any, authority: Authority
) -> None:
    """Resumption verifies nothing: a careless client's session must not serve a careful one."""
    stranger = Authority.create("stranger")
    theirs = ServerPolicy(stranger.issue("shop.test"))
    careless = dataclasses.replace(careful, verify_chain=False)
    session = await session_of(connect, careless, theirs)
    with pytest.raises(UsageError):
        ends(careful, theirs, client_options={"session": session})
    with pytest.raises(UsageError):
        ends(careless, theirs, name="other.test", client_options={"session": session})
    client, _ = await connect(careless, theirs, client_options={"session": session})
    assert client.facts.resumed  # the twin
    assert client.facts.tolerated == ()  # nothing was looked at


async def test_no_session_before_the_first_ticket(connect: Any, careful: Any) -> None:
    client, server = await connect()
    assert client.session is None
    assert server.session is None
    client, server = await connect(dataclasses.replace(careful, maximum=Version.TLS_1_2))
    assert client.session is not None
    assert server.session is None


@pytest.mark.parametrize("version", Version)
async def test_exporters_agree(connect: Any, careful: Any, version: Version) -> None:
    client, server = await connect(dataclasses.replace(careful, maximum=version))
    values = set()
    for arguments in [
        (b"EXPORTER-Channel-Binding", 32),
        (b"EXPORTER-Channel-Binding", 32, b"context"),
        (b"EXPORTER-other", 32),
    ]:
        value = client.export_keying_material(*arguments)
        assert value == server.export_keying_material(*arguments)
        assert len(value) == 32
        values.add(value)
    assert len(values) == 3
    other, _ = await connect(dataclasses.replace(careful, maximum=version))
    assert other.export_keying_material(b"EXPORTER-other", 32) not in values


LINE = re.compile(r"^[A-Z0-9_]+ [0-9a-f]{64} ([0-9a-f]{64}|[0-9a-f]{96})$")
LABELS = {
    Version.TLS_1_2: {"CLIENT_RANDOM"},
    Version.TLS_1_3: {
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "CLIENT_TRAFFIC_SECRET_0",
        "SERVER_TRAFFIC_SECRET_0",
        "EXPORTER_SECRET",
    },
}


@pytest.mark.parametrize("version", Version)
async def test_both_ends_log_the_same_keys(connect: Any, careful: Any, version: Version) -> None:
    seen: list[str] = []
    ours, theirs = KeyLog(seen.append), KeyLog()
    await connect(
        dataclasses.replace(careful, maximum=version),
        client_options={"keylog": ours},
        server_options={"keylog": theirs},
    )
    assert {line.split()[0] for line in ours.lines} == LABELS[version]
    assert set(ours.lines) == set(theirs.lines)
    assert all(LINE.match(line) or line.startswith("CLIENT_RANDOM ") for line in ours.lines)
    assert ours.text == "\n".join(ours.lines) + "\n"
    assert seen == ours.lines
    assert ours.lines[0].split()[2] not in repr(ours)
    assert KeyLog().text == ""


async def test_keys_are_logged_for_the_connection_that_asked(connect: Any) -> None:
    """Connections share a context, but not a key log."""
    keylog = KeyLog()
    await connect(client_options={"keylog": keylog})
    lines = list(keylog.lines)
    await connect()
    assert keylog.lines == lines


async def test_the_logged_keys_decrypt(connect: Any, careful: Any, sealer: Any) -> None:
    keylog = KeyLog()
    policy = dataclasses.replace(careful, ciphersuites="TLS_AES_128_GCM_SHA256")
    client, server = await connect(policy, client_options={"keylog": keylog})
    await client.send_all(b"secret")
    wire = bytes(await server.transport_stream.receive_some())
    assert wire == sealer(keylog, "CLIENT").data(b"secret")  # the very same record


async def test_a_context_lives_as_long_as_its_policy(connect: Any, trust: TrustStore) -> None:
    gc.collect()
    before = len(context._contexts)
    policy = ClientPolicy(trust=trust)
    for _ in range(3):
        client, server = await connect(policy)
    assert len(context._contexts) == before + 1
    del policy, client, server
    gc.collect()
    await trio.lowlevel.checkpoint()
    gc.collect()
    assert len(context._contexts) == before


async def test_nothing_secret_in_a_repr(connect: Any) -> None:
    keylog = KeyLog()
    client, _ = await connect(client_options={"keylog": keylog})
    shown = repr(client) + repr(vars(client)) + repr(client._duplex.engine._notes)
    for line in keylog.lines:
        assert line.split()[2] not in shown
