"""Multi-region keys: one id and one material, and all else separate."""

from __future__ import annotations

import os
from typing import Any, TypeAlias

World: TypeAlias = Any

HERE, THERE, ELSEWHERE = "eu-west-2", "us-east-1", "ap-southeast-1"


async def replicated(world: World, *regions: str, **more: Any) -> str:
    key = str(await world.key(MultiRegion=True, **more))
    for region in regions:
        await world.do("ReplicateKey", KeyId=key, ReplicaRegion=region)
    return key


async def test_what_one_region_encrypts_the_others_decrypt(world: World) -> None:
    key = await replicated(world, THERE)
    assert key.startswith("mrk-")
    blob = (await world.do("Encrypt", KeyId=key, Plaintext=b"x"))["CiphertextBlob"]
    opened = await world.do("Decrypt", region=THERE, CiphertextBlob=blob)
    assert (opened["Plaintext"], opened["KeyId"]) == (b"x", world.arn(key, THERE))
    back = await world.do("Encrypt", region=THERE, KeyId=key, Plaintext=b"y")
    assert (await world.do("Decrypt", CiphertextBlob=back["CiphertextBlob"]))["Plaintext"] == b"y"
    error = await world.refused("Decrypt", region=ELSEWHERE, CiphertextBlob=blob)
    assert error.code == "AccessDeniedException"


async def test_a_single_region_key_stays_in_its_region(world: World) -> None:
    key = await world.key()
    blob = (await world.do("Encrypt", KeyId=key, Plaintext=b"x"))["CiphertextBlob"]
    error = await world.refused("Decrypt", region=THERE, CiphertextBlob=blob)
    assert error.code == "AccessDeniedException"
    error = await world.refused("ReplicateKey", KeyId=key, ReplicaRegion=THERE)
    assert error.code == "UnsupportedOperationException"


async def test_metadata(world: World) -> None:
    key = await replicated(world)
    answer = await world.do(
        "ReplicateKey", KeyId=key, ReplicaRegion=THERE, Description="there",
        Tags=[{"TagKey": "a", "TagValue": "b"}],
    )  # fmt: skip
    regions = {
        "PrimaryKey": {"Arn": world.arn(key, HERE), "Region": HERE},
        "ReplicaKeys": [{"Arn": world.arn(key, THERE), "Region": THERE}],
    }
    replica = answer["ReplicaKeyMetadata"]
    assert replica["MultiRegionConfiguration"] == {"MultiRegionKeyType": "REPLICA", **regions}
    assert (replica["Arn"], replica["Description"]) == (world.arn(key, THERE), "there")
    assert answer["ReplicaTags"] == [{"TagKey": "a", "TagValue": "b"}]
    primary = await world.describe(key)
    assert primary["MultiRegionConfiguration"] == {"MultiRegionKeyType": "PRIMARY", **regions}
    assert primary["CurrentKeyMaterialId"] == replica["CurrentKeyMaterialId"]
    assert primary["Description"] == ""


async def test_each_has_its_own_state_policy_and_aliases(world: World) -> None:
    key = await replicated(world, THERE)
    await world.do("DisableKey", region=THERE, KeyId=key)
    await world.do("Encrypt", KeyId=key, Plaintext=b"x")
    assert (await world.refused("Encrypt", region=THERE, KeyId=key, Plaintext=b"x")).code == (
        "DisabledException"
    )
    await world.do("CreateAlias", AliasName="alias/a", TargetKeyId=key)
    error = await world.refused("DescribeKey", region=THERE, KeyId="alias/a")
    assert error.code == "NotFoundException"


async def test_recorded_refusals(world: World) -> None:
    key = await replicated(world, THERE)
    error = await world.refused("DescribeKey", region=ELSEWHERE, KeyId=key)
    assert (error.code, error.message) == (
        "NotFoundException", f"Key '{world.arn(key, ELSEWHERE)}' does not exist",
    )  # fmt: skip
    error = await world.refused("ReplicateKey", region=THERE, KeyId=key, ReplicaRegion=ELSEWHERE)
    assert (error.code, error.message) == (
        "UnsupportedOperationException",
        f"{world.arn(key, THERE)} is not a multi-region primary key.",
    )
    error = await world.refused("ReplicateKey", KeyId=key, ReplicaRegion=THERE)
    assert error.code == "AlreadyExistsException"
    error = await world.refused("ReplicateKey", KeyId=key, ReplicaRegion=HERE)
    assert error.code == "ValidationException"


async def test_replicating_needs_permission_for_both(world: World) -> None:
    key = await replicated(world)
    given = {"KeyId": key, "ReplicaRegion": THERE}
    half = world.caller("h", world.allow("kms:ReplicateKey"))
    assert (await world.refused("ReplicateKey", half, **given)).code == "AccessDeniedException"
    whole = world.caller("w", world.allow("kms:ReplicateKey", "kms:CreateKey", "kms:PutKeyPolicy"))
    await world.do("ReplicateKey", whole, **given)


