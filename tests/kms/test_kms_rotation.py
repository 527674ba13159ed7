"""Rotation: by the clock and on demand; what was encrypted before stays readable."""

from __future__ import annotations

import datetime
from typing import Any, TypeAlias

import pytest

World: TypeAlias = Any


async def material(world: World, key: str, region: str = "eu-west-2") -> str:
    return str((await world.describe(key, region))["CurrentKeyMaterialId"])


async def test_old_ciphertexts_stay_readable_after_every_rotation(world: World) -> None:
    key = await world.key()
    blobs: list[bytes] = []
    used: list[str] = []
    for _ in range(4):
        sealed = await world.do("Encrypt", KeyId=key, Plaintext=b"%d" % len(blobs))
        blobs.append(sealed["CiphertextBlob"])
        used.append(await material(world, key))
        await world.do("RotateKeyOnDemand", KeyId=key)
    assert len(set(used)) == 4
    for number, blob in enumerate(blobs):
        opened = await world.do("Decrypt", CiphertextBlob=blob)
        assert opened["Plaintext"] == b"%d" % number
        assert opened["KeyMaterialId"] == used[number]
    error = await world.refused("Decrypt", CiphertextBlob=blobs[0][:-1] + b"\0")
    assert (error.code, error.message) == ("InvalidCiphertextException", "")


@pytest.mark.parametrize("days", [90, 365, 2560])
async def test_automatic_rotation(world: World, days: int) -> None:
    key = await world.key()
    given = {} if days == 365 else {"RotationPeriodInDays": days}
    await world.do("EnableKeyRotation", KeyId=key, **given)
    first = await material(world, key)
    due = world.now + datetime.timedelta(days=days)
    assert await world.do("GetKeyRotationStatus", KeyId=key) == {
        "KeyId": world.arn(key),
        "KeyRotationEnabled": True,
        "RotationPeriodInDays": days,
        "NextRotationDate": due,
    }
    world.later(days=days, microseconds=-1)
    assert await material(world, key) == first
    world.later(microseconds=1)
    second = await material(world, key)
    assert second != first
    listed = (await world.do("ListKeyRotations", KeyId=key))["Rotations"]
    assert listed == [{
        "KeyId": world.arn(key),
        "KeyMaterialId": second,
        "KeyMaterialState": "CURRENT",
        "RotationDate": due,
        "RotationType": "AUTOMATIC",
    }]  # fmt: skip
    everything = await world.do(
        "ListKeyRotations", KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL"
    )
    assert [each["KeyMaterialState"] for each in everything["Rotations"]] == [
        "NON_CURRENT", "CURRENT",
    ]  # fmt: skip
    status = await world.do("GetKeyRotationStatus", KeyId=key)
    assert status["NextRotationDate"] == due + datetime.timedelta(days=days)


@pytest.mark.parametrize("days", [89, 2561])
async def test_periods_that_are_none(world: World, days: int) -> None:
    key = await world.key()
    error = await world.refused("EnableKeyRotation", KeyId=key, RotationPeriodInDays=days)
    assert error.code == "ValidationException"


async def test_rotation_can_be_switched_off(world: World) -> None:
    key = await world.key()
    await world.do("EnableKeyRotation", KeyId=key)
    await world.do("DisableKeyRotation", KeyId=key)
    status = await world.do("GetKeyRotationStatus", KeyId=key)
    assert status == {"KeyId": world.arn(key), "KeyRotationEnabled": False}
    first = await material(world, key)
    world.later(days=3000)
    assert await material(world, key) == first


async def test_a_disabled_key_is_rotated_when_it_is_enabled_again(world: World) -> None:
    key = await world.key()
    await world.do("EnableKeyRotation", KeyId=key)
    first = await material(world, key)
    await world.do("DisableKey", KeyId=key)
    world.later(days=400)
    assert await material(world, key) == first
    await world.do("EnableKey", KeyId=key)
    assert await material(world, key) != first


async def test_aws_managed_keys_rotate_every_year(world: World) -> None:
    await world.kms.resolve(world.root, "alias/aws/s3", region=world.region)
    first = await material(world, "alias/aws/s3")
    world.later(days=365)
    assert await material(world, "alias/aws/s3") != first


async def test_on_demand_rotations_are_limited(world: World) -> None:
    key = await world.key()
    for _ in range(25):
        await world.do("RotateKeyOnDemand", KeyId=key)
    error = await world.refused("RotateKeyOnDemand", KeyId=key)
    assert (error.code, error.message) == (
        "LimitExceededException",
        "The on-demand rotations limit has been reached for the given keyId. No more on-demand "
        f"rotations can be performed for this key: {world.arn(key)}",
    )


@pytest.mark.parametrize(("spec", "usage"), [
    ("RSA_2048", "SIGN_VERIFY"), ("HMAC_256", "GENERATE_VERIFY_MAC"),
])  # fmt: skip
@pytest.mark.parametrize("operation", [
    "RotateKeyOnDemand", "EnableKeyRotation", "DisableKeyRotation", "GetKeyRotationStatus",
    "ListKeyRotations",
])  # fmt: skip
async def test_only_symmetric_keys_rotate(
    world: World, spec: str, usage: str, operation: str
) -> None:
    key = await world.key(KeySpec=spec, KeyUsage=usage)
    error = await world.refused(operation, KeyId=key)
    assert (error.code, error.message) == ("UnsupportedOperationException", "")


async def test_recorded_refusals(world: World) -> None:
    missing = "134f2428-cec1-4b25-a1ae-9048164dba47"
    error = await world.refused("RotateKeyOnDemand", KeyId=missing)
    assert (error.code, error.message) == (
        "NotFoundException", f"Key '{world.arn(missing)}' does not exist",
    )  # fmt: skip
    key = await world.key()
    await world.do("DisableKey", KeyId=key)
    error = await world.refused("RotateKeyOnDemand", KeyId=key)
    assert (error.code, error.message) == ("DisabledException", f"{world.arn(key)} is disabled.")


async def test_data_keys_and_re_encryption_use_the_new_material(world: World) -> None:
    key = await world.key()
    old = await world.do("GenerateDataKey", KeyId=key, KeySpec="AES_256")
    await world.do("RotateKeyOnDemand", KeyId=key)
    new = await world.do("GenerateDataKey", KeyId=key, KeySpec="AES_256")
    assert old["KeyMaterialId"] != new["KeyMaterialId"] == await material(world, key)
    moved = await world.do("ReEncrypt", CiphertextBlob=old["CiphertextBlob"], DestinationKeyId=key)
    assert moved["SourceKeyMaterialId"] == old["KeyMaterialId"]
    assert moved["DestinationKeyMaterialId"] == new["KeyMaterialId"]


async def test_pages_of_rotations(world: World) -> None:
    key = await world.key()
    for _ in range(5):
        await world.do("RotateKeyOnDemand", KeyId=key)
    seen: list[str] = []
    marker: dict[str, Any] = {}
    for size in (2, 2, 1):
        page = await world.do("ListKeyRotations", KeyId=key, Limit=2, **marker)
        assert len(page["Rotations"]) == size
        seen += [each["KeyMaterialId"] for each in page["Rotations"]]
        assert page["Truncated"] == (size == 2)
        marker = {"Marker": page.get("NextMarker")}
    assert len(set(seen)) == 5
