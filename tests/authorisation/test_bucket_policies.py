"""What bucket policies can demand of a request: who, how encrypted, how it came, with which tags.

Each demand is a pair: the request that does not meet it is refused, its twin that does succeeds.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Mapping
from typing import Any

import pytest

World = Any
"""`conftest.World`; its `Ask` is a request."""

SSE = "x-amz-server-side-encryption"
KEY_ID = f"{SSE}-aws-kms-key-id"
ALGORITHM = f"s3:{SSE}"
DENY = {"Effect": "Deny", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::letters/*"}


def sse_c() -> dict[str, str]:
    key = os.urandom(32)
    md5 = hashlib.md5(key, usedforsecurity=False).digest()
    return {
        f"{SSE}-customer-algorithm": "AES256",
        f"{SSE}-customer-key": base64.b64encode(key).decode(),
        f"{SSE}-customer-key-MD5": base64.b64encode(md5).decode(),
    }


async def put(world: World, headers: Mapping[str, str], by: str = "alice", **how: Any) -> Any:
    return await world.ask(world.Ask("PUT", "/letters/new", headers, b"new", **how), by)


async def get(world: World, target: str = "/letters/a", by: str = "alice", **how: Any) -> Any:
    return await world.ask(world.Ask("GET", target, **how), by)


def denied(answer: Any) -> bool:
    return (answer.status, answer.code) == (403, "AccessDenied")


async def test_deny_what_is_not_encrypted_by_request(world: World) -> None:
    await world.allow_by_bucket({**DENY, "Condition": {"Null": {ALGORITHM: "true"}}})
    before = world.state()
    assert denied(await put(world, {}))
    assert world.state() == before
    assert (await put(world, {SSE: "AES256"})).status == 200


@pytest.mark.parametrize(
    ("wanted", "allowed"), [("aws:kms", {"aws:kms"}), ("AES256", {"AES256"}), ("aws:*", set())]
)
async def test_deny_another_algorithm(world: World, wanted: str, allowed: set[str]) -> None:
    await world.allow_by_bucket({**DENY, "Condition": {"StringNotEquals": {ALGORITHM: wanted}}})
    for algorithm in ("AES256", "aws:kms", "aws:kms:dsse"):
        answer = await put(world, {SSE: algorithm})
        assert denied(answer) is (algorithm not in allowed), answer
    assert denied(await put(world, {}))
    assert denied(await put(world, sse_c()))


async def test_deny_another_key_whatever_it_is_called(world: World) -> None:
    right, wrong = world.facts["key"], world.facts["other"]
    await world.kms("CreateAlias", AliasName="alias/wrong", TargetKeyId=wrong)
    await world.allow_by_bucket({**DENY, "Condition": {"StringNotEquals": {f"s3:{KEY_ID}": right}}})
    before = world.state()
    for name in (wrong, wrong.rpartition("/")[2], "alias/wrong", "alias/none", "alias/aws/s3"):
        assert denied(await put(world, {SSE: "aws:kms", KEY_ID: name})), name
    assert denied(await put(world, {SSE: "aws:kms"}))  # the account's own key
    assert denied(await put(world, {SSE: "AES256"}))
    assert {k: v for k, v in world.state().items() if "kms" not in k} == {
        k: v for k, v in before.items() if "kms" not in k
    }
    for name in (right, right.rpartition("/")[2], "alias/letters"):
        assert (await put(world, {SSE: "aws:kms", KEY_ID: name})).status == 200, name


async def test_an_alias_is_no_way_around_a_denied_key(world: World) -> None:
    denied_key = world.facts["key"]
    await world.allow_by_bucket(
        {**DENY, "Condition": {"StringEquals": {f"s3:{KEY_ID}": denied_key}}}
    )
    for name in (denied_key, denied_key.rpartition("/")[2], "alias/letters"):
        assert denied(await put(world, {SSE: "aws:kms", KEY_ID: name})), name
    assert (await put(world, {SSE: "aws:kms", KEY_ID: world.facts["other"]})).status == 200


async def test_require_customer_keys(world: World) -> None:
    customer = f"s3:{SSE}-customer-algorithm"
    await world.allow_by_bucket({**DENY, "Condition": {"Null": {customer: "true"}}})
    assert denied(await put(world, {}))
    assert denied(await put(world, {SSE: "aws:kms"}))
    assert (await put(world, sse_c())).status == 200


async def test_deny_customer_keys(world: World) -> None:
    customer = f"s3:{SSE}-customer-algorithm"
    headers = sse_c()
    assert (await put(world, headers)).status == 200
    deny = {**DENY, "Action": ["s3:PutObject", "s3:GetObject"]}
    await world.allow_by_bucket({**deny, "Condition": {"Null": {customer: "false"}}})
    assert denied(await put(world, headers))
    assert denied(await get(world, "/letters/new", headers=headers))
    assert (await put(world, {})).status == 200


@pytest.mark.parametrize(
    "headers", [{SSE: "AES256"}, {SSE: "aws:kms"}, "sse-c"], ids=["sse-s3", "sse-kms", "sse-c"]
)
async def test_what_is_demanded_of_an_upload_is_demanded_once(world: World, headers: Any) -> None:
    found = sse_c() if headers == "sse-c" else dict(headers)
    name = next(name for name in found if "algorithm" in name or name == SSE)
    await world.allow_by_bucket({**DENY, "Condition": {"Null": {f"s3:{name}": "true"}}})
    assert denied(await world.ask(world.Ask("POST", "/letters/big?uploads")))
    started = await world.ask(world.Ask("POST", "/letters/big?uploads", found))
    assert started.status == 200, started
    upload = re.search(rb"<UploadId>([^<]+)", started.body)
    assert upload is not None
    target = f"/letters/big?uploadId={upload[1].decode()}"
    with_key = found if headers == "sse-c" else {}
    part = await world.ask(world.Ask("PUT", f"{target}&partNumber=1", with_key, b"part"))
    assert part.status == 200, part
    body = (
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
        f"<ETag>{part.headers['etag']}</ETag></Part></CompleteMultipartUpload>"
    ).encode()
    done = await world.ask(world.Ask("POST", target, {}, body))
    assert done.status == 200, done


async def test_parts_of_an_upload_that_began_otherwise_are_refused(world: World) -> None:
    kms_only = {"StringNotEquals": {ALGORITHM: "aws:kms"}}
    await world.allow_by_bucket({**DENY, "Condition": kms_only})
    before = world.state()
    target = f"/letters/parts?uploadId={world.facts['upload']}"  # under SSE-S3
    assert denied(await world.ask(world.Ask("PUT", f"{target}&partNumber=2", {}, b"part")))
    assert denied(await copy(world, "alice", target=f"{target}&partNumber=2"))
    body = (
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
        f"<ETag>{world.facts['part']}</ETag></Part></CompleteMultipartUpload>"
    ).encode()
    assert denied(await world.ask(world.Ask("POST", target, {}, body)))
    assert world.state() == before


async def test_deny_what_was_not_secure_on_the_way(world: World) -> None:
    await world.allow_by_bucket(
        {"Effect": "Deny", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    )
    lies = {"X-Forwarded-Proto": "https", "Forwarded": "proto=https"}
    for method, target in (("GET", "/letters/a"), ("GET", "/letters"), ("PUT", "/letters/x")):
        for headers in ({}, lies):
            ask = world.Ask(method, target, headers, secure=False)
            assert denied(await world.ask(ask))
            assert denied(await world.send(ask))
        assert (await world.ask(world.Ask(method, target))).status == 200


EVERYTHING = {"Action": "s3:*"}


@pytest.mark.parametrize(
    ("condition", "met"),
    [
        ({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}, True),
        ({"IpAddress": {"aws:SourceIp": "198.51.100.0/24"}}, False),
        ({"StringLike": {"aws:UserAgent": "tlslab*"}}, True),
        ({"StringLike": {"aws:UserAgent": "other*"}}, False),
        ({"StringEquals": {"aws:username": "erin"}}, True),
        ({"StringEquals": {"aws:username": "bob"}}, False),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::111122223333:user/e*"}}, True),
        ({"StringEquals": {"aws:PrincipalAccount": "111122223333"}}, True),
        ({"StringEquals": {"aws:PrincipalAccount": "444455556666"}}, False),
        ({"DateLessThan": {"aws:CurrentTime": "2026-11-20T12:00:01Z"}}, True),
        ({"DateLessThan": {"aws:CurrentTime": "2026-11-20T12:00:00Z"}}, False),
        ({"NumericGreaterThan": {"aws:EpochTime": "1"}}, True),
        ({"StringEquals": {"s3:authType": "REST-HEADER"}}, True),
        ({"StringEquals": {"s3:authType": "REST-QUERY-STRING"}}, False),
        ({"StringEquals": {"s3:signatureversion": "AWS4-HMAC-SHA256"}}, True),
        ({"StringEquals": {"s3:signatureversion": "AWS"}}, False),
        ({"NumericLessThan": {"s3:signatureAge": "1000"}}, True),
        ({"StringEquals": {"s3:ResourceAccount": "111122223333"}}, True),
        ({"Null": {"s3:VersionId": "true"}}, True),
        ({"StringEquals": {"s3:x-amz-content-sha256": "UNSIGNED-PAYLOAD"}}, False),
        ({"StringLike": {"aws:Referer": "https://letters.example/*"}}, True),
        ({"StringLike": {"aws:Referer": "https://other.example/*"}}, False),
    ],
)
async def test_circumstances(world: World, condition: dict[str, Any], met: bool) -> None:
    headers = {"User-Agent": "tlslab-tests", "Referer": "https://letters.example/1"}
    ask = world.Ask("GET", "/letters/a", headers)
    await world.allow_by_bucket({**EVERYTHING, "Condition": condition})
    assert denied(await world.ask(ask, "erin")) is not met
    assert (await world.ask(ask)).status == 200  # alice by her own policy


async def test_the_age_of_a_signature(world: World) -> None:
    from datetime import timedelta

    deny = {"Effect": "Deny", "Condition": {"NumericGreaterThan": {"s3:signatureAge": "10000"}}}
    await world.allow_by_bucket(deny)
    ask = world.Ask("GET", "/letters/a")
    assert (await world.ask_presigned(ask, at=world.now - timedelta(seconds=10))).status == 200
    assert denied(await world.ask_presigned(ask, at=world.now - timedelta(seconds=11)))


@pytest.mark.parametrize(
    ("query", "met"),
    [
        ("prefix=public/", True),
        ("prefix=public/x&delimiter=/", True),
        ("prefix=p", False),
        ("prefix=", False),
        ("", False),
        ("list-type=2&prefix=public/", True),
        ("list-type=2&prefix=private", False),
        ("versions&prefix=public/", True),
        ("versions", False),
    ],
)
async def test_listing_by_prefix(world: World, query: str, met: bool) -> None:
    only = {"StringLike": {"s3:prefix": "public/*"}}
    actions = ["s3:ListBucket", "s3:ListBucketVersions"]
    bucket = "arn:aws:s3:::letters"
    await world.allow_by_bucket({"Action": actions, "Resource": bucket, "Condition": only})
    answer = await get(world, f"/letters?{query}" if query else "/letters", "erin")
    assert denied(answer) is not met


async def test_listing_by_the_page(world: World) -> None:
    few = {"NumericLessThanEquals": {"s3:max-keys": "10"}}
    bucket = "arn:aws:s3:::letters"
    await world.allow_by_bucket({"Action": "s3:ListBucket", "Resource": bucket, "Condition": few})
    assert (await get(world, "/letters?max-keys=10", "erin")).status == 200
    assert denied(await get(world, "/letters?max-keys=11", "erin"))
    assert denied(await get(world, "/letters", "erin"))


async def test_a_home_for_everybody(world: World) -> None:
    home = "arn:aws:s3:::letters/home/${aws:username}/*"
    await world.allow_by_bucket({"Action": "s3:PutObject", "Resource": home})
    for target, met in (("erin/x", True), ("bob/x", False), ("erin", False), ("%2Aerin/x", False)):
        answer = await world.ask(world.Ask("PUT", f"/letters/home/{target}"), "erin")
        assert denied(answer) is not met, target
    assert denied(await world.send(world.Ask("PUT", "/letters/home/x/y")))


async def tag(world: World, value: str, by: str = "alice", target: str = "/letters/a") -> Any:
    body = f"<Tagging><TagSet><Tag><Key>kind</Key><Value>{value}</Value></Tag></TagSet></Tagging>"
    md5 = hashlib.md5(body.encode(), usedforsecurity=False).digest()
    headers = {"Content-MD5": base64.b64encode(md5).decode()}
    return await world.ask(world.Ask("PUT", f"{target}?tagging", headers, body.encode()), by)


async def test_tags_that_an_object_has(world: World) -> None:
    public = {"StringEquals": {"s3:ExistingObjectTag/kind": "public"}}
    actions = ["s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectTagging"]
    await world.allow_by_bucket(
        {"Action": actions, "Resource": "arn:aws:s3:::letters/*", "Condition": public}
    )
    targets = ("/letters/a", "/letters/a?versionId=null", "/letters/a?tagging", "/letters/none")
    assert [denied(await get(world, target, "erin")) for target in targets] == [True] * 4
    assert (await tag(world, "secret")).status == 200
    assert denied(await get(world, by="erin"))
    assert (await tag(world, "public")).status == 200
    assert [denied(await get(world, target, "erin")) for target in targets] == [False] * 3 + [True]


async def test_tags_that_a_request_brings(world: World) -> None:
    public = {"StringEquals": {"s3:RequestObjectTag/kind": "public"}}
    objects = "arn:aws:s3:::letters/*"
    only_kind = {"ForAllValues:StringEquals": {"s3:RequestObjectTagKeys": ["kind"]}}
    actions = ["s3:PutObject", "s3:PutObjectTagging"]
    await world.allow_by_bucket(
        {"Action": actions, "Resource": objects, "Condition": {**public, **only_kind}}
    )
    before = world.state()
    for tags in (None, "kind=secret", "kind=public&more=x", "more=x"):
        headers = {} if tags is None else {"x-amz-tagging": tags}
        assert denied(await put(world, headers, "erin")), tags
    assert denied(await tag(world, "secret", "erin"))
    assert world.state() == before
    assert (await put(world, {"x-amz-tagging": "kind=public"}, "erin")).status == 200
    assert (await tag(world, "public", "erin")).status == 200


async def test_writing_tags_with_an_object_takes_both_permissions(world: World) -> None:
    objects = "arn:aws:s3:::letters/*"
    allow = {"Action": "s3:PutObject", "Resource": objects}
    await world.allow_by_bucket(allow)
    assert (await put(world, {}, "erin")).status == 200
    assert denied(await put(world, {"x-amz-tagging": "a=b"}, "erin"))
    await world.allow_by_bucket({**allow, "Action": ["s3:PutObject", "s3:PutObjectTagging"]})
    assert (await put(world, {"x-amz-tagging": "a=b"}, "erin")).status == 200


async def test_versions_take_permissions_of_their_own(world: World) -> None:
    objects = "arn:aws:s3:::letters/*"
    await world.allow_by_bucket(
        {"Action": ["s3:GetObject", "s3:DeleteObject"], "Resource": objects},
    )
    assert (await get(world, by="erin")).status == 200
    before = world.state()
    for method in ("GET", "HEAD", "DELETE"):
        answer = await world.ask(world.Ask(method, "/letters/a?versionId=null"), "erin")
        assert answer.status == 403
    assert world.state() == before
    await world.allow_by_bucket({"Action": ["s3:*Version"], "Resource": objects})
    assert (await get(world, "/letters/a?versionId=null", "erin")).status == 200
    assert denied(await get(world, by="erin"))


async def copy(
    world: World, by: str, source: str = "/letters/a", target: str = "/letters/b"
) -> Any:
    return await world.ask(world.Ask("PUT", target, {"x-amz-copy-source": source}), by)


async def test_a_copy_reads_and_writes(world: World) -> None:
    read = {"Action": "s3:GetObject", "Resource": "arn:aws:s3:::letters/*"}
    write = {"Action": "s3:PutObject", "Resource": "arn:aws:s3:::letters/*"}
    for statements, met in (([read], False), ([write], False), ([read, write], True)):
        await world.allow_by_bucket(*statements)
        before = world.state()
        assert denied(await copy(world, "erin")) is not met
        assert (world.state() != before) is met
    part = f"/letters/parts?partNumber=3&uploadId={world.facts['upload']}"
    assert (await copy(world, "erin", target=part)).status == 200
    await world.allow_by_bucket(write)
    assert denied(await copy(world, "erin", target=part))


async def test_a_copy_reads_what_its_source_allows(world: World) -> None:
    write = {"Action": "s3:PutObject", "Resource": "arn:aws:s3:::empty/*"}
    await world.allow_by_bucket(write, bucket="empty")
    assert denied(await copy(world, "erin", target="/empty/b"))
    await world.allow_by_bucket({"Action": "s3:GetObject", "Resource": "arn:aws:s3:::letters/a"})
    assert (await copy(world, "erin", target="/empty/b")).status == 200
    assert denied(await copy(world, "erin", "/letters/sealed", "/empty/b"))
    assert denied(await copy(world, "erin", "/letters/none", "/empty/b"))
    version = "/letters/a?versionId=null"
    assert denied(await copy(world, "erin", version, "/empty/b"))  # takes s3:GetObjectVersion


async def test_copies_by_their_source(world: World) -> None:
    only = {"StringLike": {"s3:x-amz-copy-source": "letters/a*"}}
    await world.allow_by_bucket(
        {"Action": "s3:PutObject", "Resource": "arn:aws:s3:::letters/*", "Condition": only},
        {"Action": "s3:GetObject", "Resource": "arn:aws:s3:::letters/*"},
    )
    for source in ("/letters/a", "letters/a", "letters%2Fa", "/letters/%61"):
        assert (await copy(world, "erin", source)).status == 200, source
    await copy(world, "alice", target="/letters/b")
    assert denied(await copy(world, "erin", "/letters/b"))
    assert denied(await put(world, {}, "erin"))


async def test_many_deletions_are_permitted_one_by_one(world: World) -> None:
    for name in ("tmp/1", "tmp/2", "keep"):
        await world.s3("PUT", f"/letters/{name}")
    await world.allow_by_bucket(
        {"Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::letters/tmp/*"}
    )
    keys = "".join(f"<Object><Key>{key}</Key></Object>" for key in ("tmp/1", "keep", "tmp/2", "a"))
    body = f"<Delete>{keys}</Delete>".encode()
    md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    ask = world.Ask("POST", "/letters?delete", {"Content-MD5": md5}, body)
    answer = await world.ask(ask, "erin")
    assert answer.status == 200
    assert answer.body.count(b"<Deleted>") == 2
    assert answer.body.count(b"<Code>AccessDenied</Code>") == 2
    assert [(await get(world, f"/letters/{k}")).status for k in ("tmp/1", "tmp/2")] == [404, 404]
    assert [(await get(world, f"/letters/{k}")).status for k in ("keep", "a")] == [200, 200]


async def test_comparing_with_an_object_is_reading_it(world: World) -> None:
    etag = (await get(world)).headers["etag"]
    objects = "arn:aws:s3:::letters/*"
    write = {"Action": ["s3:PutObject", "s3:DeleteObject"], "Resource": objects}
    await world.allow_by_bucket(write)
    before = world.state()
    target = world.Ask("PUT", "/letters/a", {"If-Match": etag}, b"guessed")
    for ask in (target, world.Ask("DELETE", "/letters/a", {"If-Match": etag})):
        assert denied(await world.ask(ask, "erin"))
    assert b"<Code>AccessDenied</Code>" in (await delete_many(world, "erin", etag)).body
    assert world.state() == before
    await world.allow_by_bucket(write, {"Action": "s3:GetObject", "Resource": objects})
    assert (await world.ask(target, "erin")).status == 200
    etag = (await get(world)).headers["etag"]
    assert b"<Deleted>" in (await delete_many(world, "erin", etag)).body


async def delete_many(world: World, by: str, etag: str) -> Any:
    body = f"<Delete><Object><Key>a</Key><ETag>{etag}</ETag></Object></Delete>".encode()
    md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    return await world.ask(world.Ask("POST", "/letters?delete", {"Content-MD5": md5}, body), by)


async def test_tags_that_come_along_with_a_copy(world: World) -> None:
    objects = "arn:aws:s3:::letters/*"
    plain = {"Action": ["s3:GetObject", "s3:PutObject"], "Resource": objects}
    await world.allow_by_bucket(plain)
    assert (await copy(world, "erin")).status == 200  # there are no tags
    assert (await tag(world, "secret")).status == 200
    assert denied(await copy(world, "erin"))
    for one in ("s3:GetObjectTagging", "s3:PutObjectTagging"):
        await world.allow_by_bucket(plain, {"Action": one, "Resource": objects})
        assert denied(await copy(world, "erin"))
    await world.allow_by_bucket(plain)
    headers = {"x-amz-copy-source": "/letters/a", "x-amz-tagging-directive": "REPLACE"}
    assert (await world.ask(world.Ask("PUT", "/letters/c", headers), "erin")).status == 200
    await world.allow_by_bucket(plain, {"Action": "s3:*ObjectTagging", "Resource": objects})
    assert (await copy(world, "erin")).status == 200
    assert b"secret" in (await get(world, "/letters/b?tagging")).body


@pytest.mark.parametrize("name", ["if-match", "if-none-match"])
async def test_conditional_writes_can_be_demanded(world: World, name: str) -> None:
    without = {"Null": {f"s3:{name}": "true"}}
    creating = {"Bool": {"s3:ObjectCreationOperation": "true"}}
    await world.allow_by_bucket({**DENY, "Condition": {**without, **creating}})
    assert denied(await put(world, {}))
    assert denied(await copy(world, "alice"))
    target = f"/letters/parts?partNumber=2&uploadId={world.facts['upload']}"
    assert (await world.ask(world.Ask("PUT", target, {}, b"part"))).status == 200
    etag = (await get(world)).headers["etag"]
    headers = {name: etag if name == "if-match" else "*"}
    place = "/letters/a" if name == "if-match" else "/letters/fresh"
    assert (await world.ask(world.Ask("PUT", place, headers, b"x"))).status == 200


async def test_a_presigned_url_says_in_its_query_what_is_demanded(world: World) -> None:
    await world.allow_by_bucket({**DENY, "Condition": {"Null": {ALGORITHM: "true"}}})
    plain = world.Ask("PUT", "/letters/x", {}, b"x")
    assert denied(await world.ask_presigned(plain))
    hoisted = world.Ask("PUT", f"/letters/x?{SSE}=AES256", {}, b"x")
    answer = await world.ask_presigned(hoisted)
    assert answer.status == 200
    assert answer.headers[SSE] == "AES256"


async def test_how_many_tags_there_are_is_told_to_those_who_may_read_them(world: World) -> None:
    assert (await tag(world, "secret")).status == 200
    objects = "arn:aws:s3:::letters/*"
    read = {"Action": "s3:GetObject", "Resource": objects}
    await world.allow_by_bucket(read)
    for method in ("GET", "HEAD"):
        ask = world.Ask(method, "/letters/a")
        assert (await world.ask(ask)).headers["x-amz-tagging-count"] == "1"
        answer = await world.ask(ask, "erin")
        assert answer.status == 200
        assert "x-amz-tagging-count" not in answer.headers
    await world.allow_by_bucket(read, {"Action": "s3:GetObjectTagging", "Resource": objects})
    assert (await world.ask(ask, "erin")).headers["x-amz-tagging-count"] == "1"
