"""The attack that RFC 5746 ended: somebody else's handshake, spliced in as a renegotiation.

Mallory sends a server the beginning of a request over a connection of her own, then the ClientHello
of a victim as if it were the next one of hers. A server that goes on takes what the victim sends
for the rest of her request. Here it does not: the hello does not name the connection it is in.
"""

from __future__ import annotations

import hmac
from contextlib import suppress
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from OpenSSL import SSL

from tlslab.attack import client_hello
from tlslab.tls import ClientPolicy, ServerPolicy, Version
from tlslab.tls.context import client_connection, context_for, server_connection
from tlslab.tls.hello import ClientHello, peek_client_hello
from tlslab.tls.notes import Notes
from tlslab.tls.records import ContentType

SUITE = "ECDHE-ECDSA-AES128-GCM-SHA256"
VERSION = b"\x03\x03"
RENEGOTIATION_INFO = 0xFF01  # RFC 5746 section 3.2
ALLOW_UNSAFE_LEGACY_RENEGOTIATION = 1 << 18  # SSL_OP_... in <openssl/ssl.h>
PREFIX = b"GET /transfer?to=mallory HTTP/1.1\r\nX-Ignore: "


class Mallory:
    """A client, and a server that it has shaken hands with and sent the prefix to."""

    def __init__(self, policy: ServerPolicy) -> None:
        self.notes = Notes()
        self.server = server_connection(context_for(policy), self.notes)
        self.own = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD))
        self.own.set_connect_state()
        for _ in range(2):
            for end, other in ((self.own, self.server), (self.server, self.own)):
                with suppress(SSL.WantReadError):
                    end.do_handshake()
                other.bio_write(end.bio_read(1 << 16))
        self.own.do_handshake()
        self.own.send(PREFIX)
        self.server.bio_write(self.own.bio_read(1 << 16))
        assert self.server.recv(1 << 10) == PREFIX

    def splice(self, hello: ClientHello) -> bytes:
        """Send a hello as the next record of hers; what the server answers, as records."""
        message = client_hello.encode(hello)
        self.server.bio_write(self._sealed(ContentType.HANDSHAKE, 2, message))
        with suppress(SSL.Error):
            self.server.recv(1)
        return self.server.bio_read(1 << 16)

    def _sealed(self, kind: int, number: int, payload: bytes) -> bytes:
        """Record `number` of her connection, after Finished (RFC 5246 6.2.3.3, RFC 5288)."""
        secret = self.own.master_key()
        theirs, ours = self.own.server_random(), self.own.client_random()
        assert secret is not None
        assert theirs is not None
        assert ours is not None
        keys = pseudorandom(secret, b"key expansion" + theirs + ours, 40)
        key, salt = keys[:16], keys[32:36]
        sequence = number.to_bytes(8)
        header = bytes((kind,)) + VERSION
        sealed = AESGCM(key).encrypt(
            salt + sequence, payload, sequence + header + len(payload).to_bytes(2)
        )
        return header + client_hello.vector(2, sequence + sealed)


def pseudorandom(secret: bytes, seed: bytes, size: int) -> bytes:
    """The PRF of TLS 1.2 (RFC 5246 section 5), with SHA-256."""
    out, chained = b"", seed
    while len(out) < size:
        chained = hmac.digest(secret, chained, "sha256")
        out += hmac.digest(secret, chained + seed, "sha256")
    return out[:size]


@pytest.fixture
def victims(careful: ClientPolicy) -> ClientHello:
    """The hello with which our client begins."""
    policy = replace(careful, maximum=Version.TLS_1_2)
    client = client_connection(context_for(policy), "shop.test", Notes())
    with suppress(SSL.WantReadError):
        client.do_handshake()
    hello = peek_client_hello(client.bio_read(1 << 16))
    assert hello is not None
    return hello


@pytest.mark.parametrize(
    ("allowed", "alert"), [(False, None), (True, 40)], ids=["refusing", "allowing"]
)
def test_a_victims_handshake_is_not_taken_for_mallorys(
    allowed: bool, alert: int | None, serving: ServerPolicy, victims: ClientHello
) -> None:
    """Where renegotiation is refused, nothing ends by that; else it is the hello that is wrong."""
    policy = replace(serving, maximum=Version.TLS_1_2, ciphers=SUITE, allow_renegotiation=allowed)
    mallory = Mallory(policy)
    answer = mallory.splice(victims)
    assert answer[0] == ContentType.ALERT
    assert mallory.notes.alert == (None if alert is None else (alert, "sent"))


def test_mallorys_own_handshake_is_taken(serving: ServerPolicy, victims: ClientHello) -> None:
    """The same record, where the hello names the connection that it is in: her own, once more."""
    policy = replace(serving, maximum=Version.TLS_1_2, ciphers=SUITE, allow_renegotiation=True)
    mallory = Mallory(policy)
    verify_data = mallory.own.get_finished()
    assert verify_data is not None
    named = client_hello.vector(1, verify_data)
    answer = mallory.splice(client_hello.with_extension(victims, RENEGOTIATION_INFO, named))
    assert answer[0] == ContentType.HANDSHAKE
    assert mallory.notes.alert is None


@pytest.mark.parametrize(
    ("today", "unsafe", "taken"),
    [(True, True, False), (False, False, False), (False, True, True)],
)
def test_it_took_a_client_and_a_server_of_before(
    today: bool, unsafe: bool, taken: bool, serving: ServerPolicy, victims: ClientHello
) -> None:
    """A hello that says nothing about renegotiation, and a server that does not insist on it."""
    policy = replace(serving, maximum=Version.TLS_1_2, ciphers=SUITE, allow_renegotiation=True)
    if unsafe:
        context_for(policy).set_options(ALLOW_UNSAFE_LEGACY_RENEGOTIATION)
    hello = victims if today else client_hello.without(victims, RENEGOTIATION_INFO)
    answer = Mallory(policy).splice(hello)
    assert answer[0] == (ContentType.HANDSHAKE if taken else ContentType.ALERT)
