"""The table of operations against the API's model, validation, pages, and the audit trail."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

import pytest
from sqlalchemy import select

from tlslab import audit
from tlslab.audit.tables import records
from tlslab.kms.operations.table import OPERATIONS
from tlslab.kms.shapes import Blob, Choice, Items, Members, Number, Shape, Text

botocore = pytest.importorskip("botocore.session", reason="botocore is not installed")

World: TypeAlias = Any

MODEL = botocore.get_session().get_service_model("kms")
UNLISTED = {"SM2", "SM2PKE", "SM2DSA"}


def test_every_operation_of_the_model_is_there() -> None:
    assert set(OPERATIONS) == set(MODEL.operation_names)


@pytest.mark.parametrize("name", sorted(
    name for name in MODEL.operation_names if "CustomKeyStore" not in name
))  # fmt: skip
def test_members_are_the_models(name: str) -> None:
    _compare(OPERATIONS[name].members, MODEL.operation_model(name).input_shape, name)


def _compare(ours: Shape, theirs: Any, place: str) -> None:
    limits = theirs.metadata
    if isinstance(ours, Members):
        assert set(ours.shapes) == set(theirs.members), place
        if place != "Recipient":
            assert ours.required == set(theirs.required_members), place
        for name, shape in ours.shapes.items():
            _compare(shape, theirs.members[name], name)
    elif isinstance(ours, Choice):
        assert set(ours.values) <= set(theirs.enum), place
        assert set(theirs.enum) - set(ours.values) <= UNLISTED, place
    elif isinstance(ours, (Text, Blob)):
        assert (ours.least, ours.most) == (limits.get("min", 0), limits.get("max")), place
    elif isinstance(ours, Number):
        assert (ours.least, ours.most) == (limits["min"], limits["max"]), place
    elif isinstance(ours, Items):
        assert (ours.least, ours.most) == (limits.get("min", 0), limits.get("max")), place
        _compare(ours.of, theirs.member, place)


async def test_all_mistakes_are_told_at_once(world: World) -> None:
    error = await world.refused("Encrypt", KeyId="", Plaintext=b"")
    assert error.code == "ValidationException"
    assert error.message.startswith("2 validation errors detected: Value '' at 'keyId' failed")


async def test_what_is_required(world: World) -> None:
    error = await world.refused("DescribeKey")
    assert (error.code, error.message) == (
        "ValidationException",
        "1 validation error detected: Value null at 'keyId' failed to satisfy constraint: Member "
        "must not be null",
    )


@pytest.mark.parametrize("given", [
    {"KeyId": 7}, {"KeyId": ["x"]}, {"KeyId": "x", "GrantTokens": "x"}, {"KeyId": b"x"},
])  # fmt: skip
async def test_wrong_types(world: World, given: dict[str, Any]) -> None:
    assert (await world.refused("DescribeKey", **given)).code == "SerializationException"


async def test_limits_from_both_sides(world: World) -> None:
    key = await world.key()
    given: dict[str, Any] = {"KeyId": key, "Plaintext": b"x"}
    for name, fits in (("a" * 4096, True), ("a" * 4097, False)):
        context = {name: "b" * 4096}
        if fits:
            await world.do("Encrypt", EncryptionContext=context, **given)
        else:
            error = await world.refused("Encrypt", EncryptionContext=context, **given)
            assert error.code == "ValidationException"
    token = (await world.do("CreateGrant", KeyId=key, Operations=["Encrypt"],
                            GranteePrincipal=world.bob.principal.arn))["GrantToken"]  # fmt: skip
    await world.do("Encrypt", GrantTokens=[token] * 10, **given)
    error = await world.refused("Encrypt", GrantTokens=[token] * 11, **given)
    assert error.code == "ValidationException"


async def test_members_nobody_knows_are_ignored(world: World) -> None:
    assert "Keys" in await world.do("ListKeys", Nonsense=1)


async def test_operations_nobody_knows(world: World) -> None:
    assert (await world.refused("Frobnicate")).code == "UnknownOperationException"


# Pages


async def _pages(world: World, operation: str, member: str, limit: int, **given: Any) -> list[Any]:
    """All entries, and that no page is larger than asked for or lies about the next."""
    found: list[Any] = []
    marker: dict[str, str] = {}
    while True:
        page = await world.do(operation, Limit=limit, **given, **marker)
        assert len(page[member]) <= limit
        found += page[member]
        if not page["Truncated"]:
            assert "NextMarker" not in page
            return found
        assert len(page[member]) == limit
        marker = {"Marker": page["NextMarker"]}


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 1000])
async def test_pages_of_everything(world: World, limit: int) -> None:
    tags = [{"TagKey": f"t{n}", "TagValue": ""} for n in range(6)]
    keys = [await world.key(Tags=tags) for _ in range(6)]
    bob = world.bob.principal.arn
    for number, key in enumerate(keys):
        await world.do("CreateAlias", AliasName=f"alias/a{number}", TargetKeyId=key)
        await world.do("CreateAlias", AliasName=f"alias/b{number}", TargetKeyId=keys[0])
        await world.do("CreateGrant", KeyId=keys[0], GranteePrincipal=bob, RetiringPrincipal=bob,
                       Operations=["Sign", "Verify"][number % 2 :])  # fmt: skip
    listed = await _pages(world, "ListKeys", "Keys", limit)
    assert [each["KeyId"] for each in listed] == sorted(keys)
    assert len(await _pages(world, "ListAliases", "Aliases", limit)) == 12
    assert len(await _pages(world, "ListAliases", "Aliases", limit, KeyId=keys[0])) == 7
    grants = await _pages(world, "ListGrants", "Grants", limit, KeyId=keys[0])
    assert len({each["GrantId"] for each in grants}) == len(grants) == 6
    retirable = await _pages(world, "ListRetirableGrants", "Grants", limit, RetiringPrincipal=bob)
    assert retirable == grants
    assert await _pages(world, "ListResourceTags", "Tags", limit, KeyId=keys[0]) == tags
    names = await _pages(world, "ListKeyPolicies", "PolicyNames", limit, KeyId=keys[0])
    assert names == ["default"]


@pytest.mark.parametrize("marker", ["x", "!", "bnVsbA==", "WyJMaXN0S2V5cyIsIDFd", "e30="])
@pytest.mark.parametrize("operation", ["ListKeys", "ListAliases"])
async def test_markers_that_are_none(world: World, operation: str, marker: str) -> None:
    assert (await world.refused(operation, Marker=marker)).code == "InvalidMarkerException"


async def test_a_marker_of_another_list(world: World) -> None:
    for _ in range(2):
        await world.key()
    marker = (await world.do("ListKeys", Limit=1))["NextMarker"]
    assert (await world.refused("ListAliases", Marker=marker)).code == "InvalidMarkerException"


# The audit trail


async def _trail(world: World) -> list[dict[str, Any]]:
    query = select(records.c.record).order_by(records.c.number)
    found = await world.database.read(lambda link: link.execute(query).scalars().all())
    return [json.loads(each) for each in found]


async def test_every_request_is_recorded_allowed_or_not(world: World) -> None:
    key = await world.key()
    context = {"object": "b/k"}
    await world.do("Encrypt", KeyId=key, Plaintext=b"secret", EncryptionContext=context)
    await world.refused("Encrypt", world.bob, KeyId=key, Plaintext=b"secret")
    await world.refused("Encrypt", KeyId=key, Plaintext=b"")
    await world.refused("Frobnicate")
    entries = await _trail(world)
    assert [each["eventName"] for each in entries] == [
        "CreateKey", "Encrypt", "Encrypt", "Encrypt", "Frobnicate",
    ]  # fmt: skip
    assert [each.get("errorCode") for each in entries] == [
        None, None, "AccessDeniedException", "ValidationException", "UnknownOperationException",
    ]  # fmt: skip
    created, served, denied = entries[:3]
    assert not created["readOnly"]
    assert created["responseElements"]["keyMetadata"]["keyId"] == key
    assert served["readOnly"]
    assert served["requestParameters"] == {"keyId": key, "encryptionContext": context}
    assert served["responseElements"] is None
    for entry in (created, served, denied):
        assert [each["ARN"] for each in entry["resources"]] == [world.arn(key)]
    assert denied["userIdentity"]["arn"] == world.bob.principal.arn
    assert "secret" not in json.dumps(entries)
    verified = await world.trail.verify()
    assert (verified.finding, verified.head.count) == (None, 5)


async def test_what_happens_by_itself_is_recorded_too(world: World) -> None:
    rotated, deleted = await world.key(), await world.key()
    await world.do("EnableKeyRotation", KeyId=rotated, RotationPeriodInDays=90)
    await world.do("ScheduleKeyDeletion", KeyId=deleted, PendingWindowInDays=7)
    world.later(days=100)
    await world.kms.sweep()
    last = {each["eventName"]: each["resources"][0]["ARN"] for each in (await _trail(world))[-2:]}
    assert last == {"DeleteKey": world.arn(deleted), "RotateKey": world.arn(rotated)}


async def test_keys_that_aws_makes_are_recorded(world: World) -> None:
    arn = await world.kms.resolve(world.bob, "alias/aws/s3", region=world.region)
    await world.kms.resolve(world.bob, "alias/aws/s3", region=world.region)
    await world.do("DescribeKey", KeyId="alias/aws/ebs")
    names = [(each["eventName"], each["userIdentity"]["type"]) for each in await _trail(world)]
    assert names == [
        ("CreateKey", "AWSService"), ("CreateKey", "AWSService"), ("DescribeKey", "Root"),
    ]  # fmt: skip
    assert (await _trail(world))[0]["resources"][0]["ARN"] == arn


async def test_a_key_deleted_late_does_nothing_else(world: World) -> None:
    key = await world.key()
    await world.do("EnableKeyRotation", KeyId=key, RotationPeriodInDays=90)
    await world.do("ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=30)
    world.later(days=400)
    await world.kms.sweep()
    assert [each["eventName"] for each in (await _trail(world))[3:]] == ["DeleteKey"]


async def test_the_store_is_seen_to_act_for_its_client(world: World) -> None:
    via = world.alice.for_service("s3.eu-west-2.amazonaws.com")
    await world.kms.generate_data_key(via, await world.key(), region=world.region, context={})
    entry = (await _trail(world))[-1]
    assert entry["userIdentity"]["arn"] == world.alice.principal.arn
    assert entry["userIdentity"]["invokedBy"] == "s3.amazonaws.com"


def test_the_trails_tables_are_apart() -> None:
    assert not set(audit.metadata.tables) & set(__import__("tlslab.kms").kms.metadata.tables)


@pytest.mark.parametrize(("operation", "given", "code"), [
    ("CreateKey", {"Description": "a\0b"}, "ValidationException"),
    ("DescribeKey", {"KeyId": "alias/a\0b"}, "ValidationException"),
    ("ListKeys", {"Marker": "WyJMaXN0S2V5cyIsICJcdTAwMDAiXQ=="}, "InvalidMarkerException"),
    ("CreateKey", {"Tags": [{"TagKey": "a\0", "TagValue": ""}]}, "ValidationException"),
])  # fmt: skip
async def test_a_character_that_databases_do_not_agree_on(
    either: World, operation: str, given: dict[str, Any], code: str
) -> None:
    assert (await either.refused(operation, **given)).code == code


async def test_contexts_may_hold_any_character(either: World) -> None:
    context = {"a\0b": "\U0001f511\n\0"}
    key = await either.key()
    bob = either.bob.principal.arn
    constraints = {"EncryptionContextEquals": context}
    await either.do("CreateGrant", KeyId=key, GranteePrincipal=bob, Operations=["Encrypt"],
                    Constraints=constraints)  # fmt: skip
    sealed = await either.do(
        "Encrypt", either.bob, KeyId=key, Plaintext=b"x", EncryptionContext=context
    )
    opened = await either.do(
        "Decrypt", CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=context
    )
    assert opened["Plaintext"] == b"x"
