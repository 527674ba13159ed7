"""Encryption on the wire, as AWS was recorded to answer and peers were found not to.

Every row of the recorded errors is a test here; codes, statuses and AWS's messages are compared.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tlslab.store.model import DefaultEncryption

B = "bucket-one"
KEY, WRONG = os.urandom(32), os.urandom(32)
ARN = "arn:aws:kms:eu-west-2:111122223333:key/134f2428-cec1-4b25-a1ae-9048164dba47"
NEEDED = (
    "The object was stored using a form of Server Side Encryption. The correct parameters must be "
    "provided to retrieve the object."
)
WRONG_KEY = (
    "Requests specifying Server Side Encryption with Customer provided keys must provide the "
    "correct secret key."
)
PART_ENCRYPTION = (
    "The multipart upload initiate requested encryption. Subsequent part requests must include "
    "the appropriate encryption parameters."
)
OTHER_KEY = "The provided encryption parameters did not match the ones used originally."


def sse_c(key: bytes = KEY, prefix: str = "") -> dict[str, Any]:
    """A customer's key for boto3, which encodes it and adds its MD5."""
    return {f"{prefix}SSECustomerAlgorithm": "AES256", f"{prefix}SSECustomerKey": key}


def encoded(key: bytes = KEY) -> dict[str, str]:
    """... where boto3 does not."""
    return {
        "SSECustomerAlgorithm": "AES256",
        "SSECustomerKey": base64.b64encode(key).decode(),
        "SSECustomerKeyMD5": base64.b64encode(hashlib.md5(key).digest()).decode(),
    }


async def test_sse_s3_is_the_default_and_its_etag_is_the_md5(served: Any) -> None:
    def work(s3: Any) -> None:
        for more in ({}, {"ServerSideEncryption": "AES256"}):
            put = s3.put_object(Bucket=B, Key="k", Body=b"text", **more)
            assert put["ServerSideEncryption"] == "AES256"
            assert put["ETag"] == f'"{hashlib.md5(b"text").hexdigest()}"'
        assert s3.head_object(Bucket=B, Key="k")["ServerSideEncryption"] == "AES256"

    await served.bucket(B)
    await served.run(work)


async def test_sse_kms_echoes_the_arn_and_its_etag_is_not_the_md5(served: Any) -> None:
    arn = await served.new_key()
    await served.invoke("CreateAlias", {"AliasName": "alias/tutorial", "TargetKeyId": arn})

    def work(s3: Any) -> None:
        for named in (arn, arn.rpartition("/")[2], "alias/tutorial"):
            put = s3.put_object(
                Bucket=B,
                Key="k",
                Body=b"text",
                ServerSideEncryption="aws:kms",
                SSEKMSKeyId=named,
                SSEKMSEncryptionContext=base64.b64encode(b'{"a": "b"}').decode(),
                BucketKeyEnabled=True,
            )
            assert (put["SSEKMSKeyId"], put["BucketKeyEnabled"]) == (arn, True)
            assert base64.b64decode(put["SSEKMSEncryptionContext"]) == b'{"a": "b"}'
            assert hashlib.md5(b"text").hexdigest() not in put["ETag"]
        got = s3.get_object(Bucket=B, Key="k")
        assert (got["Body"].read(), got["SSEKMSKeyId"]) == (b"text", arn)
        assert got["ServerSideEncryption"] == "aws:kms"
        assert "SSEKMSEncryptionContext" not in got
        double = s3.put_object(
            Bucket=B, Key="d", Body=b"x", ServerSideEncryption="aws:kms:dsse", SSEKMSKeyId=arn
        )
        assert double["ServerSideEncryption"] == "aws:kms:dsse"
        assert s3.get_object(Bucket=B, Key="d")["Body"].read() == b"x"

    await served.bucket(B)
    await served.run(work)


async def test_sse_kms_without_a_key_uses_the_default_key_made_on_first_use(served: Any) -> None:
    await served.bucket(B)
    put = await served.run(
        lambda s3: s3.put_object(Bucket=B, Key="k", Body=b"x", ServerSideEncryption="aws:kms")
    )
    aliases = (await served.invoke("ListAliases", {}))["Aliases"]
    found = next(a for a in aliases if a["AliasName"] == "alias/aws/s3")
    assert put["SSEKMSKeyId"].endswith(found["TargetKeyId"])


