"""Every operation of S3, asked by everybody who may not: refused, and nothing changes.

Its twin, the same request by somebody who may, succeeds: so it was refused for who asked.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from tlslab.store.s3.operations import OPERATIONS

World = Any
"""`conftest.World`; its `Ask` is a request."""

LATER = timedelta(minutes=16)
"""Long enough for every signature to be out of date."""

_NS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
_POLICY = (
    b'{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", '
    b'"Action": "s3:GetObject", "Resource": "arn:aws:s3:::letters/*"}]}'
)
_TAGGING = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
_CORS = (
    b"<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin>"
    b"<AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>"
)
_ENCRYPTION = (
    b"<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>"
    b"<SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule>"
    b"</ServerSideEncryptionConfiguration>"
)
_VERSIONING = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
_DELETE = b"<Delete><Object><Key>a</Key></Object></Delete>"

NEVER_CONFIGURED = {
    "GetBucketCors": "NoSuchCORSConfiguration",
    "GetBucketLifecycleConfiguration": "NoSuchLifecycleConfiguration",
    "GetBucketReplication": "ReplicationConfigurationNotFoundError",
    "GetBucketTagging": "NoSuchTagSet",
    "GetBucketWebsite": "NoSuchWebsiteConfiguration",
    "GetObjectLockConfiguration": "ObjectLockConfigurationNotFoundError",
    "GetPublicAccessBlock": "NoSuchPublicAccessBlockConfiguration",
}
"""What the twin is told: it may ask, and there is nothing."""

NO_RESOURCE = {"ListBuckets", "CreateBucket"}
"""Anybody with an account may do these for himself; see the tests at the end."""

IN_THE_BODY = {"PostObject"}
"""Signed in a form; it has tests of its own."""


def request(world: World, name: str) -> Any:
    """A request for an operation that would do something."""
    method, target, body, headers = _requests(world.facts)[name]
    headers = dict(headers)
    if body:
        digest = hashlib.md5(body, usedforsecurity=False).digest()
        headers["Content-MD5"] = base64.b64encode(digest).decode()
    return world.Ask(method, target, headers, body)


_Request = tuple[str, str, bytes, Mapping[str, str]]


def _requests(facts: Mapping[str, Any]) -> dict[str, _Request]:
    upload = f"/letters/parts?uploadId={facts['upload']}"
    part = f"/letters/parts?partNumber=2&uploadId={facts['upload']}"
    completed = (
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
        f"<ETag>{facts['part']}</ETag></Part></CompleteMultipartUpload>"
    ).encode()
    update = (
        f"<ObjectEncryption {_NS}><SSE-KMS><KMSKeyArn>{facts['key']}</KMSKeyArn></SSE-KMS>"
        "</ObjectEncryption>"
    ).encode()
    source = {"x-amz-copy-source": "/letters/a"}
    found: dict[str, _Request] = {
        "AbortMultipartUpload": ("DELETE", upload, b"", {}),
        "CompleteMultipartUpload": ("POST", upload, completed, {}),
        "CopyObject": ("PUT", "/letters/copy", b"", source),
        "CreateBucket": ("PUT", "/another", b"", {}),
        "CreateMultipartUpload": ("POST", "/letters/more?uploads", b"", {}),
        "DeleteBucket": ("DELETE", "/empty", b"", {}),
        "DeleteObject": ("DELETE", "/letters/a", b"", {}),
        "DeleteObjects": ("POST", "/letters?delete", _DELETE, {}),
        "DeleteObjectTagging": ("DELETE", "/letters/a?tagging", b"", {}),
        "GetObject": ("GET", "/letters/a", b"", {}),
        "GetObjectAcl": ("GET", "/letters/a?acl", b"", {}),
        "GetObjectAttributes": (
            "GET", "/letters/a?attributes", b"", {"x-amz-object-attributes": "ETag,ObjectSize"}
        ),
        "GetObjectTagging": ("GET", "/letters/a?tagging", b"", {}),
        "HeadBucket": ("HEAD", "/letters", b"", {}),
        "HeadObject": ("HEAD", "/letters/a", b"", {}),
        "ListBuckets": ("GET", "/", b"", {}),
        "ListMultipartUploads": ("GET", "/letters?uploads", b"", {}),
        "ListObjects": ("GET", "/letters", b"", {}),
        "ListObjectsV2": ("GET", "/letters?list-type=2", b"", {}),
        "ListObjectVersions": ("GET", "/letters?versions", b"", {}),
        "ListParts": ("GET", upload, b"", {}),
        "PutBucketCors": ("PUT", "/letters?cors", _CORS, {}),
        "PutBucketEncryption": ("PUT", "/letters?encryption", _ENCRYPTION, {}),
        "PutBucketPolicy": ("PUT", "/letters?policy", _POLICY, {}),
        "PutBucketTagging": ("PUT", "/letters?tagging", _TAGGING, {}),
        "PutBucketVersioning": ("PUT", "/letters?versioning", _VERSIONING, {}),
        "PutObject": ("PUT", "/letters/new", b"new", {}),
        "PutObjectTagging": ("PUT", "/letters/a?tagging", _TAGGING, {}),
        "UpdateObjectEncryption": ("PUT", "/letters/a?encryption", update, {}),
        "UploadPart": ("PUT", part, b"more", {}),
        "UploadPartCopy": ("PUT", part, b"", source),
    }  # fmt: skip
    for operation in OPERATIONS:  # the subresources of a bucket without a body
        if operation.name not in found and operation.method in {"GET", "DELETE"}:
            (selector,) = operation.selector
            found[operation.name] = (operation.method, f"/letters?{selector}", b"", {})
    return found


NAMES = [operation.name for operation in OPERATIONS if operation.name not in IN_THE_BODY]
BY_POLICY = ("mallory", "carol", "dave", "erin")
"""Of another account; denied by the resource's policy; denied by his own; allowed nothing."""


