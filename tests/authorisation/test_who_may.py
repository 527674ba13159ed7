"""Accounts, roots, anonymous callers, insiders: who may what, and what refusals give away."""

from __future__ import annotations

from typing import Any

World = Any
"""`conftest.World`; its `Ask` is a request."""

OBJECTS = "arn:aws:s3:::letters/*"
BUCKET = "arn:aws:s3:::letters"


async def get(world: World, target: str = "/letters/a", by: str = "alice") -> Any:
    return await world.ask(world.Ask("GET", target), by)


def denied(answer: Any) -> bool:
    return (answer.status, answer.code) == (403, "AccessDenied")


async def test_another_account_needs_both_sides(world: World) -> None:
    mallory, trudy = (world.key(name).principal.arn for name in ("mallory", "trudy"))
    before_policy = [denied(await get(world, by=who)) for who in ("mallory", "trudy")]
    assert before_policy == [True, True]
    for principal in ({"AWS": "444455556666"}, {"AWS": [mallory, trudy]}, "*"):
        await world.allow_by_bucket(
            {"Principal": principal, "Action": "s3:GetObject", "Resource": OBJECTS}
        )
        assert (await get(world, by="mallory")).body == b"the letter a"
        assert denied(await get(world, by="trudy"))  # her own account allows her nothing
        assert denied(await world.ask(world.Ask("PUT", "/letters/x"), "mallory"))


async def test_the_own_account_needs_one_side(world: World) -> None:
    erin = world.key("erin").principal.arn
    assert denied(await get(world, by="erin"))
    await world.allow_by_bucket(
        {"Principal": {"AWS": "111122223333"}, "Action": "s3:GetObject", "Resource": OBJECTS}
    )
    assert denied(await get(world, by="erin"))  # it is left to the account, which allows nothing
    await world.allow_by_bucket(
        {"Principal": {"AWS": erin}, "Action": "s3:GetObject", "Resource": OBJECTS}
    )
    assert (await get(world, by="erin")).status == 200


async def test_a_role_is_known_by_its_arn(world: World) -> None:
    role = world.key("nightly").principal.role_arn
    await world.allow_by_bucket({"Effect": "Deny", "Principal": {"AWS": role}})
    assert denied(await get(world, by="nightly"))
    assert (await get(world)).status == 200


async def test_nobody_is_let_in_only_by_everybody(world: World) -> None:
    ask = world.Ask("GET", "/letters/a")
    assert denied(await world.send(ask))
    await world.allow_by_bucket({"Action": "s3:GetObject", "Resource": OBJECTS})
    assert (await world.send(ask)).body == b"the letter a"
    assert denied(await world.send(world.Ask("GET", "/letters")))
    assert denied(await world.send(world.Ask("PUT", "/letters/x")))
    assert denied(await world.send(world.Ask("DELETE", "/letters/a")))


async def test_the_owners_root_can_always_mend_the_policy(world: World) -> None:
    await world.allow_by_bucket({"Effect": "Deny"})
    policy = world.Ask("GET", "/letters?policy")
    for who in ("alice", "root"):
        assert denied(await get(world, by=who))
    assert denied(await world.ask(policy))
    assert (await world.ask(policy, "root")).status == 200
    assert denied(await world.ask(world.Ask("DELETE", "/letters?policy")))
    assert (await world.ask(world.Ask("DELETE", "/letters?policy"), "root")).status == 204
    assert (await get(world)).status == 200


async def test_a_buckets_policy_is_nothing_for_other_accounts(world: World) -> None:
    await world.allow_by_bucket({})
    before = world.state()
    for method in ("GET", "PUT", "DELETE"):
        answer = await world.ask(world.Ask(method, "/letters?policy"), "mallory")
        assert (answer.status, answer.code) == (405, "MethodNotAllowed")
    assert world.state() == before


async def test_what_is_missing_is_told_to_those_who_may_list(world: World) -> None:
    read = {"Action": "s3:GetObject*", "Resource": OBJECTS}
    await world.allow_by_bucket(read)
    targets = ("/letters/none", "/letters/none?tagging", "/letters/none?acl")
    for target in targets:
        assert denied(await get(world, target, "erin"))
        assert (await get(world, target)).status == 404
    head = world.Ask("HEAD", "/letters/none")
    assert (await world.ask(head, "erin")).status == 403
    await world.allow_by_bucket(read, {"Action": "s3:ListBucket", "Resource": BUCKET})
    for target in targets:
        assert (await get(world, target, "erin")).status == 404
    assert (await world.ask(head, "erin")).status == 404


async def test_refusals_say_why_only_at_home(world: World) -> None:
    answer = await get(world, by="erin")
    erin = world.key("erin").principal.arn
    assert f"User: {erin} is not authorized to perform: s3:GetObject".encode() in answer.body
    assert b"no identity-based policy allows" in answer.body
    assert b"explicit deny in an identity-based policy" in (await get(world, by="dave")).body
    assert b"explicit deny in a resource-based policy" in (await get(world, by="carol")).body
    for answer in (
        await get(world, by="mallory"),
        await world.send(world.Ask("GET", "/letters/a")),
    ):
        assert b"<Message>Access Denied</Message>" in answer.body


async def test_a_bucket_that_does_not_exist(world: World) -> None:
    for who in ("alice", "erin", "mallory"):
        answer = await get(world, "/nowhere/a", who)
        assert (answer.status, answer.code) == (404, "NoSuchBucket")


async def test_the_expected_owner_is_held_to(world: World) -> None:
    for account, status in (("111122223333", 200), ("444455556666", 403)):
        ask = world.Ask("GET", "/letters/a", {"x-amz-expected-bucket-owner": account})
        assert (await world.ask(ask)).status == status


async def test_the_insider_reads_the_bucket_and_not_what_a_key_seals(world: World) -> None:
    assert (await get(world, "/letters", "bob")).status == 200
    assert (await get(world, "/letters/a", "bob")).body == b"the letter a"
    assert (await get(world, "/letters/sealed")).body == b"a sealed letter"
    refused = await get(world, "/letters/sealed", "bob")
    assert refused.status == 403
    assert refused.code == "AccessDenied"
    assert b"a sealed letter" not in refused.body
    bob = world.key("bob").principal.arn
    (event,) = [e for e in world.events() if e["userIdentity"].get("arn") == bob]
    assert event["eventName"] == "Decrypt"
    assert event["errorCode"].startswith("AccessDenied")


async def test_a_key_that_only_the_store_may_use_for_somebody(world: World) -> None:
    import json

    via = {"StringEquals": {"kms:ViaService": "s3.eu-west-2.amazonaws.com"}}
    root = {"AWS": "arn:aws:iam::111122223333:root"}
    alice = {"AWS": world.key("alice").principal.arn}
    manage = {"Effect": "Allow", "Principal": root, "Action": "kms:*", "Resource": "*"}
    deny = {"Effect": "Deny", "Principal": alice, "Action": ["kms:Decrypt", "kms:GenerateDataKey"]}
    unless = {**deny, "Resource": "*", "Condition": {"StringNotEquals": via["StringEquals"]}}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [manage, unless]})
    await world.kms("PutKeyPolicy", KeyId=world.facts["key"], Policy=policy)
    assert (await get(world, "/letters/sealed")).body == b"a sealed letter"
    body = json.dumps({"CiphertextBlob": world.facts["ciphertext"]}).encode()
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "TrentService.Decrypt",
    }
    answer = await world.ask(world.Ask("POST", "/", headers, body, service="kms"))
    assert answer.code == "AccessDeniedException"
