"""A recorded TLS 1.2 connection opened: by its master secret, or by what leads to it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.utils import CryptographyDeprecationWarning

from tlslab.tls.decryption import schedule
from tlslab.tls.decryption.opened import CannotDecrypt, Fragment, Opened, OpenedSide
from tlslab.tls.decryption.openers import NotAuthentic, Opener, tls12_opener
from tlslab.tls.decryption.recording import Recording, Side, wire
from tlslab.tls.decryption.secrets import MASTER, Secrets
from tlslab.tls.decryption.suites import Suite, suite_of
from tlslab.tls.hello import (
    ENCRYPT_THEN_MAC,
    EXTENDED_MASTER_SECRET,
    SESSION_TICKET,
    certificate_list,
)
from tlslab.tls.records import ContentType, Cursor, HandshakeType, MalformedTLS

_CLOSE_NOTIFY: Final = 0
_PREMASTER_SIZE: Final = 48  # RFC 5246 section 7.4.7.1


def open_tls12(recording: Recording, secrets: Secrets, sessions: dict[bytes, bytes]) -> Opened:
    """Open a connection; what resumes it later is added to `sessions`, by ticket and session id.

    Raises `CannotDecrypt`.
    """
    answer = recording.server_hello
    suite = suite_of(answer.cipher_suite)
    if answer.compression_method:
        raise CannotDecrypt("the connection compresses its records")
    master, by = _master_secret(recording, suite, secrets, sessions)
    keys = schedule.tls12_keys(master, recording.client_hello.random, answer.random, suite)
    encrypt_then_mac = _server_extension(recording, ENCRYPT_THEN_MAC)
    sides = [
        _open_side(side, tls12_opener(suite, one, encrypt_then_mac=encrypt_then_mac), by)
        for side, one in zip((recording.client, recording.server), keys, strict=True)
    ]
    for name in _resumed_by(recording):
        sessions[name] = master
    return Opened(answer.selected_version, answer.cipher_suite, recording.group, by, *sides)


def _open_side(side: Side, opener: Opener, by: str) -> OpenedSide:
    fragments, closed, left = [], False, side.left
    for index, record in enumerate(side.protected):
        try:
            plain = opener.open(record)
        except NotAuthentic:
            if index == 0:
                raise CannotDecrypt(f"{by} does not open the connection's first record") from None
            left = f"the record at byte {record.offset} does not authenticate"
            break
        if record.content_type is ContentType.APPLICATION_DATA and plain:
            fragments.append(Fragment(plain, record.offset + record.size))
        elif record.content_type is ContentType.ALERT:
            closed = closed or plain[1:] == bytes((_CLOSE_NOTIFY,))
    return OpenedSide(tuple(fragments), closed, left)


def _master_secret(
    recording: Recording, suite: Suite, secrets: Secrets, sessions: Mapping[bytes, bytes]
) -> tuple[bytes, str]:
    """The master secret, and by what it was found."""
    logged = secrets.key_log.get(MASTER, recording.client_hello.random)
    if logged is not None:
        return logged, "the key log"
    for name in _resumes(recording) if recording.resumes else _resumed_by(recording):
        if name in sessions:
            return sessions[name], "the secret of its session"
    exchange = recording.client.message(HandshakeType.CLIENT_KEY_EXCHANGE)
    if exchange is None:
        raise CannotDecrypt("it resumes a session whose secret is not known")
    if not secrets.rsa_keys:
        raise CannotDecrypt("its secret is not among those that leaked")
    if not suite.static_rsa:
        raise CannotDecrypt(
            f"its keys were agreed on with {suite.key_exchange}: "
            "the server's key only signed, and opens nothing"
        )
    key = _server_key(recording, secrets.rsa_keys)
    premaster = _premaster(key, exchange.body, recording.client_hello.legacy_version)
    if _server_extension(recording, EXTENDED_MASTER_SECRET):
        return schedule.extended_master_secret(
            premaster, _handshake(recording), suite.hash
        ), "the server's private key"
    randoms = recording.client_hello.random, recording.server_hello.random
    return schedule.master_secret(premaster, *randoms, suite.hash), "the server's private key"


def _server_key(recording: Recording, keys: tuple[RSAPrivateKey, ...]) -> RSAPrivateKey:
    """The key that belongs to the certificate that the server showed."""
    message = recording.server.message(HandshakeType.CERTIFICATE)
    try:
        chain = certificate_list(message.body) if message else ()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            public = x509.load_der_x509_certificate(chain[0]).public_key() if chain else None
    except Exception as error:
        # Hostile DER: cryptography raises more than it documents; all of it means the same here.
        raise CannotDecrypt("the server's certificate cannot be read") from error
    for key in keys:
        if key.public_key() == public:
            return key
    raise CannotDecrypt("the private key is not that of the server's certificate")


def _premaster(key: RSAPrivateKey, body: bytes, version: int) -> bytes:
    """The premaster secret that the client encrypted to the server (RFC 5246 section 7.4.7.1)."""
    try:
        cursor = Cursor(body)
        premaster = key.decrypt(
            cursor.vector(2, "the encrypted premaster secret").rest(), PKCS1v15()
        )
    except (MalformedTLS, ValueError) as error:
        raise CannotDecrypt("the client's key exchange cannot be decrypted") from error
    if len(premaster) != _PREMASTER_SIZE or int.from_bytes(premaster[:2]) != version:
        raise CannotDecrypt("the client's key exchange holds no premaster secret")
    return premaster


def _handshake(recording: Recording) -> bytes:
    """All messages up to ClientKeyExchange, in the order in which they were sent (RFC 7627 3)."""
    opening, *others = recording.client.plain
    order = [opening]
    for message in recording.server.plain:
        order.append(message)
        if message.type == HandshakeType.SERVER_HELLO_DONE:
            break
    for message in others:
        order.append(message)
        if message.type == HandshakeType.CLIENT_KEY_EXCHANGE:
            break
    return b"".join(map(wire, order))


def _resumes(recording: Recording) -> list[bytes]:
    """The names by which the client asks for an earlier session."""
    hello = recording.client_hello
    tickets = [extension.data for extension in hello.extensions if extension.type == SESSION_TICKET]
    return [name for name in (*tickets, hello.session_id) if name]


def _resumed_by(recording: Recording) -> list[bytes]:
    """The names under which this session can be resumed: its id, and the ticket, if one came."""
    names = [recording.server_hello.session_id]
    message = recording.server.message(HandshakeType.NEW_SESSION_TICKET)
    if message is not None:
        cursor = Cursor(message.body)
        try:
            cursor.number(4, "the ticket's lifetime")  # RFC 5077 section 3.3
            names.append(cursor.vector(2, "the ticket").rest())
        except MalformedTLS:
            pass  # a ticket that nobody can use
    return [name for name in names if name]


def _server_extension(recording: Recording, kind: int) -> bool:
    return any(extension.type == kind for extension in recording.server_hello.extensions)