async def test_every_operation_has_its_request(world: World) -> None:
    assert _requests(world.facts).keys() == {o.name for o in OPERATIONS} - IN_THE_BODY


def refused(answer: Any, code: str, status: int, name: str) -> bool:
    """Whether it is that refusal; the answer to HEAD has no body to say it."""
    return answer.status == status and (name.startswith("Head") or answer.code == code)


@pytest.mark.parametrize("name", NAMES)
async def test_without_a_signature_that_holds(world: World, name: str) -> None:
    ask, alice = request(world, name), world.key("alice")
    before = world.state()
    headers = world.signed(ask, alice)
    signature = headers["Authorization"]
    unsigned = {**headers, "Authorization": signature.partition(", Signature=")[0]}
    unknown = {**headers, "Authorization": signature.replace(alice.id, "AKIANOBODYXXXXXXXXXX")}
    disabled = {**headers, "Authorization": signature.replace(alice.id, "AKIADISABLEDXXXXXXXX")}
    anonymous = await world.send(ask)
    if name == "DeleteObjects":
        assert b"<Code>AccessDenied</Code>" in anonymous.body
    else:
        assert refused(anonymous, "AccessDenied", 403, name), anonymous
    for answer, code, status in [
        (await world.send(ask, unsigned), "AuthorizationHeaderMalformed", 400),
        (await world.ask(ask, secret="x" * 20), "SignatureDoesNotMatch", 403),
        (await world.ask_presigned(ask, secret="x" * 20), "SignatureDoesNotMatch", 403),
        (await world.send(ask, unknown), "InvalidAccessKeyId", 403),
        (await world.send(ask, disabled), "InvalidAccessKeyId", 403),
        (await world.ask(ask, at=world.now - LATER), "RequestTimeTooSkewed", 403),
        (await world.ask(ask, at=world.now + LATER), "RequestTimeTooSkewed", 403),
        (await world.ask_presigned(ask, at=world.now - LATER), "AccessDenied", 403),
        (
            await world.send(ask, world.signed(_other(world, ask), alice)),
            "SignatureDoesNotMatch",
            403,
        ),
    ]:
        assert refused(answer, code, status, name), (code, answer)
    assert world.state() == before


def _other(world: World, ask: Any) -> Any:
    """Another request, the signature of which is not this one's."""
    return world.Ask(ask.method, "/letters/other", ask.headers, ask.body)


WITH_BODY = sorted(
    {
        "CompleteMultipartUpload", "DeleteObjects", "PutBucketCors", "PutBucketEncryption",
        "PutBucketPolicy", "PutBucketTagging", "PutBucketVersioning", "PutObject",
        "PutObjectTagging", "UpdateObjectEncryption", "UploadPart",
    }
)  # fmt: skip


