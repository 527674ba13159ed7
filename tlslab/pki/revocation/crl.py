"""Certificate revocation lists, as RFC 5280 section 5 wants them.

Whoever signs is an argument: a list signed by the wrong key is made by giving the wrong one. Knows
nothing of who fetches a list or what they make of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tlslab.errors import UsageError
from tlslab.pki.credential import Credential
from tlslab.pki.keys import signature_hash


class Revoked(NamedTuple):
    """A certificate that was taken back: its serial number, when (aware), and why if that is told.

    The reasons are those of RFC 5280 section 5.3.1; `unspecified` is left out of lists, as it says.
    """

    serial: int
    when: datetime
    reason: x509.ReasonFlags | None = None


def make_crl(
    by: Credential,
    revoked: Iterable[Revoked | tuple[int, datetime, x509.ReasonFlags | None]] = (),
    *,
    now: datetime,
    next_update: datetime,
    number: int = 1,
    scope: x509.IssuingDistributionPoint | None = None,
) -> bytes:
    """The list (DER) of what `by` has revoked, valid from `now` until `next_update` (both aware).

    `by` is the issuing CA's certificate and key; with another's key the list is a forgery. `number`
    must grow with each list (section 5.2.3). `scope` limits what the list is about (5.2.5); without
    it, it is about all that the CA has issued. Raises UsageError for what no list can say.
    """
    subject_key = by.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    try:
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(by.certificate.subject)
            .last_update(now)
            .next_update(next_update)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(subject_key.value),
                critical=False,
            )
            .add_extension(x509.CRLNumber(number), critical=False)
        )
        if scope is not None:
            builder = builder.add_extension(scope, critical=True)
        for entry in revoked:
            builder = builder.add_revoked_certificate(_entry(Revoked(*entry)))
        return builder.sign(by.key, signature_hash(by.key)).public_bytes(Encoding.DER)
    except ValueError as error:
        raise UsageError(f"no such revocation list can be made: {error}") from error


def _entry(revoked: Revoked) -> x509.RevokedCertificate:
    builder = (
        x509.RevokedCertificateBuilder().serial_number(revoked.serial).revocation_date(revoked.when)
    )
    if revoked.reason not in (None, x509.ReasonFlags.unspecified):
        builder = builder.add_extension(x509.CRLReason(revoked.reason), critical=False)
    return builder.build()
