"""Multipart uploads over a socket, as AWS was recorded to answer."""

from __future__ import annotations

import base64
import hashlib
import io
import os
from functools import partial
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig

B = "bucket-one"
FIVE_MIB = 5 * 1024 * 1024
INVALID_PART = (
    "One or more of the specified parts could not be found.  The part may not have been uploaded, "
    "or the specified entity tag may not match the part's entity tag."
)


@pytest.fixture
async def made(served: Any) -> Any:
    await served.bucket(B)
    return served


def complete(s3: Any, upload: str, *parts: dict[str, Any], **more: Any) -> Any:
    return s3.complete_multipart_upload(
        Bucket=B, Key="k", UploadId=upload, MultipartUpload={"Parts": list(parts)}, **more
    )


async def test_an_upload_from_its_beginning_to_its_end(made: Any) -> None:
    def work(s3: Any) -> None:
        of: dict[str, Any] = {"Bucket": B, "Key": "k"}
        upload = s3.create_multipart_upload(**of, Metadata={"a": "1"}, Tagging="t=1")["UploadId"]
        of["UploadId"] = upload
        bodies = [os.urandom(FIVE_MIB), b"end"]
        sent = [
            {"PartNumber": n, "ETag": s3.upload_part(**of, PartNumber=n, Body=body)["ETag"]}
            for n, body in enumerate(bodies, 1)
        ]
        listed = s3.list_parts(**of)
        assert [(p["PartNumber"], p["ETag"], p["Size"]) for p in listed["Parts"]] == [
            (1, sent[0]["ETag"], FIVE_MIB),
            (2, sent[1]["ETag"], 3),
        ]
        page = s3.list_parts(**of, MaxParts=1)
        assert (page["IsTruncated"], page["NextPartNumberMarker"]) == (True, 1)
        rest = s3.list_parts(**of, PartNumberMarker=1)
        assert [p["PartNumber"] for p in rest["Parts"]] == [2]
        found = s3.list_multipart_uploads(Bucket=B)["Uploads"]
        assert [(u["Key"], u["UploadId"]) for u in found] == [("k", upload)]
        done = complete(s3, upload, *sent)
        raw = b"".join(hashlib.md5(body).digest() for body in bodies)
        assert done["ETag"] == f'"{hashlib.md5(raw).hexdigest()}-2"'
        got = s3.get_object(Bucket=B, Key="k")
        assert (got["Body"].read(), got["Metadata"]) == (b"".join(bodies), {"a": "1"})
        assert "Uploads" not in s3.list_multipart_uploads(Bucket=B)
        assert complete(s3, upload, *sent)["ETag"] == done["ETag"]  # asked again, as SDKs do

    await made.run(work)


async def test_what_completions_are_refused_for(made: Any) -> None:
    def work(s3: Any) -> None:
        of: dict[str, Any] = {"Bucket": B, "Key": "k"}
        upload = s3.create_multipart_upload(**of)["UploadId"]
        part = partial(s3.upload_part, **of, UploadId=upload)
        one, two = (
            {"PartNumber": n, "ETag": part(PartNumber=n, Body=b"x")["ETag"]} for n in (1, 2)
        )
        refusal, refused = made.refusal, made.refused
        wrong = {"PartNumber": 1, "ETag": '"c4c753e69bb853187f5854c46cf801c6"'}
        invalid = refusal(partial(complete, s3, upload, wrong))
        assert invalid == ("InvalidPart", 400, INVALID_PART)
        missing = {**one, "PartNumber": 9}
        assert refused(partial(complete, s3, upload, missing)) == ("InvalidPart", 400)
        assert refused(partial(complete, s3, upload, two, one)) == ("InvalidPartOrder", 400)
        assert refused(partial(complete, s3, upload, one, two)) == ("EntityTooSmall", 400)
        assert refused(partial(complete, s3, upload)) == ("MalformedXML", 400)
        size = refusal(partial(complete, s3, upload, one, MpuObjectSize=5))
        message = (
            "The provided 'x-amz-mp-object-size' header value 5 does not match what was computed: 1"
        )
        assert size == ("InvalidRequest", 400, message)
        mode = partial(complete, s3, upload, one, ChecksumType="COMPOSITE")
        assert refused(mode) == ("InvalidRequest", 400)
        s3.put_object(**of, Body=b"there")
        late = partial(complete, s3, upload, one, IfNoneMatch="*")
        assert refused(late) == ("PreconditionFailed", 412)
        for number in (0, 10_001):
            outside = partial(part, PartNumber=number, Body=b"x")
            assert refused(outside) == ("InvalidArgument", 400)
        s3.abort_multipart_upload(**of, UploadId=upload)
        for ask in (
            partial(complete, s3, upload, one),
            partial(part, PartNumber=1, Body=b"x"),
            partial(s3.list_parts, **of, UploadId=upload),
            partial(s3.abort_multipart_upload, **of, UploadId=upload),
        ):
            assert refused(ask) == ("NoSuchUpload", 404)
        assert s3.get_object(**of)["Body"].read() == b"there"

    await made.run(work)


