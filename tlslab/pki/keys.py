"""Key pairs: the types we issue, how each is generated, and how each signs a certificate.

Knows nothing of names, profiles or files.
"""

from __future__ import annotations

import enum
from typing import TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from tlslab.errors import PKIError

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
PublicKey: TypeAlias = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey

RSA_PUBLIC_EXPONENT = 65537  # the only one in common use; smaller ones broke careless padding


class KeyType(enum.Enum):
    """A kind of key pair. The values are what profiles and the command line call it."""

    ECDSA_P256 = "ecdsa-p256"
    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"
    ED25519 = "ed25519"

    def generate(self) -> PrivateKey:
        """A fresh private key. RSA takes from a tenth of a second to several; the others 0.1 ms."""
        if self is KeyType.ECDSA_P256:
            return ec.generate_private_key(ec.SECP256R1())
        if self is KeyType.ED25519:
            return ed25519.Ed25519PrivateKey.generate()
        return rsa.generate_private_key(RSA_PUBLIC_EXPONENT, _RSA_BITS[self])


_RSA_BITS = {KeyType.RSA_2048: 2048, KeyType.RSA_3072: 3072, KeyType.RSA_4096: 4096}


def signature_hash(key: PrivateKey) -> hashes.SHA256 | None:
    """The hash with which `key` signs; None for Ed25519, which hashes on its own (RFC 8410)."""
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def private_key_pem(key: PrivateKey) -> bytes:
    """`key` as unencrypted PKCS#8 PEM (RFC 5958): only for files of mode 0600 and for OpenSSL."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def parse_private_key(pem: bytes) -> PrivateKey:
    """The private key in `pem`; raises PKIError if it is damaged, encrypted or of another type."""
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError as error:  # what cryptography raises for a missing password
        raise PKIError("the private key is encrypted", hint="decrypt it first") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise PKIError("not a private key in PEM form") from error
    if not isinstance(key, PrivateKey):
        raise PKIError("the private key is neither ECDSA, RSA nor Ed25519")
    return key


def same_key(one: object, other: object) -> bool:
    """Whether two public keys are the same, by their encoding (SubjectPublicKeyInfo)."""
    return _spki(one) == _spki(other)


def _spki(key: object) -> bytes:
    form: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return form


def describe_public_key(key: object) -> str:
    """A public key's algorithm and size in words, also of types that we do not issue."""
    match key:
        case rsa.RSAPublicKey():
            return f"RSA {key.key_size} bits"
        case ec.EllipticCurvePublicKey():
            return f"ECDSA {_CURVES.get(key.curve.name, key.curve.name)}"
        case ed25519.Ed25519PublicKey():
            return "Ed25519"
        case ed448.Ed448PublicKey():
            return "Ed448"
        case dsa.DSAPublicKey():
            return f"DSA {key.key_size} bits"
    return type(key).__name__


_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
