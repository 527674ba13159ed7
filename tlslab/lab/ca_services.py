"""The CA's services on the lab's network: revocation lists, OCSP, and the CAs' certificates.

They speak plain HTTP, as everywhere: what they serve is signed, and a TLS connection to fetch it
would have to be checked by it first (RFC 5280 section 8). So whoever stands in between can hold an
answer back or play an old one, but not make one up. What clients make of it is theirs.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

import trio
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tlslab.http import Handler, Request, Response, serve_http
from tlslab.lab.parties import Service
from tlslab.pki import Credential
from tlslab.pki.revocation import (
    CRL_LIFETIME,
    OCSP_LIFETIME,
    CertID,
    Revocations,
    Signer,
    make_ocsp_responder,
    make_ocsp_response,
)

LISTS, RESPONDER, CERTIFICATES = "crl.tlslab.test", "ocsp.tlslab.test", "ca.tlslab.test"
"""The hosts that the shipped profiles put into certificates."""


@dataclass(kw_only=True)
class CAService(Service):
    """One host of the CA; `answer` is what it says to a request."""

    answer: Handler

    kind = "ca"

    async def serve_stream(self, stream: trio.abc.Stream, peer: str) -> None:
        """HTTP, and nothing is kept."""
        await serve_http(stream, self.answer, on_exchange=self.log)


class CAServices:
    """What the lab's CA has revoked, and the three hosts where it says so.

    `revocations` is its registry. Answers are fresh unless `publish` has put others in their place.
    """

    def __init__(self, revocations: Revocations) -> None:
        self.revocations = revocations
        self._published: dict[Signer, bytes] = {}

    @property
    def answers(self) -> dict[str, Handler]:
        """How each host answers, by its name."""
        return {
            LISTS: self._answer_list,
            RESPONDER: self._answer_question,
            CERTIFICATES: self._answer_certificate,
        }

    def revoke(self, what: Service | x509.Certificate) -> None:
        """Take back a server's certificate, or any of the CA's, because its key is stolen."""
        self.revocations.revoke(certificate_of(what), reason=x509.ReasonFlags.key_compromise)

    def staple(self, what: Service | x509.Certificate, *, age: timedelta = timedelta(0)) -> bytes:
        """The OCSP response about a server's certificate, made `age` ago, for servers to staple.

        It says what the CA knows now; one from before a revocation has to be kept from then.
        """
        made = datetime.now(UTC) - age
        return self.revocations.response(certificate_of(what), now=made, lifetime=OCSP_LIFETIME)

    def forged(self, what: Service | x509.Certificate, *, by: Credential) -> bytes:
        """A response that calls a certificate good, signed by `by`, who may not say so."""
        now = datetime.now(UTC)
        return make_ocsp_response(
            CertID.of(certificate_of(what), self.revocations.authority.intermediate),
            "good",
            by=by,
            this_update=now,
            next_update=now + OCSP_LIFETIME,
        )

    def publish(self, *, age: timedelta = timedelta(0)) -> None:
        """From now on hand out the lists as they are now, dated `age` back; they are not renewed.

        With an age of more than their lifetime they are stale.
        """
        made = datetime.now(UTC) - age
        for which in ("intermediate", "root"):
            self._published[which] = self.revocations.crl(which, now=made, lifetime=CRL_LIFETIME)

    async def _answer_list(self, request: Request) -> Response:
        for which in ("intermediate", "root"):
            if request.path == f"/{which}.crl":
                made = self._published.get(which) or self.revocations.crl(which)
                return _found(made, b"application/pkix-crl")  # RFC 5280 section 4.2.1.13
        return Response(404)

    async def _answer_certificate(self, request: Request) -> Response:
        for which in ("intermediate", "root"):
            if request.path == f"/{which}.crt":
                certificate = self.revocations.signer(which).certificate
                return _found(certificate.public_bytes(Encoding.DER), b"application/pkix-cert")
        return Response(404)

    async def _answer_question(self, request: Request) -> Response:
        """OCSP: a POST has the question in its body, a GET in its path (RFC 6960 appendix A.1)."""
        if request.method == "POST":
            question = await request.read()
        else:
            try:
                question = base64.b64decode(unquote(request.path.removeprefix("/")), validate=True)
            except (binascii.Error, ValueError):
                question = b""  # which the responder finds malformed
        return _found(self.revocations.answer(question), b"application/ocsp-response")


def services_for(revocations: Revocations) -> CAServices:
    """The services of a registry, whose OCSP answers are signed by a responder of its own."""
    revocations.responder = make_ocsp_responder(revocations.authority)
    return CAServices(revocations)


def certificate_of(what: Service | x509.Certificate) -> x509.Certificate:
    """A certificate, or that of a service."""
    if not isinstance(what, Service):
        return what
    return what.credential.certificate


def _found(content: bytes, kind: bytes) -> Response:
    return Response(200, [(b"content-type", kind)], content)
