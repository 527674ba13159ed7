"""Every suite that our TLS offers, opened from the outside; each with the way it stays shut."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import trio
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from OpenSSL import SSL

from tlslab.pki import Authority, Credential, KeyType
from tlslab.tls import ServerPolicy, Version
from tlslab.tls.context import context_for
from tlslab.tls.decryption import CannotDecrypt, Decryptor, KeyLogSecrets, Opened, Secrets

QUESTIONS = b"GET /secret?pin=4711 HTTP/1.1\r\n\r\nthanks"
ANSWER = b"the answer is 42" * 3000

# <openssl/ssl.h>
NO_EXTENDED_MASTER_SECRET = 1 << 0
NO_TICKET = 1 << 14
NO_ENCRYPT_THEN_MAC = 1 << 19

TLS13 = [
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_128_CCM_SHA256",
]
ECDHE_ECDSA = [
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-ECDSA-AES128-CCM",
    "ECDHE-ECDSA-AES256-CCM8",
]
ECDHE_RSA = [name.replace("ECDSA", "RSA") for name in ECDHE_ECDSA if "CCM" not in name]
STATIC_RSA = [
    "AES256-GCM-SHA384",
    "AES128-GCM-SHA256",
    "AES256-SHA256",
    "AES128-SHA256",
    "AES256-SHA",
    "AES128-SHA",
]
NO_RECORDS = {"PSK", "SRP", "DHE-RSA"}
"""Parts of names of suites that need what no policy here can give: shared keys, passwords, DH
parameters."""


def key_of(credential: Credential) -> RSAPrivateKey:
    assert isinstance(credential.key, RSAPrivateKey)
    return credential.key


def logged(recorded: Any) -> Decryptor:
    return Decryptor(Secrets(KeyLogSecrets.parse(recorded.key_log)))


def opened_by(decryptor: Decryptor, recorded: Any) -> Opened:
    return decryptor.open(recorded.to_server, recorded.to_client)


def assert_whole(opened: Opened) -> None:
    assert opened.to_server.data == QUESTIONS
    assert opened.to_client.data == ANSWER
    assert opened.to_server.left is None
    assert opened.to_client.left is None
    assert opened.to_server.closed
    assert opened.to_client.closed


def test_every_suite_that_is_offered_is_tested_here(ecdsa: Credential) -> None:
    offered = SSL.Connection(context_for(ServerPolicy(ecdsa))).get_cipher_list()
    tested = {*TLS13, *ECDHE_ECDSA, *ECDHE_RSA, *STATIC_RSA}
    untested = {name for name in offered if name not in tested}
    assert untested
    for name in untested:
        assert any(name.startswith(part) or f"-{part}" in name or part in name.split("-")
                   for part in NO_RECORDS), name  # fmt: skip


@pytest.mark.parametrize("suite", TLS13)
async def test_tls13_is_opened_by_its_key_log(
    record: Any, talk: Any, ecdsa: Credential, suite: str
) -> None:
    server = ServerPolicy(ecdsa, ciphersuites=suite)
    recorded = await record(talk, server=server, ciphersuites=suite)
    opened = opened_by(logged(recorded), recorded)
    assert (recorded.facts.cipher, opened.by) == (suite, "the key log")
    assert_whole(opened)


@pytest.mark.parametrize("etm", [True, False])
@pytest.mark.parametrize("suite", ECDHE_ECDSA + ECDHE_RSA)
async def test_tls12_is_opened_by_its_key_log(
    record: Any, talk: Any, suite: str, etm: bool, rsa: Credential, ecdsa: Credential
) -> None:
    listed = f"{suite}:@SECLEVEL=0"  # level 1 turns CCM8 down for its short tag
    server = ServerPolicy(rsa if "-RSA-" in suite else ecdsa, ciphers=listed)
    recorded = await record(
        talk,
        server=server,
        ciphers=listed,
        maximum=Version.TLS_1_2,
        options=0 if etm else NO_ENCRYPT_THEN_MAC,
    )
    assert recorded.facts.cipher == suite
    assert_whole(opened_by(logged(recorded), recorded))


@pytest.mark.parametrize("options", [0, NO_EXTENDED_MASTER_SECRET, NO_ENCRYPT_THEN_MAC])
@pytest.mark.parametrize("suite", STATIC_RSA)
async def test_static_rsa_is_opened_by_the_servers_key(
    record: Any, talk: Any, suite: str, options: int, rsa: Credential
) -> None:
    """No ephemeral key took part: whoever has the server's key reads what was recorded before."""
    server = ServerPolicy(rsa, ciphers=suite)
    recorded = await record(
        talk, server=server, ciphers=suite, maximum=Version.TLS_1_2, options=options
    )
    assert recorded.facts.cipher == suite
    opened = opened_by(Decryptor(Secrets(rsa_keys=(key_of(rsa),))), recorded)
    assert opened.by == "the server's private key"
    assert opened.group is None
    assert_whole(opened)
    assert_whole(opened_by(logged(recorded), recorded))


