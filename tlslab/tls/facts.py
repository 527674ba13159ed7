"""What a handshake settled, as values to keep: the facts, and the session to take up again.

Knows nothing of streams.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from cryptography import x509
from OpenSSL import SSL

from tlslab.tls import bindings
from tlslab.tls.notes import Notes
from tlslab.tls.policy import ClientPolicy

_VERSIONS: Final = {
    SSL.TLS1_VERSION: "TLS 1.0",
    SSL.TLS1_1_VERSION: "TLS 1.1",
    SSL.TLS1_2_VERSION: "TLS 1.2",
    SSL.TLS1_3_VERSION: "TLS 1.3",
}


@dataclass(frozen=True, slots=True)
class TLSFacts:
    """What both ends agreed on, and what the peer showed.

    `cipher` and `group` are OpenSSL's names; `group` is None where none was used (TLS 1.2 with RSA
    key exchange or a resumed session). `server_name` is the one in SNI, None with an IP address.
    `peer_chain` is leaf first, as the peer sent it; empty if it showed nothing. A resumed session
    verified nothing anew. `tolerated` are the X509 numbers of faults that were seen but passed over
    because the policy says so: what a careful client would have refused. `staple` is the OCSP
    response (DER) that the server sent; None if it sent none that can be read.
    """

    version: str
    cipher: str
    group: str | None
    alpn: str | None
    server_name: str | None
    resumed: bool
    peer_chain: tuple[x509.Certificate, ...]
    tolerated: tuple[int, ...] = ()
    staple: bytes | None = None


@dataclass(frozen=True, eq=False)
class Session:
    """What a client keeps to resume: for the same server name and an equal policy only.

    The name and the chain are not verified again on resumption, so a session must not be used for
    anything but what was verified. TLS 1.3 tickets should be used once (RFC 8446 appendix C.4).
    """

    policy: ClientPolicy = field(repr=False)
    server_name: str
    session: SSL.Session = field(repr=False)
    context: SSL.Context = field(repr=False)

    def stored(self) -> bytes:
        """The session in DER, as programs store it to resume after a restart: a secret."""
        return bindings.session_der(self.session)


def facts_of(connection: SSL.Connection, notes: Notes) -> TLSFacts:
    """The facts of a connection whose handshake is complete."""
    name = connection.get_servername()
    protocol = connection.get_alpn_proto_negotiated()
    return TLSFacts(
        version=_VERSIONS[connection.get_protocol_version()],
        cipher=connection.get_cipher_name() or "",
        group=connection.get_group_name(),
        alpn=protocol.decode("utf-8", "backslashreplace") if protocol else None,
        server_name=name.decode("ascii", "backslashreplace") if name else None,
        resumed=bindings.resumed(connection),
        peer_chain=peer_chain(connection),
        tolerated=tuple(dict.fromkeys(notes.tolerated)),
        staple=bindings.staple(connection) if notes.ask_status else None,
    )


def peer_chain(connection: SSL.Connection) -> tuple[x509.Certificate, ...]:
    """What the peer has shown, leaf first; empty if nothing, or nothing that can be parsed.

    OpenSSL leaves the leaf out of the chain on the server's side.
    """
    try:
        leaf = connection.get_peer_certificate(as_cryptography=True)
        chain = connection.get_peer_cert_chain(as_cryptography=True) or []
    except ValueError:
        return ()
    if leaf is not None and leaf not in chain[:1]:
        chain.insert(0, leaf)
    return tuple(chain)
