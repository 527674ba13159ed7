"""Objects and what becomes of their KMS keys: expired, granted for one of them, in two regions."""

from __future__ import annotations

import datetime
import os
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from tests.store_engine.conftest import ACCOUNT, ROOT, caller
from tlslab.store.model import SSEKMS, CompletedPart, CopySource
from tlslab.store.refusals import Refused

if TYPE_CHECKING:
    from tests.store_engine.conftest import World
    from tlslab.iam import Caller
    from tlslab.store.engine import ObjectStore

BODY = os.urandom(100_000)


async def read(store: ObjectStore, by: Caller, key: str = "k", bucket: str = "letters") -> bytes:
    async with await store.get(by, bucket, key) as stored:
        return await stored.body()


async def code(awaitable: Any) -> str:
    with pytest.raises(Refused) as caught:
        await awaitable
    return caught.value.code


async def bring(world: World, arn: str, material: bytes, days: int) -> None:
    """Import key material that expires in so many days."""
    given = await world.do(
        "GetParametersForImport",
        KeyId=arn,
        WrappingAlgorithm="RSAES_OAEP_SHA_256",
        WrappingKeySpec="RSA_2048",
    )
    public = load_der_public_key(given["PublicKey"])
    assert isinstance(public, rsa.RSAPublicKey)
    oaep = padding.OAEP(padding.MGF1(SHA256()), SHA256(), None)
    await world.do(
        "ImportKeyMaterial",
        KeyId=arn,
        ImportToken=given["ImportToken"],
        EncryptedKeyMaterial=public.encrypt(material, oaep),
        ValidTo=world.now + datetime.timedelta(days=days),
    )


@pytest.mark.parametrize("bucket_key", [False, True])
async def test_imported_material_that_expires_shuts_objects_until_it_comes_back(
    local_store: ObjectStore, local: World, bucket_key: bool
) -> None:
    arn, material = await local.key(Origin="EXTERNAL"), os.urandom(32)
    wanted = SSEKMS(arn, bucket_key=bucket_key)
    put = local_store.put(ROOT, "letters", "k", BODY, encryption=wanted)
    assert await code(put) == "KMS.KMSInvalidStateException"
    await bring(local, arn, material, days=3)
    await local_store.put(ROOT, "letters", "k", BODY, encryption=wanted)
    assert await read(local_store, ROOT) == BODY
    local.later(days=3)
    assert await code(read(local_store, ROOT)) == "KMS.KMSInvalidStateException"
    put = local_store.put(ROOT, "letters", "n", BODY, encryption=wanted)
    assert await code(put) == "KMS.KMSInvalidStateException"
    await bring(local, arn, material, days=3)
    assert await read(local_store, ROOT) == BODY


async def test_a_grant_may_be_for_one_object(local_store: ObjectStore, local: World) -> None:
    arn, bob = await local.key(), caller("bob", "s3:*")
    for key in ("k", "other"):
        await local_store.put(ROOT, "letters", key, BODY, encryption=SSEKMS(arn))
    await local.do(
        "CreateGrant",
        KeyId=arn,
        GranteePrincipal=f"arn:aws:iam::{ACCOUNT}:user/bob",
        Operations=["Decrypt"],
        Constraints={"EncryptionContextSubset": {"aws:s3:arn": "arn:aws:s3:::letters/k"}},
    )
    assert await read(local_store, bob) == BODY
    assert await code(read(local_store, bob, "other")) == "AccessDenied"
    copy = local_store.copy(
        bob, CopySource("letters", "k"), "letters", "copy", encryption=SSEKMS(arn)
    )
    assert await code(copy) == "AccessDenied"  # which would be GenerateDataKey


async def test_a_bucket_in_another_region_uses_the_keys_that_are_there(
    local_store: ObjectStore, local: World
) -> None:
    arn = await local.key(MultiRegion=True)
    there = arn.replace("eu-west-2", "eu-west-1")
    await local_store.create_bucket("cartas", owner=ACCOUNT, region="eu-west-1")
    await local_store.put(ROOT, "letters", "k", BODY, encryption=SSEKMS(arn))

    async def copy(key: str) -> Any:
        return await local_store.copy(
            ROOT, CopySource("letters", "k"), "cartas", "k", encryption=SSEKMS(key)
        )

    for key in (arn, there):
        assert await code(copy(key)) == "KMS.NotFoundException"
    await local.do("ReplicateKey", KeyId=arn, ReplicaRegion="eu-west-1")
    assert (await copy(there)).encryption.kms_key_arn == there
    await local.do("DisableKey", KeyId=arn)
    assert await code(read(local_store, ROOT)) == "KMS.DisabledException"
    assert await read(local_store, ROOT, bucket="cartas") == BODY


@pytest.mark.parametrize("bucket_key", [False, True])
async def test_an_upload_goes_on_and_is_completed_with_the_consent_of_its_key(
    local_store: ObjectStore, local: World, bucket_key: bool
) -> None:
    arn, writer = await local.key(), caller("writer", "s3:*", "kms:GenerateDataKey")
    upload = await local_store.create_upload(
        ROOT, "letters", "k", encryption=SSEKMS(arn, bucket_key=bucket_key)
    )
    part = await local_store.put_part(ROOT, "letters", "k", upload.id, 1, BODY)

    async def complete(by: Caller) -> Any:
        named = [CompletedPart(part.number, part.etag)]
        return await local_store.complete_upload(by, "letters", "k", upload.id, named)

    await local.do("DisableKey", KeyId=arn)
    another = local_store.put_part(ROOT, "letters", "k", upload.id, 2, BODY)
    assert await code(another) == "KMS.DisabledException"
    assert await code(complete(ROOT)) == "KMS.DisabledException"
    await local.do("EnableKey", KeyId=arn)
    assert await code(complete(writer)) == "AccessDenied"
    assert await code(read(local_store, ROOT)) == "NoSuchKey"
    await complete(ROOT)
    assert await read(local_store, ROOT) == BODY
