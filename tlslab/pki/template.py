"""What a certificate will say, before anybody signs it: a plain value made from a profile.

Every extension is set by RFC 5280. A `Template` is data, so that a variant (a faulty one, say) is
a changed copy of it. Knows nothing of who owns the signing key.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from tlslab.pki.keys import PrivateKey, PublicKey, signature_hash
from tlslab.pki.names import SubjectName
from tlslab.pki.profile import KEY_USAGES, Profile

Extension: TypeAlias = x509.Extension[x509.ExtensionType]


@dataclass(frozen=True)
class Template:
    """All that a certificate says, unsigned. Times are aware and have whole seconds."""

    subject: x509.Name
    issuer: x509.Name
    public_key: PublicKey
    serial: int
    not_before: datetime
    not_after: datetime
    extensions: tuple[Extension, ...]

    def signed_by(self, key: PrivateKey) -> x509.Certificate:
        """The certificate: this template signed with `key`, whoever's that is."""
        builder = x509.CertificateBuilder(
            issuer_name=self.issuer,
            subject_name=self.subject,
            public_key=self.public_key,
            serial_number=self.serial,
            not_valid_before=self.not_before,
            not_valid_after=self.not_after,
            extensions=list(self.extensions),
        )
        return builder.sign(key, signature_hash(key))


def draft(
    profile: Profile,
    *,
    subject: x509.Name,
    public_key: PublicKey,
    names: Iterable[SubjectName] = (),
    issuer: x509.Certificate | None,
    now: datetime,
    lifetime: timedelta | None = None,
) -> Template:
    """The template that `profile` makes; `issuer` is None for a self-signed certificate."""
    now = now.replace(microsecond=0)  # RFC 5280 section 4.1.2.5 has no fractions of a second
    end = now + (profile.lifetime if lifetime is None else lifetime)
    return Template(
        subject=subject,
        issuer=subject if issuer is None else issuer.subject,
        public_key=public_key,
        serial=x509.random_serial_number(),  # 159 random bits; RFC 5280 allows 20 octets
        not_before=now - profile.backdate,
        not_after=end.replace(microsecond=0),
        extensions=tuple(_extensions(profile, subject, public_key, tuple(names), issuer)),
    )


def _extensions(
    profile: Profile,
    subject: x509.Name,
    public_key: PublicKey,
    names: tuple[SubjectName, ...],
    issuer: x509.Certificate | None,
) -> Iterable[Extension]:
    # 4.2.1.9: critical in a CA's certificate. A leaf says "no CA" aloud, as most CAs do.
    is_ca = profile.kind.is_ca
    yield _extension(x509.BasicConstraints(is_ca, profile.path_length), critical=True)
    if profile.key_usage:
        yield _extension(_key_usage(profile, public_key), critical=True)  # 4.2.1.3: SHOULD
    if profile.extended_key_usage:
        yield _extension(x509.ExtendedKeyUsage(map(_purpose, profile.extended_key_usage)))
    if names:  # 4.2.1.6: critical exactly when there is no subject
        yield _extension(x509.SubjectAlternativeName(names), critical=not subject.rdns)
    yield _extension(x509.SubjectKeyIdentifier.from_public_key(public_key))
    if issuer is not None:  # 4.2.1.1: a self-signed certificate may do without
        ski = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        yield _extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ski))
    if profile.crl_url is not None:
        point = x509.DistributionPoint([_uri(profile.crl_url)], None, None, None)
        yield _extension(x509.CRLDistributionPoints([point]))
    access = [
        x509.AccessDescription(method, _uri(url))
        for method, url in (
            (AuthorityInformationAccessOID.OCSP, profile.ocsp_url),
            (AuthorityInformationAccessOID.CA_ISSUERS, profile.issuer_url),
        )
        if url is not None
    ]
    if access:
        yield _extension(x509.AuthorityInformationAccess(access))


def _extension(value: x509.ExtensionType, *, critical: bool = False) -> Extension:
    return x509.Extension(value.oid, critical, value)


def _key_usage(profile: Profile, public_key: PublicKey) -> x509.KeyUsage:
    wanted = set(profile.key_usage)
    if not isinstance(public_key, rsa.RSAPublicKey):
        # Only RSA encrypts: RFC 8813 section 3 for ECDSA, RFC 8410 section 5 for Ed25519.
        wanted -= {"key_encipherment", "data_encipherment"}
    bits = {usage: usage in wanted for usage in KEY_USAGES}
    return x509.KeyUsage(**bits, encipher_only=False, decipher_only=False)


def _purpose(name: str) -> x509.ObjectIdentifier:
    oid: x509.ObjectIdentifier = getattr(ExtendedKeyUsageOID, name.upper())
    return oid


def _uri(url: str) -> x509.UniformResourceIdentifier:
    return x509.UniformResourceIdentifier(url)
