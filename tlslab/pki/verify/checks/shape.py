"""Checks of a certificate's form, wherever it stands: version, serial number, extensions.

Of trust anchors, only what bears on the path is asked: they are believed for their name and key
(RFC 5280 section 6.1.1), and some of today's roots have the serial number 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cryptography import x509

from tlslab.pki.verify.checks.base import AUTHORITY, EVERYWHERE, ISSUED, Link, Place, check
from tlslab.pki.verify.paths import is_self_issued, is_signed_by

MAX_SERIAL_OCTETS: Final = 20  # RFC 5280 section 4.1.2.2

_CRITICAL: Final = (x509.PolicyConstraints, x509.InhibitAnyPolicy)
_NOT_CRITICAL: Final = (
    x509.AuthorityKeyIdentifier,
    x509.SubjectKeyIdentifier,
    x509.AuthorityInformationAccess,
    x509.SubjectInformationAccess,
    x509.FreshestCRL,
)
"""Sections 4.2.1.11 and 4.2.1.14; 4.2.1.1, 4.2.1.2, 4.2.2.1, 4.2.2.2 and 4.2.1.15."""


@check(
    "version-not-3",
    "RFC 5280 section 4.1.2.1, CABF BR section 7.1.1",
    EVERYWHERE,
    means="The certificate is not of version 3, so it cannot say what it is for.",
    cause="It was made by a very old or careless tool.",
    fix="Have it issued again as version 3.",
)
def version(link: Link) -> Iterator[str]:
    """Only v3 has extensions, and a v1 CA could not be told from a leaf."""
    if link.certificate.version is not x509.Version.v3:
        yield f"the version is {link.certificate.version.name}"


@check(
    "serial-number",
    "RFC 5280 section 4.1.2.2",
    ISSUED,
    means="The serial number is zero, negative or too long, so revocation cannot refer to it.",
    cause="A tool wrote a hash or a counter without minding its first bit or its length.",
    fix="Issue with a random positive serial number of at most 20 octets.",
)
def serial(link: Link) -> Iterator[str]:
    """Positive, and with its sign bit at most 20 octets."""
    number = link.certificate.serial_number
    if number <= 0:
        yield f"the serial number is {'zero' if number == 0 else 'negative'}"
    elif number.bit_length() // 8 + 1 > MAX_SERIAL_OCTETS:
        yield f"the serial number has {number.bit_length() // 8 + 1} octets"


@check(
    "issuer-empty",
    "RFC 5280 section 4.1.2.4",
    EVERYWHERE,
    means="The certificate does not say who issued it.",
    cause="A tool left the issuer out.",
    fix="Have it issued by a CA with a name.",
)
def issuer(link: Link) -> Iterator[str]:
    """The issuer is a non-empty distinguished name."""
    if not link.certificate.issuer.rdns:
        yield "the issuer's name is empty"


@check(
    "subject-empty",
    "RFC 5280 section 4.1.2.6",
    AUTHORITY,
    means="A CA has no name, so nothing can say that it issued it.",
    cause="A tool left the subject out.",
    fix="Give the CA a name.",
)
def subject(link: Link) -> Iterator[str]:
    """A CA has a non-empty distinguished name."""
    if not link.certificate.subject.rdns:
        yield "the subject is empty"


@check(
    "extension-criticality",
    "RFC 5280 section 4.2",
    EVERYWHERE,
    means="An extension is marked critical that must not be, or the other way round.",
    cause="The CA's profile is wrong.",
    fix="Correct the profile, and issue again.",
)
def criticality(link: Link) -> Iterator[str]:
    """Of extensions that have one right answer for every certificate."""
    for extension in link.certificate.extensions:
        name = type(extension.value).__name__
        if isinstance(extension.value, _CRITICAL) and not extension.critical:
            yield f"{name} has to be critical"
        if isinstance(extension.value, _NOT_CRITICAL) and extension.critical:
            yield f"{name} must not be critical"


@check(
    "authority-key-identifier",
    "RFC 5280 section 4.2.1.1, CABF BR sections 7.1.2.1.3 and 7.1.2.11.1",
    EVERYWHERE,
    means="The authority key identifier, which says whose key signed, is missing or wrong.",
    cause="The CA's profile is wrong; only a self-signed certificate may do without.",
    fix="Issue with the issuer's key identifier, and without its name and serial number.",
)
def authority_key(link: Link) -> Iterator[str]:
    """With a key identifier and nothing else; in a self-signed one, equal to its own."""
    found = link.find(x509.AuthorityKeyIdentifier)
    # An anchor's own signature is not looked at: those of old roots are over SHA-1.
    self_signed = is_self_issued(link.certificate) and (
        link.place is Place.ANCHOR or is_signed_by(link.certificate, link.certificate)
    )
    if found is None:
        if not self_signed:
            yield "it is missing"
        return
    identifier = found.value
    if identifier.key_identifier is None:
        yield "it has no key identifier"
    if identifier.authority_cert_issuer is not None:
        yield "it names the issuer's issuer"
    if identifier.authority_cert_serial_number is not None:
        yield "it has the issuer's serial number"
    own = link.find(x509.SubjectKeyIdentifier)
    if (
        self_signed
        and own is not None
        and identifier.key_identifier not in (None, own.value.digest)
    ):
        yield "the certificate is self-signed, but names another key than its own"


@check(
    "subject-key-identifier",
    "RFC 5280 section 4.2.1.2",
    AUTHORITY,
    means="A CA does not say which of its keys this is, so paths are found by trial alone.",
    cause="The CA's profile is wrong.",
    fix="Issue the CA's certificate with a subject key identifier.",
)
def subject_key(link: Link) -> Iterator[str]:
    """Every CA has one."""
    if link.find(x509.SubjectKeyIdentifier) is None:
        yield "it is missing"


@check(
    "lifetime",
    "CABF BR section 6.3.2",
    Place.LEAF,
    means="The certificate lives longer than a public CA may let it.",
    cause="It is from a private CA, or the CA breaks the rules of browsers.",
    fix="Renew more often, and automate it.",
)
def lifetime(link: Link) -> Iterator[str]:
    """No longer than was allowed on the day when it was issued; the last second counts too."""
    certificate = link.certificate
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    seconds = int((end - start).total_seconds()) + 1
    days = next(limit for since, limit in MAX_DAYS if start.date().isoformat() >= since)
    if seconds > days * 86400:
        yield f"it lives for {-(-seconds // 86400)} days, {days} are allowed"


MAX_DAYS: Final = (
    ("2029-03-15", 47),
    ("2027-03-15", 100),
    ("2026-03-15", 200),
    ("2020-09-01", 398),
    ("2018-03-01", 825),
    ("0000-00-00", 1186),  # 39 months; older rules are of no use any more
)
"""Days by the first day of validity from which a limit holds; newest first (ballot SC-081)."""
