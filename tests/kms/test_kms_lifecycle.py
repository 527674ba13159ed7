"""CreateKey and what becomes of keys: states, deletion, description, last usage."""

from __future__ import annotations

import datetime
import uuid
from typing import Any, TypeAlias

import pytest

from tlslab.iam import Caller
from tlslab.kms import AWS_ACCOUNT

World: TypeAlias = Any


async def test_a_key_made_without_a_wish(world: World) -> None:
    metadata = (await world.do("CreateKey"))["KeyMetadata"]
    assert metadata == {
        "AWSAccountId": world.account,
        "KeyId": metadata["KeyId"],
        "Arn": world.arn(metadata["KeyId"]),
        "CreationDate": world.now,
        "Enabled": True,
        "Description": "",
        "KeyUsage": "ENCRYPT_DECRYPT",
        "KeyState": "Enabled",
        "Origin": "AWS_KMS",
        "KeyManager": "CUSTOMER",
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "MultiRegion": False,
        "CurrentKeyMaterialId": metadata["CurrentKeyMaterialId"],
    }
    assert metadata == await world.describe(metadata["KeyId"])
    uuid.UUID(metadata["KeyId"])


@pytest.mark.parametrize(("spec", "usage", "member"), [
    ("RSA_2048", "SIGN_VERIFY", "SigningAlgorithms"),
    ("RSA_2048", "ENCRYPT_DECRYPT", "EncryptionAlgorithms"),
    ("ECC_NIST_P256", "KEY_AGREEMENT", "KeyAgreementAlgorithms"),
    ("HMAC_256", "GENERATE_VERIFY_MAC", "MacAlgorithms"),
    ("ML_DSA_44", "SIGN_VERIFY", "SigningAlgorithms"),
    ("ML_KEM_768", "ENCAPSULATE_DECAPSULATE", "EncapsulationAlgorithms"),
])  # fmt: skip
async def test_specs_and_usages(world: World, spec: str, usage: str, member: str) -> None:
    metadata = (await world.do("CreateKey", KeySpec=spec, KeyUsage=usage))["KeyMetadata"]
    assert (metadata["KeySpec"], metadata["KeyUsage"]) == (spec, usage)
    assert metadata[member]
    assert "CurrentKeyMaterialId" not in metadata


@pytest.mark.parametrize(("wanted", "code", "message"), [
    ({"KeySpec": "HMAC_256"}, "ValidationException",
     "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys."),
    ({"KeySpec": "RSA_2048", "KeyUsage": "KEY_AGREEMENT"}, "ValidationException",
     "KeyUsage KEY_AGREEMENT is not compatible with KeySpec RSA_2048"),
    ({"KeySpec": "SM2", "KeyUsage": "SIGN_VERIFY"}, "UnsupportedOperationException", None),
    ({"Origin": "AWS_CLOUDHSM"}, "UnsupportedOperationException", None),
    ({"CustomKeyStoreId": "cks-1"}, "UnsupportedOperationException", None),
    ({"KeySpec": "RSA_2048", "CustomerMasterKeySpec": "RSA_3072", "KeyUsage": "SIGN_VERIFY"},
     "ValidationException", None),
])  # fmt: skip
async def test_keys_that_cannot_be(
    world: World, wanted: dict[str, Any], code: str, message: str | None
) -> None:
    error = await world.refused("CreateKey", **wanted)
    assert error.code == code
    assert error.message
    assert message is None or error.message == message


@pytest.mark.parametrize(("wanted", "path", "value"), [
    ({"KeySpec": "HMAC_random", "KeyUsage": "GENERATE_VERIFY_MAC"}, "keySpec", "HMAC_random"),
    ({"KeySpec": "HMAC_256", "KeyUsage": "RANDOM"}, "keyUsage", "RANDOM"),
])  # fmt: skip
async def test_values_that_are_none(
    world: World, wanted: dict[str, Any], path: str, value: str
) -> None:
    error = await world.refused("CreateKey", **wanted)
    assert error.code == "ValidationException"
    assert error.message.startswith(
        f"1 validation error detected: Value '{value}' at '{path}' failed to satisfy constraint: "
        "Member must satisfy enum value set: ["
    )


@pytest.mark.parametrize("name", ["fake-key-id", "134f2428cec14b25a1ae9048164dba47",
                                  "mrk-fake-key-id"])  # fmt: skip
async def test_what_is_no_key_id(world: World, name: str) -> None:
    for operation in ("DescribeKey", "EnableKey"):
        error = await world.refused(operation, KeyId=name)
        assert (error.code, error.message) == ("NotFoundException", f"Invalid keyId '{name}'")


async def test_keys_that_do_not_exist(world: World) -> None:
    for name in ("134f2428-cec1-4b25-a1ae-9048164dba47", "mrk-" + "0" * 32):
        for asked in (name, world.arn(name)):
            error = await world.refused("DescribeKey", KeyId=asked)
            assert (error.code, error.message) == (
                "NotFoundException", f"Key '{world.arn(name)}' does not exist",
            )  # fmt: skip


