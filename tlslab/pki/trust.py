"""Trust stores: the roots a party believes. Knows nothing of how chains are verified."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509

from tlslab.pki.credential import Chain, parse_certificates, to_pem


@dataclass(frozen=True)
class TrustStore:
    """A set of trusted certificates, in the order in which they came; equal ones count once."""

    certificates: Chain = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "certificates", tuple(dict.fromkeys(self.certificates)))

    @classmethod
    def from_pem(cls, pem: bytes) -> TrustStore:
        """The store of the certificates in `pem` (or one in DER); raises PKIError if none."""
        return cls(parse_certificates(pem))

    def adding(self, *certificates: x509.Certificate) -> TrustStore:
        """A store that also trusts `certificates`; this one stays as it is."""
        return TrustStore((*self.certificates, *certificates))

    @property
    def pem(self) -> bytes:
        """All certificates as PEM, such as OpenSSL and curl take as CA file."""
        return to_pem(self.certificates)
