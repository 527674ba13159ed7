"""Signatures of every algorithm, against openssl, RFC 8032 and FIPS 204's definition of mu."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tlslab.kms import material
from tlslab.kms.material.keys import load

KeyOf = Callable[[str], bytes]

CASES = [
    (spec.name, algorithm)
    for spec in material.SPECS.values()
    if spec.name not in {"RSA_3072", "RSA_4096"}
    for algorithm in spec.algorithms.get("SIGN_VERIFY", ())
]
WITH_DIGEST = [(s, a) for s, a in CASES if a.startswith(("RSASSA", "ECDSA"))]
MESSAGE = b"the message"


def digest(algorithm: str) -> bytes:
    return hashlib.new("sha" + algorithm[-3:], MESSAGE).digest()


@pytest.mark.parametrize(("spec", "algorithm"), CASES)
def test_a_signature_is_for_this_message_and_key_alone(
    spec: str, algorithm: str, key_of: KeyOf
) -> None:
    key = key_of(spec)
    signature = material.sign(spec, key, algorithm, MESSAGE)
    material.verify(spec, key, algorithm, MESSAGE, signature)
    changed = bytearray(signature)
    changed[len(changed) // 2] ^= 1
    other = key if spec.startswith("RSA") else material.generate(spec)
    for wrong_key, message, sig in [
        (key, MESSAGE + b".", signature),
        (key, MESSAGE, bytes(changed)),
        (key, MESSAGE, signature[:-1]),
        (key, MESSAGE, b""),
        (other, MESSAGE if other != key else b"", signature),
    ]:
        with pytest.raises(material.InvalidSignature) as caught:
            material.verify(spec, wrong_key, algorithm, message, sig)
        assert (caught.value.code, caught.value.message) == ("KMSInvalidSignatureException", "")


@pytest.mark.parametrize(("spec", "algorithm"), WITH_DIGEST)
def test_a_digest_stands_for_its_message(spec: str, algorithm: str, key_of: KeyOf) -> None:
    key = key_of(spec)
    signature = material.sign(spec, key, algorithm, digest(algorithm), "DIGEST")
    material.verify(spec, key, algorithm, MESSAGE, signature)
    material.verify(spec, key, algorithm, digest(algorithm), signature, "DIGEST")
    with pytest.raises(material.InvalidSignature):  # hashed twice
        material.verify(spec, key, algorithm, digest(algorithm), signature, "RAW")


@pytest.mark.parametrize(("spec", "algorithm"), WITH_DIGEST)
@pytest.mark.parametrize("wrong", [-1, 1])
def test_a_digest_of_the_wrong_length(spec: str, algorithm: str, wrong: int, key_of: KeyOf) -> None:
    message = bytes(len(digest(algorithm)) + wrong)
    with pytest.raises(material.InvalidParameter) as caught:
        material.sign(spec, key_of(spec), algorithm, message, "DIGEST")
    assert caught.value.message == f"Digest is invalid length for algorithm {algorithm}."
    with pytest.raises(material.InvalidParameter):
        material.verify(spec, key_of(spec), algorithm, message, b"x", "DIGEST")


@pytest.mark.parametrize(("spec", "algorithm"), WITH_DIGEST)
def test_openssl_verifies_ours_and_we_verify_openssls(
    spec: str, algorithm: str, key_of: KeyOf, tmp_path: Path
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    key = key_of(spec)
    files = {name: str(tmp_path / name) for name in ("key", "pub", "sig", "msg")}
    Path(files["key"]).write_bytes(key)
    Path(files["pub"]).write_bytes(material.public_key_der(key))
    Path(files["msg"]).write_bytes(MESSAGE)
    Path(files["sig"]).write_bytes(material.sign(spec, key, algorithm, MESSAGE))
    base = ["openssl", "dgst", "-sha" + algorithm[-3:], "-keyform", "DER"]
    if "PSS" in algorithm:
        base += ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]
    check = [*base, "-verify", files["pub"], "-signature", files["sig"], files["msg"]]
    subprocess.run(check, check=True, capture_output=True)
    made = [*base, "-sign", files["key"], files["msg"]]
    signature = subprocess.run(made, check=True, capture_output=True).stdout
    material.verify(spec, key, algorithm, MESSAGE, signature)


def test_ed25519_is_rfc_8032s() -> None:
    """Section 7.1, test 2."""
    seed = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    key = Ed25519PrivateKey.from_private_bytes(seed)
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    signature = material.sign("ECC_NIST_EDWARDS25519", der, "ED25519_SHA_512", b"\x72")
    assert signature.hex() == (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )


@pytest.mark.parametrize("spec", ["ML_DSA_44", "ML_DSA_65", "ML_DSA_87"])
def test_external_mu_stands_for_its_message(spec: str, key_of: KeyOf) -> None:
    """FIPS 204: mu = H(H(pk, 64) || 0 || 0 || M, 64), with H = SHAKE256 and an empty context."""
    key = key_of(spec)
    public = load(key).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    tr = hashlib.shake_256(public).digest(64)
    mu = hashlib.shake_256(tr + b"\x00\x00" + MESSAGE).digest(64)
    algorithm = "ML_DSA_SHAKE_256"
    signature = material.sign(spec, key, algorithm, mu, "EXTERNAL_MU")
    material.verify(spec, key, algorithm, MESSAGE, signature)
    material.verify(
        spec, key, algorithm, mu, material.sign(spec, key, algorithm, MESSAGE), "EXTERNAL_MU"
    )
    for wrong in (mu[:-1], mu + b"\x00"):
        with pytest.raises(material.InvalidParameter):
            material.sign(spec, key, algorithm, wrong, "EXTERNAL_MU")


@pytest.mark.parametrize(
    ("spec", "algorithm", "message_type"),
    [
        ("ECC_NIST_EDWARDS25519", "ED25519_SHA_512", "DIGEST"),
        ("ECC_NIST_EDWARDS25519", "ED25519_SHA_512", "EXTERNAL_MU"),
        ("ML_DSA_44", "ML_DSA_SHAKE_256", "DIGEST"),
        ("ECC_NIST_P256", "ECDSA_SHA_256", "EXTERNAL_MU"),
        ("RSA_2048", "RSASSA_PSS_SHA_256", "EXTERNAL_MU"),
    ],
)
def test_message_types_that_an_algorithm_has_not(
    spec: str, algorithm: str, message_type: str, key_of: KeyOf
) -> None:
    with pytest.raises(material.InvalidParameter) as caught:
        material.sign(spec, key_of(spec), algorithm, bytes(64), message_type)
    assert caught.value.code == "ValidationException"


def test_other_algorithms(key_of: KeyOf) -> None:
    with pytest.raises(material.InvalidKeyUsage):
        material.sign("ECC_NIST_P256", key_of("ECC_NIST_P256"), "ECDSA_SHA_384", MESSAGE)
    with pytest.raises(material.InvalidKeyUsage):
        material.sign("ML_KEM_768", key_of("ML_KEM_768"), "ML_DSA_SHAKE_256", MESSAGE)
    key = key_of("ECC_NIST_EDWARDS25519")
    with pytest.raises(material.Unsupported):
        material.sign("ECC_NIST_EDWARDS25519", key, "ED25519_PH_SHA_512", bytes(64), "DIGEST")
