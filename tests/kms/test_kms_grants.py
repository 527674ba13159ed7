"""Grants: what they permit, what they do not, and how they end."""

from __future__ import annotations

from typing import Any, TypeAlias

import pytest

World: TypeAlias = Any

DENIED = "AccessDeniedException"
CONTEXT = {"a": "1", "b": "2"}


async def granted(world: World, key: str, *operations: str, **more: Any) -> dict[str, Any]:
    given = {"GranteePrincipal": world.bob.principal.arn, "Operations": list(operations)} | more
    answer: dict[str, Any] = await world.do("CreateGrant", KeyId=key, **given)
    return answer


async def test_a_grant_permits_its_operations_to_its_grantee(world: World) -> None:
    key, other = await world.key(), await world.key()
    assert (await world.refused("Encrypt", world.bob, KeyId=key, Plaintext=b"x")).code == DENIED
    await granted(world, key, "Encrypt")
    blob = (await world.do("Encrypt", world.bob, KeyId=key, Plaintext=b"x"))["CiphertextBlob"]
    for by, operation, given in (
        (world.bob, "Decrypt", {"CiphertextBlob": blob}),
        (world.bob, "Encrypt", {"KeyId": other, "Plaintext": b"x"}),
        (world.caller("carl"), "Encrypt", {"KeyId": key, "Plaintext": b"x"}),
    ):
        assert (await world.refused(operation, by, **given)).code == DENIED


@pytest.mark.parametrize(("constraint", "fits", "others"), [
    ("EncryptionContextEquals", [CONTEXT], [{}, {"a": "1"}, CONTEXT | {"c": "3"}]),
    ("EncryptionContextSubset", [CONTEXT, CONTEXT | {"c": "3"}], [{}, {"a": "1", "b": "x"}]),
])  # fmt: skip
async def test_constraints_on_the_context(
    world: World, constraint: str, fits: list[dict[str, str]], others: list[dict[str, str]]
) -> None:
    key = await world.key()
    await granted(world, key, "Encrypt", "DescribeKey", Constraints={constraint: CONTEXT})
    given = {"KeyId": key, "Plaintext": b"x"}
    for context in fits:
        await world.do("Encrypt", world.bob, EncryptionContext=context, **given)
    for context in others:
        error = await world.refused("Encrypt", world.bob, EncryptionContext=context, **given)
        assert error.code == DENIED
    await world.do("DescribeKey", world.bob, KeyId=key)  # has no context to constrain


async def test_a_source_arn_that_no_request_has(world: World) -> None:
    key = await world.key()
    constraints = {"SourceArn": f"arn:aws:s3:eu-west-2:{world.account}:bucket/x"}
    await granted(world, key, "Encrypt", Constraints=constraints)
    assert (await world.refused("Encrypt", world.bob, KeyId=key, Plaintext=b"x")).code == DENIED


@pytest.mark.parametrize(("spec", "constraints", "operations"), [
    ("SYMMETRIC_DEFAULT", {"EncryptionContextEquals": {}, "EncryptionContextSubset": {}},
     ["Encrypt"]),
    ("SYMMETRIC_DEFAULT", {"EncryptionContextEquals": CONTEXT}, ["DescribeKey"]),
    ("HMAC_256", {"EncryptionContextEquals": CONTEXT}, ["GenerateMac"]),
])  # fmt: skip
async def test_constraints_that_make_no_sense(
    world: World, spec: str, constraints: dict[str, Any], operations: list[str]
) -> None:
    usage = {"KeyUsage": "GENERATE_VERIFY_MAC"} if spec.startswith("HMAC") else {}
    key = await world.key(KeySpec=spec, **usage)
    error = await world.refused(
        "CreateGrant",
        KeyId=key,
        GranteePrincipal=world.bob.principal.arn,
        Operations=operations,
        Constraints=constraints,
    )
    assert error.code == "ValidationException"


async def test_a_grantee_passes_on_no_more_than_he_has(world: World) -> None:
    key = await world.key()
    equals = {"Constraints": {"EncryptionContextEquals": CONTEXT}}
    await granted(world, key, "Encrypt", "CreateGrant", **equals)
    carl = world.caller("carl")
    given = {"KeyId": key, "GranteePrincipal": carl.principal.arn}
    for more in ({"Operations": ["Decrypt"], **equals}, {"Operations": ["Encrypt"]},
                 {"Operations": ["Encrypt"], "Constraints": {"EncryptionContextSubset": CONTEXT}},
                 ):  # fmt: skip
        error = await world.refused("CreateGrant", world.bob, **given, **more)
        assert error.code == DENIED
    await world.do("CreateGrant", world.bob, Operations=["Encrypt"], **equals, **given)
    await world.do("Encrypt", carl, KeyId=key, Plaintext=b"x", EncryptionContext=CONTEXT)


