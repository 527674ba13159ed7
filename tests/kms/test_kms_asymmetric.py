"""Signatures, MACs, key agreement and encapsulation, as far as the service is concerned."""

from __future__ import annotations

import hashlib
from typing import Any, TypeAlias

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

World: TypeAlias = Any


@pytest.mark.parametrize(("spec", "algorithm"), [
    ("RSA_2048", "RSASSA_PSS_SHA_256"), ("RSA_2048", "RSASSA_PKCS1_V1_5_SHA_512"),
    ("ECC_NIST_P256", "ECDSA_SHA_256"), ("ECC_SECG_P256K1", "ECDSA_SHA_256"),
    ("ECC_NIST_P384", "ECDSA_SHA_384"),
])  # fmt: skip
async def test_signing_and_verifying(world: World, spec: str, algorithm: str) -> None:
    key = await world.key(KeySpec=spec, KeyUsage="SIGN_VERIFY")
    given = {"KeyId": key, "SigningAlgorithm": algorithm}
    signed = await world.do("Sign", Message=b"m", **given)
    answer = await world.do("Verify", Message=b"m", Signature=signed["Signature"], **given)
    assert answer == {"KeyId": world.arn(key), "SignatureValid": True,
                      "SigningAlgorithm": algorithm}  # fmt: skip
    digest = hashlib.new("sha" + algorithm[-3:], b"m").digest()
    as_digest = {"Message": digest, "MessageType": "DIGEST"}
    await world.do("Verify", Signature=signed["Signature"], **as_digest, **given)
    error = await world.refused("Verify", Message=b"n", Signature=signed["Signature"], **given)
    assert (error.code, error.message) == ("KMSInvalidSignatureException", "")
    error = await world.refused("Sign", Message=b"short", MessageType="DIGEST", **given)
    assert (error.code, error.message) == (
        "ValidationException", f"Digest is invalid length for algorithm {algorithm}.",
    )  # fmt: skip


async def test_anybody_verifies_with_the_public_key(world: World) -> None:
    key = await world.key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")
    algorithm = "RSASSA_PKCS1_V1_5_SHA_256"
    signed = await world.do("Sign", KeyId=key, Message=b"m", SigningAlgorithm=algorithm)
    shown = await world.do("GetPublicKey", KeyId=key)
    assert (shown["KeySpec"], shown["KeyUsage"]) == ("RSA_2048", "SIGN_VERIFY")
    assert algorithm in shown["SigningAlgorithms"]
    public = load_der_public_key(shown["PublicKey"])
    assert isinstance(public, rsa.RSAPublicKey)
    public.verify(signed["Signature"], b"m", padding.PKCS1v15(), SHA256())
    error = await world.refused("GetPublicKey", KeyId=await world.key())
    assert error.code == "UnsupportedOperationException"


@pytest.mark.parametrize("bits", [224, 256, 384, 512])
async def test_macs(world: World, bits: int) -> None:
    key = await world.key(KeySpec=f"HMAC_{bits}", KeyUsage="GENERATE_VERIFY_MAC")
    given = {"KeyId": key, "MacAlgorithm": f"HMAC_SHA_{bits}"}
    mac = (await world.do("GenerateMac", Message=b"m", **given))["Mac"]
    assert (await world.do("VerifyMac", Message=b"m", Mac=mac, **given))["MacValid"] is True
    error = await world.refused("VerifyMac", Message=b"some different", Mac=mac, **given)
    assert (error.code, error.message) == ("KMSInvalidMacException", "")
    other = "HMAC_SHA_512" if bits != 512 else "HMAC_SHA_256"
    for operation, more in (("GenerateMac", {}), ("VerifyMac", {"Mac": mac})):
        error = await world.refused(operation, KeyId=key, MacAlgorithm=other, Message=b"m", **more)
        assert (error.code, error.message) == (
            "InvalidKeyUsageException",
            f"Algorithm {other} is incompatible with key spec HMAC_{bits}.",
        )
        error = await world.refused(
            operation, KeyId=key, MacAlgorithm="INVALID", Message=b"m", **more
        )
        assert error.message.startswith(
            "1 validation error detected: Value 'INVALID' at 'macAlgorithm' failed to satisfy "
            "constraint: Member must satisfy enum value set: ["
        )


