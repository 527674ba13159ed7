"""Objects over a socket: reads and their conditions, writes, checksums, copies, deletions."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import requests
import trio
from botocore.exceptions import ClientError

B = "bucket-one"
BODY = bytes(range(256)) * 40


@pytest.fixture
async def made(served: Any) -> Any:
    await served.bucket(B)
    return served


async def test_attributes_and_metadata_come_back(made: Any) -> None:
    def work(s3: Any) -> None:
        attributes = {
            "ContentType": "text/x; charset=utf-8",
            "CacheControl": "no-cache",
            "ContentDisposition": "attachment",
            "ContentEncoding": "gzip",
            "ContentLanguage": "de",
        }
        s3.put_object(
            Bucket=B, Key="k", Body=b"x", Metadata={"a": "1", "b-c": "two words"},
            Tagging="t=1&u=2", **attributes,
        )  # fmt: skip
        for got in (s3.get_object(Bucket=B, Key="k"), s3.head_object(Bucket=B, Key="k")):
            assert {name: got[name] for name in attributes} == attributes
            assert got["Metadata"] == {"a": "1", "b-c": "two words"}
            assert got["AcceptRanges"] == "bytes"
            assert "Body" not in got or got["Body"].read() == b"x"
            assert got["TagCount"] == 2
        got = s3.get_object(
            Bucket=B, Key="k", ResponseContentType="a/b", ResponseCacheControl="public"
        )
        assert got["Body"].read() == b"x"
        assert (got["ContentType"], got["CacheControl"]) == ("a/b", "public")

    await made.run(work)


@pytest.mark.parametrize(
    "key",
    [
        "..",
        "../../etc/passwd",
        "a//b",
        "/",
        "a b+c%20",
        "ü/\N{SNOWMAN}",
        "?a=b&acl",
        "\n",
        "x" * 1024,
    ],
)
async def test_keys_are_any_text(made: Any, key: str) -> None:
    def work(s3: Any) -> None:
        s3.put_object(Bucket=B, Key=key, Body=b"text")
        assert s3.get_object(Bucket=B, Key=key)["Body"].read() == b"text"
        assert [o["Key"] for o in s3.list_objects_v2(Bucket=B)["Contents"]] == [key]
        assert [o["Key"] for o in s3.list_objects(Bucket=B)["Contents"]] == [key]
        deleted = s3.delete_objects(Bucket=B, Delete={"Objects": [{"Key": key}]})
        assert deleted["Deleted"] == [{"Key": key}]
        assert s3.list_objects_v2(Bucket=B)["KeyCount"] == 0

    await made.run(work)


async def test_a_key_can_be_too_long(made: Any) -> None:
    put = partial(partial, Bucket=B, Key="x" * 1025, Body=b"")
    found = await made.run(lambda s3: made.refused(put(s3.put_object)))
    assert found == ("KeyTooLongError", 400)


async def test_ranges(made: Any) -> None:
    def work(s3: Any) -> None:
        s3.put_object(Bucket=B, Key="k", Body=BODY, ChecksumAlgorithm="SHA256")
        size = len(BODY)
        for value, start, stop in (
            ("bytes=0-0", 0, 1),
            ("bytes=5-", 5, size),
            ("bytes=-7", size - 7, size),
            ("bytes=100-99999", 100, size),
        ):
            got = s3.get_object(Bucket=B, Key="k", Range=value, ChecksumMode="ENABLED")
            assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
            assert got["Body"].read() == BODY[start:stop]
            assert got["ContentLength"] == stop - start
            assert "ChecksumSHA256" not in got  # it is that of the whole
            head = s3.head_object(Bucket=B, Key="k", Range=value)
            assert head["ContentLength"] == stop - start
        for value in ("bytes=9-1", "bytes=0-1,3-4", "chars=0-1"):
            got = s3.get_object(Bucket=B, Key="k", Range=value)
            assert got["ResponseMetadata"]["HTTPStatusCode"] == 200
            assert got["Body"].read() == BODY
        get = partial(s3.get_object, Bucket=B, Key="k", Range=f"bytes={size}-")
        assert made.refused(get) == ("InvalidRange", 416)
        missing = partial(s3.get_object, Bucket=B, Key="none", Range="bytes=0-1")
        assert made.refused(missing) == ("NoSuchKey", 404)
        whole = s3.get_object(Bucket=B, Key="k", ChecksumMode="ENABLED")
        assert whole["Body"].read() == BODY
        digest = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
        assert (whole["ChecksumSHA256"], whole["ChecksumType"]) == (digest, "FULL_OBJECT")

    await made.run(work)


async def test_conditional_reads(made: Any) -> None:
    def work(s3: Any) -> None:
        etag = s3.put_object(Bucket=B, Key="k", Body=b"x")["ETag"]
        past = datetime.now(UTC) - timedelta(days=1)
        future = datetime.now(UTC) + timedelta(days=1)
        for conditions, status in (
            ({"IfMatch": etag}, 200),
            ({"IfMatch": '"other"'}, 412),
            ({"IfNoneMatch": etag}, 304),
            ({"IfNoneMatch": '"other"'}, 200),
            ({"IfModifiedSince": future}, 304),
            ({"IfModifiedSince": past}, 200),
            ({"IfUnmodifiedSince": past}, 412),
            ({"IfMatch": etag, "IfUnmodifiedSince": past}, 200),
            ({"IfNoneMatch": etag, "IfModifiedSince": past}, 304),
        ):
            for read in (s3.get_object, s3.head_object):
                try:
                    found = read(Bucket=B, Key="k", **conditions)
                except ClientError as error:
                    found = error.response
                assert found["ResponseMetadata"]["HTTPStatusCode"] == status
                assert "Body" not in found or found["Body"].read() == b"x"
                if status == 304:
                    assert found["ResponseMetadata"]["HTTPHeaders"]["etag"] == etag

    await made.run(work)


async def test_conditional_writes(made: Any) -> None:
    def work(s3: Any) -> None:
        put = partial(s3.put_object, Bucket=B, Key="k")
        etag = put(Body=b"1", IfNoneMatch="*")["ETag"]
        assert made.refused(partial(put, Body=b"2", IfNoneMatch="*")) == ("PreconditionFailed", 412)
        assert made.refused(partial(put, Body=b"2", IfMatch='"x"')) == ("PreconditionFailed", 412)
        assert made.refused(partial(put, Body=b"2", IfNoneMatch=etag)) == ("NotImplemented", 501)
        etag = put(Body=b"2", IfMatch=etag)["ETag"]
        delete = partial(s3.delete_object, Bucket=B, Key="k")
        assert made.refused(partial(delete, IfMatch='"x"')) == ("PreconditionFailed", 412)
        assert s3.get_object(Bucket=B, Key="k")["Body"].read() == b"2"
        delete(IfMatch=etag)
        assert made.refused(partial(put, Body=b"3", IfMatch=etag)) == ("NoSuchKey", 404)

    await made.run(work)


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
async def test_checksums_are_verified_kept_and_told(made: Any, algorithm: str) -> None:
    def work(s3: Any) -> None:
        field = f"Checksum{algorithm}"
        put = s3.put_object(Bucket=B, Key="k", Body=BODY, ChecksumAlgorithm=algorithm)
        got = s3.get_object(Bucket=B, Key="k", ChecksumMode="ENABLED")
        assert got["Body"].read() == BODY
        assert got[field] == put[field]
        assert field not in s3.head_object(Bucket=B, Key="k")
        asked = s3.get_object_attributes(
            Bucket=B, Key="k", ObjectAttributes=["Checksum", "ETag", "ObjectSize", "StorageClass"]
        )
        assert asked["Checksum"] == {field: put[field], "ChecksumType": "FULL_OBJECT"}
        assert (asked["ETag"], asked["ObjectSize"]) == (put["ETag"].strip('"'), len(BODY))
        copied = s3.copy_object(Bucket=B, Key="c", CopySource={"Bucket": B, "Key": "k"})
        assert copied["CopyObjectResult"][field] == put[field]
        wrong = base64.b64encode(bytes(len(base64.b64decode(put[field])))).decode()
        for value, expected in (
            (
                wrong,
                (
                    "BadDigest",
                    400,
                    f"The {algorithm} you specified did not match the calculated checksum.",
                ),
            ),
            (
                "nope",
                (
                    "InvalidRequest",
                    400,
                    f"Value for x-amz-checksum-{algorithm.lower()} header is invalid.",
                ),
            ),
        ):
            put_wrong = partial(s3.put_object, Bucket=B, Key="w", Body=BODY, **{field: value})
            assert made.refusal(put_wrong) == expected
        assert made.refused(partial(s3.head_object, Bucket=B, Key="w")) == ("404", 404)

    await made.run(work)


async def test_two_checksums_and_a_wrong_md5(made: Any) -> None:
    def work(s3: Any) -> None:
        put = partial(s3.put_object, Bucket=B, Key="k", Body=b"x")
        two = partial(put, ChecksumSHA256="x", ChecksumCRC32="x")
        message = (
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
        )
        assert made.refusal(two) == ("InvalidRequest", 400, message)
        wrong = base64.b64encode(bytes(16)).decode()
        assert made.refused(partial(put, ContentMD5=wrong)) == ("BadDigest", 400)
        assert made.refused(partial(put, ContentMD5="x")) == ("InvalidDigest", 400)
        put(ContentMD5=base64.b64encode(hashlib.md5(b"x").digest()).decode())

    await made.run(work)


async def test_copies_keep_or_replace_what_travels_with_an_object(made: Any) -> None:
    def work(s3: Any) -> None:
        s3.put_object(Bucket=B, Key="ü k", Body=b"x", Metadata={"a": "1"}, Tagging="t=1")
        source = {"Bucket": B, "Key": "ü k"}
        copy = partial(s3.copy_object, Bucket=B, Key="c", CopySource=source)
        copied = copy()["CopyObjectResult"]
        assert copied["ETag"] == f'"{hashlib.md5(b"x").hexdigest()}"'
        assert s3.head_object(Bucket=B, Key="c")["Metadata"] == {"a": "1"}
        assert s3.get_object_tagging(Bucket=B, Key="c")["TagSet"] == [{"Key": "t", "Value": "1"}]
        copy(
            Metadata={"b": "2"},
            MetadataDirective="REPLACE",
            Tagging="u=2",
            TaggingDirective="REPLACE",
        )
        assert s3.head_object(Bucket=B, Key="c")["Metadata"] == {"b": "2"}
        assert s3.get_object_tagging(Bucket=B, Key="c")["TagSet"] == [{"Key": "u", "Value": "2"}]
        assert made.refused(partial(copy, CopySourceIfMatch="x")) == ("PreconditionFailed", 412)
        etag = copied["ETag"]
        assert made.refused(partial(copy, CopySourceIfNoneMatch=etag)) == (
            "PreconditionFailed",
            412,
        )
        copy(CopySourceIfMatch=etag)
        itself = partial(s3.copy_object, Bucket=B, Key="ü k", CopySource=source)
        assert made.refused(itself) == ("InvalidRequest", 400)
        itself(MetadataDirective="REPLACE")
        assert made.refused(partial(copy, MetadataDirective="MERGE")) == ("InvalidArgument", 400)
        missing = partial(
            s3.copy_object, Bucket=B, Key="c", CopySource={"Bucket": B, "Key": "none"}
        )
        assert made.refused(missing) == ("NoSuchKey", 404)
        nowhere = partial(s3.copy_object, Bucket=B, Key="c", CopySource="no-slash")
        assert made.refused(nowhere) == ("InvalidArgument", 400)

    await made.run(work)


async def test_deleting_many_reports_each(made: Any) -> None:
    def work(s3: Any) -> None:
        keys = [f"k{i}" for i in range(40)]
        for key in keys:
            s3.put_object(Bucket=B, Key=key, Body=b"")
        delete = partial(s3.delete_objects, Bucket=B)
        objects = [{"Key": key} for key in [*keys[:20], "never"]]
        assert {d["Key"] for d in delete(Delete={"Objects": objects})["Deleted"]} == {
            *keys[:20],
            "never",
        }
        quiet = delete(Delete={"Objects": [{"Key": key} for key in keys[20:]], "Quiet": True})
        assert "Deleted" not in quiet
        assert s3.list_objects_v2(Bucket=B)["KeyCount"] == 0
        many = [{"Key": str(i)} for i in range(1001)]
        assert made.refused(partial(delete, Delete={"Objects": many})) == ("MalformedXML", 400)
        assert len(delete(Delete={"Objects": many[:1000]})["Deleted"]) == 1000

    await made.run(work)


async def test_versions(made: Any) -> None:
    def work(s3: Any) -> None:
        of: dict[str, Any] = {"Bucket": B, "Key": "k"}
        assert "VersionId" not in s3.put_object(**of, Body=b"0")
        s3.put_bucket_versioning(Bucket=B, VersioningConfiguration={"Status": "Enabled"})
        assert s3.get_bucket_versioning(Bucket=B)["Status"] == "Enabled"
        first = s3.put_object(**of, Body=b"1")["VersionId"]
        second = s3.put_object(**of, Body=b"2")["VersionId"]
        for version, body in ((None, b"2"), (second, b"2"), (first, b"1"), ("null", b"0")):
            asked = of if version is None else {**of, "VersionId": version}
            got = s3.get_object(**asked)
            assert (got["Body"].read(), got["VersionId"]) == (body, version or second)
        marker = s3.delete_object(**of)
        assert marker["DeleteMarker"]
        assert made.refused(partial(s3.get_object, **of)) == ("NoSuchKey", 404)
        by_id = partial(s3.get_object, **of, VersionId=marker["VersionId"])
        assert made.refused(by_id) == ("MethodNotAllowed", 405)
        listed = s3.list_object_versions(Bucket=B)
        assert [v["VersionId"] for v in listed["Versions"]] == [second, first, "null"]
        assert [m["VersionId"] for m in listed["DeleteMarkers"]] == [marker["VersionId"]]
        assert s3.delete_object(**of, VersionId=marker["VersionId"])["DeleteMarker"]
        assert s3.get_object(**of)["Body"].read() == b"2"
        s3.delete_object(**of, VersionId=second)
        assert s3.get_object(**of)["Body"].read() == b"1"
        unknown = partial(s3.get_object, **of, VersionId="x" * 32)
        assert made.refused(unknown) == ("InvalidArgument", 400)
        copied = s3.copy_object(Bucket=B, Key="c", CopySource={**of, "VersionId": "null"})
        assert copied["CopySourceVersionId"] == "null"
        assert s3.get_object(Bucket=B, Key="c")["Body"].read() == b"0"

    await made.run(work)


async def test_tags(made: Any) -> None:
    def work(s3: Any) -> None:
        of: dict[str, Any] = {"Bucket": B, "Key": "k"}
        s3.put_object(**of, Body=b"")
        assert s3.get_object_tagging(**of)["TagSet"] == []
        tags = [{"Key": f"k{i}", "Value": "v"} for i in range(10)]
        s3.put_object_tagging(**of, Tagging={"TagSet": tags})
        assert s3.get_object_tagging(**of)["TagSet"] == tags
        more = [*tags, {"Key": "more", "Value": ""}]
        refused = made.refused(partial(s3.put_object_tagging, **of, Tagging={"TagSet": more}))
        assert refused == ("BadRequest", 400)
        s3.delete_object_tagging(**of)
        assert s3.get_object_tagging(**of)["TagSet"] == []
        assert made.refused(partial(s3.get_object_tagging, Bucket=B, Key="none")) == (
            "NoSuchKey",
            404,
        )

    await made.run(work)


@pytest.mark.parametrize("version", ["s3", "s3v4"])
async def test_presigned_urls(made: Any, version: str) -> None:
    def work(s3: Any) -> None:
        of: dict[str, Any] = {"Bucket": B, "Key": "a b/ü"}
        put = s3.generate_presigned_url("put_object", {**of, "Metadata": {"a": "1"}})
        more = {"x-amz-meta-a": "1"}
        assert requests.put(put, data=b"text", headers=more, timeout=5).status_code == 200
        get = s3.generate_presigned_url("get_object", {**of, "ResponseContentType": "a/b"})
        got = requests.get(get, timeout=5)
        assert (got.content, got.headers["content-type"]) == (b"text", "a/b")
        assert got.headers["x-amz-meta-a"] == "1"
        tampered = requests.get(get.replace("a%2Fb", "c%2Fd"), timeout=5)
        assert tampered.status_code == 403
        assert b"SignatureDoesNotMatch" in tampered.content
        assert b"<RequestId>" in tampered.content
        unsigned = requests.get(get.partition("?")[0], timeout=5)
        assert unsigned.status_code == 403

    await made.run(work, signature_version=version)


@pytest.mark.parametrize("version", ["s3", "s3v4"])
async def test_forms(made: Any, version: str) -> None:
    def work(s3: Any) -> None:
        fields = {"success_action_status": "201", "x-amz-meta-a": "1"}
        conditions: list[Any] = [
            {"success_action_status": "201"}, {"x-amz-meta-a": "1"}, ["content-length-range", 2, 10]
        ]  # fmt: skip
        post = s3.generate_presigned_post(B, "dir/${filename}", fields, conditions)

        def send(body: bytes, **change: str) -> requests.Response:
            return requests.post(
                post["url"],
                {**post["fields"], **change},
                files={"file": ("f.txt", body)},
                timeout=5,
            )

        done = send(b"text")
        assert done.status_code == 201
        assert b"<Key>dir/f.txt</Key>" in done.content
        got = s3.get_object(Bucket=B, Key="dir/f.txt")
        assert (got["Body"].read(), got["Metadata"]) == (b"text", {"a": "1"})
        assert (send(b"x" * 10).status_code, send(b"xx").status_code) == (201, 201)
        assert b"<Code>EntityTooLarge</Code>" in send(b"x" * 11).content
        assert b"<Code>EntityTooSmall</Code>" in send(b"x").content
        assert s3.get_object(Bucket=B, Key="dir/f.txt")["Body"].read() == b"xx"
        assert send(b"text", **{"x-amz-meta-a": "2"}).status_code == 403
        assert send(b"text", **{"x-amz-storage-class": "STANDARD"}).status_code == 403
        anonymous = requests.post(post["url"], {"key": "k"}, files={"file": b"x"}, timeout=5)
        assert (anonymous.status_code, b"AccessDenied" in anonymous.content) == (403, True)

    await made.run(work, signature_version=version)


async def test_virtual_host_style(made: Any) -> None:
    def exchange() -> bytes:
        with socket.create_connection(("127.0.0.1", made.port), timeout=5) as link:
            host = f"Host: {B}.s3.localhost:1\r\nConnection: close"
            link.sendall(f"GET /key HTTP/1.1\r\n{host}\r\n\r\n".encode())
            return b"".join(iter(lambda: link.recv(65536), b""))

    answer = await trio.to_thread.run_sync(exchange)
    assert b"403" in answer.partition(b"\r\n")[0]  # anonymous, for the bucket that the host names
    assert b"<Code>AccessDenied</Code>" in answer


async def test_head_errors_are_bare(made: Any) -> None:
    def exchange() -> requests.Response:
        return requests.head(f"{made.url}/{B}/none", timeout=5)

    answer = await trio.to_thread.run_sync(exchange)
    assert (answer.status_code, answer.content) == (403, b"")
    assert "x-amz-request-id" in answer.headers


UNKNOWN = [
    ("PUT", "?legal-hold"),
    ("PUT", "?retention"),
    ("PUT", "?torrent"),
    ("PUT", "?anything"),
    ("PUT", "?renameObject"),
    ("PUT", "?acl"),
    ("PUT", "?partNumber=1"),
    ("PUT", "?uploads"),
    ("POST", "?restore"),
    ("POST", "?select&select-type=2"),
    ("POST", ""),
    ("DELETE", "?acl"),
    ("DELETE", "?encryption"),
    ("PATCH", ""),
]


@pytest.mark.parametrize(("method", "query"), UNKNOWN)
async def test_what_is_not_understood_touches_nothing(made: Any, method: str, query: str) -> None:
    def work(s3: Any) -> None:
        s3.put_object(Bucket=B, Key="k", Body=b"precious")
        answer = made.send(method, f"/{B}/k{query}", b"<Destroy/>")
        assert answer.status_code == (405 if not query else 501)
        assert s3.get_object(Bucket=B, Key="k")["Body"].read() == b"precious"

    await made.run(work)


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("x-amz-object-lock-mode", "GOVERNANCE", 501),
        ("x-amz-website-redirect-location", "/x", 501),
        ("x-amz-write-offset-bytes", "3", 501),
        ("x-amz-rename-source", "/b/k", 501),
        ("x-amz-grant-read", "id=1", 501),
        ("content-range", "bytes 0-1/8", 501),
        ("if-modified-since", "Mon, 01 Jan 2024 00:00:00 GMT", 501),
        ("x-amz-storage-class", "GLACIER", 501),
        ("x-amz-storage-class", "FakeClass", 400),
        ("x-amz-acl", "public-read", 400),
        ("x-amz-acl", "private", 200),
        ("x-amz-storage-class", "STANDARD", 200),
        ("x-amz-expected-bucket-owner", "111122223333", 200),
        ("x-amz-expected-bucket-owner", "444455556666", 403),
    ],
)
async def test_headers_that_change_the_meaning_are_refused_or_understood(
    made: Any, name: str, value: str, status: int
) -> None:
    def work(s3: Any) -> None:
        s3.put_object(Bucket=B, Key="k", Body=b"precious")
        answer = made.send("PUT", f"/{B}/k", b"new", {name: value})
        assert answer.status_code == status
        expected = b"new" if status == 200 else b"precious"
        assert s3.get_object(Bucket=B, Key="k")["Body"].read() == expected

    await made.run(work)


async def test_a_body_of_unknown_length_is_not_implemented(made: Any) -> None:
    def exchange() -> bytes:
        with socket.create_connection(("127.0.0.1", made.port), timeout=5) as link:
            head = "PUT /bucket-one/k HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            link.sendall(head.encode() + b"1\r\nx\r\n0\r\n\r\n")
            return link.recv(65536)

    anybody = {"Effect": "Allow", "Principal": "*", "Action": "s3:*"}
    statement = anybody | {"Resource": f"arn:aws:s3:::{B}/*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    await made.store.configure_bucket(B, policy=policy)
    answer = await trio.to_thread.run_sync(exchange)
    assert b" 501 " in answer.partition(b"\r\n")[0]
    assert (await made.store.list_objects(B)).objects == ()