async def test_a_grant_to_another_account_needs_its_consent(world: World) -> None:
    key = await world.key()
    idle = world.caller("idle", account=world.other_account)
    for grantee in (world.mallory, idle):
        await granted(world, key, "Encrypt", GranteePrincipal=grantee.principal.arn)
    given = {"KeyId": world.arn(key), "Plaintext": b"x"}
    await world.do("Encrypt", world.mallory, **given)
    assert (await world.refused("Encrypt", idle, **given)).code == DENIED


async def test_a_deny_outweighs_a_grant(world: World) -> None:
    deny = {"Effect": "Deny", "Principal": {"AWS": world.bob.principal.arn},
            "Action": "kms:Encrypt"}  # fmt: skip
    key = await world.key(Policy=world.policy(deny))
    await granted(world, key, "Encrypt", "DescribeKey")
    assert (await world.refused("Encrypt", world.bob, KeyId=key, Plaintext=b"x")).code == DENIED
    await world.do("DescribeKey", world.bob, KeyId=key)


async def test_revoking(world: World) -> None:
    key = await world.key()
    grant = await granted(world, key, "Encrypt")
    given = {"KeyId": key, "GrantId": grant["GrantId"]}
    assert (await world.refused("RevokeGrant", world.bob, **given)).code == DENIED
    error = await world.refused("RevokeGrant", DryRun=True, **given)
    assert error.code == "DryRunOperationException"
    await world.do("Encrypt", world.bob, KeyId=key, Plaintext=b"x")
    await world.do("RevokeGrant", **given)
    assert (await world.refused("Encrypt", world.bob, KeyId=key, Plaintext=b"x")).code == DENIED
    assert (await world.refused("RevokeGrant", **given)).code == "NotFoundException"


async def test_retiring(world: World) -> None:
    key = await world.key()
    carl = world.caller("carl")
    retiring = {"RetiringPrincipal": carl.principal.arn}
    one = await granted(world, key, "Encrypt", **retiring)
    two = await granted(world, key, "Decrypt", "RetireGrant")
    three = await granted(world, key, "Sign", "DescribeKey")
    by_id = {"KeyId": world.arn(key), "GrantId": three["GrantId"]}
    for by in (carl, world.bob):
        assert (await world.refused("RetireGrant", by, **by_id)).code == DENIED
    error = await world.refused("RetireGrant", carl, GrantToken=one["GrantToken"], DryRun=True)
    assert error.code == "DryRunOperationException"
    await world.do("RetireGrant", carl, GrantToken=one["GrantToken"])
    await world.do("RetireGrant", world.bob, KeyId=world.arn(key), GrantId=two["GrantId"])
    await world.do("RetireGrant", world.root, **by_id)
    assert (await world.do("ListGrants", KeyId=key))["Grants"] == []


@pytest.mark.parametrize("token", ["x", "!!!", "AAAA", "A" * 88])
async def test_grant_tokens_nobody_made(world: World, token: str) -> None:
    key = await world.key()
    error = await world.refused("Encrypt", KeyId=key, Plaintext=b"x", GrantTokens=[token])
    assert error.code == "InvalidGrantTokenException"
    assert (await world.refused("RetireGrant", GrantToken=token)).code == error.code


async def test_a_grant_token_is_welcome(world: World) -> None:
    key = await world.key()
    tokens = [(await granted(world, key, "Encrypt"))["GrantToken"]]
    await world.do("Encrypt", world.bob, KeyId=key, Plaintext=b"x", GrantTokens=tokens)


async def test_the_same_grant_twice_has_one_id_if_it_has_a_name(world: World) -> None:
    key = await world.key()
    ids = {(await granted(world, key, "Encrypt", Name="n"))["GrantId"] for _ in range(2)}
    assert len(ids) == 1
    assert (await granted(world, key, "Decrypt", Name="n"))["GrantId"] not in ids
    assert len({(await granted(world, key, "Encrypt"))["GrantId"] for _ in range(2)}) == 2


