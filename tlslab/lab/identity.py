"""Who a client is: how a server makes that out from a certificate, and gets it wrong.

TLS proves that the client holds the key of a certificate that a trusted CA has signed. Whose it is,
and whether the certificate that is looked at is the one that TLS has proved, is decided above it.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

import trio
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tlslab.errors import TlslabError
from tlslab.http import Headers, HTTPClient, Request, Response, header, serve_http
from tlslab.lab.adversaries import Adversary
from tlslab.lab.client import Client
from tlslab.lab.parties import Service
from tlslab.lab.services import Server
from tlslab.lab.witness import WatchedStream
from tlslab.pki import Explanation
from tlslab.pki.credential import certificate_names
from tlslab.tls import ClientPolicy

MAX_CERTIFICATE: Final = 16 * 1024
"""Bytes of a certificate in a header field, encoded; real ones have 1 to 3 KB."""

CLIENT_CERT: Final = b"Client-Cert"
"""The field in which a proxy tells a server whose certificate it has verified (RFC 9440)."""

IdentifiedBy: TypeAlias = Literal["alternative name", "common name", "forwarded certificate"]
"""Where a server looks for its client's name: in the certificate that TLS has proved, as the
subject's alternative name or as its common name; or in a certificate that a header field tells."""

NOT_THE_OWNER: Final = Explanation(
    name="not the owner",
    meaning="the client is nobody, or somebody else than the owner of what it asks for",
    cause="it showed no certificate, or one with another name",
    fix="connect with the certificate of the owner",
)


@dataclass(kw_only=True)
class OwnersServer(Server):
    """A server that answers one client only, its `owner`, whom it knows by name.

    With `proxy` it believes a forwarded certificate only if TLS has proved that it is that proxy
    who tells it; without, it believes everybody.
    """

    owner: str
    identified_by: IdentifiedBy = "alternative name"
    proxy: str | None = None

    def answer(self, request: Request, body: bytes, stream: trio.abc.Stream, peer: str) -> Response:
        """The reply, if it is the owner who asks."""
        if self.owner in self._names(request, _proved(stream)):
            return super().answer(request, body, stream, peer)
        self.journal.declined(self.name, peer, "it is not the owner", NOT_THE_OWNER, status=403)
        return Response(403)

    def _names(self, request: Request, proved: x509.Certificate | None) -> tuple[str, ...]:
        if self.identified_by == "common name":
            return () if proved is None else _common_names(proved)
        if self.identified_by == "forwarded certificate":
            if self.proxy is not None and self.proxy not in _alternative_names(proved):
                return ()
            return _alternative_names(forwarded_certificate(request.headers))
        return _alternative_names(proved)


@dataclass(kw_only=True)
class IdentifyingEdge(Service):
    """A proxy that ends its clients' TLS and tells `upstream` in Client-Cert who they are.

    `upstream_policy` is its TLS towards the upstream, where it may prove itself in turn. With
    `removes_forged` it drops a Client-Cert that came from a client (RFC 9440 section 4).
    """

    upstream: Service
    upstream_policy: ClientPolicy | None
    removes_forged: bool = True

    kind = "proxy"

    async def serve_stream(self, stream: trio.abc.Stream, peer: str) -> None:
        """HTTP, request by request to the upstream."""

        async def forward(request: Request) -> Response:
            return await self._forward(request, _proved(stream))

        await serve_http(stream, forward, on_exchange=self.log)

    async def _forward(self, request: Request, proved: x509.Certificate | None) -> Response:
        told = header(request.headers, CLIENT_CERT)
        headers: Headers = []
        if proved is not None:
            headers.append((CLIENT_CERT, forwarded(proved)))
        elif told is not None and not self.removes_forged:
            headers.append((CLIENT_CERT, told))
        try:
            upstream = self.upstream
            stream = await self.connect(upstream.name, upstream.port, self.upstream_policy)
            async with HTTPClient(stream, host=upstream.name) as http:
                body = await request.read()
                answer = await http.request(
                    request.method, request.target, headers=headers, body=body or None
                )
                return Response(answer.status, (), await answer.read())
        except TlslabError:
            return Response(502)


class Impostor(Adversary):
    """A client that asks for what is somebody else's. What it is answered, it holds."""

    kind = "impostor"

    def __init__(self, client: Client) -> None:
        super().__init__(client.name, "asks for what belongs to another client")
        self._client = client

    async def get(self, url: str, *, claiming: Client | None = None) -> None:
        """GET a URL, telling in Client-Cert that its certificate is that of `claiming`, if any."""
        certificate = _certificate_of(claiming)
        claim = [] if certificate is None else [(CLIENT_CERT, forwarded(certificate))]
        await self._client.request("GET", url, headers=claim)

    async def take(self, folder: Path) -> list[Path]:
        """Write down the answers."""
        paths = []
        for number, answer in enumerate(self._client.received, 1):
            path = folder / f"answer-{number}"
            path.write_bytes(answer)
            paths.append(path)
        return paths


def forwarded(certificate: x509.Certificate) -> bytes:
    """A certificate as the value of Client-Cert: a byte sequence (RFC 9440 section 2.1)."""
    return b":" + base64.b64encode(certificate.public_bytes(Encoding.DER)) + b":"


def forwarded_certificate(headers: Headers) -> x509.Certificate | None:
    """The certificate in the field Client-Cert; None if there is none that can be read."""
    value = header(headers, CLIENT_CERT) or b""
    if not 2 < len(value) <= MAX_CERTIFICATE or value[:1] + value[-1:] != b"::":
        return None
    try:
        return x509.load_der_x509_certificate(base64.b64decode(value[1:-1], validate=True))
    except (ValueError, binascii.Error):
        return None


def _certificate_of(client: Client | None) -> x509.Certificate | None:
    """What everybody may know of a client: its certificate, not its key."""
    credential = None if client is None else client.policy.credential
    return None if credential is None else credential.certificate


def _proved(stream: trio.abc.Stream) -> x509.Certificate | None:
    """The client's certificate that TLS has verified, and proved to be the client's."""
    chain = stream.tls.facts.peer_chain if isinstance(stream, WatchedStream) else ()
    return chain[0] if chain else None


def _alternative_names(certificate: x509.Certificate | None) -> tuple[str, ...]:
    return () if certificate is None else certificate_names(certificate)


def _common_names(certificate: x509.Certificate) -> tuple[str, ...]:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return tuple(str(name.value) for name in names)