async def test_all_regions_rotate_together(world: World) -> None:
    key = await replicated(world, THERE)
    old = (await world.do("Encrypt", region=THERE, KeyId=key, Plaintext=b"x"))["CiphertextBlob"]
    error = await world.refused("RotateKeyOnDemand", region=THERE, KeyId=key)
    assert error.code == "UnsupportedOperationException"
    await world.do("RotateKeyOnDemand", KeyId=key)
    ids = [(await world.describe(key, region))["CurrentKeyMaterialId"] for region in (HERE, THERE)]
    assert len(set(ids)) == 1
    await world.do("EnableKeyRotation", KeyId=key)
    status = await world.do("GetKeyRotationStatus", region=THERE, KeyId=key)
    assert (status["KeyRotationEnabled"], status["KeyId"]) == (True, world.arn(key, THERE))
    world.later(days=365)
    rotated = [
        (await world.describe(key, region))["CurrentKeyMaterialId"] for region in (THERE, HERE)
    ]
    assert len(set(rotated)) == 1
    assert rotated != ids
    assert (await world.do("Decrypt", CiphertextBlob=old))["Plaintext"] == b"x"
    await world.do("ReplicateKey", KeyId=key, ReplicaRegion=ELSEWHERE)
    opened = await world.do("Decrypt", region=ELSEWHERE, CiphertextBlob=old)
    assert opened["Plaintext"] == b"x"


async def test_another_primary(world: World) -> None:
    key = await replicated(world, THERE)
    await world.do("EnableKeyRotation", KeyId=key)
    error = await world.refused("UpdatePrimaryRegion", KeyId=key, PrimaryRegion=ELSEWHERE)
    assert error.code == "UnsupportedOperationException"
    await world.do("UpdatePrimaryRegion", KeyId=key, PrimaryRegion=THERE)
    for region, kind in ((HERE, "REPLICA"), (THERE, "PRIMARY")):
        found = (await world.describe(key, region))["MultiRegionConfiguration"]
        assert found["MultiRegionKeyType"] == kind
        assert found["PrimaryKey"]["Region"] == THERE
    first = (await world.describe(key))["CurrentKeyMaterialId"]
    world.later(days=365)
    assert (await world.describe(key))["CurrentKeyMaterialId"] != first
    await world.do("ReplicateKey", region=THERE, KeyId=key, ReplicaRegion=ELSEWHERE)


async def test_a_primary_waits_for_its_replicas_to_be_deleted(world: World) -> None:
    key = await replicated(world, THERE)
    answer = await world.do("ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=10)
    assert answer["KeyState"] == "PendingReplicaDeletion"
    assert "DeletionDate" not in answer
    assert (await world.describe(key))["PendingDeletionWindowInDays"] == 10
    world.later(days=400)
    assert (await world.describe(key))["KeyState"] == "PendingReplicaDeletion"
    await world.do("ScheduleKeyDeletion", region=THERE, KeyId=key, PendingWindowInDays=7)
    world.later(days=7)
    metadata = await world.describe(key)
    assert metadata["KeyState"] == "PendingDeletion"
    assert (metadata["DeletionDate"] - world.now).days == 10
    world.later(days=10)
    assert (await world.refused("DescribeKey", KeyId=key)).code == "NotFoundException"


async def test_imported_multi_region_keys_are_imported_everywhere(world: World) -> None:
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    async def bring(region: str, secret: bytes, **more: str) -> None:
        given = await world.do("GetParametersForImport", region=region, KeyId=key,
                               WrappingAlgorithm="RSAES_OAEP_SHA_256",
                               WrappingKeySpec="RSA_2048")  # fmt: skip
        public = load_der_public_key(given["PublicKey"])
        assert isinstance(public, rsa.RSAPublicKey)
        oaep = padding.OAEP(padding.MGF1(SHA256()), SHA256(), None)
        await world.do(
            "ImportKeyMaterial", region=region, KeyId=key, ImportToken=given["ImportToken"],
            EncryptedKeyMaterial=public.encrypt(secret, oaep),
            ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE", **more,
        )  # fmt: skip

    one, two = os.urandom(32), os.urandom(32)
    key = await world.key(MultiRegion=True, Origin="EXTERNAL")
    await bring(HERE, one)
    await world.do("ReplicateKey", KeyId=key, ReplicaRegion=THERE)
    assert (await world.describe(key, THERE))["KeyState"] == "PendingImport"
    await bring(THERE, one)
    blob = (await world.do("Encrypt", KeyId=key, Plaintext=b"x"))["CiphertextBlob"]
    assert (await world.do("Decrypt", region=THERE, CiphertextBlob=blob))["Plaintext"] == b"x"
    await bring(HERE, two, ImportType="NEW_KEY_MATERIAL")
    assert (await world.refused("RotateKeyOnDemand", KeyId=key)).code == "KMSInvalidStateException"
    await bring(THERE, two)
    await world.do("RotateKeyOnDemand", KeyId=key)
    fresh = (await world.do("Encrypt", KeyId=key, Plaintext=b"y"))["CiphertextBlob"]
    for each, plaintext in ((blob, b"x"), (fresh, b"y")):
        opened = await world.do("Decrypt", region=THERE, CiphertextBlob=each)
        assert opened["Plaintext"] == plaintext
