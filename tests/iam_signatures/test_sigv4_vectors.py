"""The examples that AWS's documentation computes in full, down to the signature."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TypeAlias

import pytest

from tlslab.http import Headers, Request
from tlslab.iam.aws_chunked import ChunkedDecoder
from tlslab.iam.signatures import Authentication
from tlslab.iam.sigv4 import EMPTY_SHA256

Check: TypeAlias = Callable[..., Authentication]
Make: TypeAlias = Callable[..., Request]

THEN = datetime(2013, 5, 24, tzinfo=UTC)
CREDENTIAL = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"
HOST = (b"Host", b"examplebucket.s3.amazonaws.com")
TIME = (b"x-amz-date", b"20130524T000000Z")


def authorization(signed: str, signature: str) -> tuple[bytes, bytes]:
    value = f"AWS4-HMAC-SHA256 Credential={CREDENTIAL},SignedHeaders={signed},Signature={signature}"
    return b"Authorization", value.encode()


def empty(*headers: tuple[bytes, bytes]) -> Headers:
    return [HOST, TIME, (b"x-amz-content-sha256", EMPTY_SHA256.encode()), *headers]


WELCOME = sha256(b"Welcome to Amazon S3.").hexdigest()
CASES = [
    (
        "GET",
        "/test.txt",
        empty((b"Range", b"bytes=0-9")),
        "host;range;x-amz-content-sha256;x-amz-date",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    ),
    (
        "PUT",
        "/test%24file.text",
        [
            HOST,
            (b"Date", b"Fri, 24 May 2013 00:00:00 GMT"),
            TIME,
            (b"x-amz-storage-class", b"REDUCED_REDUNDANCY"),
            (b"x-amz-content-sha256", WELCOME.encode()),
        ],
        "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    ),
    (
        "GET",
        "/?lifecycle",
        empty(),
        "host;x-amz-content-sha256;x-amz-date",
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    ),
    (
        "GET",
        "/?max-keys=2&prefix=J",
        empty(),
        "host;x-amz-content-sha256;x-amz-date",
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    ),
]


@pytest.mark.parametrize(("method", "target", "headers", "signed", "signature"), CASES)
def test_a_documented_request_is_verified(
    check: Check,
    make_request: Make,
    method: str,
    target: str,
    headers: Headers,
    signed: str,
    signature: str,
) -> None:
    request = make_request(method, target, [*headers, authorization(signed, signature)])
    found = check(request, now=THEN + timedelta(minutes=1), regions=("us-east-1",))
    assert found.scheme == "v4-header"
    assert (found.region, found.service, found.signed_at) == ("us-east-1", "s3", THEN)


def test_the_documented_presigned_url_is_verified(check: Check, make_request: Make) -> None:
    query = (
        "X-Amz-Algorithm=AWS4-HMAC-SHA256"
        f"&X-Amz-Credential={CREDENTIAL.replace('/', '%2F')}"
        "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )
    request = make_request("GET", f"/test.txt?{query}", [HOST])
    found = check(request, now=THEN + timedelta(hours=23), regions=("us-east-1",))
    assert found.scheme == "v4-query"


# "Transferring payload in multiple chunks" and "Including trailing headers": 66,560 times "a".
FIRST, SECOND = b"a" * 65536, b"a" * 1024


def streaming(declared: bytes, length: bytes, trailer: bytes | None) -> Headers:
    headers = [
        HOST,
        TIME,
        (b"x-amz-storage-class", b"REDUCED_REDUNDANCY"),
        (b"x-amz-content-sha256", declared),
        (b"Content-Encoding", b"aws-chunked"),
        (b"x-amz-decoded-content-length", b"66560"),
    ]
    if trailer is None:
        return [*headers, (b"Content-Length", length)]
    return [*headers, (b"x-amz-trailer", trailer)]


def test_the_documented_chunks_are_verified(check: Check, make_request: Make) -> None:
    headers = streaming(b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", b"66824", None)
    signed = (
        "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;"
        "x-amz-decoded-content-length;x-amz-storage-class"
    )
    seed = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
    request = make_request(
        "PUT", "/examplebucket/chunkObject.txt", [*headers, authorization(signed, seed)]
    )
    amended = [(b"Host", b"s3.amazonaws.com") if name == b"Host" else (name, value)
               for name, value in request.headers]  # fmt: skip
    request = make_request(request.method, request.target, amended)
    found = check(request, now=THEN, regions=("us-east-1",))
    assert found.payload.seed is not None
    body = b"".join([
        b"10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n",
        FIRST, b"\r\n",
        b"400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n",
        SECOND, b"\r\n",
        b"0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n",
        b"\r\n",
    ])  # fmt: skip
    assert len(body) == 66824
    decoder = ChunkedDecoder(66560, found.payload.seed, with_trailer=False)
    assert b"".join(decoder.feed(body)) == FIRST + SECOND
    assert decoder.finish() == {}


def test_the_documented_trailer_is_verified(check: Check, make_request: Make) -> None:
    headers = streaming(
        b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", b"", b"x-amz-checksum-crc32c"
    )
    amended = [(b"Host", b"s3.amazonaws.com") if name == b"Host" else (name, value)
               for name, value in headers]  # fmt: skip
    signed = (
        "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;"
        "x-amz-storage-class;x-amz-trailer"
    )
    seed = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
    target = "/examplebucket/chunkObject.txt"
    request = make_request("PUT", target, [*amended, authorization(signed, seed)])
    found = check(request, now=THEN, regions=("us-east-1",))
    assert found.payload.trailers == ("x-amz-checksum-crc32c",)
    body = b"".join([
        b"10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n",
        FIRST, b"\r\n",
        b"400;chunk-signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n",
        SECOND, b"\r\n",
        b"0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n",
        b"x-amz-checksum-crc32c:sOO8/Q==\r\n",
        b"x-amz-trailer-signature:",
        b"d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n",
    ])  # fmt: skip
    decoder = ChunkedDecoder(66560, found.payload.seed, found.payload.trailers)
    assert b"".join(decoder.feed(body)) == FIRST + SECOND
    assert decoder.finish() == {"x-amz-checksum-crc32c": "sOO8/Q=="}
