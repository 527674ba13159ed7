"""From a policy to OpenSSL's context and a connection in it.

A context costs a hundred times a connection, so it is kept as long as its policy lives. It serves
one policy only, which makes it safe to share: what differs per connection is in its `Notes`.
"""

from __future__ import annotations

import ipaddress
import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import idna
from cryptography.x509 import DuplicateExtension
from OpenSSL import SSL
from OpenSSL.crypto import FILETYPE_PEM, X509, X509StoreFlags, load_privatekey

from tlslab.errors import UsageError
from tlslab.pki import Credential, TrustStore
from tlslab.tls import bindings
from tlslab.tls.alerts import FATAL, WARNINGS
from tlslab.tls.notes import Notes
from tlslab.tls.policy import AnyVersion, ClientPolicy, RetiredVersion, ServerPolicy, Version

_VERSIONS: Final[dict[AnyVersion, int]] = {
    RetiredVersion.TLS_1_0: SSL.TLS1_VERSION,
    RetiredVersion.TLS_1_1: SSL.TLS1_1_VERSION,
    Version.TLS_1_2: SSL.TLS1_2_VERSION,
    Version.TLS_1_3: SSL.TLS1_3_VERSION,
}

_ALLOW_CLIENT_RENEGOTIATION: Final = 1 << 8  # SSL_OP_ALLOW_CLIENT_RENEGOTIATION in <openssl/ssl.h>

_SEND_FALLBACK_SCSV: Final = 0x80  # SSL_MODE_SEND_FALLBACK_SCSV in <openssl/ssl.h>

_NO_ANTI_REPLAY: Final = 1 << 24  # SSL_OP_NO_ANTI_REPLAY in <openssl/ssl.h>

_CLIENT_CERTIFICATES: Final = {
    "none": SSL.VERIFY_NONE,
    "optional": SSL.VERIFY_PEER,
    "required": SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT,
}

# Tickets are sealed with keys of the context, so a constant tells sessions apart well enough; but
# without any, OpenSSL refuses to resume where client certificates are asked for.
_SESSION_ID_CONTEXT: Final = b"tlslab"

_contexts: dict[int, SSL.Context] = {}


def context_for(policy: ClientPolicy | ServerPolicy) -> SSL.Context:
    """The context of this policy, made at its first use. Raises UsageError if it cannot be."""
    context = _contexts.get(id(policy))
    if context is None:
        if isinstance(policy, ClientPolicy):
            context = _client_context(policy)
        else:
            context = _server_context(policy)
        _contexts[id(policy)] = context
        weakref.finalize(policy, _contexts.pop, id(policy), None).atexit = False
    return context


def refusing_context() -> SSL.Context:
    """A server's context without a certificate: it turns every ClientHello down, and all else.

    For what cannot be a ClientHello: OpenSSL finds the reason and the alert.
    """
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_info_callback(_on_info)
    return context


def client_connection(context: SSL.Context, server_name: str, notes: Notes) -> SSL.Connection:
    """A connection that will ask for `server_name` (A-labels or an IP address) and expect it."""
    connection = SSL.Connection(context)
    connection.set_app_data(notes)
    if notes.ask_status:
        connection.request_ocsp()
    try:
        address = ipaddress.ip_address(server_name)
    except ValueError:
        connection.set_tlsext_host_name(server_name.encode("ascii"))
        bindings.expect_host(connection, server_name.encode("ascii"))
    else:  # no server name: RFC 6066 section 3 has only DNS names
        bindings.expect_address(connection, address.packed)
    connection.set_connect_state()
    return connection


def server_connection(context: SSL.Context, notes: Notes) -> SSL.Connection:
    """A connection that waits for a ClientHello."""
    connection = SSL.Connection(context)
    connection.set_app_data(notes)
    connection.set_accept_state()
    return connection


def wire_name(server_name: str) -> str:
    """A server's name as TLS spells it: an IP address, or a DNS name in A-labels (RFC 5890).

    Internationalised names are mapped by UTS #46, as browsers do; a final dot is dropped (RFC 6066
    section 3). Raises UsageError for what is neither.
    """
    try:
        return str(ipaddress.ip_address(server_name))
    except ValueError:
        pass
    name = server_name.removesuffix(".").lower()
    try:
        if not name.isascii():
            name = idna.encode(name, uts46=True).decode("ascii")
        valid = 0 < len(name) <= 253 and name.isprintable() and " " not in name
    except idna.IDNAError:
        valid = False
    if not valid:
        raise UsageError(
            f"{server_name[:64]!r} is neither an IP address nor a DNS name",
            hint="ask for a name such as shop.test",
        )
    return name


def _client_context(policy: ClientPolicy) -> SSL.Context:
    context = _context(SSL.TLS_CLIENT_METHOD, policy)
    if policy.trust is None:
        context.set_default_verify_paths()
    else:
        _trust(context, policy.trust)
    if policy.partial_chain:
        store = context.get_cert_store()
        assert store is not None
        store.set_flags(X509StoreFlags.PARTIAL_CHAIN)
    if policy.alpn:
        context.set_alpn_protos([protocol.encode() for protocol in policy.alpn])
    if policy.credential is not None:
        _prove(context, policy.credential)
    if policy.fallback_scsv:
        context.set_mode(_SEND_FALLBACK_SCSV)
    bindings.use_callbacks(context, SSL.VERIFY_PEER)
    bindings.use_staples(context, server_side=False)
    return context


