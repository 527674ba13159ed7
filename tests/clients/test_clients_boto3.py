"""boto3: transfers in parts, both signature versions, every kind of payload, URLs and forms."""

from __future__ import annotations

import base64
import io
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from ssl import create_default_context
from typing import Any, TypeAlias

import pytest
import requests
from boto3.s3.transfer import TransferConfig
from botocore import UNSIGNED
from botocore.exceptions import ClientError

Payload: TypeAlias = Callable[[int], Path]
MIB = 2**20
KEYS = [
    "plain",
    "a b",
    "a+b",
    "ü/ñ",
    "..//x//",
    "(1)!*'~;:@&=$,",
    "%41%2F",
    "😀",
    "a?b#c",
    "\n\t\x7f",
]


@pytest.fixture
def s3(service: Any) -> Iterator[Any]:
    with closing(service.client()) as client:
        yield client


def body_of(client: Any, bucket: str, key: str, **more: Any) -> bytes:
    with closing(client.get_object(Bucket=bucket, Key=key, **more)["Body"]) as body:
        return bytes(body.read())


def fetch(service: Any, url: str, method: str = "GET", data: bytes | None = None,
          headers: dict[str, str] | None = None) -> tuple[int, bytes]:  # fmt: skip
    """What somebody without credentials gets."""
    request = urllib.request.Request(url, data, headers or {}, method=method)
    context = create_default_context(cafile=str(service.ca_file)) if service.secure else None
    try:
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


@pytest.mark.parametrize("size", [0, 1, 5 * MIB, 5 * MIB + 1, 12 * MIB])
def test_transfers(s3: Any, bucket: str, payload: Payload, size: int) -> None:
    """In parts of 5 MiB, four at a time, up and down."""
    config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB,
                            max_concurrency=4)  # fmt: skip
    source = payload(size)
    s3.upload_file(str(source), bucket, "k", Config=config, ExtraArgs={"Metadata": {"who": "me"}})
    target = io.BytesIO()
    s3.download_fileobj(bucket, "k", target, Config=config)
    assert target.getvalue() == source.read_bytes()
    head = s3.head_object(Bucket=bucket, Key="k")
    assert (head["ContentLength"], head["Metadata"]) == (size, {"who": "me"})
    assert ("-" in head["ETag"]) == (size >= 5 * MIB)


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_keys_of_all_kinds(service: Any, bucket: str, version: str) -> None:
    with closing(service.client(signature_version=version)) as client:
        for key in KEYS:
            client.put_object(Bucket=bucket, Key=key, Body=key.encode())
        assert [body_of(client, bucket, key) for key in KEYS] == [key.encode() for key in KEYS]
        listed = client.list_objects_v2(Bucket=bucket)["Contents"]
        assert {item["Key"] for item in listed} == set(KEYS)
        for key in KEYS:
            found = client.list_objects_v2(Bucket=bucket, Prefix=key)["Contents"]
            assert [item["Key"] for item in found] == [key]
        gone = client.delete_objects(
            Bucket=bucket, Delete={"Objects": [{"Key": key} for key in KEYS if key.isprintable()]}
        )
        assert len(gone["Deleted"]) == len(KEYS) - 1


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_checksums(s3: Any, bucket: str, algorithm: str) -> None:
    """Over TLS in a trailer, otherwise in a header."""
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"hello", ChecksumAlgorithm=algorithm)
    name = f"Checksum{algorithm}"
    assert put[name]
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    with closing(got["Body"]) as body:
        assert body.read() == b"hello"
    assert got[name] == put[name]
    wrong = base64.b64encode(bytes(len(base64.b64decode(put[name])))).decode()
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=bucket, Key="k", Body=b"hello", **{name: wrong})
    assert caught.value.response["Error"]["Code"] == "BadDigest"


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_checksums_of_parts(s3: Any, bucket: str, algorithm: str) -> None:
    started = s3.create_multipart_upload(Bucket=bucket, Key="k", ChecksumAlgorithm=algorithm)
    upload, name, parts = started["UploadId"], f"Checksum{algorithm}", []
    for number, body in enumerate((bytes(5 * MIB), b"end"), start=1):
        part = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=number,
                              Body=body, ChecksumAlgorithm=algorithm)  # fmt: skip
        parts.append({"PartNumber": number, "ETag": part["ETag"], name: part[name]})
    done = s3.complete_multipart_upload(
        Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": parts}
    )
    assert (done["ChecksumType"] == "COMPOSITE") == done[name].endswith("-2")
    assert body_of(s3, bucket, "k") == bytes(5 * MIB) + b"end"


