"""What an authority has revoked, and what it says to those who ask.

One registry for both of the authority's CAs: the intermediate answers for leaves, the root for the
intermediate. Kept in memory; knows nothing of HTTP.
"""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias

from cryptography import x509

from tlslab.errors import PKIError
from tlslab.pki.authority import Authority
from tlslab.pki.credential import Credential
from tlslab.pki.revocation.crl import Revoked, make_crl
from tlslab.pki.revocation.ocsp import (
    CertID,
    OCSPRefusal,
    Status,
    make_ocsp_refusal,
    make_ocsp_response,
    parse_ocsp_request,
)

Signer: TypeAlias = Literal["root", "intermediate"]
"""One of an authority's two CAs."""

CRL_LIFETIME = timedelta(days=7)
"""Web CAs may take ten days at most (CA/Browser Forum BR section 4.9.7), and take a week."""

OCSP_LIFETIME = timedelta(days=1)
"""How long a response is good for, and so how long an attacker can replay one. Web CAs: days."""


class Revocations:
    """The certificates that `authority` has taken back.

    `responder` signs OCSP responses about leaves; without one the intermediate does itself. `now`
    is the system's time wherever it is left out, and aware where not.
    """

    def __init__(self, authority: Authority, *, responder: Credential | None = None) -> None:
        self.authority = authority
        self.responder = responder
        self._revoked: dict[Signer, dict[int, Revoked]] = {"root": {}, "intermediate": {}}
        self._crl_numbers = itertools.count(1)

    def revoke(
        self,
        certificate: x509.Certificate,
        *,
        when: datetime | None = None,
        reason: x509.ReasonFlags | None = None,
    ) -> Revoked:
        """Take a certificate back as of `when`; PKIError if it is not this authority's."""
        entry = Revoked(certificate.serial_number, when or datetime.now(UTC), reason)
        self._revoked[self._issuer_of(certificate)][entry.serial] = entry
        return entry

    def status(self, certificate: x509.Certificate) -> Status:
        """`"good"`, or how it was revoked; PKIError if it is not this authority's."""
        listed = self._revoked[self._issuer_of(certificate)]
        return listed.get(certificate.serial_number, "good")

    def signer(self, which: Signer) -> Credential:
        """One of the authority's CAs with its key; PKIError if that is locked away."""
        authority = self.authority
        if which == "intermediate":
            certificate = authority.intermediate
            return Credential(authority.intermediate_key, certificate, (certificate,))
        if authority.root_key is None:
            raise PKIError("the root's key is locked away, and nobody else can sign for it")
        return Credential(authority.root_key, authority.root, (authority.root,))

    def crl(
        self,
        which: Signer = "intermediate",
        *,
        now: datetime | None = None,
        lifetime: timedelta = CRL_LIFETIME,
    ) -> bytes:
        """The list (DER) of one of the CAs as it is now, the next one due after `lifetime`."""
        now = now or datetime.now(UTC)
        return make_crl(
            self.signer(which),
            self._revoked[which].values(),
            now=now,
            next_update=now + lifetime,
            number=next(self._crl_numbers),
        )

    def response(
        self,
        certificate: x509.Certificate,
        *,
        now: datetime | None = None,
        lifetime: timedelta = OCSP_LIFETIME,
    ) -> bytes:
        """The OCSP response (DER) about a certificate as it is now: what a server staples."""
        which = self._issuer_of(certificate)
        about = CertID.of(certificate, self._certificate(which))
        return self._response(which, about, None, now, lifetime)

    def answer(
        self,
        request: bytes,
        *,
        now: datetime | None = None,
        lifetime: timedelta = OCSP_LIFETIME,
    ) -> bytes:
        """What the responder says (DER) to an OCSP request, which may be anything at all.

        A certificate of this authority's that was not revoked is good, whether it was ever issued
        or not (RFC 6960 section 2.2). For other issuers it has no authority, and says so.
        """
        try:
            query = parse_ocsp_request(request)
        except PKIError:
            return make_ocsp_refusal(OCSPRefusal.MALFORMED)
        for which in self._revoked:
            if query.about.is_issued_by(self._certificate(which)):
                if which == "root" and self.authority.root_key is None:
                    break
                return self._response(which, query.about, query.nonce, now, lifetime)
        return make_ocsp_refusal(OCSPRefusal.UNAUTHORIZED)

    def _response(
        self,
        which: Signer,
        about: CertID,
        nonce: bytes | None,
        now: datetime | None,
        lifetime: timedelta,
    ) -> bytes:
        now = now or datetime.now(UTC)
        delegated = self.responder if which == "intermediate" else None
        return make_ocsp_response(
            about,
            self._revoked[which].get(about.serial, "good"),
            by=delegated or self.signer(which),
            this_update=now,
            next_update=now + lifetime,
            nonce=nonce,
        )

    def _certificate(self, which: Signer) -> x509.Certificate:
        return self.authority.root if which == "root" else self.authority.intermediate

    def _issuer_of(self, certificate: x509.Certificate) -> Signer:
        """By name only: what a CA has revoked need not be well signed."""
        for which in self._revoked:
            if certificate.issuer == self._certificate(which).subject:
                return which
        raise PKIError(
            f"the certificate {certificate.serial_number:x} was issued by somebody else",
            hint=f"this is the registry of {self.authority.name}",
        )