@pytest.mark.parametrize("version", Version)
async def test_ephemeral_keys_are_not_opened_by_the_servers_key(
    record: Any, talk: Any, rsa: Credential, version: Version
) -> None:
    recorded = await record(talk, server=ServerPolicy(rsa), maximum=version)
    with pytest.raises(CannotDecrypt, match="only signed"):
        opened_by(Decryptor(Secrets(rsa_keys=(key_of(rsa),))), recorded)
    assert_whole(opened_by(logged(recorded), recorded))  # the twin


async def test_another_key_opens_nothing(
    record: Any, talk: Any, rsa: Credential, authority: Authority
) -> None:
    server = ServerPolicy(rsa, ciphers="AES128-GCM-SHA256")
    recorded = await record(talk, server=server, ciphers="AES128-GCM-SHA256",
                            maximum=Version.TLS_1_2)  # fmt: skip
    other = key_of(authority.issue("shop.test", key_type=KeyType.RSA_2048))
    with pytest.raises(CannotDecrypt, match="not that of the server"):
        opened_by(Decryptor(Secrets(rsa_keys=(other,))), recorded)
    assert_whole(opened_by(Decryptor(Secrets(rsa_keys=(other, key_of(rsa)))), recorded))


@pytest.mark.parametrize("version", Version)
async def test_another_connections_key_log_opens_nothing(
    record: Any, talk: Any, version: Version
) -> None:
    first, second = [await record(talk, maximum=version) for _ in range(2)]
    for decryptor in (logged(first), Decryptor(Secrets())):
        with pytest.raises(CannotDecrypt, match="not among those that leaked"):
            opened_by(decryptor, second)
    assert_whole(opened_by(logged(second), second))


@pytest.mark.parametrize("version", Version)
async def test_a_wrong_secret_is_found_out(record: Any, talk: Any, version: Version) -> None:
    first, second = [await record(talk, maximum=version) for _ in range(2)]
    randoms = [one.key_log.split()[1] for one in (first, second)]
    swapped = KeyLogSecrets.parse(first.key_log.replace(*randoms))
    decryptor = Decryptor(Secrets(swapped))
    if version is Version.TLS_1_2:
        with pytest.raises(CannotDecrypt, match="first record"):
            opened_by(decryptor, second)
    else:
        opened = opened_by(decryptor, second)
        for side in (opened.to_server, opened.to_client):
            assert side.data == b""
            assert side.left is not None
            assert "does not open" in side.left


@pytest.mark.parametrize("group", ["X25519", "P-256", "X25519MLKEM768"])
@pytest.mark.parametrize("version", Version)
async def test_the_group_is_told(record: Any, talk: Any, group: str, version: Version) -> None:
    groups = (group,) if version is Version.TLS_1_3 else (group, "X25519", "P-256")
    recorded = await record(talk, groups=groups, maximum=version)
    opened = opened_by(logged(recorded), recorded)
    number = {"X25519": 0x1D, "P-256": 0x17, "X25519MLKEM768": 0x11EC}[group]
    if version is Version.TLS_1_2 and group == "X25519MLKEM768":
        number = 0x1D  # there is no post-quantum key agreement in TLS 1.2
    assert opened.group == number


async def test_a_retried_hello_is_opened(record: Any, talk: Any, ecdsa: Credential) -> None:
    server = ServerPolicy(ecdsa, groups=("P-384",))
    recorded = await record(talk, server=server, groups=("X25519", "P-384"))
    opened = opened_by(logged(recorded), recorded)
    assert opened.group == 0x18
    assert_whole(opened)


