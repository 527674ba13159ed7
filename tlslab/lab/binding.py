"""Tokens bound to the TLS connection on which they are shown, and tokens that are not.

A bearer token is good for whoever has it, also for a man in the middle. A bound one is shown as a
keyed hash over something that both ends know of their connection (RFC 5056): on another connection
it proves nothing. What that something is decides against whom it helps.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from tlslab.errors import ScenarioError
from tlslab.http import Headers, Request, Response
from tlslab.lab.client import Client
from tlslab.lab.services import Server
from tlslab.lab.witness import WatchedStream
from tlslab.pki import Explanation
from tlslab.tls import TLSStream

Binding: TypeAlias = Literal["nothing", "tls-exporter", "tls-server-end-point"]
"""What a token is bound to: to keying material of the connection (RFC 9266), to the server's
certificate (RFC 5929 section 4), or not at all."""

EXPORTER_LABEL: Final = b"EXPORTER-Channel-Binding"
EXPORTER_LENGTH: Final = 32

ANOTHER_CONNECTION: Final = Explanation(
    name="token not for this connection",
    meaning="the token was made for another TLS connection, or is wrong",
    cause="somebody stands between the client and the server, with a TLS connection to each",
    fix="find out whom the client's connection ends at: its trust store lets a stranger in",
)


def channel_binding(binding: Binding, stream: TLSStream, certificate: x509.Certificate) -> bytes:
    """What both ends of a connection know of it; `certificate` is the server's."""
    if binding == "tls-exporter":
        return stream.export_keying_material(EXPORTER_LABEL, EXPORTER_LENGTH, b"")
    if binding == "tls-server-end-point":
        return end_point(certificate)
    return b""


def end_point(certificate: x509.Certificate) -> bytes:
    """The hash of a certificate, by the algorithm of its signature; SHA-256 for older ones."""
    used = certificate.signature_hash_algorithm
    weak = used is None or isinstance(used, (hashes.MD5, hashes.SHA1))
    name = "sha256" if used is None or weak else used.name
    return hashlib.new(name, certificate.public_bytes(Encoding.DER)).digest()


@dataclass(kw_only=True)
class TokenClient(Client):
    """A client that shows a token, bound to something or to nothing."""

    token: bytes = field(repr=False)
    binding: Binding = "nothing"

    def authorization(self, stream: trio.abc.Stream) -> Headers:
        """The token, or the proof of it for this connection."""
        tls = _tls(stream)
        value = authorization(self.token, self.binding, tls, tls.facts.peer_chain[0])
        return [(b"Authorization", value)]


@dataclass(kw_only=True)
class TokenServer(Server):
    """A server that answers who shows the token, in the way that is agreed on."""

    token: bytes = field(repr=False)
    binding: Binding = "nothing"

    def answer(self, request: Request, body: bytes, stream: trio.abc.Stream, peer: str) -> Response:
        """The reply, to who has the token."""
        shown = (request.header("authorization") or "").encode("latin-1")
        wanted = authorization(self.token, self.binding, _tls(stream), self.credential.certificate)
        if hmac.compare_digest(shown, wanted):
            return super().answer(request, body, stream, peer)
        self.journal.declined(
            self.name, peer, "the token is not for this connection", ANOTHER_CONNECTION, status=401
        )
        return Response(401, [(b"WWW-Authenticate", b"Bearer")])


def authorization(
    token: bytes, binding: Binding, stream: TLSStream, certificate: x509.Certificate
) -> bytes:
    """The Authorization field that proves possession of `token` on the connection `stream`."""
    if binding == "nothing":
        return b"Bearer " + token
    proof = hmac.digest(token, channel_binding(binding, stream, certificate), "sha256")
    return b"Bound " + proof.hex().encode()


def _tls(stream: trio.abc.Stream) -> TLSStream:
    if not isinstance(stream, WatchedStream):
        raise ScenarioError("a token is shown over TLS only")
    return stream.tls
