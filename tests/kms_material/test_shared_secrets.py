"""ECDH against NIST's vector and openssl; ML-KEM against its own contract."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tlslab.kms import material

KeyOf = Callable[[str], bytes]

NIST_CURVES = {"ECC_NIST_P256": 32, "ECC_NIST_P384": 48, "ECC_NIST_P521": 66}
ML_KEM = {"ML_KEM_768": 1088, "ML_KEM_1024": 1568}


def test_ecdh_is_nists() -> None:
    """CAVS, KAS ECC CDH primitive, P-256, count 0."""
    peer = ec.EllipticCurvePublicNumbers(
        0x700C48F77F56584C5CC632CA65640DB91B6BACCE3A4DF6B42CE7CC838833D287,
        0xDB71E509E3FD9B060DDB20BA5C51DCC5948D46FBF640DFE0441782CAB85FA4AC,
        ec.SECP256R1(),
    ).public_key()
    own = ec.derive_private_key(
        0x7D7DC5F71EB29DDAF80D6214632EEAE03D9058AF1FB6D22ED80BADB62BC1A534, ec.SECP256R1()
    )
    secret = material.derive_shared_secret(
        "ECC_NIST_P256",
        own.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        "ECDH",
        peer.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    )
    assert secret.hex() == "46fc62106420ff012e54a434fbdd2d25ccc5852060561e68040dd7778997bd7b"


@pytest.mark.parametrize("spec", NIST_CURVES)
def test_both_sides_and_openssl_agree(spec: str, key_of: KeyOf, tmp_path: Path) -> None:
    ours, peer = key_of(spec), material.generate_key_pair(spec)
    secret = material.derive_shared_secret(spec, ours, "ECDH", peer.public)
    other = material.derive_shared_secret(spec, peer.private, "ECDH", material.public_key_der(ours))
    assert secret == other
    assert len(secret) == NIST_CURVES[spec]
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    (tmp_path / "key").write_bytes(ours)
    (tmp_path / "peer").write_bytes(peer.public)
    command = ["openssl", "pkeyutl", "-derive", "-keyform", "DER", "-peerform", "DER"]
    command += ["-inkey", str(tmp_path / "key"), "-peerkey", str(tmp_path / "peer")]
    assert subprocess.run(command, capture_output=True, check=True).stdout == secret


@pytest.mark.parametrize(
    "peer_spec", ["ECC_NIST_P384", "ECC_SECG_P256K1", "ECC_NIST_EDWARDS25519", "RSA_2048"]
)
def test_a_public_key_of_another_kind(peer_spec: str, key_of: KeyOf) -> None:
    public = material.public_key_der(key_of(peer_spec))
    with pytest.raises(material.InvalidParameter) as caught:
        material.derive_shared_secret("ECC_NIST_P256", key_of("ECC_NIST_P256"), "ECDH", public)
    assert (caught.value.code, caught.value.message) == ("ValidationException", "")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200))
def test_what_is_no_public_key(data: bytes, key_of: KeyOf) -> None:
    with pytest.raises(material.InvalidParameter):
        material.derive_shared_secret("ECC_NIST_P256", key_of("ECC_NIST_P256"), "ECDH", data)


def test_a_point_that_is_not_on_the_curve(key_of: KeyOf) -> None:
    public = bytearray(material.public_key_der(key_of("ECC_NIST_P256")))
    public[-1] ^= 1
    with pytest.raises(material.InvalidParameter):
        material.derive_shared_secret(
            "ECC_NIST_P256", key_of("ECC_NIST_P256"), "ECDH", bytes(public)
        )


def test_a_curve_without_key_agreement(key_of: KeyOf) -> None:
    key = key_of("ECC_SECG_P256K1")
    with pytest.raises(material.InvalidKeyUsage):
        material.derive_shared_secret("ECC_SECG_P256K1", key, "ECDH", material.public_key_der(key))


@pytest.mark.parametrize("spec", ML_KEM)
def test_encapsulation(spec: str, key_of: KeyOf) -> None:
    secret, ciphertext = material.encapsulate(spec, key_of(spec), "ML_KEM")
    assert (len(secret), len(ciphertext)) == (32, ML_KEM[spec])
    assert material.decapsulate(spec, key_of(spec), "ML_KEM", ciphertext) == secret
    assert material.encapsulate(spec, key_of(spec), "ML_KEM")[0] != secret


@pytest.mark.parametrize("spec", ML_KEM)
def test_implicit_rejection_gives_another_secret(spec: str, key_of: KeyOf) -> None:
    secret, ciphertext = material.encapsulate(spec, key_of(spec), "ML_KEM")
    changed = bytes([ciphertext[0] ^ 1]) + ciphertext[1:]
    rejected = material.decapsulate(spec, key_of(spec), "ML_KEM", changed)
    assert len(rejected) == 32
    assert rejected != secret
    assert rejected == material.decapsulate(spec, key_of(spec), "ML_KEM", changed)
    assert material.decapsulate(spec, material.generate(spec), "ML_KEM", ciphertext) != secret


@pytest.mark.parametrize("spec", ML_KEM)
@pytest.mark.parametrize("wrong", [-1, 1])
def test_a_ciphertext_of_another_length(spec: str, wrong: int, key_of: KeyOf) -> None:
    with pytest.raises(material.InvalidCiphertext):
        material.decapsulate(spec, key_of(spec), "ML_KEM", bytes(ML_KEM[spec] + wrong))


def test_an_algorithm_of_another_spec(key_of: KeyOf) -> None:
    with pytest.raises(material.InvalidKeyUsage):
        material.encapsulate("ML_KEM_768", key_of("ML_KEM_768"), "ECDH")
    with pytest.raises(material.InvalidKeyUsage):
        material.decapsulate("RSA_2048", key_of("RSA_2048"), "ML_KEM", b"x")