def _server_context(policy: ServerPolicy) -> SSL.Context:
    context = _context(SSL.TLS_SERVER_METHOD, policy)
    _prove(context, policy.credential)
    context.set_session_id(_SESSION_ID_CONTEXT)
    # Tickets make resumption the client's business; a cache here would only grow.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    if policy.early_data:
        bindings.allow_early_data(context, policy.early_data)
        if policy.single_use_tickets:  # what was used is remembered in the cache
            context.set_session_cache_mode(SSL.SESS_CACHE_SERVER)
        else:
            context.set_options(_NO_ANTI_REPLAY)
    if policy.client_trust is not None:
        _trust(context, policy.client_trust)
        for root in policy.client_trust.certificates:  # so that a browser knows what to offer
            context.add_client_ca(root)
    bindings.use_callbacks(context, _CLIENT_CERTIFICATES[policy.client_certificate])
    if policy.staple is not None:
        bindings.use_staples(context, server_side=True)
    return context


def _context(method: int, policy: ClientPolicy | ServerPolicy) -> SSL.Context:
    context = SSL.Context(method)
    context.set_options(SSL.OP_NO_COMPRESSION)  # it leaks secrets (CRIME)
    # Renegotiation of TLS 1.2 was a source of attacks (RFC 5746), and lets a write wait for a read.
    allowed = isinstance(policy, ServerPolicy) and policy.allow_renegotiation
    context.set_options(_ALLOW_CLIENT_RENEGOTIATION if allowed else SSL.OP_NO_RENEGOTIATION)
    # Whole writes: with pyOpenSSL's partial ones each call would end after one record.
    context.clear_mode(bindings.PARTIAL_WRITE)
    context.set_min_proto_version(_VERSIONS[policy.minimum])
    context.set_max_proto_version(_VERSIONS[policy.maximum])
    if policy.ciphers is not None:
        with _as_usage_error("no cipher suite fits the list", policy.ciphers):
            context.set_cipher_list(policy.ciphers.encode())
    if policy.ciphersuites is not None:
        with _as_usage_error("unknown TLS 1.3 cipher suite in", policy.ciphersuites):
            context.set_tls13_ciphersuites(policy.ciphersuites.encode())
    if policy.groups is not None and not bindings.set_groups(context, policy.groups):
        raise UsageError(
            f"unknown key exchange group in {':'.join(policy.groups)!r}",
            hint="OpenSSL's names are such as X25519MLKEM768, X25519, P-256",
        )
    context.set_info_callback(_on_info)
    context.set_keylog_callback(_on_keylog)
    return context


def _trust(context: SSL.Context, trust: TrustStore) -> None:
    store = context.get_cert_store()
    assert store is not None
    for certificate in trust.certificates:
        store.add_cert(X509.from_cryptography(certificate))


def _prove(context: SSL.Context, credential: Credential) -> None:
    with _as_usage_error("unusable certificate", _names_of(credential)):
        context.use_certificate(credential.certificate)
        for certificate in credential.chain[1:]:
            context.add_extra_chain_cert(certificate)
        _use_key(context, credential)
        context.check_privatekey()


def _use_key(context: SSL.Context, credential: Credential) -> None:
    try:
        context.use_privatekey(credential.key)
    except TypeError:
        # pyOpenSSL takes no ML-DSA key of cryptography's, though its OpenSSL does: by way of PEM,
        # and of a class that is deprecated.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.use_privatekey(load_privatekey(FILETYPE_PEM, credential.key_pem))


def _names_of(credential: Credential) -> str:
    try:
        return ", ".join(credential.names)
    except (ValueError, DuplicateExtension):  # a faulty certificate is served like any other
        return "(unreadable names)"


@contextmanager
def _as_usage_error(what: str, value: str) -> Iterator[None]:
    try:
        yield
    except SSL.Error as error:
        reason = "; ".join(entry[2] for entry in error.args[0]) if error.args else ""
        raise UsageError(f"{what} {value!r}" + (f": {reason}" if reason else "")) from error


def _on_info(connection: SSL.Connection, where: int, value: int) -> None:
    """OpenSSL reports its progress; of interest are alerts. `value` is level and number."""
    if not where & SSL.SSL_CB_ALERT:
        return
    level, number = value >> 8, value & 0xFF
    notes: Notes = connection.get_app_data()
    if notes.alert is None and (level == FATAL or number not in WARNINGS):
        notes.alert = (number, "received" if where & SSL.SSL_CB_READ else "sent")


def _on_keylog(connection: SSL.Connection, line: bytes) -> None:
    notes: Notes = connection.get_app_data()
    if notes.keylog is not None:
        notes.keylog(line)
