"""OCSP, the question after one certificate (RFC 6960), with nonces as in RFC 9654.

Requests are made and read, responses made and signed. As in the profile for high volume that all
large responders follow (RFC 5019), a request is about one certificate. Whoever signs is an
argument, so a response by the wrong responder is made by giving that one. Knows nothing of HTTP,
and does not judge responses.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from tlslab.errors import PKIError, UsageError
from tlslab.pki.authority import Authority
from tlslab.pki.credential import Credential
from tlslab.pki.keys import KeyType, PrivateKey, signature_hash
from tlslab.pki.profile import Kind, Profile
from tlslab.pki.revocation.crl import Revoked
from tlslab.pki.template import Template

MAX_NONCE = 128  # bytes; RFC 9654 section 2.1, which also has a longer one refused as malformed

RESPONDER_LIFETIME = timedelta(days=7)
"""A responder's certificate cannot be revoked itself (it says so), so it had better be short."""

Status: TypeAlias = Literal["good", "unknown"] | Revoked
"""What a response says of a certificate (RFC 6960 section 2.2)."""


class OCSPRefusal(enum.Enum):
    """Why a responder gives no answer (RFC 6960 section 2.3). These are not signed."""

    MALFORMED = ocsp.OCSPResponseStatus.MALFORMED_REQUEST
    INTERNAL_ERROR = ocsp.OCSPResponseStatus.INTERNAL_ERROR
    TRY_LATER = ocsp.OCSPResponseStatus.TRY_LATER
    UNAUTHORIZED = ocsp.OCSPResponseStatus.UNAUTHORIZED


@dataclass(frozen=True)
class CertID:
    """Which certificate is meant: hashes of its issuer's name and key, and its serial number.

    RFC 6960 section 4.1.1. Only responders that know the issuer know what the hashes stand for.
    """

    issuer_name_hash: bytes
    issuer_key_hash: bytes
    serial: int
    algorithm: hashes.HashAlgorithm

    @classmethod
    def of(
        cls,
        certificate: x509.Certificate,
        issuer: x509.Certificate,
        algorithm: hashes.HashAlgorithm | None = None,
    ) -> CertID:
        """The one of a certificate.

        By default hashed with SHA-1, as RFC 5019 section 2.1.1 demands; nothing here depends on
        collisions being hard to find.
        """
        algorithm = algorithm or hashes.SHA1()  # noqa: S303  # see above
        builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, algorithm)
        return cls._from(builder.build())

    @classmethod
    def _from(cls, request: ocsp.OCSPRequest) -> CertID:
        return cls(
            request.issuer_name_hash,
            request.issuer_key_hash,
            request.serial_number,
            request.hash_algorithm,
        )

    def is_issued_by(self, issuer: x509.Certificate) -> bool:
        """Whether `issuer` is the CA that is meant."""
        name = hashes.Hash(self.algorithm)
        name.update(issuer.subject.public_bytes())
        key_hash = CertID.of(issuer, issuer, self.algorithm).issuer_key_hash
        return (self.issuer_name_hash, self.issuer_key_hash) == (name.finalize(), key_hash)


@dataclass(frozen=True)
class OCSPQuery:
    """A request: after which certificate, and the nonce that the answer shall repeat, if any."""

    about: CertID
    nonce: bytes | None = None


def make_ocsp_request(about: CertID, *, nonce: bytes | None = None) -> bytes:
    """A request (DER). Raises UsageError for a nonce that is empty or too long."""
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        about.issuer_name_hash, about.issuer_key_hash, about.serial, about.algorithm
    )
    if nonce is not None:
        if not 0 < len(nonce) <= MAX_NONCE:
            raise UsageError(f"a nonce of {len(nonce)} bytes", hint=f"1 to {MAX_NONCE} are allowed")
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


def parse_ocsp_request(data: bytes) -> OCSPQuery:
    """The request in `data` (DER); raises PKIError if it is none, or not about one certificate."""
    try:
        request = ocsp.load_der_ocsp_request(data)
        about = CertID._from(request)
        nonce = _nonce(request.extensions)
    except (
        ValueError,
        NotImplementedError,
        UnsupportedAlgorithm,
        x509.DuplicateExtension,
    ) as error:
        raise PKIError("not an OCSP request about one certificate") from error
    if nonce is not None and not 0 < len(nonce) <= MAX_NONCE:
        raise PKIError(f"an OCSP request with a nonce of {len(nonce)} bytes")
    if about.serial < 0:  # RFC 5280 section 4.1.2.2; cryptography could not write the answer
        raise PKIError("an OCSP request about a certificate with a negative serial number")
    return OCSPQuery(about, nonce)


