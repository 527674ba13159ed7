"""Shared secrets: ECDH (SP 800-56A section 5.7.1.2) and ML-KEM (FIPS 203)."""

from __future__ import annotations

from typing import cast

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from tlslab.kms.material.errors import InvalidCiphertext, InvalidParameter
from tlslab.kms.material.keys import CURVES, MLKEMPrivateKey, load
from tlslab.kms.material.specs import ENCAPSULATE_DECAPSULATE, KEY_AGREEMENT, check_algorithm


def derive_shared_secret(spec: str, material: bytes, algorithm: str, public_key: bytes) -> bytes:
    """The raw secret, the x coordinate, shared with the holder of a public key (DER).

    Raises InvalidParameter, with AWS's empty message, for what is no public key on this curve;
    InvalidKeyUsage for an algorithm that is not this spec's. The cofactor of these curves is 1.
    """
    check_algorithm(spec, KEY_AGREEMENT, algorithm)
    try:
        peer = load_der_public_key(public_key)
    except Exception:  # whatever a parser of hostile bytes raises, the answer is the same
        raise InvalidParameter("") from None
    if not isinstance(peer, ec.EllipticCurvePublicKey) or not isinstance(peer.curve, CURVES[spec]):
        raise InvalidParameter("")
    return cast(ec.EllipticCurvePrivateKey, load(material)).exchange(ec.ECDH(), peer)


def encapsulate(spec: str, material: bytes, algorithm: str) -> tuple[bytes, bytes]:
    """A fresh shared secret of 32 bytes and its ciphertext. Raises InvalidKeyUsage."""
    check_algorithm(spec, ENCAPSULATE_DECAPSULATE, algorithm)
    return cast(MLKEMPrivateKey, load(material)).public_key().encapsulate()


def decapsulate(spec: str, material: bytes, algorithm: str, ciphertext: bytes) -> bytes:
    """The shared secret in a ciphertext.

    Raises InvalidCiphertext for a wrong length alone: any other ciphertext gives a secret, a
    pseudo-random one if it was made for another key or changed (implicit rejection).
    """
    check_algorithm(spec, ENCAPSULATE_DECAPSULATE, algorithm)
    try:
        return cast(MLKEMPrivateKey, load(material)).decapsulate(ciphertext)
    except ValueError:
        raise InvalidCiphertext from None
