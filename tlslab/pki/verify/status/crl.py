"""Certificate revocation lists: which apply to a certificate, which can be used, what they say.

RFC 5280 section 6.3.3, without delta lists (they are never a list's replacement). A list is signed
by the certificate's issuer, or, if it is an indirect one that the certificate points to, by another
CA of the same path or one that a CA of the path has issued.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from cryptography import x509

from tlslab.errors import PKIError
from tlslab.pki.credential import Chain, public_key_of
from tlslab.pki.reading import BROKEN_HASHES
from tlslab.pki.verify.malformed import MALFORMED
from tlslab.pki.verify.paths import is_signed_by
from tlslab.pki.verify.status.answer import GOOD, Answer, Standing, revoked, unknown

MAX_CRL_SIZE: Final = 64 * 1024 * 1024  # bytes; the largest lists of public CAs have tens of MB
MAX_CRLS: Final = 64  # a path has a handful, an attacker might send thousands
MAX_SIGNERS: Final = 4  # certificates of one name that could have signed an indirect list
MAX_INDIRECT_ENTRIES: Final = 100_000  # an indirect list has to be read from its beginning

_E = TypeVar("_E", bound=x509.ExtensionType)

_PEM_MARK: Final = b"-----BEGIN "

_UNDERSTOOD: Final = (x509.IssuingDistributionPoint, x509.AuthorityKeyIdentifier)


@dataclass(frozen=True)
class Subject:
    """The certificate at `depth` of a path, and whatever else was sent."""

    path: Chain
    depth: int
    sent: Chain
    now: datetime

    @property
    def certificate(self) -> x509.Certificate:
        """Whose revocation is asked for."""
        return self.path[self.depth]

    @property
    def issuer(self) -> x509.Certificate:
        """Who issued it."""
        return self.path[self.depth + 1]


def parse_crl(data: bytes) -> x509.CertificateRevocationList:
    """The list in `data` (PEM or DER). Raises PKIError if it is none, or too large."""
    if len(data) > MAX_CRL_SIZE:
        raise PKIError(f"the revocation list is larger than {MAX_CRL_SIZE} bytes")
    try:
        if _PEM_MARK in data:
            return x509.load_pem_x509_crl(data)
        return x509.load_der_x509_crl(data)
    except MALFORMED as error:
        raise PKIError("no readable revocation list in it") from error


def crl_answer(subject: Subject, crls: Iterable[x509.CertificateRevocationList]) -> Answer:
    """What `crls` together say: revoked if one does, good if one covers it, else the first flaw."""
    answers = []
    for crl in crls:
        try:
            answer = _one(subject, crl)
        except MALFORMED as error:
            answer = unknown("crl-unreadable", subject.depth, str(error))
        if answer is not None:
            answers.append(answer)
    for standing in (Standing.REVOKED, Standing.GOOD, Standing.UNKNOWN):
        for answer in answers:
            if answer.standing is standing:
                return answer
    return unknown("crl-missing", subject.depth, "there is no revocation list of its issuer")


def _one(subject: Subject, crl: x509.CertificateRevocationList) -> Answer | None:
    """What one list says; None if it is about another CA's certificates."""
    depth, certificate = subject.depth, subject.certificate
    scope = _find(crl, x509.IssuingDistributionPoint)
    indirect = scope is not None and scope.indirect_crl
    if crl.issuer != certificate.issuer and not (indirect and _points_to(certificate, crl.issuer)):
        return None
    flaw = _signature_flaw(subject, crl) or _form_flaw(depth, crl)
    if flaw is None and scope is not None:
        flaw = _scope_flaw(subject, scope)
    if flaw is not None:
        return flaw
    if crl.last_update_utc > subject.now:
        return unknown("crl-not-yet-valid", depth, f"it starts at {crl.last_update_utc}")
    entry = _entry(certificate, crl, indirect=indirect)
    end = crl.next_update_utc
    expired = end is None or subject.now > end
    if entry is not None and not (expired and _reason(entry) is x509.ReasonFlags.certificate_hold):
        reason = _reason(entry)
        why = f" ({reason.value})" if reason is not None else ""
        return revoked(depth, f"revoked at {entry.revocation_date_utc}{why}")
    if expired:
        return unknown("crl-expired", depth, f"it ended at {end}" if end else "it names no end")
    return GOOD