async def test_ceph_wants_a_key_id_and_a_configuration(ceph: Any) -> None:
    def work(s3: Any) -> None:
        put = partial(s3.put_object, Bucket=B, Key="k", Body=b"x", ServerSideEncryption="aws:kms")
        assert ceph.refused(put) == ("InvalidArgument", 400)
        assert ceph.refused(partial(s3.get_bucket_encryption, Bucket=B)) == (
            "ServerSideEncryptionConfigurationNotFoundError",
            404,
        )
        s3.put_object(Bucket=B, Key="c", Body=b"x" * 10, **sse_c())
        for more in ({}, {"Range": "bytes=0-1"}):
            get = partial(s3.get_object, Bucket=B, Key="c", **sse_c(WRONG), **more)
            assert ceph.refused(get)[1] == 400

    await ceph.bucket(B)
    await ceph.run(work)


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("fake-key-id", "Invalid keyId 'fake-key-id'"),
        (ARN.rpartition("/")[2], f"Key '{ARN}' does not exist"),
        (ARN, f"Key '{ARN}' does not exist"),
        (ARN.replace("eu-west-2", "us-east-1"), "Invalid arn us-east-1"),
    ],
)
async def test_unknown_kms_keys(served: Any, named: str, message: str) -> None:
    def work(s3: Any) -> None:
        kms = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": named}
        expected = ("KMS.NotFoundException", 400, message)
        s3.put_object(Bucket=B, Key="source", Body=b"x")
        source = {"Bucket": B, "Key": "source"}
        assert (
            served.refusal(partial(s3.put_object, Bucket=B, Key="k", Body=b"x", **kms)) == expected
        )
        assert (
            served.refusal(partial(s3.create_multipart_upload, Bucket=B, Key="k", **kms))
            == expected
        )
        assert (
            served.refusal(partial(s3.copy_object, Bucket=B, Key="k", CopySource=source, **kms))
            == expected
        )
        assert served.refused(partial(s3.head_object, Bucket=B, Key="k")) == ("404", 404)

    await served.bucket(B)
    await served.run(work)


@pytest.mark.parametrize("bucket_key", [False, True])
async def test_a_disabled_or_pending_key_is_refused_at_once_and_a_good_one_not(
    served: Any, bucket_key: bool
) -> None:
    arn = await served.new_key()
    await served.bucket(B)
    kms = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": arn, "BucketKeyEnabled": bucket_key}

    def put(s3: Any) -> Any:
        return s3.put_object(Bucket=B, Key="k", Body=b"text", **kms)

    def get(s3: Any) -> bytes:
        body: bytes = s3.get_object(Bucket=B, Key="k")["Body"].read()
        return body

    await served.run(put)
    assert await served.run(get) == b"text"
    await served.invoke("DisableKey", {"KeyId": arn})
    expected = ("KMS.DisabledException", 400, f"{arn} is disabled.")
    for work in (put, get):
        assert await served.run(lambda s3, work=work: served.refusal(lambda: work(s3))) == expected
    await served.invoke("EnableKey", {"KeyId": arn})
    assert await served.run(get) == b"text"
    await served.invoke("ScheduleKeyDeletion", {"KeyId": arn, "PendingWindowInDays": 7})
    expected = ("KMS.KMSInvalidStateException", 400, f"{arn} is pending deletion.")
    assert await served.run(lambda s3: served.refusal(lambda: get(s3))) == expected


async def test_who_may_read_the_bucket_but_not_use_the_key_reads_nothing(served: Any) -> None:
    arn = await served.new_key()
    await served.bucket(B)

    def put(s3: Any) -> None:
        kms = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": arn}
        s3.put_object(Bucket=B, Key="kms", Body=b"secret", **kms)
        s3.put_object(Bucket=B, Key="s3", Body=b"secret")

    def get(s3: Any) -> None:
        assert s3.get_object(Bucket=B, Key="s3")["Body"].read() == b"secret"  # the failing twin
        assert served.refused(partial(s3.get_object, Bucket=B, Key="kms")) == ("AccessDenied", 403)

    await served.run(put)
    await served.run(get, "bob")


async def test_sse_c_round_trips_and_tells_the_md5_but_not_the_key(served: Any) -> None:
    md5 = base64.b64encode(hashlib.md5(KEY).digest()).decode()

    def work(s3: Any) -> None:
        put = s3.put_object(Bucket=B, Key="k", Body=b"text", **sse_c())
        assert (put["SSECustomerAlgorithm"], put["SSECustomerKeyMD5"]) == ("AES256", md5)
        assert "ServerSideEncryption" not in put
        assert hashlib.md5(b"text").hexdigest() not in put["ETag"]
        got = s3.get_object(Bucket=B, Key="k", **sse_c())
        assert (got["Body"].read(), got["SSECustomerKeyMD5"]) == (b"text", md5)
        head = s3.head_object(Bucket=B, Key="k", **sse_c())
        assert (head["ContentLength"], head["SSECustomerKeyMD5"]) == (4, md5)
        attributes = s3.get_object_attributes(
            Bucket=B, Key="k", ObjectAttributes=["ETag", "ObjectSize"], **encoded()
        )
        assert attributes["ObjectSize"] == 4

    await served.bucket(B)
    await served.run(work)