def test_a_stream_of_unknown_length(s3: Any, bucket: str) -> None:
    class Pipe(io.RawIOBase):
        def __init__(self, data: bytes) -> None:
            self._data = io.BytesIO(data)

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            return self._data.readinto(buffer)

    data = os.urandom(9 * MIB)
    with closing(io.BufferedReader(Pipe(data))) as stream:
        s3.upload_fileobj(stream, bucket, "k")
    assert body_of(s3, bucket, "k") == data


@pytest.mark.parametrize("signed", [True, False])
def test_payloads_signed_and_not(service: Any, bucket: str, signed: bool) -> None:
    config = {"addressing_style": "path", "payload_signing_enabled": signed}
    with closing(service.client(s3=config)) as client:
        client.put_object(Bucket=bucket, Key="k", Body=b"hello")
        assert body_of(client, bucket, "k") == b"hello"


def test_nobody_gets_nothing_even_in_chunks(service: Any, bucket: str) -> None:
    """Without credentials botocore sends chunks over TLS and says so in no signed header."""
    with closing(service.client(signature_version=UNSIGNED)) as client:
        for ask, body in ((client.put_object, {"Body": b"x"}), (client.get_object, {})):
            with pytest.raises(ClientError) as caught:
                ask(Bucket=bucket, Key="k", **body)
            assert caught.value.response["Error"]["Code"] == "AccessDenied"


@pytest.mark.parametrize("version", ["s3v4", "s3"])
@pytest.mark.parametrize("key", KEYS[:8])
def test_presigned_urls(service: Any, bucket: str, version: str, key: str) -> None:
    with closing(service.client(signature_version=version)) as client:
        where = {"Bucket": bucket, "Key": key}
        put = client.generate_presigned_url("put_object", where | {"Metadata": {"a": "b c"}})
        get = client.generate_presigned_url("get_object", where | {"ResponseContentType": "a/b"})
        headers = {"x-amz-meta-a": "b c"} if version == "s3v4" else {"Content-Type": ""}
        status, answer = fetch(service, put, "PUT", b"data", headers)
        assert status == 200, answer
        assert fetch(service, get) == (200, b"data")
        assert client.head_object(**where)["Metadata"] == {"a": "b c"}
        assert fetch(service, get, "DELETE", headers={})[0] == 403
        assert fetch(service, get.replace(bucket, "other-bucket"))[0] == 403


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_presigned_forms(service: Any, bucket: str, version: str) -> None:
    with closing(service.client(signature_version=version)) as client:
        form = client.generate_presigned_post(
            bucket, "dir/${filename}", Conditions=[["content-length-range", 1, 10]]
        )

        def post(data: bytes, **fields: str) -> int:
            answer = requests.post(
                form["url"], data=form["fields"] | fields, files={"file": ("name.txt", data)},
                timeout=30, verify=str(service.ca_file),
            )  # fmt: skip
            return answer.status_code

        assert post(b"hello") == 204
        assert body_of(client, bucket, "dir/name.txt") == b"hello"
        assert post(b"hello world") == 400
        assert post(b"hello", acl="public-read") == 403
        assert post(b"hello", key="else/where") == 403
        assert post(b"hello", policy=base64.b64encode(b"{}").decode()) == 403


def test_a_customers_key(secure_service: Any, secure_bucket: str) -> None:
    sse = {"SSECustomerKey": os.urandom(32), "SSECustomerAlgorithm": "AES256"}
    config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
    data = os.urandom(6 * MIB)
    with closing(secure_service.client()) as client:
        client.upload_fileobj(io.BytesIO(data), secure_bucket, "k", ExtraArgs=sse, Config=config)
        target = io.BytesIO()
        client.download_fileobj(secure_bucket, "k", target, ExtraArgs=sse, Config=config)
        assert target.getvalue() == data
        copied = {"Bucket": secure_bucket, "Key": "k"}
        theirs = {f"CopySource{name}": value for name, value in sse.items()}
        client.copy(copied, secure_bucket, "copy", ExtraArgs=sse | theirs, Config=config)
        assert body_of(client, secure_bucket, "copy", **sse) == data
        with pytest.raises(ClientError):
            client.get_object(Bucket=secure_bucket, Key="copy")


def test_every_page_of_a_listing(s3: Any, bucket: str) -> None:
    keys = [f"{i:03}/x" for i in range(23)]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    for name, item in (("list_objects_v2", "Contents"), ("list_objects", "Contents")):
        pages = s3.get_paginator(name).paginate(Bucket=bucket, PaginationConfig={"PageSize": 5})
        assert [found["Key"] for page in pages for found in page[item]] == keys
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Delimiter="/", PaginationConfig={"PageSize": 5}
    )
    found = [prefix["Prefix"] for page in pages for prefix in page["CommonPrefixes"]]
    assert found == [key.removesuffix("x") for key in keys]
