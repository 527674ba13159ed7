"""Encrypt, Decrypt, ReEncrypt, data keys and random bytes."""

from __future__ import annotations

from typing import Any, TypeAlias

import pytest

World: TypeAlias = Any

CONTEXT = {"purpose": "test"}


async def test_what_is_encrypted_decrypts_by_its_own_name(world: World) -> None:
    key = await world.key()
    sealed = await world.do("Encrypt", KeyId=key, Plaintext=b"hello", EncryptionContext=CONTEXT)
    assert sealed["KeyId"] == world.arn(key)
    assert sealed["EncryptionAlgorithm"] == "SYMMETRIC_DEFAULT"
    opened = await world.do(
        "Decrypt", CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=CONTEXT
    )
    assert opened["Plaintext"] == b"hello"
    assert opened["KeyId"] == world.arn(key)
    assert opened["KeyMaterialId"] == (await world.describe(key))["CurrentKeyMaterialId"]


@pytest.mark.parametrize("context", [{}, {"purpose": "other"}, CONTEXT | {"more": "x"}])
async def test_another_context_is_an_invalid_ciphertext_without_a_word(
    world: World, context: dict[str, str]
) -> None:
    key = await world.key()
    sealed = await world.do("Encrypt", KeyId=key, Plaintext=b"hello", EncryptionContext=CONTEXT)
    error = await world.refused(
        "Decrypt", CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=context
    )
    assert (error.code, error.message, error.status) == ("InvalidCiphertextException", "", 400)


@pytest.mark.parametrize("blob", [b"x", b"\0" * 200, b"garbage" * 30])
async def test_bytes_that_are_no_ciphertext(world: World, blob: bytes) -> None:
    error = await world.refused("Decrypt", CiphertextBlob=blob)
    assert (error.code, error.message) == ("InvalidCiphertextException", "")


async def test_the_key_named_must_be_the_one_that_encrypted(world: World) -> None:
    key, other = await world.key(), await world.key()
    blob = (await world.do("Encrypt", KeyId=key, Plaintext=b"x"))["CiphertextBlob"]
    assert (await world.do("Decrypt", CiphertextBlob=blob, KeyId=key))["Plaintext"] == b"x"
    said = "The key ID in the request does not identify a CMK that can perform this operation."
    for operation, member in (("Decrypt", "KeyId"), ("ReEncrypt", "SourceKeyId")):
        more = {} if operation == "Decrypt" else {"DestinationKeyId": key}
        error = await world.refused(operation, CiphertextBlob=blob, **{member: other}, **more)
        assert (error.code, error.message) == ("IncorrectKeyException", said)


async def test_a_mac_key_cannot_be_the_one_that_encrypted(world: World) -> None:
    key = await world.key()
    mac = await world.key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
    blob = (await world.do("Encrypt", KeyId=key, Plaintext=b"x"))["CiphertextBlob"]
    error = await world.refused("Decrypt", CiphertextBlob=blob, KeyId=mac)
    assert error.code == "IncorrectKeyException"


async def test_plaintext_of_1_to_4096_bytes(world: World) -> None:
    key = await world.key()
    for size in (1, 4096):
        blob = (await world.do("Encrypt", KeyId=key, Plaintext=b"p" * size))["CiphertextBlob"]
        assert len(blob) <= 6144
        assert (await world.do("Decrypt", CiphertextBlob=blob))["Plaintext"] == b"p" * size
    error = await world.refused("Encrypt", KeyId=key, Plaintext=b"p" * 4097)
    assert (error.code, error.message) == (
        "ValidationException",
        "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member "
        "must have length less than or equal to 4096",
    )
    assert (await world.refused("Encrypt", KeyId=key, Plaintext=b"")).code == "ValidationException"


async def test_ciphertexts_differ_even_of_the_same(world: World) -> None:
    key = await world.key()
    blobs = {(await world.do("Encrypt", KeyId=key, Plaintext=b"x"))["CiphertextBlob"]
             for _ in range(8)}  # fmt: skip
    assert len(blobs) == 8


