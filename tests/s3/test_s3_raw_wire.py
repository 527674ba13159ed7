"""What no well-behaved client sends: requests made by hand, signed where they must be."""

from __future__ import annotations

import base64
import hashlib
import os
import zlib
from typing import Any
from xml.etree import ElementTree

import pytest
import requests
import trio

B = "bucket-one"
SSE = "x-amz-server-side-encryption"
KEY = os.urandom(32)


@pytest.fixture
async def made(served: Any) -> Any:
    await served.bucket(B)
    return served


def customer(key: bytes = KEY) -> dict[str, str]:
    return {
        f"{SSE}-customer-algorithm": "AES256",
        f"{SSE}-customer-key": base64.b64encode(key).decode(),
        f"{SSE}-customer-key-MD5": base64.b64encode(hashlib.md5(key).digest()).decode(),
    }


def change(**parts: str | None) -> dict[str, str]:
    fields = customer()
    for name, value in parts.items():
        full = f"{SSE}-customer-{name.replace('_', '-')}"
        if value is None:
            del fields[full]
        else:
            fields[full] = value
    return fields


def error(answer: requests.Response) -> dict[str, str]:
    return {child.tag: child.text or "" for child in ElementTree.fromstring(answer.content)}


async def in_thread(work: Any) -> Any:
    return await trio.to_thread.run_sync(work)


BOTH = {**customer(), SSE: "AES256"}
WRONG_MD5 = base64.b64encode(bytes(16)).decode()
SHORT = base64.b64encode(KEY[:31]).decode()


@pytest.mark.parametrize(
    ("fields", "on_put", "on_get"),
    [
        (BOTH, "InvalidArgument", None),
        (
            change(algorithm="KMS"),
            "InvalidEncryptionAlgorithmError",
            "InvalidEncryptionAlgorithmError",
        ),
        (change(algorithm=None), "InvalidArgument", "InvalidArgument"),
        (change(key=None), "InvalidArgument", "InvalidArgument"),
        (change(key_MD5=None), "InvalidArgument", "AccessDenied"),
        (change(key=SHORT), "InvalidArgument", "InvalidArgument"),
        (change(key_MD5=WRONG_MD5), "InvalidArgument", "InvalidArgument"),
    ],
    ids=["both", "algorithm", "no algorithm", "no key", "no md5", "short key", "wrong md5"],
)
async def test_recorded_refusals_of_sse_c(
    made: Any, fields: dict[str, str], on_put: str, on_get: str | None
) -> None:
    def work() -> None:
        assert made.send("PUT", f"/{B}/k", b"text", customer()).status_code == 200
        put = made.send("PUT", f"/{B}/k", b"other", fields)
        assert (put.status_code, error(put)["Code"]) == (400, on_put)
        assert error(put)["ArgumentName"] == SSE
        if on_get is not None:
            status = 403 if on_get == "AccessDenied" else 400
            get = made.send("GET", f"/{B}/k", b"", fields)
            assert (get.status_code, error(get)["Code"]) == (status, on_get)
            head = made.send("HEAD", f"/{B}/k", b"", fields)
            assert (head.status_code, head.content) == (status, b"")
        for answer in (put, made.send("GET", f"/{B}/k", b"", change(key_MD5=WRONG_MD5))):
            assert base64.b64encode(KEY) not in answer.content
        assert made.send("GET", f"/{B}/k", b"", customer()).content == b"text"

    await in_thread(work)


def chunked(body: bytes, trailer: str | None) -> bytes:
    framed = b"%x\r\n%s\r\n0\r\n" % (len(body), body)
    return framed + (f"{trailer}\r\n".encode() if trailer else b"") + b"\r\n"


def announced(length: int) -> dict[str, str]:
    return {
        "Content-Encoding": "aws-chunked",
        "X-Amz-Trailer": "x-amz-checksum-crc32",
        "X-Amz-Decoded-Content-Length": str(length),
        "x-amz-sdk-checksum-algorithm": "CRC32",
    }


def crc32(body: bytes) -> str:
    return base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()


@pytest.mark.parametrize(
    ("sent", "length", "trailer", "code"),
    [
        (b"text", 4, f"x-amz-checksum-crc32:{crc32(b'text')}", None),
        (b"text", 4, f"x-amz-checksum-crc32:{crc32(b'else')}", "BadDigest"),
        (b"text", 4, "x-amz-checksum-crc32:nonsense", "InvalidRequest"),
        (b"text", 4, None, "IncompleteBody"),
        (b"text", 5, f"x-amz-checksum-crc32:{crc32(b'text')}", "IncompleteBody"),
    ],
)
async def test_trailers_are_held_against_the_body(
    made: Any, sent: bytes, length: int, trailer: str | None, code: str | None
) -> None:
    def work() -> None:
        made.send("PUT", f"/{B}/k", b"before")
        body, headers = chunked(sent, trailer), announced(length)
        answer = made.send("PUT", f"/{B}/k", body, headers, trailer=True)
        found = made.send("GET", f"/{B}/k")
        if code is None:
            assert answer.status_code == 200
            assert answer.headers["x-amz-checksum-crc32"] == crc32(sent)
            assert found.content == sent
            assert "content-encoding" not in found.headers
        else:
            assert (answer.status_code, error(answer)["Code"]) == (400, code)
            assert found.content == b"before"

    await in_thread(work)