@pytest.mark.parametrize("size", [0, 1, 100_000])
async def test_sse_c_without_the_key_or_with_another(served: Any, size: int) -> None:
    def work(s3: Any) -> None:
        s3.put_object(Bucket=B, Key="k", Body=bytes(size), **sse_c())
        of: dict[str, Any] = {"Bucket": B, "Key": "k"}
        get: Callable[..., Any] = s3.get_object
        assert served.refusal(lambda: get(**of)) == ("InvalidRequest", 400, NEEDED)
        assert served.refusal(lambda: get(**of, **sse_c(WRONG))) == ("AccessDenied", 403, WRONG_KEY)
        part = of | {"PartNumber": 1}
        assert served.refused(lambda: get(**part, **sse_c(WRONG))) == ("AccessDenied", 403)
        assert served.refused(lambda: get(**part)) == ("InvalidRequest", 400)
        got = get(**part, **sse_c())
        assert (got["Body"].read(), got["ContentLength"]) == (bytes(size), size)
        assert served.refused(partial(s3.head_object, **of)) == ("400", 400)
        assert served.refused(partial(s3.head_object, **of, **sse_c(WRONG))) == ("403", 403)
        asked = of | {"ObjectAttributes": ["ETag"]}
        assert served.refused(partial(s3.get_object_attributes, **asked))[1] == 400
        assert (
            served.refused(partial(s3.get_object_attributes, **asked, **encoded(WRONG)))[1] == 403
        )
        copy = {"Bucket": B, "Key": "copy", "CopySource": {"Bucket": B, "Key": "k"}}
        assert served.refusal(partial(s3.copy_object, **copy))[1:] == (400, NEEDED)
        assert (
            served.refused(partial(s3.copy_object, **copy, **sse_c(WRONG, "CopySource")))[1] == 403
        )
        assert served.refused(partial(s3.head_object, Bucket=B, Key="copy")) == ("404", 404)

    await served.bucket(B)
    await served.run(work)


async def test_sse_c_never_goes_over_an_insecure_hop(served: Any) -> None:
    def put(s3: Any) -> None:
        s3.put_object(Bucket=B, Key="k", Body=b"x", **sse_c())

    def insecure(s3: Any) -> None:
        assert served.refused(lambda: put(s3)) == ("InvalidRequest", 400)
        read = partial(s3.get_object, Bucket=B, Key="k", **sse_c())
        assert served.refused(read) == ("InvalidRequest", 400)
        copy = {"Bucket": B, "Key": "c", "CopySource": {"Bucket": B, "Key": "k"}}
        for more in (sse_c(prefix="CopySource"), sse_c()):
            code = served.refused(partial(s3.copy_object, **copy, **more))
            assert code == ("InvalidRequest", 400)
        begin = partial(s3.create_multipart_upload, Bucket=B, Key="k", **sse_c())
        assert served.refused(begin) == ("InvalidRequest", 400)
        s3.put_object(Bucket=B, Key="plain", Body=b"x")  # all else does

    await served.bucket(B)
    await served.run(put)
    served.secure = False
    await served.run(insecure)


async def test_a_bucket_that_blocks_sse_c_refuses_it_and_takes_the_rest(served: Any) -> None:
    blocks = DefaultEncryption(blocked=frozenset({"SSE-C"}))
    await served.bucket(B, encryption=blocks)

    def work(s3: Any) -> None:
        put = partial(s3.put_object, Bucket=B, Key="k", Body=b"x", **sse_c())
        assert served.refused(put) == ("AccessDenied", 403)
        begin = partial(s3.create_multipart_upload, Bucket=B, Key="k", **sse_c())
        assert served.refused(begin) == ("AccessDenied", 403)
        s3.put_object(Bucket=B, Key="k", Body=b"x")

    await served.run(work)


async def test_sse_c_is_taken_by_a_bucket_with_another_default(served: Any) -> None:
    arn = await served.new_key()
    await served.bucket(B, encryption=DefaultEncryption("aws:kms", arn))

    def work(s3: Any) -> None:
        assert s3.put_object(Bucket=B, Key="k", Body=b"x")["SSEKMSKeyId"] == arn
        s3.put_object(Bucket=B, Key="c", Body=b"x", **sse_c())
        assert s3.get_object(Bucket=B, Key="c", **sse_c())["Body"].read() == b"x"
        unneeded = partial(s3.get_object, Bucket=B, Key="k", **sse_c())
        assert served.refused(unneeded) == ("InvalidRequest", 400)

    await served.run(work)


