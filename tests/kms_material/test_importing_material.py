"""Material that the customer brings, wrapped as AWS documents it and as openssl does it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding
from cryptography.hazmat.primitives.serialization import load_der_public_key
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tlslab.kms import material
from tlslab.kms.material.encryption import oaep

KeyOf = Callable[[str], bytes]

SMALL = ["SYMMETRIC_DEFAULT", "HMAC_512", "ECC_NIST_P256", "ECC_NIST_P384", "ML_DSA_44"]


def wrap(public: bytes, algorithm: str, key: bytes, aes_key: bytes | None = None) -> bytes:
    """What a customer does with the public key that GetParametersForImport gives."""
    wrapping = load_der_public_key(public)
    assert isinstance(wrapping, RSAPublicKey)
    padding = oaep("RSAES_OAEP_SHA_" + algorithm.split("SHA_")[1])
    if algorithm.startswith("RSAES"):
        return wrapping.encrypt(key, padding)
    aes_key = aes_key or os.urandom(32)
    return wrapping.encrypt(aes_key, padding) + aes_key_wrap_with_padding(aes_key, key)


@pytest.mark.parametrize("algorithm", material.WRAPPING_ALGORITHMS)
@pytest.mark.parametrize("spec", SMALL)
def test_material_comes_out_as_it_went_in(spec: str, algorithm: str, key_of: KeyOf) -> None:
    wrapping = key_of("RSA_2048")
    material.check_wrapping(spec, "RSA_2048", algorithm)
    encrypted = wrap(material.public_key_der(wrapping), algorithm, key_of(spec))
    assert material.unwrap(spec, wrapping, algorithm, encrypted) == key_of(spec)


@pytest.mark.parametrize("spec", ["RSA_2048", "RSA_4096", "ECC_NIST_P521"])
def test_large_keys_go_by_aes(spec: str, key_of: KeyOf) -> None:
    wrapping, algorithm = key_of("RSA_2048"), "RSA_AES_KEY_WRAP_SHA_256"
    material.check_wrapping(spec, "RSA_2048", algorithm)
    encrypted = wrap(material.public_key_der(wrapping), algorithm, key_of(spec))
    assert material.unwrap(spec, wrapping, algorithm, encrypted) == key_of(spec)
    with pytest.raises(material.Unsupported):
        material.check_wrapping(spec, "RSA_2048", "RSAES_OAEP_SHA_256")


def test_combinations_of_wrapping() -> None:
    material.check_wrapping("ECC_NIST_P521", "RSA_3072", "RSAES_OAEP_SHA_256")
    for wrapping_spec, algorithm in [
        ("RSA_2048", "RSAES_PKCS1_V1_5"),
        ("SM2", "SM2PKE"),
        ("ECC_NIST_P256", "RSAES_OAEP_SHA_256"),
        ("RSA_2048", "SYMMETRIC_DEFAULT"),
    ]:
        with pytest.raises(material.Unsupported):
            material.check_wrapping("SYMMETRIC_DEFAULT", wrapping_spec, algorithm)
    with pytest.raises(material.Unsupported):
        material.unwrap("SYMMETRIC_DEFAULT", b"", "RSAES_PKCS1_V1_5", b"")


def test_openssl_wraps_and_we_unwrap(key_of: KeyOf, tmp_path: Path) -> None:
    """The commands of AWS's guide: an ephemeral AES key under RSA-OAEP, the key under that."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    wrapping = key_of("RSA_2048")
    (tmp_path / "public").write_bytes(material.public_key_der(wrapping))
    aes_key = os.urandom(32)
    rsa = ["openssl", "pkeyutl", "-encrypt", "-pubin", "-keyform", "DER"]
    rsa += ["-inkey", str(tmp_path / "public"), "-pkeyopt", "rsa_padding_mode:oaep"]
    rsa += ["-pkeyopt", "rsa_oaep_md:sha256", "-pkeyopt", "rsa_mgf1_md:sha256"]
    kwp = ["openssl", "enc", "-id-aes256-wrap-pad", "-iv", "A65959A6", "-e", "-K", aes_key.hex()]
    encrypted = b"".join(
        subprocess.run(command, input=data, capture_output=True, check=True).stdout
        for command, data in [(rsa, aes_key), (kwp, key_of("ECC_NIST_P384"))]
    )
    algorithm = "RSA_AES_KEY_WRAP_SHA_256"
    opened = material.unwrap("ECC_NIST_P384", wrapping, algorithm, encrypted)
    assert opened == key_of("ECC_NIST_P384")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), algorithm=st.sampled_from(material.WRAPPING_ALGORITHMS))
def test_changed_bytes_do_not_unwrap(data: st.DataObject, algorithm: str, key_of: KeyOf) -> None:
    wrapping = key_of("RSA_2048")
    encrypted = bytearray(wrap(material.public_key_der(wrapping), algorithm, bytes(32)))
    encrypted[data.draw(st.integers(0, len(encrypted) - 1))] ^= 1
    with pytest.raises(material.InvalidCiphertext) as caught:
        material.unwrap("SYMMETRIC_DEFAULT", wrapping, algorithm, bytes(encrypted))
    assert caught.value.code == "InvalidCiphertextException"


@pytest.mark.parametrize("algorithm", material.WRAPPING_ALGORITHMS)
@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 300, 6144])
def test_what_was_never_wrapped(algorithm: str, size: int, key_of: KeyOf) -> None:
    with pytest.raises(material.InvalidCiphertext):
        material.unwrap("SYMMETRIC_DEFAULT", key_of("RSA_2048"), algorithm, bytes(size))


def test_a_short_wrapping_key_is_refused(key_of: KeyOf) -> None:
    wrapping, algorithm = key_of("RSA_2048"), "RSA_AES_KEY_WRAP_SHA_1"
    encrypted = wrap(material.public_key_der(wrapping), algorithm, bytes(32), os.urandom(16))
    with pytest.raises(material.InvalidCiphertext):
        material.unwrap("SYMMETRIC_DEFAULT", wrapping, algorithm, encrypted)


def test_material_of_another_spec_is_refused(key_of: KeyOf) -> None:
    wrapping, algorithm = key_of("RSA_2048"), "RSAES_OAEP_SHA_256"
    encrypted = wrap(material.public_key_der(wrapping), algorithm, bytes(31))
    with pytest.raises(material.IncorrectKeyMaterial):
        material.unwrap("SYMMETRIC_DEFAULT", wrapping, algorithm, encrypted)
