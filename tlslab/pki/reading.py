"""What a certificate means, in sentences for somebody who reads one for the first time.

Says what the certificate claims and what clients commonly make of it. It is not verification.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from tlslab.errors import PKIError
from tlslab.pki.credential import certificate_names, public_key_of

WEAK_RSA_BITS = 2048  # bits; OpenSSL's default security level refuses a smaller key
MAX_BROWSER_LIFETIME = timedelta(days=825)  # Apple's limit, also for roots that the user installed
BROKEN_HASHES = ("md5", "sha1")  # collisions are known, so a signature can be moved


def explain_certificate(
    certificate: x509.Certificate, *, now: datetime | None = None
) -> tuple[str, ...]:
    """Sentences about `certificate` at `now` (aware; by default the system's clock says)."""
    now = datetime.now(UTC) if now is None else now
    sentences: list[str] = []
    for read in (_validity, _signer, _role, _names, _strength):
        try:
            sentences.extend(read(certificate, now))
        except (ValueError, TypeError, UnsupportedAlgorithm, PKIError, x509.DuplicateExtension):
            topic = read.__name__.strip("_")
            sentences.append(f"Its {topic} cannot be told: that part is malformed or unknown.")
    return tuple(sentences)


def _validity(certificate: x509.Certificate, now: datetime) -> Iterator[str]:
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < start:
        yield f"It is not valid yet, but {_span(start - now)} from now."
    elif now > end:
        yield f"It expired {_span(now - end)} ago: clients refuse it."
    else:
        yield f"It is valid now, and for another {_span(end - now)}."


def _span(span: timedelta) -> str:
    for unit, size in (("day", timedelta(days=1)), ("hour", timedelta(hours=1))):
        if span >= size:
            count = span // size
            return f"{count} {unit}" + ("s" if count != 1 else "")
    return f"{int(span.total_seconds())} seconds"


def _signer(certificate: x509.Certificate, now: datetime) -> Iterator[str]:
    if certificate.issuer != certificate.subject:
        yield "Another key signed it: whoever trusts it needs the chain up to a root."
        return
    try:
        certificate.verify_directly_issued_by(certificate)
    except InvalidSignature:
        yield "It names itself as its issuer, but its own key did not sign it."
    else:
        yield "It is self-signed: nobody vouches for it but itself, so it must be trusted by hand."


def _role(certificate: x509.Certificate, now: datetime) -> Iterator[str]:
    constraints = _find(certificate, x509.BasicConstraints)
    if constraints is not None and constraints.ca:
        depth = constraints.path_length
        below = {None: "any number of CAs", 0: "no further CA", 1: "one further CA"}
        yield (
            "It is a certificate authority: its key may sign certificates, with "
            f"{below.get(depth, f'{depth} further CAs')} below it."
        )
        return
    purposes = _find(certificate, x509.ExtendedKeyUsage)
    known = {
        ExtendedKeyUsageOID.SERVER_AUTH: "TLS servers",
        ExtendedKeyUsageOID.CLIENT_AUTH: "TLS clients",
    }
    if purposes is None:
        yield "It is a leaf: it may sign no certificate. It does not restrict what it is for."
    else:
        told = " and ".join(text for oid, text in known.items() if oid in purposes)
        told = told or "other things than TLS"
        yield f"It is a leaf: it may sign no certificate. It is for {told}."


def _names(certificate: x509.Certificate, now: datetime) -> Iterator[str]:
    constraints = _find(certificate, x509.BasicConstraints)
    if constraints is not None and constraints.ca:
        return
    names = certificate_names(certificate)
    if not names:
        yield "It vouches for no DNS name or IP address; clients ignore the common name (RFC 9525)."
    if any(name.startswith("*.") for name in names):
        yield "A wildcard stands for exactly one label: *.shop.test is a.shop.test, not shop.test."


def _strength(certificate: x509.Certificate, now: datetime) -> Iterator[str]:
    key = public_key_of(certificate)
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < WEAK_RSA_BITS:
        yield f"Its RSA key is too short: clients want at least {WEAK_RSA_BITS} bits."
    algorithm = certificate.signature_hash_algorithm
    if algorithm is not None and algorithm.name in BROKEN_HASHES:
        yield f"It is signed over {algorithm.name.upper()}, which is broken: clients refuse it."
    purposes = _find(certificate, x509.ExtendedKeyUsage)
    lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    server = purposes is not None and ExtendedKeyUsageOID.SERVER_AUTH in purposes
    if server and lifetime > MAX_BROWSER_LIFETIME:
        yield f"It lives for {lifetime.days} days, longer than some browsers accept of servers."


_E = TypeVar("_E", bound=x509.ExtensionType)


def _find(certificate: x509.Certificate, kind: type[_E]) -> _E | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
