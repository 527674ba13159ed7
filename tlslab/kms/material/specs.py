"""The key specs: what each may be used for, with which algorithms. A table, and nothing else.

AWS KMS Developer Guide, "Key spec reference"; the enumerations of the API's model. One key has one
usage for life; which of a spec's usages it is, the KMS keeps beside the key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from tlslab.kms.material.errors import InvalidKeyUsage, Unsupported

ENCRYPT_DECRYPT = "ENCRYPT_DECRYPT"
SIGN_VERIFY = "SIGN_VERIFY"
GENERATE_VERIFY_MAC = "GENERATE_VERIFY_MAC"
KEY_AGREEMENT = "KEY_AGREEMENT"
ENCAPSULATE_DECAPSULATE = "ENCAPSULATE_DECAPSULATE"

ALGORITHMS_MEMBER = {
    ENCRYPT_DECRYPT: "EncryptionAlgorithms",
    SIGN_VERIFY: "SigningAlgorithms",
    GENERATE_VERIFY_MAC: "MacAlgorithms",
    KEY_AGREEMENT: "KeyAgreementAlgorithms",
    ENCAPSULATE_DECAPSULATE: "EncapsulationAlgorithms",
}
"""Usage -> the member of KeyMetadata and GetPublicKey's response that lists its algorithms."""


class Family(Enum):
    """What kind of mathematics a key is."""

    AES = auto()
    HMAC = auto()
    RSA = auto()
    ECC = auto()
    ED25519 = auto()
    ML_DSA = auto()
    ML_KEM = auto()


@dataclass(frozen=True)
class KeySpec:
    """A KeySpec: its name, its family, its usages with their algorithms, its size.

    `bits` is the length of the key (AES, HMAC) or of the modulus (RSA), 0 where the name says all.
    """

    name: str
    family: Family
    algorithms: Mapping[str, tuple[str, ...]]
    bits: int = 0

    @property
    def asymmetric(self) -> bool:
        """Whether there is a public key."""
        return self.family not in {Family.AES, Family.HMAC}

    @property
    def usages(self) -> tuple[str, ...]:
        """The KeyUsage values that CreateKey accepts with this spec."""
        return tuple(self.algorithms)


_OAEP = ("RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256")
_RSA_SIGNATURES = (
    "RSASSA_PKCS1_V1_5_SHA_256",
    "RSASSA_PKCS1_V1_5_SHA_384",
    "RSASSA_PKCS1_V1_5_SHA_512",
    "RSASSA_PSS_SHA_256",
    "RSASSA_PSS_SHA_384",
    "RSASSA_PSS_SHA_512",
)


def _rsa(bits: int) -> KeySpec:
    usages = {ENCRYPT_DECRYPT: _OAEP, SIGN_VERIFY: _RSA_SIGNATURES}
    return KeySpec(f"RSA_{bits}", Family.RSA, usages, bits)


def _nist(curve: str, digest: int) -> KeySpec:
    usages = {SIGN_VERIFY: (f"ECDSA_SHA_{digest}",), KEY_AGREEMENT: ("ECDH",)}
    return KeySpec(f"ECC_NIST_{curve}", Family.ECC, usages)


def _hmac(bits: int) -> KeySpec:
    return KeySpec(f"HMAC_{bits}", Family.HMAC, {GENERATE_VERIFY_MAC: (f"HMAC_SHA_{bits}",)}, bits)


def _ml_dsa(name: str) -> KeySpec:
    return KeySpec(name, Family.ML_DSA, {SIGN_VERIFY: ("ML_DSA_SHAKE_256",)})


def _ml_kem(name: str) -> KeySpec:
    return KeySpec(name, Family.ML_KEM, {ENCAPSULATE_DECAPSULATE: ("ML_KEM",)})


SPECS: Mapping[str, KeySpec] = {
    spec.name: spec
    for spec in (
        KeySpec("SYMMETRIC_DEFAULT", Family.AES, {ENCRYPT_DECRYPT: ("SYMMETRIC_DEFAULT",)}, 256),
        *(_rsa(bits) for bits in (2048, 3072, 4096)),
        _nist("P256", 256),
        _nist("P384", 384),
        _nist("P521", 512),
        KeySpec("ECC_SECG_P256K1", Family.ECC, {SIGN_VERIFY: ("ECDSA_SHA_256",)}),
        KeySpec("ECC_NIST_EDWARDS25519", Family.ED25519, {SIGN_VERIFY: ("ED25519_SHA_512",)}),
        *(_hmac(bits) for bits in (224, 256, 384, 512)),
        *(_ml_dsa(name) for name in ("ML_DSA_44", "ML_DSA_65", "ML_DSA_87")),
        *(_ml_kem(name) for name in ("ML_KEM_768", "ML_KEM_1024")),
    )
}
"""Every key spec there is here, by name."""

UNSUPPORTED_SPECS: Mapping[str, str] = {
    "SM2": "Key spec SM2 is offered in the China Regions only.",
    "ML_KEM_512": "Key spec ML_KEM_512 is not available here; use ML_KEM_768 or ML_KEM_1024.",
}
"""Key specs that AWS has and the cryptographic library has not, with what to answer."""

UNSUPPORTED_ALGORITHMS: Mapping[str, str] = {
    "ED25519_PH_SHA_512": "Algorithm ED25519_PH_SHA_512 is not available here; "
    "use ED25519_SHA_512.",
    "RSAES_PKCS1_V1_5": "Algorithm RSAES_PKCS1_V1_5 is no longer supported.",
    "SM2PKE": "Algorithm SM2PKE is offered in the China Regions only.",
    "SM2DSA": "Algorithm SM2DSA is offered in the China Regions only.",
}
"""Algorithms of the API's model that are not available, with what to answer."""

DATA_KEY_PAIR_SPECS = tuple(
    spec.name
    for spec in SPECS.values()
    if spec.family in {Family.RSA, Family.ECC, Family.ED25519, Family.ML_KEM}
)
"""What GenerateDataKeyPair offers."""

WRAPPING_SPECS = tuple(spec.name for spec in SPECS.values() if spec.family is Family.RSA)
"""Specs of the key that GetParametersForImport makes."""

WRAPPING_ALGORITHMS = (*_OAEP, "RSA_AES_KEY_WRAP_SHA_1", "RSA_AES_KEY_WRAP_SHA_256")


def find_spec(name: str) -> KeySpec:
    """The key spec of this name.

    Raises Unsupported for one that AWS has and this KMS has not, KeyError for one that neither has.
    """
    if name in UNSUPPORTED_SPECS:
        raise Unsupported(UNSUPPORTED_SPECS[name])
    return SPECS[name]


def check_algorithm(spec: str, usage: str, algorithm: str) -> None:
    """Raise InvalidKeyUsage unless keys of this spec have the algorithm for this usage.

    Raises Unsupported for one that AWS has and this KMS has not.
    """
    if algorithm in UNSUPPORTED_ALGORITHMS:
        raise Unsupported(UNSUPPORTED_ALGORITHMS[algorithm])
    if algorithm not in find_spec(spec).algorithms.get(usage, ()):
        raise InvalidKeyUsage(algorithm, spec)
