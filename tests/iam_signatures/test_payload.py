"""A body held against what its head says of it, read as a server reads it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from hashlib import sha256
from typing import TypeAlias

import pytest

from tlslab.http import BodyTruncated, Headers, Request
from tlslab.iam.payload import (
    STREAMING_SIGNED,
    STREAMING_SIGNED_TRAILER,
    STREAMING_UNSIGNED,
    PayloadRule,
    Upload,
    open_payload,
    payload_rule,
)
from tlslab.iam.signature_error import SignatureError
from tlslab.iam.signatures import Authentication
from tlslab.iam.signing import Credentials, sign_v4
from tlslab.iam.sigv4 import UNSIGNED_PAYLOAD, ChunkChain

Check: TypeAlias = Callable[..., Authentication]
Make: TypeAlias = Callable[..., Request]

TRAILER = b"x-amz-checksum-crc32"
CHUNKS = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"
DECODED = {"x-amz-decoded-content-length": b"5"}


async def drain(upload: Upload) -> bytes:
    return b"".join([part async for part in upload])


async def refused(upload: Upload) -> SignatureError:
    with pytest.raises(SignatureError) as caught:
        await drain(upload)
    return caught.value


def unsigned(make_request: Make, rule: PayloadRule, *body: bytes, length: bytes = b"") -> Upload:
    headers: Headers = [(b"Content-Length", length)] if length else []
    return open_payload(
        make_request("PUT", "/b/k", headers, body), Authentication(None, "anonymous", payload=rule)
    )


async def test_a_hash_is_verified_at_the_end(make_request: Make) -> None:
    declared = sha256(b"hello").hexdigest()
    rule = payload_rule({"x-amz-content-sha256": declared.encode()})
    assert await drain(unsigned(make_request, rule, b"he", b"", b"llo")) == b"hello"
    for parts in ((b"he", b"lp!"), (b"hell",), (b"hello", b"o"), ()):
        error = await refused(unsigned(make_request, rule, *parts))
        assert (error.code, error.status) == ("XAmzContentSHA256Mismatch", 400)
        assert error.details["ClientComputedContentSHA256"] == declared
        computed = sha256(b"".join(parts)).hexdigest()
        assert error.details["S3ComputedContentSHA256"] == computed


async def test_an_unsigned_payload_is_anything(make_request: Make) -> None:
    for fields in ({}, {"x-amz-content-sha256": UNSIGNED_PAYLOAD.encode()}):
        upload = unsigned(make_request, payload_rule(fields), b"any", length=b"3")
        assert upload.decoded_length == 3
        assert await drain(upload) == b"any"
    assert unsigned(make_request, PayloadRule()).decoded_length is None


async def test_chunks_are_decoded_and_the_trailer_is_there_at_the_end(make_request: Make) -> None:
    fields = {"x-amz-content-sha256": STREAMING_UNSIGNED.encode(), "x-amz-trailer": TRAILER}
    rule = payload_rule(fields | DECODED)
    upload = unsigned(make_request, rule, CHUNKS[:4], CHUNKS[4:], length=b"49")
    assert upload.decoded_length == 5
    assert await anext(upload) == b"h"
    assert upload.trailers == {}
    assert await drain(upload) == b"ello"
    assert upload.trailers == {TRAILER.decode(): "NhCmhg=="}


@pytest.mark.parametrize("encoding", [b"aws-chunked", b"gzip, AWS-Chunked", b"aws-chunked,gzip"])
async def test_chunks_are_known_by_their_encoding_where_nothing_is_signed(
    make_request: Make, encoding: bytes
) -> None:
    """botocore sends no x-amz-content-sha256 without credentials, or with Version 2."""
    rule = payload_rule({"content-encoding": encoding, "x-amz-trailer": TRAILER, **DECODED})
    assert rule.declared == STREAMING_UNSIGNED
    assert await drain(unsigned(make_request, rule, CHUNKS)) == b"hello"
    assert not payload_rule({"content-encoding": b"gzip"}).chunked


@pytest.mark.parametrize("length", [b"", b"abc", b"12x", b"-1", b"1" * 20])
def test_chunks_need_their_decoded_length(length: bytes) -> None:
    fields = {"x-amz-content-sha256": STREAMING_UNSIGNED.encode()}
    assert payload_rule(fields | DECODED).decoded_length == 5
    with pytest.raises(SignatureError) as caught:
        payload_rule(fields | {"x-amz-decoded-content-length": length})
    assert (caught.value.code, caught.value.status) == ("MissingContentLength", 411)


async def test_a_trailer_announced_to_a_body_that_has_none_is_refused(make_request: Make) -> None:
    for fields in ({}, {"x-amz-content-sha256": sha256(b"a").hexdigest().encode()}):
        assert await drain(unsigned(make_request, payload_rule(fields), b"a")) == b"a"
        rule = payload_rule(fields | {"x-amz-trailer": TRAILER})
        error = await refused(unsigned(make_request, rule, b"a"))
        assert error.code == "MalformedTrailerError"


async def test_a_broken_connection_is_passed_on() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"5\r\nhel"
        raise BodyTruncated("gone", status=400)

    fields = {"x-amz-content-sha256": STREAMING_UNSIGNED.encode()} | DECODED
    request = Request("PUT", "/b/k", [], body())
    upload = open_payload(request, Authentication(None, "anonymous", payload=payload_rule(fields)))
    with pytest.raises(BodyTruncated):
        await drain(upload)


def test_signed_chunks_need_a_signed_head() -> None:
    for declared in (STREAMING_SIGNED, STREAMING_SIGNED_TRAILER):
        with pytest.raises(SignatureError) as caught:
            payload_rule({"x-amz-content-sha256": declared.encode()} | DECODED)
        assert caught.value.code == "InvalidArgument"


@pytest.mark.parametrize("declared", [STREAMING_SIGNED, STREAMING_SIGNED_TRAILER])
async def test_signed_chunks_follow_on_their_head(
    check: Check, make_request: Make, credentials: Credentials, now: datetime, declared: str
) -> None:
    with_trailer = declared == STREAMING_SIGNED_TRAILER
    headers: Headers = [(b"x-amz-decoded-content-length", b"5")]
    if with_trailer:
        headers.append((b"x-amz-trailer", TRAILER))

    def request(*body: bytes) -> Request:
        sent = sign_v4(
            credentials, "PUT", "/b/k", headers, host="h", service="s3", region="eu-west-2",
            now=now, payload_hash=declared,
        )  # fmt: skip
        return make_request("PUT", "/b/k", [(b"Host", b"h"), *sent], body)

    found = check(request())
    assert found.payload.seed is not None

    def encode(seed: ChunkChain) -> bytes:
        signer = ChunkChain(seed.key, seed.time, seed.scope, seed.signature)
        body = b""
        for chunk in (b"hello", b""):
            signature = signer.chunk(sha256(chunk).hexdigest())
            body += f"{len(chunk):x};chunk-signature={signature}\r\n".encode() + chunk
            body += b"\r\n" if chunk else b""
        if with_trailer:
            line = TRAILER + b":NhCmhg=="
            body += line + b"\r\nx-amz-trailer-signature:"
            body += signer.trailer(line + b"\n").encode() + b"\r\n"
        return body + b"\r\n"

    body = encode(found.payload.seed)
    for _ in range(2):  # the seed is not used up
        upload = open_payload(request(body), found)
        assert await drain(upload) == b"hello"
        assert len(upload.trailers) == with_trailer
    forged = open_payload(request(body.replace(b"hello", b"jello")), found)
    assert (await refused(forged)).code == "SignatureDoesNotMatch"
    foreign = ChunkChain(found.payload.seed.key, found.payload.seed.time,
                         found.payload.seed.scope, "0" * 64)  # fmt: skip
    assert (await refused(open_payload(request(encode(foreign)), found))).code == (
        "SignatureDoesNotMatch"
    )


def test_secrets_are_not_shown(check: Check, make_request: Make, credentials: Credentials,
                               now: datetime) -> None:  # fmt: skip
    sent = sign_v4(
        credentials, "PUT", "/b/k", [(b"x-amz-decoded-content-length", b"5")], host="h",
        service="s3", region="eu-west-2", now=now, payload_hash=STREAMING_SIGNED,
    )  # fmt: skip
    found = check(make_request("PUT", "/b/k", [(b"Host", b"h"), *sent]))
    seed = found.payload.seed
    assert seed is not None
    shown = repr(found) + repr(seed)
    assert credentials.secret not in shown
    assert repr(seed.key) not in shown