async def test_parts_come_with_the_key_that_their_upload_began_with(served: Any) -> None:
    def work(s3: Any) -> None:
        plain = s3.create_multipart_upload(Bucket=B, Key="p")["UploadId"]
        ours = s3.create_multipart_upload(Bucket=B, Key="c", **sse_c())["UploadId"]

        def part(key: str, upload: str, **more: Any) -> Callable[[], object]:
            return partial(
                s3.upload_part, Bucket=B, Key=key, UploadId=upload, PartNumber=1, Body=b"x", **more
            )

        refusal = served.refusal
        assert refusal(part("p", plain, **sse_c())) == ("InvalidRequest", 400, PART_ENCRYPTION)
        assert refusal(part("c", ours)) == ("InvalidRequest", 400, PART_ENCRYPTION)
        assert refusal(part("c", ours, **sse_c(WRONG))) == ("InvalidRequest", 400, OTHER_KEY)
        sent: Any = part("c", ours, **sse_c())()
        assert sent["SSECustomerAlgorithm"] == "AES256"

    await served.bucket(B)
    await served.run(work)


FIVE_MIB = 5 * 1024 * 1024


@pytest.mark.parametrize("kind", ["SSE-S3", "SSE-KMS", "SSE-C"])
async def test_multipart_copy_and_ranges_under_each_kind(served: Any, kind: str) -> None:
    arn = await served.new_key()
    await served.bucket(B)
    kinds: dict[str, dict[str, Any]] = {
        "SSE-S3": {"ServerSideEncryption": "AES256"},
        "SSE-KMS": {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": arn},
        "SSE-C": sse_c(),
    }
    again = sse_c() if kind == "SSE-C" else {}
    of_source = sse_c(prefix="CopySource") if kind == "SSE-C" else {}
    first, second = os.urandom(FIVE_MIB), os.urandom(1000)
    whole = first + second

    def upload(s3: Any) -> dict[str, Any]:
        upload = s3.create_multipart_upload(Bucket=B, Key="k", **kinds[kind])["UploadId"]
        sent = [
            s3.upload_part(
                Bucket=B, Key="k", UploadId=upload, PartNumber=number, Body=body, **again
            )["ETag"]
            for number, body in ((1, first), (3, second))
        ]
        parts = [{"PartNumber": n, "ETag": e} for n, e in zip((1, 3), sent, strict=True)]
        done: dict[str, Any] = s3.complete_multipart_upload(
            Bucket=B, Key="k", UploadId=upload, MultipartUpload={"Parts": parts}
        )
        return done

    def work(s3: Any) -> None:
        done = upload(s3)
        assert done["ETag"].endswith('-2"')
        get = partial(s3.get_object, Bucket=B, Key="k", **again)
        assert get()["Body"].read() == whole
        for start, stop in (
            (0, 1),
            (FIVE_MIB - 1, FIVE_MIB + 1),
            (65535, 65537),
            (len(whole) - 1, len(whole)),
        ):
            got = get(Range=f"bytes={start}-{stop - 1}")
            assert got["Body"].read() == whole[start:stop]
            assert got["ContentRange"] == f"bytes {start}-{stop - 1}/{len(whole)}"
            assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
        got = get(PartNumber=3)
        assert (got["Body"].read(), got["PartsCount"]) == (second, 2)
        assert served.refused(lambda: get(PartNumber=2))[1] == 416
        upload_id = s3.create_multipart_upload(Bucket=B, Key="copy", **kinds[kind])["UploadId"]
        copied = s3.upload_part_copy(
            Bucket=B,
            Key="copy",
            UploadId=upload_id,
            PartNumber=1,
            CopySource={"Bucket": B, "Key": "k"},
            CopySourceRange=f"bytes={FIVE_MIB - 10}-{FIVE_MIB + 9}",
            **again,
            **of_source,
        )
        part = {"PartNumber": 1, "ETag": copied["CopyPartResult"]["ETag"]}
        s3.complete_multipart_upload(
            Bucket=B, Key="copy", UploadId=upload_id, MultipartUpload={"Parts": [part]}
        )
        assert (
            s3.get_object(Bucket=B, Key="copy", **again)["Body"].read()
            == whole[FIVE_MIB - 10 : FIVE_MIB + 10]
        )
        for name, target in kinds.items():
            s3.copy_object(
                Bucket=B, Key=name, CopySource={"Bucket": B, "Key": "k"}, **target, **of_source
            )
            with_key = sse_c() if name == "SSE-C" else {}
            assert s3.get_object(Bucket=B, Key=name, **with_key)["Body"].read() == whole

    await served.run(work)


async def test_bucket_encryption_as_recorded(served: Any) -> None:
    def work(s3: Any) -> None:
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}

        missing = "The specified bucket does not exist"
        for ask in (
            partial(s3.get_bucket_encryption, Bucket="no-such-bucket"),
            partial(s3.delete_bucket_encryption, Bucket="no-such-bucket"),
            partial(
                s3.put_bucket_encryption,
                Bucket="no-such-bucket",
                ServerSideEncryptionConfiguration={"Rules": [rule]},
            ),
        ):
            assert served.refusal(ask) == ("NoSuchBucket", 404, missing)

        def put(*rules: Any) -> Callable[[], Any]:
            return partial(
                s3.put_bucket_encryption,
                Bucket=B,
                ServerSideEncryptionConfiguration={"Rules": list(rules)},
            )

        default = [{**rule, "BucketKeyEnabled": False}]

        def get() -> Any:
            return s3.get_bucket_encryption(Bucket=B)["ServerSideEncryptionConfiguration"]["Rules"]

        assert get() == default
        assert served.refused(put()) == ("MalformedXML", 400)
        assert served.refused(put(rule, rule)) == ("MalformedXML", 400)
        with_key = {
            "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256", "KMSMasterKeyID": "k"}
        }
        message = (
            "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or "
            "aws:kms:dsse"
        )
        assert served.refusal(put(with_key)) == ("InvalidArgument", 400, message)
        kms = {
            "ApplyServerSideEncryptionByDefault": {
                "SSEAlgorithm": "aws:kms",
                "KMSMasterKeyID": "alias/none",
            },
            "BucketKeyEnabled": True,
            "BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]},
        }
        put(kms)()
        assert get() == [kms]
        s3.delete_bucket_encryption(Bucket=B)
        assert get() == default

    await served.bucket(B)
    await served.run(work)


