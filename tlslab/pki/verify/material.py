"""What is handed over, read: certificates and lists from untrusted bytes, within bounds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tlslab.errors import PKIError
from tlslab.pki.credential import Chain, parse_certificates
from tlslab.pki.verify.findings import general
from tlslab.pki.verify.malformed import MALFORMED
from tlslab.pki.verify.status.crl import MAX_CRLS, parse_crl
from tlslab.pki.verify.verdict import Finding

MAX_CERTIFICATES: Final = 128
"""Certificates sent. A TLS client on OpenSSL takes 100 kB of them, which is about as many."""

MAX_CHAIN_SIZE: Final = 1024 * 1024  # bytes, of all of them together

Sent: TypeAlias = bytes | Sequence[bytes | x509.Certificate]
"""A chain, leaf first: PEM, or certificates as DER, PEM or parsed."""

CRL: TypeAlias = bytes | x509.CertificateRevocationList


def read_chain(sent: Sent) -> Chain | Finding:
    """The certificates in `sent`, or why they cannot be used."""
    parts = [sent] if isinstance(sent, bytes) else list(sent)
    certificates: list[x509.Certificate] = []
    size = 0
    for part in parts:
        depth = len(certificates)
        size += len(part) if isinstance(part, bytes) else len(part.public_bytes(Encoding.DER))
        if size > MAX_CHAIN_SIZE:
            return general("chain-too-large", f"it has more than {MAX_CHAIN_SIZE} bytes")
        try:
            certificates += parse_certificates(part) if isinstance(part, bytes) else [part]
            _read_names(certificates[depth:])
        except MALFORMED as error:
            return general("chain-unreadable", error, depth)
        if len(certificates) > MAX_CERTIFICATES:
            return general("chain-too-large", f"it has more than {MAX_CERTIFICATES} certificates")
    if not certificates:
        return general("chain-unreadable", "there is no certificate in it")
    return tuple(certificates)


def _read_names(certificates: Iterable[x509.Certificate]) -> None:
    """cryptography reads lazily: what everything else relies on is read now."""
    for certificate in certificates:
        _ = (certificate.subject, certificate.issuer, certificate.version)
        _ = (certificate.not_valid_before_utc, certificate.not_valid_after_utc)


def read_crls(crls: Iterable[CRL]) -> tuple[tuple[x509.CertificateRevocationList, ...], str | None]:
    """The lists that can be read, and what is wrong with the first of the others."""
    read: list[x509.CertificateRevocationList] = []
    flaw = None
    for count, crl in enumerate(crls):
        if count == MAX_CRLS:
            flaw = flaw or f"there are more than {MAX_CRLS} lists"
            break
        try:
            read.append(parse_crl(crl) if isinstance(crl, bytes) else crl)
        except PKIError as error:
            flaw = flaw or error.message
    return tuple(read), flaw
