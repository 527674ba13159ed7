"""Sign and Verify: RSASSA-PSS and PKCS #1 v1.5 (RFC 8017), ECDSA (FIPS 186-5), Ed25519 (RFC 8032),
ML-DSA (FIPS 204).

A message comes RAW, or as what the algorithm would have made of it: a DIGEST of the algorithm's own
hash (RSA, ECDSA) or ML-DSA's 64-byte representative (EXTERNAL_MU). Ed25519 and ML-DSA have no form
for a foreign digest. PSS salts are as long as the digest; ECDSA signatures are DER (RFC 3279
section 2.2.3); ML-DSA's context is empty. All as AWS does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from cryptography import exceptions
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm

from tlslab.kms.material.errors import InvalidParameter, InvalidSignature
from tlslab.kms.material.keys import MLDSAPrivateKey, load
from tlslab.kms.material.specs import SIGN_VERIFY, check_algorithm

SigningKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | Ed25519PrivateKey | MLDSAPrivateKey

RAW = "RAW"
DIGEST = "DIGEST"
EXTERNAL_MU = "EXTERNAL_MU"

MU_BYTES = 64
"""The message representative of ML-DSA (FIPS 204, algorithm 7, line 6)."""

_HASHES: Mapping[str, type[HashAlgorithm]] = {
    "SHA_256": SHA256,
    "SHA_384": SHA384,
    "SHA_512": SHA512,
}


def sign(
    spec: str, material: bytes, algorithm: str, message: bytes, message_type: str = RAW
) -> bytes:
    """The signature.

    Raises InvalidKeyUsage for an algorithm that is not this spec's, InvalidParameter for a message
    type that is not the algorithm's or a digest of the wrong length, Unsupported for an algorithm
    that is not available.
    """
    _check(spec, algorithm, message, message_type)
    key = cast(SigningKey, load(material))
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(message, _padding(algorithm), _hash(algorithm, message_type))
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(message, ec.ECDSA(_hash(algorithm, message_type)))
    if isinstance(key, Ed25519PrivateKey):
        return key.sign(message)
    return key.sign_mu(message) if message_type == EXTERNAL_MU else key.sign(message)


def verify(
    spec: str,
    material: bytes,
    algorithm: str,
    message: bytes,
    signature: bytes,
    message_type: str = RAW,
) -> None:
    """Return if the signature is this key's for this message.

    Raises InvalidSignature if it is not; otherwise as `sign`.
    """
    _check(spec, algorithm, message, message_type)
    key = cast(SigningKey, load(material)).public_key()
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, message, _padding(algorithm), _hash(algorithm, message_type))
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, message, ec.ECDSA(_hash(algorithm, message_type)))
        elif isinstance(key, Ed25519PublicKey):
            key.verify(signature, message)
        elif message_type == EXTERNAL_MU:
            key.verify_mu(signature, message)
        else:
            key.verify(signature, message)
    except exceptions.InvalidSignature:
        raise InvalidSignature from None


def _check(spec: str, algorithm: str, message: bytes, message_type: str) -> None:
    check_algorithm(spec, SIGN_VERIFY, algorithm)
    if message_type == RAW:
        return
    wanted = {DIGEST: _digest_size(algorithm), EXTERNAL_MU: _mu_size(algorithm)}.get(message_type)
    if wanted is None:
        raise InvalidParameter(
            f"MessageType {message_type} is not valid for algorithm {algorithm}."
        )
    if len(message) != wanted:
        raise InvalidParameter(f"Digest is invalid length for algorithm {algorithm}.")


def _digest_size(algorithm: str) -> int | None:
    """None: the algorithm takes no digest."""
    if algorithm.startswith(("RSASSA_", "ECDSA_")):
        return _HASHES[algorithm[-7:]]().digest_size
    return None


def _mu_size(algorithm: str) -> int | None:
    return MU_BYTES if algorithm == "ML_DSA_SHAKE_256" else None


def _hash(algorithm: str, message_type: str) -> HashAlgorithm | Prehashed:
    digest = _HASHES[algorithm[-7:]]()
    return Prehashed(digest) if message_type == DIGEST else digest


def _padding(algorithm: str) -> padding.PSS | padding.PKCS1v15:
    if algorithm.startswith("RSASSA_PSS"):
        digest = _HASHES[algorithm[-7:]]()
        return padding.PSS(padding.MGF1(digest), digest.digest_size)
    return padding.PKCS1v15()