async def test_an_unsigned_trailer_does_not_replace_a_signature(made: Any) -> None:
    """GHSA-hv4r-mvr4-25vw: credentials in the query, nothing verified."""

    def work() -> None:
        key = made.key()
        credential = f"{key.id}/20260101/eu-west-2/s3/aws4_request"
        body = chunked(b"text", f"x-amz-checksum-crc32:{crc32(b'text')}")
        headers = announced(4) | {"x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}
        for query in (
            f"X-Amz-Credential={credential}",
            f"X-Amz-Credential={credential}&X-Amz-Algorithm=AWS4-HMAC-SHA256",
            f"X-Amz-Credential={credential}&X-Amz-Signature={'0' * 64}",
        ):
            url = f"{made.url}/{B}/k?{query}"
            assert requests.put(url, body, headers=headers, timeout=5).status_code in {400, 403}
        assert made.send("GET", f"/{B}/k").status_code == 404

    await in_thread(work)


DOCUMENTS = ["encryption", "versioning", "policy", "cors", "tagging"]


@pytest.mark.parametrize("subresource", DOCUMENTS)
async def test_settings_come_with_a_checksum_that_holds(made: Any, subresource: str) -> None:
    def work() -> None:
        target = f"/{B}?{subresource}"
        bare = made.send("PUT", target, b"<x/>")
        assert (bare.status_code, error(bare)["Code"]) == (400, "InvalidRequest")
        for headers in (
            {"Content-MD5": WRONG_MD5},
            {"x-amz-checksum-crc32": crc32(b"other")},
        ):
            wrong = made.send("PUT", target, b"<x/>", headers)
            assert (wrong.status_code, error(wrong)["Code"]) == (400, "BadDigest")
        right = made.send("PUT", target, b"<x/>", {"x-amz-checksum-crc32": crc32(b"<x/>")})
        expected = "MalformedPolicy" if subresource == "policy" else "MalformedXML"
        assert (right.status_code, error(right)["Code"]) == (400, expected)

    await in_thread(work)


async def test_documents_have_a_largest_size(made: Any) -> None:
    from tlslab.store.s3.call import MAX_DOCUMENT_BYTES

    def work() -> None:
        for size, code in (
            (MAX_DOCUMENT_BYTES, "MalformedXML"),
            (MAX_DOCUMENT_BYTES + 1, "MaxMessageLengthExceeded"),
        ):
            body = b"<".ljust(size)
            headers = {"x-amz-checksum-crc32": crc32(body)}
            assert error(made.send("PUT", f"/{B}?tagging", body, headers))["Code"] == code

    await in_thread(work)


async def test_errors_are_s3s_documents_with_the_requests_id(made: Any) -> None:
    def work() -> None:
        answer = made.send("GET", f"/{B}/none")
        found = error(answer)
        assert answer.headers["content-type"] == "application/xml"
        assert found["RequestId"] == answer.headers["x-amz-request-id"]
        assert (found["Code"], found["Key"]) == ("NoSuchKey", "none")
        assert found["Message"] == "The specified key does not exist."
        missing = error(made.send("GET", "/no-such-bucket"))
        assert (missing["Code"], missing["BucketName"]) == ("NoSuchBucket", "no-such-bucket")
        assert error(made.send("GET", f"/{B}/%ff"))["Code"] == "InvalidURI"

    await in_thread(work)


async def test_a_client_that_waits_is_told_to_continue_only_if_it_may(made: Any) -> None:
    import socket

    def exchange() -> bytes:
        with socket.create_connection(("127.0.0.1", made.port), timeout=5) as link:
            link.sendall(
                b"PUT /bucket-one/k HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                b"Expect: 100-continue\r\n\r\n"
            )
            return link.recv(65536)

    assert (await in_thread(exchange)).startswith(b"HTTP/1.1 403 ")


async def test_nobody_overrides_what_a_response_says(made: Any) -> None:
    from tlslab.store.s3.permissions import READ

    statement = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*",'
        f'"Action":"{READ}","Resource":"arn:aws:s3:::{B}/*"}}]}}'
    )
    await made.store.configure_bucket(B, policy=statement)

    def work() -> None:
        made.send("PUT", f"/{B}/k", b"text")
        url = f"{made.url}/{B}/k"
        assert requests.get(url, timeout=5).content == b"text"
        answer = requests.get(f"{url}?response-content-type=text/html", timeout=5)
        assert (answer.status_code, error(answer)["Code"]) == (400, "InvalidRequest")
        signed = made.send("GET", f"/{B}/k?response-content-type=text%2Fhtml")
        assert signed.headers["content-type"] == "text/html"

    await in_thread(work)


async def test_a_copy_is_only_from_the_owner_that_the_client_expects(made: Any) -> None:
    def work() -> None:
        made.send("PUT", f"/{B}/k", b"text")
        copy = {"x-amz-copy-source": f"/{B}/k"}
        for owner, status in (("111122223333", 200), ("444455556666", 403)):
            headers = {**copy, "x-amz-source-expected-bucket-owner": owner}
            assert made.send("PUT", f"/{B}/c", b"", headers).status_code == status

    await in_thread(work)