async def test_shared_secrets(world: World) -> None:
    key = await world.key(KeySpec="ECC_NIST_P256", KeyUsage="KEY_AGREEMENT")
    ours = ec.generate_private_key(ec.SECP256R1())
    public = ours.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    given = {"KeyId": key, "KeyAgreementAlgorithm": "ECDH"}
    answer = await world.do("DeriveSharedSecret", PublicKey=public, **given)
    theirs = load_der_public_key((await world.do("GetPublicKey", KeyId=key))["PublicKey"])
    assert isinstance(theirs, ec.EllipticCurvePublicKey)
    assert answer["SharedSecret"] == ours.exchange(ec.ECDH(), theirs)
    assert answer["KeyOrigin"] == "AWS_KMS"
    error = await world.refused("DeriveSharedSecret", PublicKey=b"InvalidPublicKey", **given)
    assert (error.code, error.message) == ("ValidationException", "")
    error = await world.refused(
        "DeriveSharedSecret", KeyId=key, KeyAgreementAlgorithm="INVALID", PublicKey=public
    )
    assert error.message == (
        "1 validation error detected: Value 'INVALID' at 'keyAgreementAlgorithm' failed to satisfy "
        "constraint: Member must satisfy enum value set: [ECDH]"
    )


async def test_encapsulation(world: World) -> None:
    key = await world.key(KeySpec="ML_KEM_768", KeyUsage="ENCAPSULATE_DECAPSULATE")
    given = {"KeyId": key, "EncapsulationAlgorithm": "ML_KEM"}
    made = await world.do("Encapsulate", **given)
    blob = {"SharedSecretCiphertextBlob": made["SharedSecretCiphertextBlob"]}
    assert (await world.do("Decapsulate", **blob, **given))["SharedSecret"] == made["SharedSecret"]


@pytest.mark.parametrize(("spec", "usage", "operation", "given"), [
    ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "GenerateMac",
     {"Message": b"m", "MacAlgorithm": "HMAC_SHA_256"}),
    ("HMAC_256", "GENERATE_VERIFY_MAC", "Sign",
     {"Message": b"m", "SigningAlgorithm": "ECDSA_SHA_256"}),
    ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "Verify",
     {"Message": b"m", "Signature": b"s", "SigningAlgorithm": "ECDSA_SHA_256"}),
    ("ECC_NIST_P256", "SIGN_VERIFY", "Encrypt", {"Plaintext": b"p"}),
    ("ECC_NIST_P256", "SIGN_VERIFY", "DeriveSharedSecret",
     {"KeyAgreementAlgorithm": "ECDH", "PublicKey": b"p"}),
    ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "DeriveSharedSecret",
     {"KeyAgreementAlgorithm": "ECDH", "PublicKey": b"p"}),
])  # fmt: skip
async def test_keys_do_what_they_are_for(
    world: World, spec: str, usage: str, operation: str, given: dict[str, Any]
) -> None:
    key = await world.key(KeySpec=spec, KeyUsage=usage)
    error = await world.refused(operation, KeyId=key, **given)
    assert (error.code, error.message) == (
        "InvalidKeyUsageException",
        f"{world.arn(key)} key usage is {usage} which is not valid for {operation}.",
    )


async def test_ml_dsa(world: World) -> None:
    key = await world.key(KeySpec="ML_DSA_44", KeyUsage="SIGN_VERIFY")
    given = {"KeyId": key, "Message": b"m", "SigningAlgorithm": "ML_DSA_SHAKE_256"}
    signature = (await world.do("Sign", **given))["Signature"]
    assert (await world.do("Verify", Signature=signature, **given))["SignatureValid"]