async def test_update_object_encryption_keeps_the_object_and_changes_its_key(served: Any) -> None:
    first, second = await served.new_key(), await served.new_key()
    await served.bucket(B)

    def update(s3: Any, key: str, arn: str) -> Any:
        return s3.update_object_encryption(
            Bucket=B,
            Key=key,
            ObjectEncryption={"SSEKMS": {"KMSKeyArn": arn, "BucketKeyEnabled": True}},
        )

    def work(s3: Any) -> None:
        before = s3.put_object(Bucket=B, Key="k", Body=b"precious")
        for arn in (first, second):
            update(s3, "k", arn)
            got = s3.get_object(Bucket=B, Key="k")
            assert got["Body"].read() == b"precious"
            assert (got["ServerSideEncryption"], got["SSEKMSKeyId"]) == ("aws:kms", arn)
            assert got["ETag"] == before["ETag"]
        s3.put_object(Bucket=B, Key="c", Body=b"x", **sse_c())
        assert served.refused(lambda: update(s3, "c", first)) == ("InvalidRequest", 400)
        assert served.refused(lambda: update(s3, "none", first)) == ("NoSuchKey", 404)
        assert served.refused(lambda: update(s3, "k", ARN)) == ("KMS.NotFoundException", 400)

    await served.run(work)
    await served.invoke("DisableKey", {"KeyId": second})

    def read(s3: Any) -> tuple[str, int]:
        refused: tuple[str, int] = served.refused(partial(s3.get_object, Bucket=B, Key="k"))
        return refused

    assert await served.run(read) == ("KMS.DisabledException", 400)


POLICY = """{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*",
 "Action": "s3:PutObject", "Resource": "arn:aws:s3:::bucket-one/*", "Condition": {"Null":
 {"s3:x-amz-server-side-encryption-customer-algorithm": "%s"}}}]}"""


@pytest.mark.parametrize("enforced", [True, False])
async def test_policies_that_enforce_or_deny_sse_c(served: Any, enforced: bool) -> None:
    def work(s3: Any) -> None:
        s3.put_bucket_policy(Bucket=B, Policy=POLICY % ("true" if enforced else "false"))
        with_key = partial(s3.put_object, Bucket=B, Key="k", Body=b"x", **sse_c())
        without = partial(s3.put_object, Bucket=B, Key="k", Body=b"x")
        allowed, denied = (with_key, without) if enforced else (without, with_key)
        allowed()
        assert served.refused(denied) == ("AccessDenied", 403)

    await served.bucket(B)
    await served.run(work)