async def test_keys_of_another_region(world: World) -> None:
    key, elsewhere = await world.key(), "us-east-1"
    error = await world.refused("DescribeKey", region=elsewhere, KeyId=key)
    assert error.message == f"Key '{world.arn(key, elsewhere)}' does not exist"
    error = await world.refused("DescribeKey", region=elsewhere, KeyId=world.arn(key))
    assert (error.code, error.message) == ("NotFoundException", f"Invalid arn {world.region}")


@pytest.mark.parametrize("arn", ["arn:aws:kms", "arn:aws:s3:eu-west-2:111122223333:key/x",
                                 "arn:aws:kms:eu-west-2:111122223333:grant/x"])  # fmt: skip
async def test_what_is_no_key_arn(world: World, arn: str) -> None:
    assert (await world.refused("DescribeKey", KeyId=arn)).code == "InvalidArnException"


async def test_a_disabled_key_serves_nothing_until_it_is_enabled(world: World) -> None:
    key = await world.key()
    blob = (await world.do("Encrypt", KeyId=key, Plaintext=b"x"))["CiphertextBlob"]
    await world.do("DisableKey", KeyId=key)
    metadata = await world.describe(key)
    assert (metadata["Enabled"], metadata["KeyState"]) == (False, "Disabled")
    said = ("DisabledException", f"{world.arn(key)} is disabled.")
    for operation, given in (
        ("Encrypt", {"KeyId": key, "Plaintext": b"x"}),
        ("Decrypt", {"CiphertextBlob": blob}),
        ("GenerateDataKey", {"KeyId": key, "KeySpec": "AES_256"}),
        ("ReEncrypt", {"CiphertextBlob": blob, "DestinationKeyId": key}),
        ("RotateKeyOnDemand", {"KeyId": key}),
        ("EnableKeyRotation", {"KeyId": key}),
        ("CreateGrant", {"KeyId": key, "GranteePrincipal": world.bob.principal.arn,
                         "Operations": ["Decrypt"]}),
    ):  # fmt: skip
        error = await world.refused(operation, **given)
        assert (error.code, error.message) == said, operation
    await world.do("EnableKey", KeyId=key)
    assert (await world.do("Decrypt", CiphertextBlob=blob))["Plaintext"] == b"x"