@pytest.mark.parametrize(
    ("algorithm", "kind"),
    [
        ("CRC32", "COMPOSITE"),
        ("SHA256", "COMPOSITE"),
        ("CRC32C", "FULL_OBJECT"),
        ("CRC64NVME", "FULL_OBJECT"),
    ],
)
async def test_checksums_of_parts_and_of_the_whole(made: Any, algorithm: str, kind: str) -> None:
    field = f"Checksum{algorithm}"

    def work(s3: Any) -> None:
        of: dict[str, Any] = {"Bucket": B, "Key": "k"}
        created = s3.create_multipart_upload(**of, ChecksumAlgorithm=algorithm, ChecksumType=kind)
        assert (created["ChecksumAlgorithm"], created["ChecksumType"]) == (algorithm, kind)
        upload = created["UploadId"]
        sent = []
        bodies = (os.urandom(FIVE_MIB), b"end")
        for number, body in enumerate(bodies, 1):
            part = s3.upload_part(
                **of, UploadId=upload, PartNumber=number, Body=body, ChecksumAlgorithm=algorithm
            )
            sent.append({"PartNumber": number, "ETag": part["ETag"], field: part[field]})
        if kind == "COMPOSITE":
            bare = {name: value for name, value in sent[0].items() if name != field}
            message = (
                f"The upload was created using a {algorithm.lower()} checksum. The complete "
                "request must include the checksum for each part. It was missing for part 1 in the "
                "request."
            )
            refusal = made.refusal(partial(complete, s3, upload, bare, sent[1]))
            assert refusal == ("InvalidRequest", 400, message)
        other = "SHA1" if algorithm != "SHA1" else "SHA256"
        mixed = partial(
            s3.upload_part, **of, UploadId=upload, PartNumber=1, Body=b"x", ChecksumAlgorithm=other
        )
        assert made.refused(mixed) == ("InvalidRequest", 400)
        swapped = {**sent[0], field: sent[1][field]}
        refusal = made.refusal(partial(complete, s3, upload, swapped, sent[1]))
        assert refusal == ("InvalidPart", 400, INVALID_PART)
        done = complete(s3, upload, *sent)
        assert done["ChecksumType"] == kind
        assert ("-2" in done[field]) == (kind == "COMPOSITE")
        got = s3.get_object(**of, ChecksumMode="ENABLED")
        assert (got["Body"].read(), got[field]) == (b"".join(bodies), done[field])
        asked = s3.get_object_attributes(**of, ObjectAttributes=["ObjectParts", "Checksum"])
        assert asked["Checksum"] == {field: done[field], "ChecksumType": kind}
        assert asked["ObjectParts"]["TotalPartsCount"] == 2
        assert [p[field] for p in asked["ObjectParts"]["Parts"]] == [p[field] for p in sent]

    await made.run(work)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"ChecksumAlgorithm": "CRC64NVME", "ChecksumType": "COMPOSITE"},
            "The COMPOSITE checksum type cannot be used with the crc64nvme checksum algorithm.",
        ),
        (
            {"ChecksumAlgorithm": "SHA1", "ChecksumType": "FULL_OBJECT"},
            "The FULL_OBJECT checksum type cannot be used with the sha1 checksum algorithm.",
        ),
        (
            {"ChecksumType": "COMPOSITE"},
            "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm "
            "header.",
        ),
        (
            {"ChecksumAlgorithm": "TEST"},
            "Checksum algorithm provided is unsupported. Please try again with any of the valid "
            "types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]",
        ),
    ],
)
async def test_uploads_that_aws_was_recorded_to_refuse(
    made: Any, parameters: dict[str, str], message: str
) -> None:
    def work(s3: Any) -> None:
        create = partial(s3.create_multipart_upload, Bucket=B, Key="k", **parameters)
        assert made.refusal(create) == ("InvalidRequest", 400, message)

    await made.run(work, request_checksum_calculation="when_required")


