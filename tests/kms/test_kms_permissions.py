"""Who may: key policies, identities' policies, accounts. Every permission has a denied twin."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

import pytest

from tlslab.iam import Caller
from tlslab.kms import KMS, KMSError

World: TypeAlias = Any

DENIED = "AccessDeniedException"


async def encrypts(world: World, by: Any, key: str, **given: Any) -> bool:
    """Whether the caller may encrypt with the key."""
    try:
        await world.do("Encrypt", by, KeyId=key, Plaintext=b"x", **given)
    except KMSError as error:
        if error.code != DENIED:
            raise
        return False
    return True


def statement(world: World, *actions: str, to: Any = None, **more: Any) -> dict[str, Any]:
    principal = {"AWS": (to or world.bob).principal.arn}
    return {"Principal": principal, "Action": list(actions) or "kms:Encrypt", **more}


async def test_the_default_policy_leaves_it_to_the_account(world: World) -> None:
    key = await world.key()
    policy = json.loads((await world.do("GetKeyPolicy", KeyId=key))["Policy"])
    assert policy["Statement"][0]["Principal"] == {"AWS": f"arn:aws:iam::{world.account}:root"}
    assert await encrypts(world, world.root, key)
    assert await encrypts(world, world.alice, key)  # her own policies allow
    assert not await encrypts(world, world.bob, key)


async def test_the_words_of_a_refusal(world: World) -> None:
    key = await world.key()
    error = await world.refused("Encrypt", world.bob, KeyId=key, Plaintext=b"x")
    assert error.message == (
        f"User: {world.bob.principal.arn} is not authorized to perform: kms:Encrypt on resource: "
        f"{world.arn(key)} because no identity-based policy allows the kms:Encrypt action"
    )


async def test_an_identity_policy_for_one_key_only(world: World) -> None:
    key, other = await world.key(), await world.key()
    carol = world.caller("carol", world.allow("kms:Encrypt", resource=world.arn(key)))
    assert await encrypts(world, carol, key)
    assert not await encrypts(world, carol, other)
    error = await world.refused("GenerateDataKey", carol, KeyId=key, KeySpec="AES_256")
    assert error.code == DENIED


async def test_a_key_policy_that_names_a_user(world: World) -> None:
    key = await world.key(Policy=world.policy(statement(world)))
    assert await encrypts(world, world.bob, key)
    assert (await world.refused("DisableKey", world.bob, KeyId=key)).code == DENIED


async def test_without_delegation_the_accounts_policies_are_worth_nothing(world: World) -> None:
    to_bob = statement(world, "kms:*")
    closed = await world.key(world.bob_admin, Policy=world.policy(to_bob, root=False))
    opened = await world.key(world.bob_admin, Policy=world.policy(to_bob))
    assert await encrypts(world, world.alice, opened)
    assert not await encrypts(world, world.alice, closed)
    assert not await encrypts(world, world.root, closed)
    assert await encrypts(world, world.bob, closed)


@pytest.mark.parametrize("side", ["key", "identity"])
async def test_a_deny_wins(world: World, side: str) -> None:
    deny = statement(world, "kms:Encrypt", to=world.alice, Effect="Deny")
    key = await world.key(Policy=world.policy(*([deny] if side == "key" else [])))
    policies = [world.allow("kms:*")]
    if side == "identity":
        policies.append(world.allow("kms:Encrypt", effect="Deny"))
    alice = world.caller("alice", *policies)
    assert not await encrypts(world, alice, key)
    error = await world.refused("Encrypt", alice, KeyId=key, Plaintext=b"x")
    assert "explicit deny" in error.message
    assert (await world.do("DescribeKey", alice, KeyId=key))["KeyMetadata"]


async def test_another_account_needs_both_sides(world: World) -> None:
    there = {"AWS": f"arn:aws:iam::{world.other_account}:root"}
    shared = await world.key(Policy=world.policy({"Principal": there, "Action": "kms:Encrypt"}))
    private = await world.key()
    idle = world.caller("idle", account=world.other_account)
    assert await encrypts(world, world.mallory, world.arn(shared))
    assert not await encrypts(world, idle, world.arn(shared))
    assert not await encrypts(world, world.mallory, world.arn(private))
    error = await world.refused("Encrypt", world.mallory, KeyId=shared, Plaintext=b"x")
    assert error.code == "NotFoundException"  # a bare id means one's own account


async def test_everybody_in_a_key_policy_still_needs_a_permission_of_his_account(
    world: World,
) -> None:
    key = await world.key(Policy=world.policy({"Principal": {"AWS": "*"}, "Action": "kms:*"}))
    idle = world.caller("idle", account=world.other_account)
    assert await encrypts(world, world.bob, key)
    assert await encrypts(world, world.mallory, world.arn(key))
    assert not await encrypts(world, idle, world.arn(key))


async def test_what_never_works_on_another_accounts_key(world: World) -> None:
    there = {"AWS": f"arn:aws:iam::{world.other_account}:root"}
    key = await world.key(Policy=world.policy({"Principal": there, "Action": "kms:*"}))
    given = {"KeyId": world.arn(key)}
    for operation, more in (
        ("DisableKey", {}),
        ("ScheduleKeyDeletion", {}),
        ("PutKeyPolicy", {"Policy": world.policy()}),
        ("GetKeyPolicy", {}),
        ("TagResource", {"Tags": []}),
        ("EnableKeyRotation", {}),
        ("ListResourceTags", {}),
    ):
        assert (await world.refused(operation, world.mallory, **given, **more)).code == DENIED
    assert (await world.do("DescribeKey", world.mallory, **given))["KeyMetadata"]


async def test_nobody_in_particular(world: World) -> None:
    key = await world.key(Policy=world.policy({"Principal": "*", "Action": "kms:*"}))
    anonymous = Caller(None, None, "192.0.2.7", "tests", secure=True)
    error = await world.refused("Encrypt", anonymous, KeyId=world.arn(key), Plaintext=b"x")
    assert error.code == "MissingAuthenticationTokenException"


CONTEXT = {"department": "sales", "case": "4711"}


@pytest.mark.parametrize(("condition", "allowed", "denied"), [
    ({"StringEquals": {"kms:EncryptionContext:department": "sales"}},
     CONTEXT, {"department": "hr"}),
    ({"ForAnyValue:StringEquals": {"kms:EncryptionContextKeys": "case"}},
     CONTEXT, {"department": "sales"}),
    ({"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["case", "department"]}},
     CONTEXT, {"other": "x"}),
    ({"Null": {"kms:EncryptionContext:case": "false"}}, CONTEXT, {}),
])  # fmt: skip
async def test_conditions_on_the_encryption_context(
    world: World, condition: Any, allowed: dict[str, str], denied: dict[str, str]
) -> None:
    key = await world.key(Policy=world.policy(statement(world, Condition=condition)))
    assert await encrypts(world, world.bob, key, EncryptionContext=allowed)
    assert not await encrypts(world, world.bob, key, EncryptionContext=denied)


async def test_the_context_condition_also_guards_decrypt_and_re_encrypt(world: World) -> None:
    condition = {"StringEquals": {"kms:EncryptionContext:department": "sales"}}
    policy = world.policy(statement(world, "kms:Decrypt", "kms:ReEncrypt*", Condition=condition))
    key = await world.key(Policy=policy)
    blobs = {}
    for department in ("sales", "hr"):
        sealed = await world.do(
            "Encrypt", KeyId=key, Plaintext=b"x", EncryptionContext={"department": department}
        )
        blobs[department] = sealed["CiphertextBlob"]
    sales, hr = {"department": "sales"}, {"department": "hr"}
    given = {"CiphertextBlob": blobs["sales"], "EncryptionContext": sales}
    assert (await world.do("Decrypt", world.bob, **given))["Plaintext"] == b"x"
    refused = await world.refused(
        "Decrypt", world.bob, CiphertextBlob=blobs["hr"], EncryptionContext=hr
    )
    assert refused.code == DENIED
    moving = {"CiphertextBlob": blobs["sales"], "SourceEncryptionContext": sales,
              "DestinationKeyId": key}  # fmt: skip
    await world.do("ReEncrypt", world.bob, DestinationEncryptionContext=sales, **moving)
    refused = await world.refused("ReEncrypt", world.bob, DestinationEncryptionContext=hr, **moving)
    assert refused.code == DENIED
    assert "kms:ReEncryptTo" in refused.message


async def test_via_a_service(world: World) -> None:
    condition = {"StringEquals": {"kms:ViaService": "s3.eu-west-2.amazonaws.com"}}
    key = await world.key(Policy=world.policy(statement(world, Condition=condition)))
    assert await encrypts(world, world.bob.for_service("s3.eu-west-2.amazonaws.com"), key)
    assert not await encrypts(world, world.bob.for_service("sqs.eu-west-2.amazonaws.com"), key)
    assert not await encrypts(world, world.bob, key)


async def test_callers_of_one_account(world: World) -> None:
    condition = {"StringEquals": {"kms:CallerAccount": world.account}}
    policy = world.policy({"Principal": {"AWS": "*"}, "Action": "kms:*", "Condition": condition})
    key = await world.key(Policy=policy)
    assert await encrypts(world, world.bob, key)
    assert not await encrypts(world, world.mallory, world.arn(key))


async def test_aliases_in_conditions(world: World) -> None:
    by_request = {"StringEquals": {"kms:RequestAlias": "alias/one"}}
    by_resource = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/one"}}
    request = world.caller("r", world.allow("kms:Encrypt", Condition=by_request))
    resource = world.caller("s", world.allow("kms:Encrypt", Condition=by_resource))
    key, other = await world.key(), await world.key()
    await world.do("CreateAlias", AliasName="alias/one", TargetKeyId=key)
    assert await encrypts(world, request, "alias/one")
    assert not await encrypts(world, request, key)
    assert await encrypts(world, resource, key)
    assert not await encrypts(world, resource, other)
    await world.do("UpdateAlias", AliasName="alias/one", TargetKeyId=other)
    assert not await encrypts(world, resource, key)
    assert await encrypts(world, resource, other)


@pytest.mark.parametrize(("condition", "operation", "allowed", "denied"), [
    ("kms:KeySpec", "CreateKey", {"KeySpec": "SYMMETRIC_DEFAULT"},
     {"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"}),
    ("kms:KeyUsage", "CreateKey", {"KeyUsage": "ENCRYPT_DECRYPT"},
     {"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"}),
    ("kms:KeyOrigin", "CreateKey", {"Origin": "AWS_KMS"}, {"Origin": "EXTERNAL"}),
    ("kms:MultiRegion", "CreateKey", {"MultiRegion": False}, {"MultiRegion": True}),
    ("aws:RequestTag/team", "CreateKey", {"Tags": [{"TagKey": "team", "TagValue": "a"}]},
     {"Tags": [{"TagKey": "team", "TagValue": "b"}]}),
    ("kms:ScheduleKeyDeletionPendingWindowInDays", "ScheduleKeyDeletion",
     {"PendingWindowInDays": 30}, {"PendingWindowInDays": 7}),
    ("kms:RotationPeriodInDays", "EnableKeyRotation", {"RotationPeriodInDays": 365},
     {"RotationPeriodInDays": 90}),
    ("kms:DataKeyPairSpec", "GenerateDataKeyPair", {"KeyPairSpec": "ECC_NIST_P256"},
     {"KeyPairSpec": "ECC_NIST_P384"}),
])  # fmt: skip
async def test_conditions_on_what_is_asked(
    world: World, condition: str, operation: str, allowed: dict[str, Any], denied: dict[str, Any]
) -> None:
    value = next(iter(allowed.values()))
    value = value[0]["TagValue"] if isinstance(value, list) else str(value).lower() \
        if isinstance(value, bool) else str(value)  # fmt: skip
    only = world.allow("kms:*", Condition={"StringEquals": {condition: value}})
    dave = world.caller("dave", only)
    target = {} if operation == "CreateKey" else {"KeyId": await world.key()}
    assert (await world.refused(operation, dave, **target, **denied)).code == DENIED
    bypass = {"BypassPolicyLockoutSafetyCheck": True} if operation == "CreateKey" else {}
    await world.do(operation, dave, **target, **allowed, **bypass)


async def test_conditions_on_tags_of_the_key(world: World) -> None:
    blue = {"StringEquals": {"aws:ResourceTag/team": "blue"}}
    erin = world.caller("erin", world.allow("kms:Encrypt", Condition=blue))
    key = await world.key(Tags=[{"TagKey": "team", "TagValue": "blue"}])
    assert await encrypts(world, erin, key)
    await world.do("TagResource", KeyId=key, Tags=[{"TagKey": "team", "TagValue": "red"}])
    assert not await encrypts(world, erin, key)


async def test_a_policy_that_locks_its_author_out_is_refused(world: World) -> None:
    bobs = world.policy(statement(world, "kms:*"), root=False)
    for given in ({"operation": "CreateKey"},
                  {"operation": "PutKeyPolicy", "KeyId": await world.key()}):  # fmt: skip
        error = await world.refused(**given, Policy=bobs)
        assert error.code == "MalformedPolicyDocumentException"
        await world.do(**given, Policy=bobs, BypassPolicyLockoutSafetyCheck=True)


@pytest.mark.parametrize("policy", [
    "not json", "{}", '{"Version":"2012-10-17","Statement":[{"Effect":"Allow"}]}',
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*"}]}',
])  # fmt: skip
async def test_policies_that_are_none(world: World, policy: str) -> None:
    key = await world.key()
    error = await world.refused("PutKeyPolicy", KeyId=key, Policy=policy)
    assert error.code == "MalformedPolicyDocumentException"
    assert await encrypts(world, world.root, key)


async def test_policies_have_32_kilobytes(world: World) -> None:
    key, policy = await world.key(), world.policy()
    fits = policy + " " * (32 * 1024 - len(policy))
    await world.do("PutKeyPolicy", KeyId=key, Policy=fits)
    error = await world.refused("PutKeyPolicy", KeyId=key, Policy=fits + " ")
    assert error.code == "LimitExceededException"


async def test_policies_name_nobody_who_does_not_exist(world: World) -> None:
    known = {world.bob.principal.arn, f"arn:aws:iam::{world.account}:root"}
    picky = KMS(world.database, world.seal, world.trail, principal_exists=known.__contains__)
    await picky.invoke(
        world.root, "CreateKey", {"Policy": world.policy(statement(world))}, region=world.region
    )
    ghost = world.caller("ghost")
    with pytest.raises(KMSError) as caught:
        await picky.invoke(
            world.root,
            "CreateKey",
            {"Policy": world.policy(statement(world, to=ghost))},
            region=world.region,
        )
    assert caught.value.code == "MalformedPolicyDocumentException"


async def test_a_policy_is_effective_at_once(world: World) -> None:
    key = await world.key(Policy=world.policy(statement(world)))
    assert await encrypts(world, world.bob, key)
    await world.do("PutKeyPolicy", KeyId=key, Policy=world.policy())
    assert not await encrypts(world, world.bob, key)


async def test_policy_names(world: World) -> None:
    key = await world.key()
    assert (await world.do("ListKeyPolicies", KeyId=key))["PolicyNames"] == ["default"]
    answer = await world.do("GetKeyPolicy", KeyId=key, PolicyName="default")
    assert answer["PolicyName"] == "default"
    error = await world.refused("GetKeyPolicy", KeyId=key, PolicyName="other")
    assert error.code == "NotFoundException"


@pytest.mark.parametrize(("operation", "given"), [
    ("CreateKey", {}), ("ListKeys", {}), ("ListAliases", {}),
    ("GenerateRandom", {"NumberOfBytes": 8}),
    ("ListRetirableGrants", {"RetiringPrincipal": "arn:aws:iam::111122223333:user/bob"}),
])  # fmt: skip
async def test_what_concerns_no_key_is_up_to_identity_policies(
    world: World, operation: str, given: dict[str, Any]
) -> None:
    assert (await world.refused(operation, world.bob, **given)).code == DENIED
    allowed = world.caller("bob", world.allow(f"kms:{operation}"))
    if operation == "CreateKey":  # the default policy leaves PutKeyPolicy to bob's policies
        allowed = world.caller("bob", world.allow("kms:CreateKey", "kms:PutKeyPolicy"))
    await world.do(operation, allowed, **given)


async def test_strangers_learn_nothing_of_whose_ciphertext_they_have(world: World) -> None:
    key = await world.key()
    blob = (await world.do("Encrypt", KeyId=key, Plaintext=b"x"))["CiphertextBlob"]
    there = await world.key(world.mallory)
    for operation, given in (
        ("Decrypt", {}),
        ("ReEncrypt", {"DestinationKeyId": there}),
    ):
        error = await world.refused(operation, world.mallory, CiphertextBlob=blob, **given)
        assert error.code == DENIED
        assert key not in error.message
    error = await world.refused("Decrypt", world.bob, CiphertextBlob=blob)
    assert error.code == DENIED
    assert key in error.message


async def test_re_encrypting_within_one_key_only(world: World) -> None:
    same = {"Bool": {"kms:ReEncryptOnSameKey": "true"}}
    fred = world.caller("fred", world.allow("kms:ReEncrypt*", Condition=same))
    key, other = await world.key(), await world.key()
    blob = (await world.do("Encrypt", KeyId=key, Plaintext=b"x"))["CiphertextBlob"]
    await world.do("ReEncrypt", fred, CiphertextBlob=blob, DestinationKeyId=key)
    error = await world.refused("ReEncrypt", fred, CiphertextBlob=blob, DestinationKeyId=other)
    assert error.code == DENIED
