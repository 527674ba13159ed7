"""From every kind of encryption, and every key, to every other: copies, and copied parts."""

from __future__ import annotations

import os
from functools import partial
from itertools import permutations
from typing import Any

B = "bucket-one"
BODY = os.urandom(100_000)
SPAN = (65_530, 65_545)
"""Bytes that lie in two segments of what is sealed."""

CUSTOMERS = {name: os.urandom(32) for name in ("one customer", "another customer")}


def customers_key(name: str, prefix: str = "") -> dict[str, Any]:
    """What a request says of a customer's key, if it is one."""
    if name not in CUSTOMERS:
        return {}
    given = {"SSECustomerKey": CUSTOMERS[name], "SSECustomerAlgorithm": "AES256"}
    return {f"{prefix}{member}": value for member, value in given.items()}


async def kinds(served: Any) -> dict[str, dict[str, Any]]:
    """What writes say, by kind and key."""
    await served.bucket(B)
    one, another = await served.new_key(), await served.new_key()
    kms = {"ServerSideEncryption": "aws:kms"}
    return {
        "SSE-S3": {"ServerSideEncryption": "AES256"},
        "one key": {**kms, "SSEKMSKeyId": one},
        "another key": {**kms, "SSEKMSKeyId": another, "BucketKeyEnabled": True},
        "dsse": {"ServerSideEncryption": "aws:kms:dsse", "SSEKMSKeyId": one},
        **{name: customers_key(name) for name in CUSTOMERS},
    }


def check_kind(answer: dict[str, Any], wanted: dict[str, Any]) -> None:
    for member in ("ServerSideEncryption", "SSEKMSKeyId", "SSECustomerAlgorithm"):
        assert answer.get(member) == wanted.get(member)


async def test_an_object_changes_its_encryption_by_a_copy_onto_itself(served: Any) -> None:
    """As customers' keys are changed: the old one opens nothing from then on."""
    writes = await kinds(served)

    def work(s3: Any) -> None:
        where = {"Bucket": B, "Key": "k"}
        for old, new in permutations(writes, 2):
            s3.put_object(**where, Body=BODY, Metadata={"a": "b"}, **writes[old])
            theirs = customers_key(old, "CopySource")
            copied = s3.copy_object(**where, CopySource=where, **writes[new], **theirs)
            check_kind(copied, writes[new])
            get = partial(s3.get_object, **where)
            got = get(**customers_key(new))
            check_kind(got, writes[new])
            assert (got["Body"].read(), got["Metadata"]) == (BODY, {"a": "b"})
            span = get(Range=f"bytes={SPAN[0]}-{SPAN[1] - 1}", **customers_key(new))
            assert span["Body"].read() == BODY[slice(*SPAN)]
            if old in CUSTOMERS:
                assert served.refused(lambda get=get, old=old: get(**customers_key(old)))[1] >= 400

    await served.run(work)


async def test_parts_are_copied_from_every_kind_to_every_kind(served: Any) -> None:
    writes = await kinds(served)

    def work(s3: Any) -> None:
        for kind, wanted in writes.items():
            s3.put_object(Bucket=B, Key=kind, Body=BODY, **wanted)
        for source, target in permutations(writes, 2):
            upload: dict[str, Any] = {"Bucket": B, "Key": "parts"}
            upload["UploadId"] = s3.create_multipart_upload(**upload, **writes[target])["UploadId"]
            again = customers_key(target)
            made = s3.upload_part_copy(
                **upload, PartNumber=7, CopySource={"Bucket": B, "Key": source},
                CopySourceRange=f"bytes={SPAN[0]}-{SPAN[1] - 1}",
                **again, **customers_key(source, "CopySource"),
            )  # fmt: skip
            parts = [{"PartNumber": 7, "ETag": made["CopyPartResult"]["ETag"]}]
            s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}, **again)
            got = s3.get_object(Bucket=B, Key="parts", PartNumber=7, **again)
            check_kind(got, writes[target])
            assert (got["Body"].read(), got["PartsCount"]) == (BODY[slice(*SPAN)], 1)

    await served.run(work)