def _nonce(extensions: x509.Extensions) -> bytes | None:
    """The nonce among a request's extensions; ValueError for another that is critical."""
    nonce = None
    for extension in extensions:
        if isinstance(extension.value, x509.OCSPNonce):
            nonce = extension.value.nonce
        elif extension.critical:
            raise ValueError("unknown critical extension")
    return nonce


def make_ocsp_response(
    about: CertID,
    status: Status = "good",
    *,
    by: Credential,
    this_update: datetime,
    next_update: datetime | None,
    nonce: bytes | None = None,
) -> bytes:
    """A response (DER) about one certificate, signed by `by`.

    The issuing CA signs itself, or delegates to a responder whose certificate it has issued for
    that purpose (`make_ocsp_responder`; RFC 6960 section 4.2.2.2), which is then sent along. The
    times are aware; without `next_update` newer information is always to be had (section 4.2.2.1).
    When it was produced is the system's time. Raises UsageError for what no response can say.
    """
    revoked = status if isinstance(status, Revoked) else None
    if next_update is not None and next_update < this_update:
        raise UsageError("an OCSP response cannot end before it begins")
    try:
        builder = (
            ocsp.OCSPResponseBuilder()
            .add_response_by_hash(
                about.issuer_name_hash,
                about.issuer_key_hash,
                about.serial,
                about.algorithm,
                _CERT_STATUS[status] if not isinstance(status, Revoked) else _REVOKED,
                this_update,
                next_update,
                None if revoked is None else revoked.when,
                None if revoked is None else revoked.reason,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, by.certificate)
        )
        if not about.is_issued_by(by.certificate):
            builder = builder.certificates([by.certificate])
        if nonce is not None:
            builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
        return builder.sign(by.key, signature_hash(by.key)).public_bytes(Encoding.DER)
    except ValueError as error:
        raise UsageError(f"no such OCSP response can be made: {error}") from error


_REVOKED = ocsp.OCSPCertStatus.REVOKED
_CERT_STATUS = {"good": ocsp.OCSPCertStatus.GOOD, "unknown": ocsp.OCSPCertStatus.UNKNOWN}


def make_ocsp_refusal(why: OCSPRefusal) -> bytes:
    """The response (DER) of a responder that does not answer."""
    return ocsp.OCSPResponseBuilder.build_unsuccessful(why.value).public_bytes(Encoding.DER)


def issue_must_staple(
    authority: Authority,
    *names: str,
    now: datetime | None = None,
    key_type: KeyType | None = None,
) -> Credential:
    """A server's certificate like `Authority.issue`'s that demands a stapled response (RFC 7633).

    Whether a client insists on it is the client's decision; OpenSSL does not.
    """
    profile = Profile.named("server")
    key = (key_type or profile.key_type).generate()
    template = authority.draft(*names, public_key=key.public_key(), profile=profile, now=now)
    return _signed(authority, key, template, x509.TLSFeature([x509.TLSFeatureType.status_request]))


def make_ocsp_responder(authority: Authority, *, now: datetime | None = None) -> Credential:
    """A responder to whom the authority's intermediate delegates: a fresh key, and OCSPSigning.

    Its certificate has id-pkix-ocsp-nocheck (RFC 6960 section 4.2.2.2.1), or a client would have to
    ask the responder about the responder.
    """
    key = _RESPONDER.key_type.generate()
    template = authority.draft(
        public_key=key.public_key(),
        profile=_RESPONDER,
        now=now,
        common_name=f"{authority.name} OCSP responder",
    )
    return _signed(authority, key, template, x509.OCSPNoCheck())


def _signed(
    authority: Authority, key: PrivateKey, template: Template, more: x509.ExtensionType
) -> Credential:
    extension: x509.Extension[x509.ExtensionType] = x509.Extension(more.oid, False, more)
    template = replace(template, extensions=(*template.extensions, extension))
    certificate = template.signed_by(authority.intermediate_key)
    return Credential(key, certificate, (certificate, authority.intermediate))


_RESPONDER = Profile(
    name="ocsp-responder",
    title="OCSP responder",
    kind=Kind.CLIENT,  # it has no name to connect to: whoever asks goes by the issuer's delegation
    key_type=KeyType.ECDSA_P256,
    lifetime=RESPONDER_LIFETIME,
    backdate=timedelta(hours=1),
    key_usage=("digital_signature",),
    extended_key_usage=("ocsp_signing",),
)
