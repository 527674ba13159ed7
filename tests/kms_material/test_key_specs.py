"""The table of key specs, against the service model of AWS's own client."""

from __future__ import annotations

from typing import Any

import pytest

from tlslab.kms import material

CREATE_KEY = {
    "SYMMETRIC_DEFAULT": ("ENCRYPT_DECRYPT",),
    "RSA_2048": ("ENCRYPT_DECRYPT", "SIGN_VERIFY"),
    "ECC_NIST_P256": ("SIGN_VERIFY", "KEY_AGREEMENT"),
    "ECC_NIST_P384": ("SIGN_VERIFY", "KEY_AGREEMENT"),
    "ECC_NIST_P521": ("SIGN_VERIFY", "KEY_AGREEMENT"),
    "ECC_SECG_P256K1": ("SIGN_VERIFY",),
    "ECC_NIST_EDWARDS25519": ("SIGN_VERIFY",),
    "HMAC_224": ("GENERATE_VERIFY_MAC",),
    "ML_DSA_65": ("SIGN_VERIFY",),
    "ML_KEM_768": ("ENCAPSULATE_DECAPSULATE",),
}


def enum(name: str) -> set[str]:
    session = pytest.importorskip("botocore.session").get_session()
    model: Any = session.get_service_model("kms")
    return set(model.shape_for(name).enum)


def test_every_key_spec_of_the_api_is_here_or_refused_in_words() -> None:
    assert material.SPECS.keys() | material.UNSUPPORTED_SPECS.keys() == enum("KeySpec")
    assert not material.SPECS.keys() & material.UNSUPPORTED_SPECS.keys()


@pytest.mark.parametrize(
    ("usage", "shape"),
    [
        ("ENCRYPT_DECRYPT", "EncryptionAlgorithmSpec"),
        ("SIGN_VERIFY", "SigningAlgorithmSpec"),
        ("GENERATE_VERIFY_MAC", "MacAlgorithmSpec"),
        ("KEY_AGREEMENT", "KeyAgreementAlgorithmSpec"),
        ("ENCAPSULATE_DECAPSULATE", "EncapsulationAlgorithmSpec"),
    ],
)
def test_every_algorithm_of_the_api_is_here_or_refused_in_words(usage: str, shape: str) -> None:
    here = {a for spec in material.SPECS.values() for a in spec.algorithms.get(usage, ())}
    assert here | (material.UNSUPPORTED_ALGORITHMS.keys() & enum(shape)) == enum(shape)


def test_usages_are_the_apis() -> None:
    assert material.ALGORITHMS_MEMBER.keys() == enum("KeyUsageType")
    assert set(material.DATA_KEY_PAIR_SPECS) | {"SM2", "ML_KEM_512"} == enum("DataKeyPairSpec")
    assert {*material.WRAPPING_SPECS, "SM2"} == enum("WrappingKeySpec")
    refused = {"RSAES_PKCS1_V1_5", "SM2PKE"}
    assert {*material.WRAPPING_ALGORITHMS, *refused} == enum("AlgorithmSpec")


@pytest.mark.parametrize("spec", CREATE_KEY)
def test_usages_of_a_spec(spec: str) -> None:
    assert material.find_spec(spec).usages == CREATE_KEY[spec]


@pytest.mark.parametrize("spec", material.UNSUPPORTED_SPECS)
def test_what_is_not_supported_says_so(spec: str) -> None:
    with pytest.raises(material.Unsupported) as caught:
        material.generate(spec)
    assert caught.value.code == "UnsupportedOperationException"
    assert spec in caught.value.message


def test_an_unknown_spec() -> None:
    with pytest.raises(KeyError):
        material.find_spec("RSA_1024")


@pytest.mark.parametrize(
    ("spec", "usage", "algorithm"),
    [
        ("HMAC_224", "GENERATE_VERIFY_MAC", "HMAC_SHA_256"),
        ("RSA_2048", "SIGN_VERIFY", "RSAES_OAEP_SHA_1"),
        ("ECC_SECG_P256K1", "KEY_AGREEMENT", "ECDH"),
        ("ECC_NIST_P256", "SIGN_VERIFY", "ECDSA_SHA_384"),
        ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "RSAES_OAEP_SHA_256"),
    ],
)
def test_an_algorithm_of_another_spec(spec: str, usage: str, algorithm: str) -> None:
    with pytest.raises(material.InvalidKeyUsage) as caught:
        material.check_algorithm(spec, usage, algorithm)
    assert caught.value.code == "InvalidKeyUsageException"
    assert caught.value.message == f"Algorithm {algorithm} is incompatible with key spec {spec}."