async def test_no_operation_with_a_body_is_left_out(world: World) -> None:
    bodies = {name for name in NAMES if request(world, name).body}
    assert bodies == set(WITH_BODY)


@pytest.mark.parametrize("name", WITH_BODY)
async def test_a_body_that_was_not_signed(world: World, name: str) -> None:
    ask = request(world, name)
    before = world.state()
    signed = world.Ask(ask.method, ask.target, ask.headers, b"another body")
    answer = await world.send(ask, world.signed(signed, world.key("alice")))
    assert refused(answer, "XAmzContentSHA256Mismatch", 400, name), answer
    assert world.state() == before


@pytest.mark.parametrize("name", NAMES)
async def test_a_session_needs_its_token(world: World, name: str) -> None:
    ask = request(world, name)
    before = world.state()
    headers = world.signed(ask, world.key("nightly"))
    without = {field: value for field, value in headers.items() if field != "X-Amz-Security-Token"}
    answer = await world.send(ask, without)
    assert 400 <= answer.status < 404, answer
    wrong = await world.send(ask, {**headers, "X-Amz-Security-Token": "x" * 24})
    assert 400 <= wrong.status < 404, wrong
    assert world.state() == before
    assert succeeded(await world.send(ask, headers), name)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NO_RESOURCE])
async def test_by_policy(world: World, name: str) -> None:
    ask = request(world, name)
    before = world.state()
    for who in BY_POLICY:
        for answer in (await world.ask(ask, who), await world.ask_presigned(ask, who)):
            if name == "DeleteObjects":
                assert answer.status == 200
                assert b"<Code>AccessDenied</Code>" in answer.body
                assert b"<Deleted>" not in answer.body
            else:
                assert refused(answer, "AccessDenied", 403, name), (who, answer)
            assert world.state() == before, who


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("presigned", [False, True])
async def test_the_twin_succeeds(world: World, name: str, presigned: bool) -> None:
    ask = request(world, name)
    before = world.state()
    answer = await (world.ask_presigned(ask) if presigned else world.ask(ask))
    assert succeeded(answer, name), answer
    operation = next(operation for operation in OPERATIONS if operation.name == name)
    changes = operation.method in {"PUT", "POST", "DELETE"}
    assert (world.state() != before) is changes


def succeeded(answer: Any, name: str) -> bool:
    if name in NEVER_CONFIGURED:
        return bool(answer.code == NEVER_CONFIGURED[name])
    return bool(200 <= answer.status < 300) and b"<Error>" not in answer.body


@pytest.mark.parametrize("name", NAMES)
async def test_without_the_defence_anybody_may(
    world: World, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def authorise(call: object) -> None: ...

    async def refusal_to_delete(*_: object) -> None: ...

    monkeypatch.setattr("tlslab.store.s3.service.authorise", authorise)
    monkeypatch.setattr("tlslab.store.s3.deleting.refusal_to_delete", refusal_to_delete)
    monkeypatch.setattr("tlslab.store.s3.object_tags.authorise_tags", lambda *_: authorise(None))
    answer = await world.ask(request(world, name), "erin")
    if name == "UpdateObjectEncryption":  # the KMS asks for itself
        assert refused(answer, "AccessDenied", 403, name)
    else:
        assert succeeded(answer, name), answer


@pytest.mark.parametrize("name", sorted(NO_RESOURCE))
async def test_for_himself_everybody_needs_a_policy_too(world: World, name: str) -> None:
    ask = request(world, name)
    before = world.state()
    for who in ("dave", "erin"):
        assert refused(await world.ask(ask, who), "AccessDenied", 403, name)
    assert world.state() == before


async def test_nobody_lists_the_buckets_of_others(world: World) -> None:
    ask = request(world, "ListBuckets")
    assert b"letters" in (await world.ask(ask)).body
    assert b"letters" in (await world.ask(ask, "bob")).body
    answer = await world.ask(ask, "mallory")
    assert answer.status == 200
    assert b"letters" not in answer.body


async def test_nobody_takes_the_bucket_of_others(world: World) -> None:
    before = world.state()
    answer = await world.ask(world.Ask("PUT", "/letters"), "mallory")
    assert refused(answer, "BucketAlreadyExists", 409, "CreateBucket")
    assert world.state() == before
