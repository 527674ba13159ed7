"""RSA-OAEP, against the recorded limits of AWS and against openssl."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tlslab.kms import material

KeyOf = Callable[[str], bytes]

RECORDED_LIMITS = {
    ("RSA_2048", "RSAES_OAEP_SHA_1"): 214,
    ("RSA_2048", "RSAES_OAEP_SHA_256"): 190,
    ("RSA_3072", "RSAES_OAEP_SHA_1"): 342,
    ("RSA_3072", "RSAES_OAEP_SHA_256"): 318,
    ("RSA_4096", "RSAES_OAEP_SHA_1"): 470,
    ("RSA_4096", "RSAES_OAEP_SHA_256"): 446,
}


@pytest.mark.parametrize(("spec", "algorithm"), RECORDED_LIMITS)
def test_the_longest_plaintext_fits_and_one_byte_more_does_not(
    spec: str, algorithm: str, key_of: KeyOf
) -> None:
    key, limit = key_of(spec), RECORDED_LIMITS[spec, algorithm]
    ciphertext = material.encrypt(spec, key, algorithm, bytes(limit))
    assert material.decrypt(spec, key, algorithm, ciphertext) == bytes(limit)
    with pytest.raises(material.InvalidParameter) as caught:
        material.encrypt(spec, key, algorithm, bytes(limit + 1))
    assert caught.value.code == "ValidationException"
    assert caught.value.message == (
        f"Algorithm {algorithm} and key spec {spec} cannot encrypt data larger than {limit} bytes."
    )


@pytest.mark.parametrize(("algorithm", "digest"), [("SHA_1", "sha1"), ("SHA_256", "sha256")])
def test_openssl_decrypts_ours_and_we_decrypt_openssls(
    algorithm: str, digest: str, key_of: KeyOf, tmp_path: Path
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    key = key_of("RSA_2048")
    (tmp_path / "key.der").write_bytes(key)
    algorithm = "RSAES_OAEP_" + algorithm

    def openssl(verb: str, data: bytes) -> bytes:
        command = ["openssl", "pkeyutl", verb, "-inkey", str(tmp_path / "key.der")]
        command += ["-keyform", "DER", "-pkeyopt", "rsa_padding_mode:oaep"]
        command += ["-pkeyopt", f"rsa_oaep_md:{digest}", "-pkeyopt", f"rsa_mgf1_md:{digest}"]
        return subprocess.run(command, input=data, capture_output=True, check=True).stdout

    assert openssl("-decrypt", material.encrypt("RSA_2048", key, algorithm, b"hello")) == b"hello"
    assert material.decrypt("RSA_2048", key, algorithm, openssl("-encrypt", b"hello")) == b"hello"


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bit=st.integers(0, 2047))
def test_a_changed_ciphertext_is_refused(bit: int, key_of: KeyOf) -> None:
    key = key_of("RSA_2048")
    ciphertext = bytearray(material.encrypt("RSA_2048", key, "RSAES_OAEP_SHA_256", b"x"))
    ciphertext[bit // 8] ^= 1 << bit % 8
    with pytest.raises(material.InvalidCiphertext) as caught:
        material.decrypt("RSA_2048", key, "RSAES_OAEP_SHA_256", bytes(ciphertext))
    assert (caught.value.code, caught.value.message) == ("InvalidCiphertextException", "")


@pytest.mark.parametrize("size", [0, 1, 255, 257, 6144])
def test_a_ciphertext_of_another_length_is_refused(size: int, key_of: KeyOf) -> None:
    with pytest.raises(material.InvalidCiphertext):
        material.decrypt("RSA_2048", key_of("RSA_2048"), "RSAES_OAEP_SHA_1", bytes(size))


def test_the_other_hash_or_another_key_does_not_decrypt(key_of: KeyOf) -> None:
    ciphertext = material.encrypt("RSA_2048", key_of("RSA_2048"), "RSAES_OAEP_SHA_1", b"x")
    with pytest.raises(material.InvalidCiphertext):
        material.decrypt("RSA_2048", key_of("RSA_2048"), "RSAES_OAEP_SHA_256", ciphertext)
    other = material.generate("RSA_2048")
    with pytest.raises(material.InvalidCiphertext):
        material.decrypt("RSA_2048", other, "RSAES_OAEP_SHA_1", ciphertext)


def test_other_algorithms(key_of: KeyOf) -> None:
    with pytest.raises(material.InvalidKeyUsage):
        material.encrypt("RSA_2048", key_of("RSA_2048"), "SYMMETRIC_DEFAULT", b"x")
    with pytest.raises(material.Unsupported):
        material.encrypt("RSA_2048", key_of("RSA_2048"), "SM2PKE", b"x")
    with pytest.raises(material.InvalidKeyUsage):
        material.decrypt("ECC_NIST_P256", key_of("ECC_NIST_P256"), "RSAES_OAEP_SHA_1", b"x")
