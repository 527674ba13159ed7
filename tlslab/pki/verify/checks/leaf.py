"""Checks of the leaf: that it is one, and that it is for what it is used for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tlslab.pki.verify.checks.base import LEAF, Link, Purpose, check

PURPOSES: Final = {
    Purpose.SERVER: ExtendedKeyUsageOID.SERVER_AUTH,
    Purpose.CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH,
}


@check(
    "leaf-is-ca",
    "CABF BR sections 7.1.2.7.8 and 7.1.2.7.11",
    LEAF,
    means="The leaf may sign certificates: whoever holds its key can be anyone.",
    cause="A CA's certificate is used for a server, or the leaf's profile is wrong.",
    fix="Issue a leaf: no CA in basic constraints, no keyCertSign in key usage.",
)
def is_ca(link: Link) -> Iterator[str]:
    """Neither basic constraints nor key usage make it a CA."""
    constraints, usage = link.find(x509.BasicConstraints), link.find(x509.KeyUsage)
    if constraints is not None and constraints.value.ca:
        yield "basic constraints say that it is a CA"
    if usage is not None and usage.value.key_cert_sign:
        yield "key usage has keyCertSign"


@check(
    "leaf-name-constraints",
    "RFC 5280 section 4.2.1.10",
    LEAF,
    means="The leaf limits the names below it, which only a CA can have.",
    cause="The leaf's profile is wrong.",
    fix="Issue it without name constraints.",
)
def constrains(link: Link) -> Iterator[str]:
    """Only a CA has name constraints."""
    if link.find(x509.NameConstraints) is not None:
        yield "it has name constraints"


@check(
    "leaf-key-usage",
    "RFC 8446 section 4.4.2.2",
    LEAF,
    means="The key usage does not allow the signature that a TLS 1.3 handshake needs.",
    cause="The leaf's profile is for encryption, as in times of RSA key exchange.",
    fix="Issue it with digitalSignature.",
)
def key_usage(link: Link) -> Iterator[str]:
    """With digitalSignature, if it is there."""
    found = link.find(x509.KeyUsage)
    if found is not None and not found.value.digital_signature:
        yield "digitalSignature is missing"


@check(
    "leaf-extended-key-usage",
    "RFC 5280 section 4.2.1.12, CABF BR sections 7.1.2.7.6 and 7.1.2.7.10",
    LEAF,
    means="The extended key usage is missing, unsuitable, or so wide that it restricts nothing.",
    cause="The leaf's profile is wrong, or the certificate is for something else.",
    fix="Issue it with serverAuth (clientAuth for a client), not critical.",
)
def extended_key_usage(link: Link) -> Iterator[str]:
    """There, not critical, with the purpose and without `any`."""
    found = link.find(x509.ExtendedKeyUsage)
    if found is None:
        yield "it is missing"
        return
    if found.critical:
        yield "it must not be critical"
    if ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in found.value:
        yield "it allows any use"
    if PURPOSES[link.purpose] not in found.value:
        yield f"it is not for {link.purpose.value} authentication"
