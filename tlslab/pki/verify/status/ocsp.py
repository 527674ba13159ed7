"""OCSP responses: whether one is about a certificate, by somebody who may say so, and fresh.

RFC 6960 section 3.2. The responder is the issuer, or somebody whom it issued a certificate for
OCSPSigning. Whether that one is revoked is not asked: as all large CAs do, it is made to live for
days and says so (section 4.2.2.2.1).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from tlslab.errors import PKIError
from tlslab.pki.credential import public_key_of
from tlslab.pki.reading import BROKEN_HASHES
from tlslab.pki.verify.malformed import MALFORMED
from tlslab.pki.verify.paths import is_signed_by
from tlslab.pki.verify.status.answer import GOOD, Answer, revoked, unknown
from tlslab.pki.verify.status.crl import Subject

MAX_OCSP_SIZE: Final = 64 * 1024  # bytes; a response has 500 to 5,000
MAX_CERTIFICATES: Final = 8  # in a response; one is enough
MAX_RESPONSES: Final = 64  # in a response; one is enough
MAX_SKEW: Final = timedelta(minutes=5)
"""Between the responder's clock and ours; OpenSSL's `ocsp` command allows as much."""

_Single: TypeAlias = ocsp.OCSPSingleResponse


def ocsp_answer(subject: Subject, data: bytes) -> Answer:
    """What the response `data` (DER) says of the certificate."""
    depth = subject.depth
    if len(data) > MAX_OCSP_SIZE:
        return unknown("ocsp-unreadable", depth, f"it has more than {MAX_OCSP_SIZE} bytes")
    try:
        response = ocsp.load_der_ocsp_response(data)
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            status = response.response_status.name.lower()
            return unknown("ocsp-unsuccessful", depth, f"the responder says {status}")
        return _signed_answer(subject, response)
    except MALFORMED as error:
        return unknown("ocsp-unreadable", depth, str(error))


def _signed_answer(subject: Subject, response: ocsp.OCSPResponse) -> Answer:
    depth = subject.depth
    singles = list(itertools.islice(response.responses, MAX_RESPONSES + 1))
    if len(singles) > MAX_RESPONSES:
        raise ValueError(f"more than {MAX_RESPONSES} answers in one response")
    single = _about(subject, singles)
    if single is None:
        return unknown("ocsp-other-certificate", depth, "it is not about this certificate")
    signer = _responder(subject, response)
    if signer is None:
        return unknown("ocsp-responder", depth, "it is signed neither by nor on behalf of the CA")
    if not _is_signed(response, public_key_of(signer)):
        return unknown("ocsp-signature", depth, "the responder's key did not sign it")
    more = response.single_extensions if len(singles) == 1 else ()
    for extension in (*response.extensions, *more):
        if extension.critical and not isinstance(extension.value, x509.OCSPNonce):
            name = extension.oid.dotted_string
            return unknown("ocsp-critical-extension", depth, f"it has the extension {name}")
    return _status(depth, single, subject.now)


def _status(depth: int, single: _Single, now: datetime) -> Answer:
    start, end = single.this_update_utc, single.next_update_utc
    if start > now + MAX_SKEW:
        return unknown("ocsp-not-yet-valid", depth, f"it starts at {start}")
    stale = end is None or now > end + MAX_SKEW
    status = single.certificate_status
    reason = single.revocation_reason
    hold = reason is x509.ReasonFlags.certificate_hold
    if status is ocsp.OCSPCertStatus.REVOKED and not (stale and hold):
        why = f" ({reason.value})" if reason is not None else ""
        return revoked(depth, f"revoked at {single.revocation_time_utc}{why}")
    if stale:
        return unknown("ocsp-stale", depth, f"it ended at {end}" if end else "it names no end")
    if status is ocsp.OCSPCertStatus.UNKNOWN:
        return unknown("ocsp-unknown", depth, "the responder does not know it")
    return GOOD


def _about(subject: Subject, responses: Iterable[_Single]) -> _Single | None:
    """The answer whose CertID is the certificate's: serial, and both hashes of its issuer."""
    asked = ocsp.OCSPRequestBuilder()
    for single in responses:
        algorithm = single.hash_algorithm
        wanted = asked.add_certificate(subject.certificate, subject.issuer, algorithm).build()
        if (
            single.serial_number == wanted.serial_number
            and single.issuer_name_hash == wanted.issuer_name_hash
            and single.issuer_key_hash == wanted.issuer_key_hash
        ):
            return single
    return None


def _responder(subject: Subject, response: ocsp.OCSPResponse) -> x509.Certificate | None:
    """Who the response says has signed it, if that one may (section 4.2.2.2)."""
    delegates = response.certificates
    if len(delegates) > MAX_CERTIFICATES:
        raise ValueError(f"more than {MAX_CERTIFICATES} certificates in one response")
    if _is_named(response, subject.issuer):
        return subject.issuer
    for delegate in delegates:
        if (
            _is_named(response, delegate)
            and is_signed_by(delegate, subject.issuer)
            and delegate.not_valid_before_utc <= subject.now <= delegate.not_valid_after_utc
            and _may_respond(delegate)
        ):
            return delegate
    return None


def _is_named(response: ocsp.OCSPResponse, signer: x509.Certificate) -> bool:
    if response.responder_key_hash is not None:
        key = public_key_of(signer)
        own = x509.SubjectKeyIdentifier.from_public_key(key)  # type: ignore[arg-type]
        return response.responder_key_hash == own.digest  # SHA-1 of the key, as section 4.2.1 says
    return response.responder_name == signer.subject


def _may_respond(delegate: x509.Certificate) -> bool:
    try:
        purposes = delegate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    try:
        usage = delegate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return ExtendedKeyUsageOID.OCSP_SIGNING in purposes
    return ExtendedKeyUsageOID.OCSP_SIGNING in purposes and usage.digital_signature


def _is_signed(response: ocsp.OCSPResponse, key: object) -> bool:
    algorithm = response.signature_hash_algorithm
    signature, data = response.signature, response.tbs_response_bytes
    try:
        match key:
            case ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey():
                key.verify(signature, data)
                return True
            case _ if algorithm is None or algorithm.name in BROKEN_HASHES:
                return False
            case rsa.RSAPublicKey():
                key.verify(signature, data, padding.PKCS1v15(), algorithm)
                return True
            case ec.EllipticCurvePublicKey():
                key.verify(signature, data, ec.ECDSA(algorithm))
                return True
    except InvalidSignature:
        return False
    raise PKIError("the responder's key is of an unsupported kind")