@pytest.mark.parametrize("version", Version)
async def test_client_certificates_do_not_disturb(
    record: Any, talk: Any, rsa: Credential, trust: Any, authority: Authority, version: Version
) -> None:
    """With static RSA the client's certificate is part of what the master secret is bound to."""
    server = ServerPolicy(rsa, client_trust=trust, client_certificate="required")
    credential = authority.issue("alice.test", profile="client")
    ciphers = "AES128-GCM-SHA256"
    recorded = await record(talk, server=server, ciphers=ciphers, maximum=version,
                            credential=credential)  # fmt: skip
    assert_whole(opened_by(logged(recorded), recorded))
    if version is Version.TLS_1_2:
        assert_whole(opened_by(Decryptor(Secrets(rsa_keys=(key_of(rsa),))), recorded))


async def resume(record: Any, talk: Any, server: ServerPolicy, **changes: Any) -> list[Any]:
    """A connection, and one that resumes it."""
    from tlslab.tls import ClientPolicy

    client = ClientPolicy(trust=changes.pop("trust"), **changes)
    first = await record(talk, server=server, client=client)
    second = await record(talk, server=server, client=client, session=first.session)
    assert second.facts.resumed
    return [first, second]


@pytest.mark.parametrize("version", Version)
async def test_resumed_connections_are_opened_by_their_key_log(
    record: Any, talk: Any, ecdsa: Credential, trust: Any, version: Version
) -> None:
    pair = await resume(record, talk, ServerPolicy(ecdsa), trust=trust, maximum=version)
    for one in pair:
        assert_whole(opened_by(logged(one), one))


async def test_what_resumes_an_opened_tls12_connection_is_open_too(
    record: Any, talk: Any, rsa: Credential, trust: Any
) -> None:
    server = ServerPolicy(rsa, ciphers="AES128-GCM-SHA256")
    pair = await resume(record, talk, server, trust=trust, ciphers="AES128-GCM-SHA256",
                        maximum=Version.TLS_1_2)  # fmt: skip
    decryptor = Decryptor(Secrets(rsa_keys=(key_of(rsa),)))
    with pytest.raises(CannotDecrypt, match="resumes a session"):
        opened_by(decryptor, pair[1])  # before the first was seen
    assert [opened_by(decryptor, one).by for one in pair] == [
        "the server's private key",
        "the secret of its session",
    ]
    assert_whole(opened_by(decryptor, pair[1]))


async def test_what_resumes_an_opened_tls13_connection_stays_shut(
    record: Any, talk: Any, ecdsa: Credential, trust: Any
) -> None:
    """A resumed TLS 1.3 connection agrees on new keys (psk_dhe_ke)."""
    first, second = await resume(record, talk, ServerPolicy(ecdsa), trust=trust)
    decryptor = logged(first)
    assert_whole(opened_by(decryptor, first))
    with pytest.raises(CannotDecrypt):
        opened_by(decryptor, second)


async def test_one_direction_without_its_secret(record: Any, talk: Any) -> None:
    recorded = await record(talk)
    kept = [line for line in recorded.key_log.splitlines() if not line.startswith("SERVER_T")]
    opened = Decryptor(Secrets(KeyLogSecrets.parse("\n".join(kept)))).open(
        recorded.to_server, recorded.to_client
    )
    assert opened.to_server.data == QUESTIONS
    assert opened.to_client.data == b""
    assert opened.to_client.left is not None
    assert "SERVER_TRAFFIC_SECRET_0" in opened.to_client.left


async def test_without_handshake_secrets_the_data_is_found(record: Any, talk: Any) -> None:
    """The first record that authenticates under the application's secret tells where it begins."""
    recorded = await record(talk)
    kept = [line for line in recorded.key_log.splitlines() if "HANDSHAKE" not in line]
    opened = Decryptor(Secrets(KeyLogSecrets.parse("\n".join(kept)))).open(
        recorded.to_server, recorded.to_client
    )
    assert opened.to_server.data == QUESTIONS
    assert opened.to_client.data == ANSWER
    assert opened.to_client.left is not None
    assert "SERVER_HANDSHAKE_TRAFFIC_SECRET" in opened.to_client.left


@pytest.mark.parametrize("version", Version)
async def test_fragments_say_where_they_were(record: Any, talk: Any, version: Version) -> None:
    recorded = await record(talk, maximum=version)
    decryptor = logged(recorded)
    whole = opened_by(decryptor, recorded).to_client
    for index, fragment in enumerate(whole.fragments):
        cut = decryptor.open(recorded.to_server, recorded.to_client[: fragment.end])
        assert cut.to_client.fragments == whole.fragments[: index + 1]
        assert cut.to_client.left is None
        assert not cut.to_client.closed
        short = decryptor.open(recorded.to_server, recorded.to_client[: fragment.end - 1])
        assert short.to_client.fragments == whole.fragments[:index]
        assert short.to_client.left == "the recording ends within a record"


