"""Making key material, reading it back, and its public half.

Material is bytes: the key itself for AES and HMAC, PKCS #8 in DER (RFC 5958) for key pairs; ML-DSA
and ML-KEM keys are kept as their seed. The caller keeps it sealed, so what comes back is what was
made or checked here, and reading it does not check it again: an RSA key's own check costs 30 to
200 ms.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import (
    MLDSA44PrivateKey,
    MLDSA65PrivateKey,
    MLDSA87PrivateKey,
)
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM1024PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

from tlslab.kms.material.errors import IncorrectKeyMaterial
from tlslab.kms.material.specs import Family, find_spec

MLDSAPrivateKey = MLDSA44PrivateKey | MLDSA65PrivateKey | MLDSA87PrivateKey
MLKEMPrivateKey = MLKEM768PrivateKey | MLKEM1024PrivateKey
PrivateKey = (
    rsa.RSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | Ed25519PrivateKey
    | MLDSAPrivateKey
    | MLKEMPrivateKey
)

_PUBLIC_EXPONENT = 65537
_MAX_EXPONENT_BITS = 256
"""FIPS 186-5, section A.1.1: 2^16 < e < 2^256; a huge one would make verifying slow at will."""

CURVES: Mapping[str, type[ec.EllipticCurve]] = {
    "ECC_NIST_P256": ec.SECP256R1,
    "ECC_NIST_P384": ec.SECP384R1,
    "ECC_NIST_P521": ec.SECP521R1,
    "ECC_SECG_P256K1": ec.SECP256K1,
}

_OTHER_CLASSES: Mapping[
    str,
    type[Ed25519PrivateKey]
    | type[MLDSA44PrivateKey]
    | type[MLDSA65PrivateKey]
    | type[MLDSA87PrivateKey]
    | type[MLKEM768PrivateKey]
    | type[MLKEM1024PrivateKey],
] = {
    "ECC_NIST_EDWARDS25519": Ed25519PrivateKey,
    "ML_DSA_44": MLDSA44PrivateKey,
    "ML_DSA_65": MLDSA65PrivateKey,
    "ML_DSA_87": MLDSA87PrivateKey,
    "ML_KEM_768": MLKEM768PrivateKey,
    "ML_KEM_1024": MLKEM1024PrivateKey,
}


@dataclass(frozen=True)
class KeyPair:
    """A data key pair: PKCS #8 and SubjectPublicKeyInfo, both DER."""

    private: bytes = field(repr=False)
    public: bytes


def generate(spec: str) -> bytes:
    """Fresh key material. RSA_4096 takes up to seconds of CPU: call it in a thread.

    Raises Unsupported and KeyError as `find_spec`.
    """
    found = find_spec(spec)
    if not found.asymmetric:
        return os.urandom(found.bits // 8)
    if found.family is Family.RSA:
        return _serialise(rsa.generate_private_key(_PUBLIC_EXPONENT, found.bits))
    if found.family is Family.ECC:
        return _serialise(ec.generate_private_key(CURVES[spec]()))
    return _serialise(_OTHER_CLASSES[spec].generate())


def generate_key_pair(spec: str) -> KeyPair:
    """A key pair to hand out (GenerateDataKeyPair), for a spec of DATA_KEY_PAIR_SPECS."""
    private = generate(spec)
    return KeyPair(private, public_key_der(private))


def public_key_der(material: bytes) -> bytes:
    """The public half of an asymmetric key: SubjectPublicKeyInfo, DER (GetPublicKey)."""
    return load(material).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def load(material: bytes) -> PrivateKey:
    """The private key in PKCS #8 that `generate` made or `checked` passed."""
    return cast(
        PrivateKey, load_der_private_key(material, None, unsafe_skip_rsa_key_validation=True)
    )


def checked(spec: str, material: bytes) -> bytes:
    """Material from outside, once it is sure to be a key of this spec, in our one encoding.

    The check of an RSA key takes up to 200 ms of CPU: call it in a thread. Raises
    IncorrectKeyMaterial (AWS KMS Developer Guide, "Requirements for imported key material").
    """
    found = find_spec(spec)
    if not found.asymmetric:
        if len(material) * 8 != found.bits:
            raise IncorrectKeyMaterial(
                f"Key material for key spec {spec} must be {found.bits} bits long."
            )
        return material
    try:
        key = load_der_private_key(material, None)
    except Exception:  # whatever a parser of hostile bytes raises, the answer is the same
        raise IncorrectKeyMaterial(
            "Key material must be a private key in DER-encoded PKCS #8 format."
        ) from None
    if not _MATCHES[found.family](spec, cast(PrivateKey, key)):
        raise IncorrectKeyMaterial(f"Key material is not a private key of key spec {spec}.")
    return _serialise(cast(PrivateKey, key))


def _is_rsa(spec: str, key: PrivateKey) -> bool:
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size != find_spec(spec).bits:
        return False
    exponent = key.public_key().public_numbers().e
    return exponent >= _PUBLIC_EXPONENT and exponent.bit_length() <= _MAX_EXPONENT_BITS


def _is_ecc(spec: str, key: PrivateKey) -> bool:
    return isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, CURVES[spec])


def _is_other(spec: str, key: PrivateKey) -> bool:
    return isinstance(key, _OTHER_CLASSES[spec])


_MATCHES: Mapping[Family, Callable[[str, PrivateKey], bool]] = {
    Family.RSA: _is_rsa,
    Family.ECC: _is_ecc,
    Family.ED25519: _is_other,
    Family.ML_DSA: _is_other,
    Family.ML_KEM: _is_other,
}


def _serialise(key: PrivateKey) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
