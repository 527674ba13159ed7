"""Aliases and tags."""

from __future__ import annotations

from typing import Any, TypeAlias

import pytest

World: TypeAlias = Any

DENIED = "AccessDeniedException"


async def test_an_alias_stands_for_its_key(world: World) -> None:
    key, other = await world.key(), await world.key()
    await world.do("CreateAlias", AliasName="alias/tutorial", TargetKeyId=key)
    arn = f"arn:aws:kms:{world.region}:{world.account}:alias/tutorial"
    for name in ("alias/tutorial", arn):
        assert (await world.describe(name))["KeyId"] == key
    blob = (await world.do("Encrypt", KeyId="alias/tutorial", Plaintext=b"x"))["CiphertextBlob"]
    world.later(hours=1)
    await world.do("UpdateAlias", AliasName="alias/tutorial", TargetKeyId=other)
    assert (await world.describe("alias/tutorial"))["KeyId"] == other
    assert (await world.do("Decrypt", CiphertextBlob=blob))["KeyId"] == world.arn(key)
    listed = (await world.do("ListAliases"))["Aliases"]
    assert [(each["AliasName"], each["AliasArn"], each["TargetKeyId"]) for each in listed] == [
        ("alias/tutorial", arn, other)
    ]
    assert listed[0]["LastUpdatedDate"] > listed[0]["CreationDate"]
    assert (await world.do("ListAliases", KeyId=key))["Aliases"] == []
    await world.do("DeleteAlias", AliasName="alias/tutorial")
    for operation, given in (
        ("DescribeKey", {"KeyId": "alias/tutorial"}),
        ("DeleteAlias", {"AliasName": "alias/tutorial"}),
        ("UpdateAlias", {"AliasName": "alias/tutorial", "TargetKeyId": key}),
    ):
        error = await world.refused(operation, **given)
        assert (error.code, error.message) == ("NotFoundException", f"Alias {arn} is not found.")


async def test_names_of_aliases(world: World) -> None:
    key = await world.key()
    error = await world.refused("CreateAlias", AliasName="tutorial", TargetKeyId=key)
    assert (error.code, error.message) == (
        "ValidationException",
        'Alias must start with the prefix "alias/". Please see '
        "https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html",
    )
    for name, code in (
        ("alias/aws/mine", "NotAuthorizedException"),
        ("alias/with space", "ValidationException"),
        ("alias/" + "x" * 251, "ValidationException"),
        ("alias/", "ValidationException"),
    ):
        error = await world.refused("CreateAlias", AliasName=name, TargetKeyId=key)
        assert error.code == code, name
    await world.do("CreateAlias", AliasName="alias/" + "x" * 250, TargetKeyId=key)
    await world.do("CreateAlias", AliasName="alias/a", TargetKeyId=key)
    error = await world.refused("CreateAlias", AliasName="alias/a", TargetKeyId=key)
    assert error.code == "AlreadyExistsException"


async def test_regions_and_accounts_have_their_own_aliases(world: World) -> None:
    key = await world.key()
    await world.do("CreateAlias", AliasName="alias/a", TargetKeyId=key)
    there = await world.key(region="us-east-1")
    await world.do("CreateAlias", region="us-east-1", AliasName="alias/a", TargetKeyId=there)
    assert (await world.describe("alias/a", "us-east-1"))["KeyId"] == there
    error = await world.refused("DescribeKey", world.mallory, KeyId="alias/a")
    assert error.code == "NotFoundException"


async def test_an_alias_moves_between_keys_of_a_kind_only(world: World) -> None:
    key = await world.key()
    mac = await world.key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")
    await world.do("CreateAlias", AliasName="alias/a", TargetKeyId=key)
    error = await world.refused("UpdateAlias", AliasName="alias/a", TargetKeyId=mac)
    assert error.code == "ValidationException"


async def test_both_the_alias_and_the_key_must_be_permitted(world: World) -> None:
    key = await world.key()
    alias = f"arn:aws:kms:{world.region}:{world.account}:alias/a"
    given = {"AliasName": "alias/a", "TargetKeyId": key}
    on_key = world.allow("kms:*Alias", resource=world.arn(key))
    on_alias = world.allow("kms:*Alias", resource=alias)
    for policies in ([on_key], [on_alias]):
        error = await world.refused("CreateAlias", world.caller("u", *policies), **given)
        assert error.code == DENIED
    await world.do("CreateAlias", world.caller("u", on_key, on_alias), **given)
    for policies in ([on_key], [on_alias]):
        user = world.caller("u", *policies)
        assert (await world.refused("DeleteAlias", user, AliasName="alias/a")).code == DENIED
    await world.do("DeleteAlias", world.caller("u", on_key, on_alias), AliasName="alias/a")


@pytest.mark.parametrize("operation", ["DisableKey", "ScheduleKeyDeletion", "GetKeyPolicy"])
async def test_operations_that_take_no_alias(world: World, operation: str) -> None:
    await world.do("CreateAlias", AliasName="alias/a", TargetKeyId=await world.key())
    error = await world.refused(operation, KeyId="alias/a")
    assert error.code == "NotFoundException"


def tags(**names: str) -> list[dict[str, str]]:
    return [{"TagKey": name, "TagValue": value} for name, value in names.items()]


async def test_tagging(world: World) -> None:
    key = await world.key(Tags=tags(a="1", b="2"))
    await world.do("TagResource", KeyId=key, Tags=tags(b="3", c="4"))
    listed = await world.do("ListResourceTags", KeyId=key)
    assert listed == {"Tags": tags(a="1", b="3", c="4"), "Truncated": False}
    await world.do("UntagResource", KeyId=key, TagKeys=["a", "z"])
    assert (await world.do("ListResourceTags", KeyId=key))["Tags"] == tags(b="3", c="4")


@pytest.mark.parametrize(("given", "message"), [
    ([*tags(a="1"), *tags(a="2")], "Duplicate tag keys"),
    (tags(**{"aws:a": "1"}), "Tags beginning with aws: are reserved"),
    (tags(**{"AWS:a": "1"}), "Tags beginning with aws: are reserved"),
    (tags(**{f"t{n}": "" for n in range(51)}), "Too many tags"),
])  # fmt: skip
async def test_tags_that_cannot_be(world: World, given: list[dict[str, str]], message: str) -> None:
    key = await world.key()
    for operation, target in (("CreateKey", {}), ("TagResource", {"KeyId": key})):
        error = await world.refused(operation, Tags=given, **target)
        assert (error.code, error.message) == ("TagException", message)


@pytest.mark.parametrize(("tag", "path", "value", "most"), [
    (tags(a="v" * 257), "tags.1.member.tagValue", "v" * 257, 256),
    (tags(**{"a" * 129: ""}), "tags.1.member.tagKey", "a" * 129, 128),
])  # fmt: skip
async def test_the_sizes_of_tags(
    world: World, tag: list[dict[str, str]], path: str, value: str, most: int
) -> None:
    error = await world.refused("CreateKey", Tags=tag)
    assert (error.code, error.message) == (
        "ValidationException",
        f"1 validation error detected: Value '{value}' at '{path}' failed to satisfy constraint: "
        f"Member must have length less than or equal to {most}",
    )
    await world.key(Tags=tags(**{"a" * 128: "v" * 256}))
    await world.key(Tags=tags(**{f"t{n}": "" for n in range(50)}))