async def test_re_encrypt_changes_key_and_context(world: World) -> None:
    old, new = await world.key(), await world.key()
    sealed = await world.do("Encrypt", KeyId=old, Plaintext=b"x", EncryptionContext=CONTEXT)
    moved = await world.do(
        "ReEncrypt",
        CiphertextBlob=sealed["CiphertextBlob"],
        SourceEncryptionContext=CONTEXT,
        DestinationKeyId=new,
        DestinationEncryptionContext={"a": "b"},
    )
    assert (moved["SourceKeyId"], moved["KeyId"]) == (world.arn(old), world.arn(new))
    assert moved["SourceKeyMaterialId"] != moved["DestinationKeyMaterialId"]
    opened = await world.do(
        "Decrypt", CiphertextBlob=moved["CiphertextBlob"], EncryptionContext={"a": "b"}
    )
    assert (opened["Plaintext"], opened["KeyId"]) == (b"x", world.arn(new))


async def test_re_encrypt_with_the_wrong_context(world: World) -> None:
    key = await world.key()
    sealed = await world.do("Encrypt", KeyId=key, Plaintext=b"x", EncryptionContext=CONTEXT)
    error = await world.refused(
        "ReEncrypt", CiphertextBlob=sealed["CiphertextBlob"], DestinationKeyId=key
    )
    assert error.code == "InvalidCiphertextException"


@pytest.mark.parametrize(("wanted", "size"), [
    ({"KeySpec": "AES_256"}, 32), ({"KeySpec": "AES_128"}, 16),
    ({"NumberOfBytes": 1}, 1), ({"NumberOfBytes": 1024}, 1024),
])  # fmt: skip
async def test_data_keys(world: World, wanted: dict[str, Any], size: int) -> None:
    key = await world.key()
    made = await world.do("GenerateDataKey", KeyId=key, EncryptionContext=CONTEXT, **wanted)
    assert len(made["Plaintext"]) == size
    opened = await world.do(
        "Decrypt", CiphertextBlob=made["CiphertextBlob"], EncryptionContext=CONTEXT
    )
    assert opened["Plaintext"] == made["Plaintext"]
    hidden = await world.do(
        "GenerateDataKeyWithoutPlaintext", KeyId=key, EncryptionContext=CONTEXT, **wanted
    )
    assert "Plaintext" not in hidden
    opened = await world.do(
        "Decrypt", CiphertextBlob=hidden["CiphertextBlob"], EncryptionContext=CONTEXT
    )
    assert len(opened["Plaintext"]) == size
    for made_blob in (made, hidden):
        error = await world.refused("Decrypt", CiphertextBlob=made_blob["CiphertextBlob"])
        assert (error.code, error.message) == ("InvalidCiphertextException", "")


@pytest.mark.parametrize("wanted", [{}, {"KeySpec": "AES_256", "NumberOfBytes": 32}])
async def test_a_data_key_has_one_size(world: World, wanted: dict[str, Any]) -> None:
    error = await world.refused("GenerateDataKey", KeyId=await world.key(), **wanted)
    assert error.code == "ValidationException"


@pytest.mark.parametrize("spec", ["ECC_NIST_P256", "RSA_2048", "ML_KEM_768"])
async def test_data_key_pairs(world: World, spec: str) -> None:
    key = await world.key()
    for operation in ("GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext"):
        made = await world.do(operation, KeyId=key, KeyPairSpec=spec, EncryptionContext=CONTEXT)
        blob = made["PrivateKeyCiphertextBlob"]
        opened = await world.do("Decrypt", CiphertextBlob=blob, EncryptionContext=CONTEXT)
        shown = made.get("PrivateKeyPlaintext", opened["Plaintext"])
        assert opened["Plaintext"] == shown
        assert ("PrivateKeyPlaintext" in made) == (operation == "GenerateDataKeyPair")
        error = await world.refused("Decrypt", CiphertextBlob=blob)
        assert (error.code, error.message) == ("InvalidCiphertextException", "")


