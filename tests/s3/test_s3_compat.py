"""What Ceph's public tests ask for, as AWS answers it, and otherwise with `compat="ceph"`."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import pytest

B = "bucket-one"
SSE = "x-amz-server-side-encryption"
KEY, WRONG = os.urandom(32), os.urandom(32)


def with_header(s3: Any, operation: str, **headers: str) -> None:
    """Add a header to an operation that boto3 offers none for."""

    def add(params: dict[str, Any], **_: Any) -> None:
        params["headers"].update({name.replace("_", "-"): text for name, text in headers.items()})

    s3.meta.events.register(f"before-call.s3.{operation}", add)


async def test_no_bucket_has_locks_to_bypass(served: Any) -> None:
    """AWS says so for one object (versitygw#1218); many may be deleted all the same."""

    def work(s3: Any) -> None:
        s3.put_object(Bucket=B, Key="k", Body=b"text")
        one = partial(s3.delete_object, Bucket=B, Key="k", BypassGovernanceRetention=True)
        message = (
            "x-amz-bypass-governance-retention is only applicable to Object Lock enabled buckets."
        )
        assert served.refusal(one) == ("InvalidArgument", 400, message)
        assert s3.get_object(Bucket=B, Key="k")["Body"].read() == b"text"
        many = {"Objects": [{"Key": "k"}]}
        s3.delete_objects(Bucket=B, Delete=many, BypassGovernanceRetention=True)
        assert s3.list_objects_v2(Bucket=B)["KeyCount"] == 0

    await served.bucket(B)
    await served.run(work)


@pytest.mark.parametrize("operation", ["GetObject", "HeadObject", "ListObjectsV2"])
async def test_only_writes_choose_an_encryption(served: Any, operation: str) -> None:
    """As AWS told s3cmd#276; 501 would say that it never works."""

    def work(s3: Any) -> None:
        s3.put_object(Bucket=B, Key="k", Body=b"text")
        with_header(s3, operation, x_amz_server_side_encryption="AES256")
        asks = {
            "GetObject": partial(s3.get_object, Bucket=B, Key="k"),
            "HeadObject": partial(s3.head_object, Bucket=B, Key="k"),
            "ListObjectsV2": partial(s3.list_objects_v2, Bucket=B),
        }
        code, status, message = served.refusal(asks[operation])
        assert status == 400
        if operation != "HeadObject":
            assert code == "InvalidArgument"
            assert message == f"{SSE} header is not supported for this operation."

    await served.bucket(B)
    await served.run(work)


@pytest.mark.parametrize("repeating", ["UploadPart", "CompleteMultipartUpload"])
@pytest.mark.parametrize("compat", ["aws", "ceph"])
async def test_an_upload_does_not_repeat_its_encryption(
    served: Any, ceph: Any, compat: str, repeating: str
) -> None:
    """AWS refuses it (aws-sdk-java#1876); Ceph's tests do it, and may name another key."""
    site = {"aws": served, "ceph": ceph}[compat]
    await site.bucket(B)
    first, second = [await site.new_key() for _ in range(2)]

    def work(s3: Any) -> None:
        of: dict[str, Any] = {"Bucket": B, "Key": "k"}
        kms: dict[str, Any] = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": first}
        of["UploadId"] = s3.create_multipart_upload(**of, **kms)["UploadId"]
        etag = s3.upload_part(**of, PartNumber=1, Body=b"text")["ETag"]
        with_header(
            s3,
            repeating,
            x_amz_server_side_encryption="aws:kms",
            x_amz_server_side_encryption_aws_kms_key_id=second,
        )
        part = partial(s3.upload_part, **of, PartNumber=1, Body=b"text")
        parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
        done = partial(s3.complete_multipart_upload, **of, MultipartUpload=parts)
        if compat == "aws":
            ask = part if repeating == "UploadPart" else done
            assert served.refused(ask) == ("InvalidArgument", 400)
            return
        part()
        done()
        assert s3.head_object(Bucket=B, Key="k")["SSEKMSKeyId"] == first

    await site.run(work)


@pytest.mark.parametrize("compat", ["aws", "ceph"])
async def test_a_part_that_is_not_there(served: Any, ceph: Any, compat: str) -> None:
    site = {"aws": served, "ceph": ceph}[compat]
    expected = {"aws": ("InvalidPartNumber", 416), "ceph": ("InvalidPart", 400)}[compat]

    def work(s3: Any) -> None:
        of: dict[str, Any] = {"Bucket": B, "Key": "k"}
        sse_c: dict[str, Any] = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": KEY}
        s3.put_object(**of, **sse_c, Body=b"text")
        assert s3.get_object(**of, **sse_c, PartNumber=1)["Body"].read() == b"text"
        assert site.refused(partial(s3.get_object, **of, **sse_c, PartNumber=2)) == expected
        assert site.refused(partial(s3.get_object, **of, PartNumber=2)) == expected
        keyless = site.refused(partial(s3.get_object, **of, PartNumber=1))
        assert keyless == ("InvalidRequest", 400)

    await site.bucket(B)
    await site.run(work)


@pytest.mark.parametrize("compat", ["aws", "ceph"])
@pytest.mark.parametrize("algorithm", [None, "CRC32"])
async def test_when_a_completion_needs_the_customers_key(
    served: Any, ceph: Any, compat: str, algorithm: str | None
) -> None:
    site = {"aws": served, "ceph": ceph}[compat]

    def work(s3: Any) -> None:
        of: dict[str, Any] = {"Bucket": B, "Key": "k"}
        sse_c: dict[str, Any] = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": KEY}
        checked = {} if algorithm is None else {"ChecksumAlgorithm": algorithm}
        of["UploadId"] = s3.create_multipart_upload(**of, **sse_c, **checked)["UploadId"]
        sent = s3.upload_part(**of, **sse_c, **checked, PartNumber=1, Body=b"text")
        part = {"PartNumber": 1, "ETag": sent["ETag"]}
        if algorithm is not None:
            part["ChecksumCRC32"] = sent["ChecksumCRC32"]
        done = partial(s3.complete_multipart_upload, **of, MultipartUpload={"Parts": [part]})
        wrong = partial(done, SSECustomerAlgorithm="AES256", SSECustomerKey=WRONG)
        assert site.refused(wrong) == ("InvalidRequest", 400)
        if compat == "ceph" or algorithm is not None:
            assert site.refused(done) == ("InvalidRequest", 400)
            whole = done(**sse_c)
        else:
            whole = done()
        told = f"{SSE}-customer-algorithm" in whole["ResponseMetadata"]["HTTPHeaders"]
        assert told == (compat == "ceph")
        assert s3.get_object(Bucket=B, Key="k", **sse_c)["Body"].read() == b"text"

    await site.bucket(B)
    await site.run(work)


async def test_a_part_comes_with_its_own_checksum(served: Any) -> None:
    """... which boto3 compares with what it gets; the whole's would never be that."""

    def work(s3: Any) -> None:
        of: dict[str, Any] = {"Bucket": B, "Key": "k"}
        begun = s3.create_multipart_upload(
            **of, ChecksumAlgorithm="CRC32C", ChecksumType="FULL_OBJECT"
        )
        bodies = [os.urandom(5 * 1024 * 1024), b"end"]
        sent = []
        for number, body in enumerate(bodies, 1):
            part = s3.upload_part(
                **of, UploadId=begun["UploadId"], PartNumber=number, Body=body,
                ChecksumAlgorithm="CRC32C",
            )  # fmt: skip
            sent.append({"PartNumber": number, "ETag": part["ETag"]})
            sent[-1]["ChecksumCRC32C"] = part["ChecksumCRC32C"]
        s3.complete_multipart_upload(
            **of, UploadId=begun["UploadId"], MultipartUpload={"Parts": sent}
        )
        for number, body in enumerate(bodies, 1):
            got = s3.get_object(**of, PartNumber=number, ChecksumMode="ENABLED")
            assert got["Body"].read() == body
            assert got["ChecksumCRC32C"] == sent[number - 1]["ChecksumCRC32C"]
            assert got["ChecksumType"] == "FULL_OBJECT"
        ranged = s3.get_object(**of, Range="bytes=0-9", ChecksumMode="ENABLED")
        assert "ChecksumCRC32C" not in ranged

    await served.bucket(B)
    await served.run(work)
