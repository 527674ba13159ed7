"""Taking a certificate back before it ends: revocation lists and OCSP, both made and answered.

    crl.py         certificate revocation lists (RFC 5280 section 5)
    ocsp.py        OCSP requests and responses (RFC 6960), the responder's certificate
    registry.py    what an authority has revoked, and what it says to those who ask

Made here is also what is wrong on purpose: a stale list, a response by somebody who may not sign
it. Nothing is judged here (that is verification's) and nothing touches a socket.
"""

from __future__ import annotations

from tlslab.pki.revocation.crl import Revoked, make_crl
from tlslab.pki.revocation.ocsp import (
    MAX_NONCE,
    CertID,
    OCSPQuery,
    OCSPRefusal,
    Status,
    issue_must_staple,
    make_ocsp_refusal,
    make_ocsp_request,
    make_ocsp_responder,
    make_ocsp_response,
    parse_ocsp_request,
)
from tlslab.pki.revocation.registry import CRL_LIFETIME, OCSP_LIFETIME, Revocations, Signer

__all__ = [
    "CRL_LIFETIME",
    "MAX_NONCE",
    "OCSP_LIFETIME",
    "CertID",
    "OCSPQuery",
    "OCSPRefusal",
    "Revocations",
    "Revoked",
    "Signer",
    "Status",
    "issue_must_staple",
    "make_crl",
    "make_ocsp_refusal",
    "make_ocsp_request",
    "make_ocsp_responder",
    "make_ocsp_response",
    "parse_ocsp_request",
]
