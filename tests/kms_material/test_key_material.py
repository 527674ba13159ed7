"""Material is made, read back, and checked when it comes from outside."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from tlslab.kms import material
from tlslab.kms.material.keys import load

KeyOf = Callable[[str], bytes]

ASYMMETRIC = [spec.name for spec in material.SPECS.values() if spec.asymmetric]
SYMMETRIC = [spec.name for spec in material.SPECS.values() if not spec.asymmetric]
OPENSSL_KNOWS = [name for name in ASYMMETRIC if not name.startswith("ML_")]


@pytest.mark.parametrize("spec", SYMMETRIC)
def test_a_symmetric_key_is_as_long_as_its_name_says(spec: str) -> None:
    key = material.generate(spec)
    assert len(key) * 8 == material.find_spec(spec).bits
    assert key != material.generate(spec)


@pytest.mark.parametrize("spec", SYMMETRIC)
@pytest.mark.parametrize("wrong", [-1, 1])
def test_a_symmetric_key_of_another_length_is_refused(spec: str, wrong: int) -> None:
    size = material.find_spec(spec).bits // 8
    assert material.checked(spec, bytes(size)) == bytes(size)
    with pytest.raises(material.IncorrectKeyMaterial) as caught:
        material.checked(spec, bytes(size + wrong))
    assert caught.value.code == "IncorrectKeyMaterialException"


@pytest.mark.parametrize("spec", ASYMMETRIC)
def test_what_is_made_passes_the_check_for_its_spec_and_no_other(spec: str, key_of: KeyOf) -> None:
    made = key_of(spec)
    assert material.checked(spec, made) == made
    for other in ASYMMETRIC:
        if other != spec:
            with pytest.raises(material.IncorrectKeyMaterial):
                material.checked(other, made)


@pytest.mark.parametrize("spec", OPENSSL_KNOWS)
def test_openssl_reads_the_key_and_finds_the_same_public_half(
    spec: str, key_of: KeyOf, tmp_path: Path
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    made = key_of(spec)
    command = ["openssl", "pkey", "-inform", "DER", "-pubout", "-outform", "DER"]
    done = subprocess.run(command, input=made, capture_output=True, check=True)
    assert done.stdout == material.public_key_der(made)


def test_a_key_pair_to_hand_out_hides_its_private_half() -> None:
    pair = material.generate_key_pair("ECC_NIST_P256")
    assert material.public_key_der(pair.private) == pair.public
    assert repr(pair.private) not in repr(pair)
    assert "private" not in repr(pair)


def test_a_private_key_in_another_form_is_kept_in_ours(key_of: KeyOf) -> None:
    key = load(key_of("RSA_2048"))
    old = key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    assert material.checked("RSA_2048", old) == key_of("RSA_2048")


def test_an_encrypted_private_key_is_refused(key_of: KeyOf) -> None:
    key = load(key_of("ECC_NIST_P256"))
    locked = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    with pytest.raises(material.IncorrectKeyMaterial):
        material.checked("ECC_NIST_P256", locked)


def test_an_inconsistent_rsa_key_is_refused(key_of: KeyOf) -> None:
    key = load(key_of("RSA_2048"))
    assert isinstance(key, rsa.RSAPrivateKey)
    numbers = key.private_numbers()
    wrong = rsa.RSAPrivateNumbers(
        numbers.p, numbers.q, numbers.d, numbers.dmp1, numbers.dmq1, numbers.iqmp ^ 1,
        numbers.public_numbers,
    ).private_key(unsafe_skip_rsa_key_validation=True)  # fmt: skip
    form = (Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(material.IncorrectKeyMaterial):
        material.checked("RSA_2048", wrong.private_bytes(*form))


def test_a_public_exponent_of_3_is_refused() -> None:
    key = rsa.generate_private_key(3, 2048)
    form = (Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(material.IncorrectKeyMaterial):
        material.checked("RSA_2048", key.private_bytes(*form))


def test_a_curve_that_kms_has_not_is_refused() -> None:
    key = ec.generate_private_key(ec.BrainpoolP256R1())
    form = (Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(material.IncorrectKeyMaterial):
        material.checked("ECC_NIST_P256", key.private_bytes(*form))


@given(st.binary(max_size=200), st.sampled_from(ASYMMETRIC))
def test_arbitrary_bytes_are_refused(data: bytes, spec: str) -> None:
    with pytest.raises(material.IncorrectKeyMaterial):
        material.checked(spec, data)
