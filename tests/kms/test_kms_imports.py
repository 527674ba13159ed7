"""Imported key material: wrapped, checked, expiring, gone, and back."""

from __future__ import annotations

import datetime
import os
from typing import Any, TypeAlias

import pytest
from cryptography.hazmat.primitives import keywrap
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_public_key,
)

World: TypeAlias = Any

STAYS = {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
OAEP = "RSAES_OAEP_SHA_256"


def wrapped(public_key: bytes, algorithm: str, secret: bytes) -> bytes:
    """What a customer does with the public key."""
    digest = SHA1() if algorithm.endswith("_1") else SHA256()
    oaep = padding.OAEP(padding.MGF1(digest), digest, None)
    key = load_der_public_key(public_key)
    assert isinstance(key, rsa.RSAPublicKey)
    if algorithm.startswith("RSAES"):
        return key.encrypt(secret, oaep)
    aes = os.urandom(32)
    return key.encrypt(aes, oaep) + keywrap.aes_key_wrap_with_padding(aes, secret)


async def parameters(
    world: World, key: str, secret: bytes, algorithm: str = OAEP, region: str = "eu-west-2"
) -> dict[str, Any]:
    given = await world.do(
        "GetParametersForImport", region=region, KeyId=key, WrappingAlgorithm=algorithm,
        WrappingKeySpec="RSA_2048",
    )  # fmt: skip
    encrypted = wrapped(given["PublicKey"], algorithm, secret)
    return {"KeyId": key, "ImportToken": given["ImportToken"], "EncryptedKeyMaterial": encrypted}


async def imported(world: World, key: str, secret: bytes, **more: Any) -> dict[str, Any]:
    given = await parameters(world, key, secret)
    answer: dict[str, Any] = await world.do("ImportKeyMaterial", **(given | STAYS | more))
    return answer


async def external(world: World, **more: Any) -> str:
    return str(await world.key(Origin="EXTERNAL", **more))


@pytest.mark.parametrize("algorithm", [
    "RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "RSA_AES_KEY_WRAP_SHA_1", "RSA_AES_KEY_WRAP_SHA_256",
])  # fmt: skip
async def test_a_key_works_once_its_material_is_there(world: World, algorithm: str) -> None:
    key = await external(world)
    pending = ("KMSInvalidStateException", f"{world.arn(key)} is pending import.")
    assert (await world.describe(key))["KeyState"] == "PendingImport"
    error = await world.refused("Encrypt", KeyId=key, Plaintext=b"x")
    assert (error.code, error.message) == pending
    given = await parameters(world, key, os.urandom(32), algorithm)
    answer = await world.do("ImportKeyMaterial", **given, **STAYS)
    metadata = await world.describe(key)
    assert (metadata["KeyState"], metadata["Origin"]) == ("Enabled", "EXTERNAL")
    assert metadata["ExpirationModel"] == STAYS["ExpirationModel"]
    assert metadata["CurrentKeyMaterialId"] == answer["KeyMaterialId"]
    blob = (await world.do("Encrypt", KeyId=key, Plaintext=b"x"))["CiphertextBlob"]
    assert (await world.do("Decrypt", CiphertextBlob=blob))["Plaintext"] == b"x"


async def test_deleted_material_can_come_back_but_no_other(world: World) -> None:
    key, secret = await external(world), os.urandom(32)
    first = await imported(world, key, secret)
    blob = (await world.do("Encrypt", KeyId=key, Plaintext=b"x"))["CiphertextBlob"]
    deleted = await world.do("DeleteImportedKeyMaterial", KeyId=key)
    assert deleted["KeyMaterialId"] == first["KeyMaterialId"]
    error = await world.refused("Encrypt", KeyId=key, Plaintext=b"x")
    assert (error.code, error.message) == (
        "KMSInvalidStateException", f"{world.arn(key)} is pending import.",
    )  # fmt: skip
    given = await parameters(world, key, os.urandom(32))
    error = await world.refused("ImportKeyMaterial", **given, **STAYS)
    assert error.code == "IncorrectKeyMaterialException"
    again = await imported(world, key, secret)
    assert again["KeyMaterialId"] == first["KeyMaterialId"]
    assert (await world.do("Decrypt", CiphertextBlob=blob))["Plaintext"] == b"x"


async def test_material_expires(world: World) -> None:
    key, secret = await external(world), os.urandom(32)
    valid_to = world.now + datetime.timedelta(days=3)
    given = await parameters(world, key, secret)
    await world.do("ImportKeyMaterial", **given, ValidTo=valid_to)
    metadata = await world.describe(key)
    assert (metadata["ExpirationModel"], metadata["ValidTo"]) == ("KEY_MATERIAL_EXPIRES", valid_to)
    world.later(days=3, microseconds=-1)
    await world.do("Encrypt", KeyId=key, Plaintext=b"x")
    world.later(microseconds=1)
    error = await world.refused("Encrypt", KeyId=key, Plaintext=b"x")
    assert error.code == "KMSInvalidStateException"
    assert "ValidTo" not in await world.describe(key)
    await imported(world, key, secret)
    await world.do("Encrypt", KeyId=key, Plaintext=b"x")


async def test_expiry_dates_that_cannot_be(world: World) -> None:
    key = await external(world)
    given = await parameters(world, key, os.urandom(32))
    error = await world.refused("ImportKeyMaterial", **given)
    assert (error.code, error.message) == (
        "ValidationException",
        "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES",
    )
    day = datetime.timedelta(days=1)
    for date in (world.now, world.now - day, world.now + 366 * day):
        error = await world.refused("ImportKeyMaterial", **given, ValidTo=date)
        assert error.code == "ValidationException"
    error = await world.refused("ImportKeyMaterial", **given, **STAYS, ValidTo=world.now + day)
    assert error.code == "ValidationException"
    await world.do("ImportKeyMaterial", **given, ValidTo=world.now + 365 * day)


async def test_import_tokens(world: World) -> None:
    key, other, secret = await external(world), await external(world), os.urandom(32)
    given = await parameters(world, key, secret) | STAYS
    error = await world.refused("ImportKeyMaterial", **(given | {"KeyId": other}))
    assert error.code == "InvalidImportTokenException"
    error = await world.refused("ImportKeyMaterial", **(given | {"ImportToken": b"x" * 100}))
    assert error.code == "InvalidImportTokenException"
    another = await parameters(world, key, secret)
    mixed = given | {"EncryptedKeyMaterial": another["EncryptedKeyMaterial"]}
    error = await world.refused("ImportKeyMaterial", **mixed)
    assert error.code == "InvalidCiphertextException"
    world.later(hours=24)
    await world.do("ImportKeyMaterial", **given)
    world.later(microseconds=1)
    error = await world.refused("ImportKeyMaterial", **given)
    assert error.code == "ExpiredImportTokenException"


@pytest.mark.parametrize("size", [16, 31, 33])
async def test_material_of_the_wrong_size(world: World, size: int) -> None:
    key = await external(world)
    error = await world.refused(
        "ImportKeyMaterial", **await parameters(world, key, os.urandom(size)), **STAYS
    )
    assert error.code == "IncorrectKeyMaterialException"


async def test_only_external_keys(world: World) -> None:
    key = await world.key()
    said = f"{world.arn(key)} origin is AWS_KMS which is not valid for this operation."
    for operation, given in (
        ("GetParametersForImport", {"WrappingAlgorithm": OAEP, "WrappingKeySpec": "RSA_2048"}),
        ("ImportKeyMaterial", {"ImportToken": b"x", "EncryptedKeyMaterial": b"x"}),
        ("DeleteImportedKeyMaterial", {}),
    ):
        error = await world.refused(operation, KeyId=key, **given)
        assert (error.code, error.message) == ("UnsupportedOperationException", said)


async def test_rotating_to_new_material(world: World) -> None:
    key, one, two = await external(world), os.urandom(32), os.urandom(32)
    first = (await imported(world, key, one))["KeyMaterialId"]
    blob = (await world.do("Encrypt", KeyId=key, Plaintext=b"x"))["CiphertextBlob"]
    error = await world.refused("RotateKeyOnDemand", KeyId=key)
    assert (error.code, error.message) == (
        "KMSInvalidStateException",
        f"No available key material pending rotation for the key: {world.arn(key)}.",
    )
    new = {"ImportType": "NEW_KEY_MATERIAL"}
    second = (await imported(world, key, two, **new, KeyMaterialDescription="two"))["KeyMaterialId"]
    assert (await world.describe(key))["CurrentKeyMaterialId"] == first
    third = await parameters(world, key, secret := os.urandom(32))
    error = await world.refused("ImportKeyMaterial", **third, **STAYS, **new)
    third_id = world.kms._services.keyring.material_id(key, secret)
    assert (error.code, error.message) == (
        "KMSInvalidStateException",
        f"New key material (id: {third_id}) cannot be imported into KMS key {key}, because another "
        f"key material (id: {second}) is pending rotation.",
    )
    await world.do("RotateKeyOnDemand", KeyId=key)
    assert (await world.describe(key))["CurrentKeyMaterialId"] == second
    assert (await world.do("Decrypt", CiphertextBlob=blob))["KeyMaterialId"] == first
    listed = await world.do("ListKeyRotations", KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL")
    assert [
        (each["KeyMaterialId"], each["KeyMaterialState"], each["ImportState"],
         each.get("KeyMaterialDescription"), each.get("RotationType"))
        for each in listed["Rotations"]
    ] == [
        (first, "NON_CURRENT", "IMPORTED", None, None),
        (second, "CURRENT", "IMPORTED", "two", "ON_DEMAND"),
    ]  # fmt: skip
    # a key is only as good as all of its material
    await world.do("DeleteImportedKeyMaterial", KeyId=key, KeyMaterialId=first)
    assert (await world.describe(key))["KeyState"] == "PendingImport"
    await imported(world, key, one, KeyMaterialId=first)
    assert (await world.do("Decrypt", CiphertextBlob=blob))["Plaintext"] == b"x"
    error = await world.refused(
        "ImportKeyMaterial", **await parameters(world, key, two), **STAYS, KeyMaterialId=first
    )
    assert error.code == "IncorrectKeyMaterialException"


@pytest.mark.parametrize("spec", ["SYMMETRIC_DEFAULT", "RSA_4096"])
async def test_rotating_before_anything_was_imported(world: World, spec: str) -> None:
    usage = {"KeyUsage": "ENCRYPT_DECRYPT"} if spec.startswith("RSA") else {}
    key = await external(world, KeySpec=spec, **usage)
    error = await world.refused("RotateKeyOnDemand", KeyId=key)
    assert (error.code, error.message) == (
        "KMSInvalidStateException", f"{world.arn(key)} is pending import.",
    )  # fmt: skip


async def test_automatic_rotation_is_not_for_imported_keys(world: World) -> None:
    key = await external(world)
    await imported(world, key, os.urandom(32))
    error = await world.refused("EnableKeyRotation", KeyId=key)
    assert (error.code, error.message) == (
        "UnsupportedOperationException",
        f"{world.arn(key)} origin is EXTERNAL which is not valid for this operation.",
    )


async def test_an_imported_signing_key(world: World) -> None:
    key = await external(world, KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    private = ec.generate_private_key(ec.SECP256R1())
    secret = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    given = await parameters(world, key, secret, "RSA_AES_KEY_WRAP_SHA_256")
    assert await world.do("ImportKeyMaterial", **given, **STAYS) == {"KeyId": world.arn(key)}
    signed = await world.do("Sign", KeyId=key, Message=b"m", SigningAlgorithm="ECDSA_SHA_256")
    private.public_key().verify(signed["Signature"], b"m", ec.ECDSA(SHA256()))
    other = ec.generate_private_key(ec.SECP256R1())
    secret = other.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    given = await parameters(world, key, secret, "RSA_AES_KEY_WRAP_SHA_256")
    error = await world.refused("ImportKeyMaterial", **given, **STAYS)
    assert error.code == "IncorrectKeyMaterialException"


async def test_import_is_not_for_keys_being_deleted(world: World) -> None:
    key = await external(world)
    await world.do("ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=7)
    error = await world.refused(
        "GetParametersForImport", KeyId=key, WrappingAlgorithm=OAEP, WrappingKeySpec="RSA_2048"
    )
    assert error.code == "KMSInvalidStateException"
    await world.do("CancelKeyDeletion", KeyId=key)
    assert (await world.describe(key))["KeyState"] == "PendingImport"
