"""A credential: a certificate with its private key and the chain that leads to a root.

Also how certificates come from bytes. Knows nothing of who issued them or where they are kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    pkcs12,
)

from tlslab.errors import PKIError
from tlslab.pki.keys import PrivateKey, parse_private_key, private_key_pem, same_key
from tlslab.pki.names import name_text

Chain: TypeAlias = tuple[x509.Certificate, ...]

_PEM_MARK = b"-----BEGIN "


@dataclass(frozen=True)
class Credential:
    """What a party proves itself with. `chain` starts with `certificate` and leaves out the root.

    The key is left out of `repr`, and out of every other attribute but `key_pem` and `pkcs12`.
    """

    key: PrivateKey = field(repr=False)
    certificate: x509.Certificate
    chain: Chain

    @classmethod
    def from_pem(cls, chain: bytes, key: bytes) -> Credential:
        """The credential in two PEM texts: the chain, leaf first, and its private key.

        Raises PKIError if one is damaged, or if the key is not the leaf's.
        """
        certificates = parse_certificates(chain)
        private_key = parse_private_key(key)
        if not same_key(private_key.public_key(), public_key_of(certificates[0])):
            raise PKIError("the private key does not belong to the certificate")
        return cls(private_key, certificates[0], certificates)

    @property
    def certificate_pem(self) -> bytes:
        """The leaf's certificate as PEM."""
        return to_pem((self.certificate,))

    @property
    def chain_pem(self) -> bytes:
        """Leaf and intermediates as PEM, in the order in which TLS sends them."""
        return to_pem(self.chain)

    @property
    def key_pem(self) -> bytes:
        """The private key as unencrypted PKCS#8 PEM."""
        return private_key_pem(self.key)

    @property
    def names(self) -> tuple[str, ...]:
        """The DNS names and IP addresses that the certificate vouches for."""
        return certificate_names(self.certificate)

    def pkcs12(self, password: bytes, *, label: str) -> bytes:
        """Key and chain as one PKCS#12 file (RFC 7292), as browsers import it.

        `label` is the friendly name that they show; `password` is UTF-8 (PKIError if it is not, or
        if it is empty).
        """
        try:
            usable = bool(password.decode())
        except UnicodeDecodeError:
            usable = False
        if not usable:
            raise PKIError("a PKCS#12 file needs a password, in UTF-8")
        return pkcs12.serialize_key_and_certificates(
            label.encode(),
            self.key,
            self.certificate,
            self.chain[1:],
            BestAvailableEncryption(password),
        )


def certificate_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """The DNS names and IP addresses in a certificate's subject alternative name.

    Raises ValueError (from cryptography) if the extension is malformed.
    """
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    return tuple(
        name_text(name)
        for name in extension.value
        if isinstance(name, (x509.DNSName, x509.IPAddress))
    )


def public_key_of(certificate: x509.Certificate) -> object:
    """A certificate's public key; raises PKIError if it is malformed or of an unknown type."""
    try:
        return certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise PKIError(f"the certificate's public key cannot be read: {error}") from error


def to_pem(certificates: Iterable[x509.Certificate]) -> bytes:
    """Certificates as PEM, one after the other."""
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def parse_certificates(data: bytes) -> Chain:
    """The certificates in `data`: PEM (other PEM blocks are passed over) or one in DER.

    Raises PKIError if there is none or if one is damaged.
    """
    try:
        if _PEM_MARK in data:
            return tuple(x509.load_pem_x509_certificates(data))
        return (x509.load_der_x509_certificate(data),)
    except (ValueError, x509.InvalidVersion) as error:
        raise PKIError(
            "no readable certificate in it", hint="it takes certificates as PEM, or one as DER"
        ) from error