async def test_copied_parts_and_their_ranges(made: Any) -> None:
    def work(s3: Any) -> None:
        s3.put_object(Bucket=B, Key="source", Body=b"0123456789")
        upload = s3.create_multipart_upload(Bucket=B, Key="k")["UploadId"]
        copy = partial(
            s3.upload_part_copy, Bucket=B, Key="k", UploadId=upload, PartNumber=1,
            CopySource={"Bucket": B, "Key": "source"},
        )  # fmt: skip
        for value in ("0-8", "bytes=1-0", "bytes=0-1,3-4,7-9", "bytes=-2", "bytes=1-"):
            assert made.refused(partial(copy, CopySourceRange=value)) == ("InvalidArgument", 400)
        message = "Range specified is not valid for source object of size: 10"
        beyond = made.refusal(partial(copy, CopySourceRange="bytes=0-100"))
        assert beyond == ("InvalidArgument", 400, message)
        message = "The specified copy range is invalid for the source object size"
        outside = made.refusal(partial(copy, CopySourceRange="bytes=100-200"))
        assert outside == ("InvalidRequest", 400, message)
        stale = partial(copy, CopySourceIfMatch='"x"')
        assert made.refused(stale) == ("PreconditionFailed", 412)
        etag = copy(CopySourceRange="bytes=2-4")["CopyPartResult"]["ETag"]
        complete(s3, upload, {"PartNumber": 1, "ETag": etag})
        assert s3.get_object(Bucket=B, Key="k")["Body"].read() == b"234"

    await made.run(work)


async def test_uploads_are_listed_by_key_in_pages(made: Any) -> None:
    def work(s3: Any) -> None:
        ids = {
            (key, s3.create_multipart_upload(Bucket=B, Key=key)["UploadId"])
            for key in ("a/1", "a/2", "b", "b", "ü")
        }
        found: list[tuple[str, str]] = []
        markers: dict[str, str] = {}
        while True:
            page = s3.list_multipart_uploads(Bucket=B, MaxUploads=2, **markers)
            found += [(u["Key"], u["UploadId"]) for u in page.get("Uploads", [])]
            if not page["IsTruncated"]:
                break
            markers = {
                "KeyMarker": page["NextKeyMarker"],
                "UploadIdMarker": page["NextUploadIdMarker"],
            }
        assert set(found) == ids
        assert [key for key, _ in found] == ["a/1", "a/2", "b", "b", "ü"]
        grouped = s3.list_multipart_uploads(Bucket=B, Delimiter="/")
        assert [p["Prefix"] for p in grouped["CommonPrefixes"]] == ["a/"]

    await made.run(work)


async def test_high_level_transfers(made: Any) -> None:
    await _transfers(made)


async def test_high_level_transfers_over_tls_in_chunks_with_trailers(secured: Any) -> None:
    await secured.bucket(B)
    await _transfers(secured)


async def _transfers(made: Any) -> None:
    body = os.urandom(3 * FIVE_MIB + 17)

    def work(s3: Any) -> None:
        config = TransferConfig(multipart_threshold=FIVE_MIB, multipart_chunksize=FIVE_MIB)
        s3.upload_fileobj(io.BytesIO(body), B, "k", Config=config)
        assert s3.head_object(Bucket=B, Key="k")["ETag"].endswith('-4"')
        target = io.BytesIO()
        s3.download_fileobj(B, "k", target, Config=config)
        assert target.getvalue() == body
        s3.copy({"Bucket": B, "Key": "k"}, B, "copy", Config=config)
        assert s3.get_object(Bucket=B, Key="copy")["Body"].read() == body

    await made.run(work)


async def test_a_wrong_checksum_of_a_part_stores_nothing(made: Any) -> None:
    def work(s3: Any) -> None:
        of: dict[str, Any] = {"Bucket": B, "Key": "k"}
        of["UploadId"] = s3.create_multipart_upload(**of)["UploadId"]
        wrong = base64.b64encode(bytes(4)).decode()
        part = partial(s3.upload_part, **of, PartNumber=1, Body=b"x", ChecksumCRC32=wrong)
        message = "The CRC32 you specified did not match the calculated checksum."
        assert made.refusal(part) == ("BadDigest", 400, message)
        assert "Parts" not in s3.list_parts(**of)

    await made.run(work)