@pytest.mark.parametrize("version", Version)
async def test_a_flipped_bit_ends_it(record: Any, talk: Any, version: Version) -> None:
    recorded = await record(talk, maximum=version)
    decryptor = logged(recorded)
    whole = opened_by(decryptor, recorded).to_client
    at = whole.fragments[1].end - 1
    tampered = bytearray(recorded.to_client)
    tampered[at] ^= 1
    side = decryptor.open(recorded.to_server, bytes(tampered)).to_client
    assert side.fragments == whole.fragments[:1]
    assert side.left is not None
    assert str(whole.fragments[0].end) in side.left  # where that record begins


async def test_key_updates_are_followed(record: Any) -> None:
    """OpenSSL's server is asked for new keys by a record made by hand, and changes its own."""
    from tlslab.tls.decryption.schedule import next_secret, tls13_keys
    from tlslab.tls.decryption.suites import suite_of

    suite = suite_of(0x1301)

    async def talk(client: Any, server: Any) -> None:
        await client.send_all(b"before")
        assert await server.receive_some() == b"before"
        log = KeyLogSecrets.parse(client._keylog.text)
        random = bytes.fromhex(client._keylog.lines[0].split()[1])
        secret = log.get("CLIENT_TRAFFIC_SECRET_0", random)
        assert secret is not None
        wire = client.transport_stream
        await wire.send_all(sealed(tls13_keys(secret, suite), 1, b"\x18\0\0\x01\x01", 22))
        secret = next_secret(secret, suite)
        keys = tls13_keys(secret, suite)
        await wire.send_all(sealed(keys, 0, b"after", 23, padding=1000))
        assert await server.receive_some() == b"after"
        await server.send_all(b"answer")
        assert await client.receive_some() == b"answer"
        await wire.send_all(sealed(keys, 1, b"\x01\0", 21))
        client._sent_eof = True

    recorded = await record(talk, ciphersuites="TLS_AES_128_GCM_SHA256")
    opened = opened_by(logged(recorded), recorded)
    assert [fragment.data for fragment in opened.to_server.fragments] == [b"before", b"after"]
    assert opened.to_client.data == b"answer"
    assert opened.to_server.left is None
    assert opened.to_client.left is None
    assert opened.to_server.closed


def sealed(keys: Any, sequence: int, content: bytes, kind: int, padding: int = 0) -> bytes:
    """A TLS 1.3 record as RFC 8446 section 5.2 makes it, padding included."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    inner = content + bytes((kind,)) + bytes(padding)
    header = b"\x17\x03\x03" + (len(inner) + 16).to_bytes(2)
    nonce = (int.from_bytes(keys.iv) ^ sequence).to_bytes(12)
    return header + AESGCM(keys.key).encrypt(nonce, inner, header)


async def test_a_long_connection(record: Any) -> None:
    """Every size around the edge of a record."""
    sizes = [1, 2**14 - 1, 2**14, 2**14 + 1, 3 * 2**14]

    async def talk(client: Any, server: Any) -> None:
        for size in sizes:
            got = 0
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.send_all, bytes(size))
                while got < size:
                    got += len(await server.receive_some())

    for version in Version:
        recorded = await record(talk, maximum=version)
        opened = opened_by(logged(recorded), recorded)
        assert opened.to_server.data == bytes(sum(sizes))
        assert opened.to_server.left is None
        assert max(len(one.data) for one in opened.to_server.fragments) == 2**14


async def test_nothing_secret_in_a_repr(record: Any, talk: Any, rsa: Credential) -> None:
    recorded = await record(talk)
    secrets = Secrets(KeyLogSecrets.parse(recorded.key_log), (key_of(rsa),), {b"a": b"secret"})
    opened = opened_by(Decryptor(secrets), recorded)
    shown = repr(secrets) + repr(secrets.key_log) + repr(opened) + repr(Decryptor(secrets))
    for line in recorded.key_log.splitlines():
        assert line.split()[2] not in shown
    assert "4711" not in shown
    assert "secret'" not in shown
    assert dataclasses.is_dataclass(opened)