def _signature_flaw(subject: Subject, crl: x509.CertificateRevocationList) -> Answer | None:
    signers = [subject.issuer]
    if crl.issuer != subject.certificate.issuer:
        signers = _indirect_signers(subject, crl.issuer)
    algorithm = crl.signature_hash_algorithm
    weak = algorithm is not None and algorithm.name in BROKEN_HASHES
    for signer in signers:
        if not weak and crl.is_signature_valid(public_key_of(signer)):  # type: ignore[arg-type]
            usage = _find(signer, x509.KeyUsage)
            if usage is None or usage.crl_sign:
                return None
            return unknown(
                "crl-issuer-may-not-sign", subject.depth, "its issuer's key usage has no cRLSign"
            )
    detail = "the issuer's key did not sign it" if not weak else "it is over a broken hash"
    return unknown("crl-signature", subject.depth, detail)


def _indirect_signers(subject: Subject, name: x509.Name) -> list[x509.Certificate]:
    """CAs of that name on the path above, or issued by one of those and valid."""
    above = subject.path[subject.depth + 1 :]
    named = [sent for sent in subject.sent if sent.subject == name][:MAX_SIGNERS]
    others = [
        signer
        for signer in named
        if signer.not_valid_before_utc <= subject.now <= signer.not_valid_after_utc
        and any(is_signed_by(signer, authority) for authority in above)
    ]
    return [authority for authority in above if authority.subject == name] + others


def _form_flaw(depth: int, crl: x509.CertificateRevocationList) -> Answer | None:
    for extension in crl.extensions:
        if isinstance(extension.value, x509.CRLNumber):
            if extension.critical:
                return unknown("crl-number", depth, "the CRL number must not be critical")
        elif extension.critical and not isinstance(extension.value, _UNDERSTOOD):
            name = extension.oid.dotted_string
            return unknown("crl-critical-extension", depth, f"it has the extension {name}")
    if _find(crl, x509.CRLNumber) is None:
        return unknown("crl-number", depth, "it has no CRL number")
    return None


def _scope_flaw(subject: Subject, scope: x509.IssuingDistributionPoint) -> Answer | None:
    """Whether the list covers this certificate, for every reason (section 6.3.3(b)(2))."""
    constraints = _find(subject.certificate, x509.BasicConstraints)
    is_ca = constraints is not None and constraints.ca
    flaw = None
    if (scope.only_contains_user_certs and is_ca) or (scope.only_contains_ca_certs and not is_ca):
        flaw = f"it is not about {'CAs' if is_ca else 'leaves'}"
    elif scope.only_contains_attribute_certs:
        flaw = "it is about attribute certificates"
    elif scope.only_some_reasons is not None:
        flaw = "it is about some reasons only"
    elif scope.relative_name is not None:
        flaw = "it is for a distribution point with a relative name, which is not supported"
    elif scope.full_name is not None and not (
        set(scope.full_name) & _distribution_names(subject.certificate)
    ):
        flaw = "it is for another distribution point than the certificate's"
    return None if flaw is None else unknown("crl-scope", subject.depth, flaw)


def _distribution_names(certificate: x509.Certificate) -> set[x509.GeneralName]:
    points = _find(certificate, x509.CRLDistributionPoints) or ()
    return {name for point in points for name in (point.full_name or point.crl_issuer or ())}


def _points_to(certificate: x509.Certificate, issuer: x509.Name) -> bool:
    """Whether the certificate says that this other CA lists it (section 4.2.1.13)."""
    points = _find(certificate, x509.CRLDistributionPoints) or ()
    return any(x509.DirectoryName(issuer) in (point.crl_issuer or ()) for point in points)


def _entry(
    certificate: x509.Certificate, crl: x509.CertificateRevocationList, *, indirect: bool
) -> x509.RevokedCertificate | None:
    serial = certificate.serial_number
    if not indirect:
        return crl.get_revoked_certificate_by_serial_number(serial)
    if len(crl) > MAX_INDIRECT_ENTRIES:
        raise ValueError(f"an indirect list of more than {MAX_INDIRECT_ENTRIES} entries")
    issuer = crl.issuer
    for entry in crl:
        named = _find(entry, x509.CertificateIssuer)
        if named is not None:  # holds for the entries that follow, too (section 5.3.3)
            issuers = named.get_values_for_type(x509.DirectoryName)
            issuer = issuers[0] if issuers else issuer
        if entry.serial_number == serial and issuer == certificate.issuer:
            return entry
    return None


def _reason(entry: x509.RevokedCertificate) -> x509.ReasonFlags | None:
    try:
        found = _find(entry, x509.CRLReason)
    except MALFORMED:
        return None
    return None if found is None else found.reason


def _find(
    source: x509.Certificate | x509.CertificateRevocationList | x509.RevokedCertificate,
    kind: type[_E],
) -> _E | None:
    try:
        return source.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
