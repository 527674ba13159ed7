"""RSA-OAEP (RFC 8017 section 7.1): Encrypt and Decrypt with asymmetric keys.

The label is empty and MGF1 uses the same hash, as AWS does. Symmetric keys encrypt elsewhere: their
ciphertexts name their key and bind an encryption context, which takes more than material.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm

from tlslab.kms.material.errors import InvalidCiphertext, InvalidParameter
from tlslab.kms.material.keys import load
from tlslab.kms.material.specs import ENCRYPT_DECRYPT, check_algorithm, find_spec

_HASHES: Mapping[str, type[HashAlgorithm]] = {
    "RSAES_OAEP_SHA_1": SHA1,  # as AWS offers it; OAEP does not rest on collision resistance
    "RSAES_OAEP_SHA_256": SHA256,
}


def max_plaintext(spec: str, algorithm: str) -> int:
    """How many bytes OAEP takes with this key: k - 2h - 2."""
    return find_spec(spec).bits // 8 - 2 * _HASHES[algorithm]().digest_size - 2


def encrypt(spec: str, material: bytes, algorithm: str, plaintext: bytes) -> bytes:
    """The plaintext under the public key.

    Raises InvalidKeyUsage for an algorithm that is not this spec's, InvalidParameter for too much
    plaintext, Unsupported for an algorithm that is not available.
    """
    check_algorithm(spec, ENCRYPT_DECRYPT, algorithm)
    limit = max_plaintext(spec, algorithm)
    if len(plaintext) > limit:
        raise InvalidParameter(
            f"Algorithm {algorithm} and key spec {spec} cannot encrypt data larger than "
            f"{limit} bytes."
        )
    key = cast(RSAPrivateKey, load(material))
    return key.public_key().encrypt(plaintext, oaep(algorithm))


def decrypt(spec: str, material: bytes, algorithm: str, ciphertext: bytes) -> bytes:
    """The plaintext. Raises InvalidCiphertext; InvalidKeyUsage and Unsupported as `encrypt`."""
    check_algorithm(spec, ENCRYPT_DECRYPT, algorithm)
    key = cast(RSAPrivateKey, load(material))
    try:
        return key.decrypt(ciphertext, oaep(algorithm))
    except ValueError:
        raise InvalidCiphertext from None


def oaep(algorithm: str) -> padding.OAEP:
    """The padding of an RSAES_OAEP algorithm."""
    digest = _HASHES[algorithm]
    return padding.OAEP(padding.MGF1(digest()), digest(), label=None)