async def test_data_keys_need_a_symmetric_key(world: World) -> None:
    rsa = await world.key(KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")
    error = await world.refused("GenerateDataKey", KeyId=rsa, KeySpec="AES_256")
    assert error.code == "InvalidKeyUsageException"


@pytest.mark.parametrize("operation", [
    "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext", "Encrypt",
])  # fmt: skip
async def test_a_dry_run_only_says_that_it_would_work(world: World, operation: str) -> None:
    more: dict[str, Any] = {"KeySpec": "AES_256"}
    if "Pair" in operation:
        more = {"KeyPairSpec": "ECC_NIST_P256"}
    if operation == "Encrypt":
        more = {"Plaintext": b"x"}
    key = await world.key()
    error = await world.refused(operation, KeyId=key, DryRun=True, **more)
    assert (error.code, error.message) == (
        "DryRunOperationException",
        "The request would have succeeded, but the DryRun option is set.",
    )
    refused = await world.refused(operation, world.bob, KeyId=key, DryRun=True, **more)
    assert refused.code == "AccessDeniedException"


async def test_a_dry_run_of_decrypt(world: World) -> None:
    key = await world.key()
    blob = (await world.do("Encrypt", KeyId=key, Plaintext=b"x"))["CiphertextBlob"]
    dry = {"DryRun": True}
    error = await world.refused("Decrypt", CiphertextBlob=blob, **dry)
    assert error.code == "DryRunOperationException"
    error = await world.refused("Decrypt", CiphertextBlob=blob[:-1], **dry)
    assert error.code == "InvalidCiphertextException"
    error = await world.refused("ReEncrypt", CiphertextBlob=blob, DestinationKeyId=key, **dry)
    assert error.code == "DryRunOperationException"
    ignoring = dry | {"DryRunModifiers": ["IGNORE_CIPHERTEXT"]}
    assert (await world.refused("Decrypt", KeyId=key, **ignoring)).code == error.code
    denied = await world.refused("Decrypt", world.bob, KeyId=key, **ignoring)
    assert denied.code == "AccessDeniedException"
    without = await world.refused("Decrypt", KeyId=key, DryRunModifiers=["IGNORE_CIPHERTEXT"])
    assert without.code == "ValidationException"


async def test_random_bytes(world: World) -> None:
    for size in (1, 1024):
        assert len((await world.do("GenerateRandom", NumberOfBytes=size))["Plaintext"]) == size
    detected = "1 validation error detected: Value '{}' at 'numberOfBytes' failed to satisfy " \
        "constraint: Member must have value {} than or equal to {}"  # fmt: skip
    for wanted, message in (
        ({}, "NumberOfBytes is required."),
        ({"NumberOfBytes": 0}, detected.format(0, "greater", 1)),
        ({"NumberOfBytes": 1025}, detected.format(1025, "less", 1024)),
    ):
        error = await world.refused("GenerateRandom", **wanted)
        assert (error.code, error.message) == ("ValidationException", message)


@pytest.mark.parametrize(("bits", "algorithm", "most"), [
    (2048, "RSAES_OAEP_SHA_1", 214), (2048, "RSAES_OAEP_SHA_256", 190),
])  # fmt: skip
async def test_rsa_encrypts_up_to_its_size(
    world: World, bits: int, algorithm: str, most: int
) -> None:
    spec = f"RSA_{bits}"
    key = await world.key(KeySpec=spec, KeyUsage="ENCRYPT_DECRYPT")
    given = {"KeyId": key, "EncryptionAlgorithm": algorithm}
    blob = (await world.do("Encrypt", Plaintext=b"x" * most, **given))["CiphertextBlob"]
    opened = await world.do("Decrypt", CiphertextBlob=blob, **given)
    assert opened["Plaintext"] == b"x" * most
    assert "KeyMaterialId" not in opened
    error = await world.refused("Encrypt", Plaintext=b"x" * (most + 1), **given)
    assert (error.code, error.message) == (
        "ValidationException",
        f"Algorithm {algorithm} and key spec {spec} cannot encrypt data larger than {most} bytes.",
    )
    wrong = await world.refused("Decrypt", CiphertextBlob=blob[::-1], **given)
    assert (wrong.code, wrong.message) == ("InvalidCiphertextException", "")
    unnamed = await world.refused("Decrypt", CiphertextBlob=blob, EncryptionAlgorithm=algorithm)
    assert unnamed.code == "ValidationException"
    default = await world.refused("Encrypt", KeyId=key, Plaintext=b"x")
    assert default.code == "InvalidKeyUsageException"


async def test_attested_recipients_are_refused_in_words(world: World) -> None:
    key = await world.key()
    error = await world.refused(
        "GenerateDataKey",
        KeyId=key,
        KeySpec="AES_256",
        Recipient={"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": b"x"},
    )
    assert error.code == "UnsupportedOperationException"
    assert error.message


async def test_half_a_surrogate_pair_is_no_text(world: World) -> None:
    key = await world.key()
    error = await world.refused(
        "Encrypt", KeyId=key, Plaintext=b"x", EncryptionContext={"a": "\ud800"}
    )
    assert error.code == "SerializationException"