async def test_listing(world: World) -> None:
    key, other = await world.key(), await world.key()
    carl = world.caller("carl").principal.arn
    constraints = {"EncryptionContextSubset": CONTEXT}
    made = await granted(world, key, "Encrypt", Name="n", RetiringPrincipal=carl,
                         Constraints=constraints)  # fmt: skip
    await granted(world, key, "Decrypt", GranteePrincipal=carl)
    await granted(world, other, "Sign", RetiringPrincipal=carl)
    by_id = await world.do("ListGrants", KeyId=key, GrantId=made["GrantId"])
    by_grantee = await world.do("ListGrants", KeyId=key, GranteePrincipal=world.bob.principal.arn)
    assert by_id["Grants"] == by_grantee["Grants"] == [{
        "KeyId": world.arn(key),
        "GrantId": made["GrantId"],
        "Name": "n",
        "CreationDate": world.now,
        "GranteePrincipal": world.bob.principal.arn,
        "RetiringPrincipal": carl,
        "IssuingAccount": f"arn:aws:iam::{world.account}:root",
        "Operations": ["Encrypt"],
        "Constraints": constraints,
    }]  # fmt: skip
    assert len((await world.do("ListGrants", KeyId=key))["Grants"]) == 2
    retirable = await world.do("ListRetirableGrants", RetiringPrincipal=carl)
    assert {each["KeyId"] for each in retirable["Grants"]} == {world.arn(key), world.arn(other)}


async def test_whether_a_grant_is_for_a_service(world: World) -> None:
    condition = {"Bool": {"kms:GrantIsForAWSResource": "true"}}
    dora = world.caller("dora", world.allow("kms:CreateGrant", Condition=condition))
    given = {"KeyId": await world.key(), "GranteePrincipal": world.bob.principal.arn,
             "Operations": ["Decrypt"]}  # fmt: skip
    assert (await world.refused("CreateGrant", dora, **given)).code == DENIED
    await world.do("CreateGrant", dora.for_service("ec2.eu-west-2.amazonaws.com"), **given)


@pytest.mark.parametrize(("condition", "good", "bad"), [
    ({"ForAllValues:StringEquals": {"kms:GrantOperations": ["Encrypt", "Decrypt"]}},
     {"Operations": ["Decrypt"]}, {"Operations": ["Decrypt", "Sign"]}),
    ({"StringEquals": {"kms:GranteePrincipal": "arn:aws:iam::111122223333:user/bob"}},
     {"GranteePrincipal": "arn:aws:iam::111122223333:user/bob"},
     {"GranteePrincipal": "arn:aws:iam::111122223333:user/eve"}),
    ({"StringEquals": {"kms:GrantConstraintType": "EncryptionContextEquals"}},
     {"Constraints": {"EncryptionContextEquals": CONTEXT}}, {}),
])  # fmt: skip
async def test_conditions_on_grants(
    world: World, condition: Any, good: dict[str, Any], bad: dict[str, Any]
) -> None:
    dora = world.caller("dora", world.allow("kms:CreateGrant", Condition=condition))
    given = {"KeyId": await world.key(), "GranteePrincipal": world.bob.principal.arn,
             "Operations": ["Decrypt"]}  # fmt: skip
    assert (await world.refused("CreateGrant", dora, **(given | bad))).code == DENIED
    await world.do("CreateGrant", dora, **(given | good))


@pytest.mark.parametrize("grantee", ["bob", "arn:aws:s3:::bucket"])
async def test_grantees_that_are_none(world: World, grantee: str) -> None:
    error = await world.refused(
        "CreateGrant", KeyId=await world.key(), GranteePrincipal=grantee, Operations=["Sign"]
    )
    assert error.code == "InvalidArnException"


async def test_a_key_has_so_many_grants(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tlslab.kms.operations.granting.MAX_GRANTS", 2)
    key = await world.key()
    for _ in range(2):
        await granted(world, key, "Encrypt", Name="n", Constraints={})
    await granted(world, key, "Decrypt")
    error = await world.refused(
        "CreateGrant", KeyId=key, GranteePrincipal=world.bob.principal.arn, Operations=["Sign"]
    )
    assert error.code == "LimitExceededException"
    await granted(world, key, "Encrypt", Name="n", Constraints={})  # is there already
