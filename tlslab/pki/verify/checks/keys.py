"""Checks of keys and signatures: algorithms and sizes that can be relied on.

OpenSSL does this at security levels, which a bare verification does not have.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa

from tlslab.errors import PKIError
from tlslab.pki.credential import public_key_of
from tlslab.pki.keys import describe_public_key
from tlslab.pki.reading import BROKEN_HASHES, WEAK_RSA_BITS
from tlslab.pki.verify.checks.base import EVERYWHERE, ISSUED, Link, check

WEAK_CURVE_BITS: Final = 224  # OpenSSL's security level 2, of 112 bits, wants as many
WEAK_EXPONENT: Final = 3  # the smallest odd one, and one that careless padding falls to

PUBLIC_CURVES: Final = ("secp256r1", "secp384r1", "secp521r1")


@check(
    "key-too-weak",
    "CABF BR section 6.1.5",
    EVERYWHERE,
    means="The key can be broken, so anyone with enough machines can be its owner.",
    cause="It was made long ago, or with a wrong option.",
    fix="Make a new key: ECDSA P-256, or RSA of 2048 bits or more.",
)
def weak_key(link: Link) -> Iterator[str]:
    """RSA and DSA from 2048 bits, elliptic curves from 224."""
    try:
        key = public_key_of(link.certificate)
    except PKIError:
        return  # not known to be weak; whether it is permitted is another check
    if (
        (isinstance(key, (rsa.RSAPublicKey, dsa.DSAPublicKey)) and key.key_size < WEAK_RSA_BITS)
        or (isinstance(key, rsa.RSAPublicKey) and key.public_numbers().e < WEAK_EXPONENT)
        or (isinstance(key, ec.EllipticCurvePublicKey) and key.curve.key_size < WEAK_CURVE_BITS)
    ):
        yield f"the key is {describe_public_key(key)}"


@check(
    "signature-too-weak",
    "CABF BR section 7.1.3.2",
    ISSUED,
    means="The signature is over a broken hash, so it can be moved to another certificate.",
    cause="It was issued long ago, or by a tool that was never updated.",
    fix="Have it issued again with SHA-256.",
)
def weak_signature(link: Link) -> Iterator[str]:
    """Of all but the anchor, which is believed without its signature."""
    try:
        algorithm = link.certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        yield "it is of an unknown algorithm"
        return
    if algorithm is not None and algorithm.name in BROKEN_HASHES:
        yield f"it is over {algorithm.name.upper()}"


@check(
    "key-not-permitted",
    "CABF BR sections 6.1.5 and 7.1.3.1",
    EVERYWHERE,
    means="The key is of a kind that public CAs may not certify and clients may not support.",
    cause="An unusual algorithm or curve was chosen, or an odd size.",
    fix="Make a new key: ECDSA P-256, or RSA of 2048, 3072 or 4096 bits.",
)
def odd_key(link: Link) -> Iterator[str]:
    """RSA in whole octets, or a named curve of NIST."""
    try:
        key = public_key_of(link.certificate)
    except PKIError as error:
        yield str(error)
        return
    match key:
        case rsa.RSAPublicKey() if key.key_size % 8 == 0:
            return
        case ec.EllipticCurvePublicKey() if key.curve.name in PUBLIC_CURVES:
            return
    yield f"the key is {describe_public_key(key)}"
