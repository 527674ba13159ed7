"""Key material that the customer brings: unwrapping and checking it (ImportKeyMaterial).

    RSAES_OAEP_*         encrypted = OAEP(wrapping key, material)
    RSA_AES_KEY_WRAP_*   encrypted = OAEP(wrapping key, AES-256 key) || AES-KWP(AES key, material)

The second is PKCS #11's CKM_RSA_AES_KEY_WRAP with RFC 5649; it is the only one with room for an RSA
private key. AWS KMS Developer Guide, "Select a wrapping algorithm". The wrapping key is an RSA key
made by `keys.generate`; the caller keeps it and its token, and lets them expire.
"""

from __future__ import annotations

from typing import cast

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap_with_padding

from tlslab.kms.material.encryption import oaep
from tlslab.kms.material.errors import InvalidCiphertext, Unsupported
from tlslab.kms.material.keys import checked, load
from tlslab.kms.material.specs import (
    UNSUPPORTED_ALGORITHMS,
    WRAPPING_ALGORITHMS,
    WRAPPING_SPECS,
    Family,
    find_spec,
)

_AES_KEY_BYTES = 32


def check_wrapping(spec: str, wrapping_spec: str, algorithm: str) -> None:
    """Raise Unsupported if material of `spec` cannot be wrapped so (GetParametersForImport)."""
    if algorithm in UNSUPPORTED_ALGORITHMS:
        raise Unsupported(UNSUPPORTED_ALGORITHMS[algorithm])
    if algorithm not in WRAPPING_ALGORITHMS or wrapping_spec not in WRAPPING_SPECS:
        raise Unsupported(f"Algorithm {algorithm} and key spec {wrapping_spec} cannot wrap keys.")
    direct = algorithm.startswith("RSAES")
    too_long = find_spec(spec).family is Family.RSA or (
        spec == "ECC_NIST_P521" and wrapping_spec == "RSA_2048"
    )
    if direct and too_long:
        raise Unsupported(
            f"Algorithm {algorithm} and key spec {wrapping_spec} cannot wrap key material of "
            f"key spec {spec}."
        )


def unwrap(spec: str, wrapping_material: bytes, algorithm: str, encrypted: bytes) -> bytes:
    """The material for a key of `spec`, ready to be kept. Up to 200 ms of CPU for an RSA key.

    `wrapping_material` is the private wrapping key. Raises InvalidCiphertext if it does not unwrap,
    IncorrectKeyMaterial if it is no key of this spec, Unsupported for another algorithm.
    """
    if algorithm not in WRAPPING_ALGORITHMS:
        raise Unsupported(f"Algorithm {algorithm} is not supported.")
    key = cast(RSAPrivateKey, load(wrapping_material))
    padding = oaep("RSAES_OAEP_SHA_" + algorithm.rpartition("_")[2])
    try:
        if algorithm.startswith("RSAES"):
            material = key.decrypt(encrypted, padding)
        else:
            size = key.key_size // 8
            aes_key = key.decrypt(encrypted[:size], padding)
            if len(aes_key) != _AES_KEY_BYTES:
                raise InvalidCiphertext
            material = aes_key_unwrap_with_padding(aes_key, encrypted[size:])
    except (ValueError, InvalidUnwrap):
        raise InvalidCiphertext from None
    return checked(spec, material)