async def test_deletion_waits_can_be_cancelled_and_then_is_final(world: World) -> None:
    key = await world.key()
    await world.do("CreateAlias", AliasName="alias/gone", TargetKeyId=key)
    blob = (await world.do("Encrypt", KeyId=key, Plaintext=b"x"))["CiphertextBlob"]
    answer = await world.do("ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=7)
    date = world.now + datetime.timedelta(days=7)
    assert answer == {"KeyId": world.arn(key), "DeletionDate": date, "KeyState": "PendingDeletion",
                      "PendingWindowInDays": 7}  # fmt: skip
    metadata = await world.describe(key)
    assert (metadata["DeletionDate"], metadata["KeyState"]) == (date, "PendingDeletion")
    said = ("KMSInvalidStateException", f"{world.arn(key)} is pending deletion.")
    for operation in ("EnableKey", "DisableKey", "ScheduleKeyDeletion"):
        error = await world.refused(operation, KeyId=key)
        assert (error.code, error.message) == said
    assert (await world.refused("Decrypt", CiphertextBlob=blob)).code == said[0]

    assert await world.do("CancelKeyDeletion", KeyId=key) == {"KeyId": world.arn(key)}
    assert (await world.describe(key))["KeyState"] == "Disabled"
    assert (await world.refused("CancelKeyDeletion", KeyId=key)).code == said[0]

    await world.do("ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=7)
    world.later(days=7, microseconds=-1)
    assert (await world.describe(key))["KeyState"] == "PendingDeletion"
    world.later(microseconds=1)
    assert (await world.refused("DescribeKey", KeyId=key)).code == "NotFoundException"
    assert (await world.refused("DescribeKey", KeyId="alias/gone")).code == "NotFoundException"
    error = await world.refused("Decrypt", CiphertextBlob=blob)
    assert error.code == "AccessDeniedException"
    assert "does not exist" in error.message


@pytest.mark.parametrize(("days", "fine"), [(6, False), (7, True), (30, True), (31, False)])
async def test_waiting_periods(world: World, days: int, *, fine: bool) -> None:
    given = {"KeyId": await world.key(), "PendingWindowInDays": days}
    if fine:
        assert (await world.do("ScheduleKeyDeletion", **given))["PendingWindowInDays"] == days
    else:
        error = await world.refused("ScheduleKeyDeletion", **given)
        assert error.code == "ValidationException"


async def test_the_waiting_period_is_30_days_unless_said(world: World) -> None:
    answer = await world.do("ScheduleKeyDeletion", KeyId=await world.key())
    assert answer["PendingWindowInDays"] == 30


async def test_descriptions(world: World) -> None:
    key = await world.key(Description="one")
    assert (await world.describe(key))["Description"] == "one"
    await world.do("UpdateKeyDescription", KeyId=key, Description="x" * 8192)
    assert (await world.describe(key))["Description"] == "x" * 8192
    error = await world.refused("UpdateKeyDescription", KeyId=key, Description="x" * 8193)
    assert error.code == "ValidationException"


async def test_last_usage(world: World) -> None:
    key, other = await world.key(), await world.key()
    unused = await world.do("GetKeyLastUsage", KeyId=key)
    assert unused["KeyLastUsage"] == {}
    await world.refused("Encrypt", KeyId=key, Plaintext=b"")
    assert (await world.do("GetKeyLastUsage", KeyId=key))["KeyLastUsage"] == {}
    world.later(seconds=5)
    blob = (await world.do("Encrypt", KeyId=key, Plaintext=b"x"))["CiphertextBlob"]
    used = (await world.do("GetKeyLastUsage", KeyId=key))["KeyLastUsage"]
    assert (used["Operation"], used["Timestamp"]) == ("Encrypt", world.now)
    world.later(seconds=5)
    await world.do("ReEncrypt", CiphertextBlob=blob, DestinationKeyId=other)
    for name in (key, other):
        used = (await world.do("GetKeyLastUsage", KeyId=name))["KeyLastUsage"]
        assert used["Timestamp"] == world.now


async def test_aws_managed_keys_come_with_their_first_use(world: World) -> None:
    arn = await world.kms.resolve(world.bob, "alias/aws/s3", region=world.region)
    assert arn == await world.kms.resolve(world.alice, "alias/aws/s3", region=world.region)
    metadata = await world.describe("alias/aws/s3")
    assert (metadata["Arn"], metadata["KeyManager"]) == (arn, "AWS")
    key = metadata["KeyId"]
    for operation, given in (
        ("DisableKey", {}),
        ("ScheduleKeyDeletion", {}),
        ("PutKeyPolicy", {"Policy": world.policy()}),
        ("TagResource", {"Tags": [{"TagKey": "a", "TagValue": "b"}]}),
        ("EnableKeyRotation", {}),
        ("RotateKeyOnDemand", {}),
        ("UpdateKeyDescription", {"Description": "mine"}),
        ("CreateGrant", {"GranteePrincipal": world.bob.principal.arn, "Operations": ["Decrypt"]}),
    ):
        error = await world.refused(operation, KeyId=key, **given)
        assert error.code == "AccessDeniedException", operation
    assert (await world.refused("DescribeKey", KeyId="alias/aws/nothing")).code == (
        "NotFoundException"
    )


async def test_aws_managed_keys_serve_their_service_only(world: World) -> None:
    via_s3 = world.bob.for_service(f"s3.{world.region}.amazonaws.com")
    given = {"region": world.region, "context": {"aws:s3:arn": "arn:aws:s3:::b/k"}}
    made = await world.kms.generate_data_key(via_s3, "alias/aws/s3", **given)
    opened = await world.kms.decrypt(via_s3, made.ciphertext, **given)
    assert opened.plaintext == made.plaintext
    assert made.plaintext.hex() not in repr(made)
    assert repr(made.plaintext) not in repr(made)
    for stranger in (world.root, world.bob, world.bob.for_service("sqs.eu-west-2.amazonaws.com")):
        error = await world.refused("Decrypt", stranger, CiphertextBlob=made.ciphertext,
                                    EncryptionContext=given["context"])  # fmt: skip
        assert error.code == "AccessDeniedException"


async def test_aws_owned_keys_are_nobody_elses(world: World) -> None:
    service = Caller.service("s3.amazonaws.com", AWS_ACCOUNT)
    given = {"region": world.region, "context": {}}
    made = await world.kms.generate_data_key(service, "alias/aws/s3", **given)
    assert (await world.kms.decrypt(service, made.ciphertext, **given)).plaintext == made.plaintext
    assert (await world.do("ListKeys"))["Keys"] == []
    for stranger in (world.root, world.mallory):
        for operation, asked in (
            ("DescribeKey", {"KeyId": made.key_arn}),
            ("Decrypt", {"CiphertextBlob": made.ciphertext}),
        ):
            error = await world.refused(operation, stranger, **asked)
            assert error.code == "AccessDeniedException"


@pytest.mark.parametrize("operation", [
    "ConnectCustomKeyStore", "CreateCustomKeyStore", "DeleteCustomKeyStore",
    "DescribeCustomKeyStores", "DisconnectCustomKeyStore", "UpdateCustomKeyStore",
])  # fmt: skip
async def test_custom_key_stores_are_refused_in_words(world: World, operation: str) -> None:
    error = await world.refused(operation)
    assert error.code == "UnsupportedOperationException"
    assert "not supported" in error.message
