"""What is refused, with which code; each beside the same thing done right."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeAlias
from urllib.parse import quote

import pytest

from tlslab.http import Headers, Request
from tlslab.iam.payload import STREAMING_SIGNED, STREAMING_SIGNED_TRAILER, STREAMING_UNSIGNED
from tlslab.iam.signature_error import SignatureError
from tlslab.iam.signatures import Authentication, claimed_service
from tlslab.iam.signing import Credentials, presign_v4, sign_v4
from tlslab.iam.sigv4 import EMPTY_SHA256, UNSIGNED_PAYLOAD

Check: TypeAlias = Callable[..., Authentication]
Make: TypeAlias = Callable[..., Request]
Signed: TypeAlias = Callable[..., Request]
HOST = b"s3.example:9000"


@pytest.fixture
def signed(credentials: Credentials, now: datetime, make_request: Make) -> Signed:
    """A request signed by its header."""

    def sign(
        method: str = "GET",
        target: str = "/bucket/key",
        headers: Headers | None = None,
        *,
        payload: str = UNSIGNED_PAYLOAD,
        service: str = "s3",
        region: str = "eu-west-2",
        at: datetime | None = None,
    ) -> Request:
        sent = sign_v4(
            credentials,
            method,
            target,
            headers or [],
            host=HOST.decode(),
            service=service,
            region=region,
            now=at or now,
            payload_hash=payload,
        )
        return make_request(method, target, [(b"Host", HOST), *sent])

    return sign


@pytest.fixture
def presigned(credentials: Credentials, now: datetime, make_request: Make) -> Signed:
    """A request signed by its query."""

    def presign(
        method: str = "GET",
        target: str = "/bucket/key",
        headers: Headers | None = None,
        *,
        at: datetime | None = None,
        expires_in: int = 3600,
        region: str = "eu-west-2",
        service: str = "s3",
    ) -> Request:
        base = f"http://{HOST.decode()}"
        url = presign_v4(
            credentials,
            method,
            base + target,
            region=region,
            now=at or now,
            expires_in=expires_in,
            service=service,
            headers=headers or [],
        )
        sent = [(b"Host", HOST), *(headers or [])]
        return make_request(method, url.removeprefix(base), sent)

    return presign


def refused(check: Check, request: Request, **settings: object) -> SignatureError:
    with pytest.raises(SignatureError) as caught:
        check(request, **settings)
    return caught.value


def with_headers(request: Request, *headers: tuple[bytes, bytes]) -> Request:
    return Request(request.method, request.target, [*request.headers, *headers], request.body)


def with_target(request: Request, target: str) -> Request:
    return Request(request.method, target, request.headers, request.body)


def replaced(request: Request, old: bytes, new: bytes) -> Request:
    headers = [(name, value.replace(old, new)) for name, value in request.headers]
    assert headers != request.headers
    return Request(request.method, request.target, headers, request.body)


def test_no_credentials_are_anonymous(check: Check, make_request: Make) -> None:
    found = check(make_request("GET", "/bucket/key?list-type=2", [(b"Host", HOST)]))
    assert (found.key, found.scheme) == (None, "anonymous")


# --- the signature itself


def test_another_secret_is_refused_and_told_what_was_signed(check: Check, signed: Signed) -> None:
    good = signed()
    assert check(good).key is not None
    value = dict(good.headers)[b"Authorization"]
    flipped = value[:-1] + (b"0" if value[-1:] != b"0" else b"1")
    error = refused(check, replaced(good, value, flipped))
    assert (error.code, error.status) == ("SignatureDoesNotMatch", 403)
    assert error.details["AWSAccessKeyId"] == "AKIAIOSFODNN7EXAMPLE"
    assert error.details["CanonicalRequest"].startswith(
        "GET\n/bucket/key\n\nhost:s3.example:9000\n"
    )
    assert error.details["StringToSign"].startswith("AWS4-HMAC-SHA256\n20261120T123000Z\n")
    as_bytes = bytes.fromhex(error.details["StringToSignBytes"])
    assert as_bytes.decode() == error.details["StringToSign"]


def test_what_holds_a_customer_key_is_not_quoted(check: Check, signed: Signed) -> None:
    name = b"x-amz-server-side-encryption-customer-key"
    good = signed(headers=[(name, b"c2VjcmV0")])
    assert check(good).key is not None
    error = refused(check, with_target(good, "/bucket/other"))
    assert error.code == "SignatureDoesNotMatch"
    assert "c2VjcmV0" not in repr(dict(error.details)) + str(error)


@pytest.mark.parametrize(
    "payload", [UNSIGNED_PAYLOAD, EMPTY_SHA256, STREAMING_UNSIGNED, STREAMING_SIGNED,
                STREAMING_SIGNED_TRAILER]
)  # fmt: skip
@pytest.mark.parametrize("by_query", [False, True])
def test_no_kind_of_payload_gets_past_the_signature(
    check: Check, signed: Signed, presigned: Signed, payload: str, by_query: bool
) -> None:
    """MinIO's GHSA-hv4r-mvr4-25vw (credentials in the query) and GHSA-9c4q-hq6p-c237 (in a header).

    Whoever knew an access key's id could write, without its secret, by saying that chunks are not
    signed.
    """
    length = (b"x-amz-decoded-content-length", b"0")
    if by_query:
        headers = [(b"x-amz-content-sha256", payload.encode()), length]
        good = presigned("PUT", headers=headers)
        # signed as the header says, not as UNSIGNED-PAYLOAD, so this one is wrong unless it is that
        forged = with_target(good, good.target[:-64] + "0" * 64)
    else:
        good = signed("PUT", headers=[length], payload=payload)
        assert check(good).payload.declared == payload
        signature = dict(good.headers)[b"Authorization"][-64:]
        forged = replaced(good, signature, b"0" * 64)
    error = refused(check, forged)
    assert error.code == "SignatureDoesNotMatch"
    without = with_target(good, good.target.partition("&X-Amz-Signature")[0])
    if by_query:
        assert refused(check, without).code == "AuthorizationQueryParametersError"


@pytest.mark.parametrize(
    "target", ["/bucket/other", "/bucket/key?acl", "/bucket//key", "/Bucket/key"]
)
def test_another_target_is_refused(check: Check, signed: Signed, target: str) -> None:
    good = signed()
    assert check(good).key is not None
    assert refused(check, with_target(good, target)).code == "SignatureDoesNotMatch"


def test_another_method_is_refused(check: Check, signed: Signed) -> None:
    good = signed()
    assert check(good).key is not None
    other = Request("DELETE", good.target, good.headers, good.body)
    assert refused(check, other).code == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    ("sent", "meant"),
    [("/b/a+b(c)", "/b/a%2Bb%28c%29"), ("/b/k?prefix=a/b", "/b/k?prefix=a%2Fb"),
     ("/b/k?prefix=a+b", "/b/k?prefix=a%20b"), ("/b/%e2%82%ac", "/b/%E2%82%AC")],
)  # fmt: skip
def test_what_is_sent_lighter_than_it_was_signed_is_the_same_request(
    check: Check, signed: Signed, sent: str, meant: str
) -> None:
    assert check(with_target(signed(target=meant), sent)).key is not None
    assert check(signed(target=sent)).key is not None  # and some sign what they send


# --- who, when, where


def test_an_unknown_key_is_refused(check: Check, signed: Signed) -> None:
    error = refused(check, replaced(signed(), b"AKIAIOSFODNN7EXAMPLE", b"AKIAIOSFODNN8EXAMPLE"))
    assert (error.code, error.status) == ("InvalidAccessKeyId", 403)
    assert error.json_code == "UnrecognizedClientException"


def test_a_token_must_be_the_keys_own(check: Check, signed: Signed, make_request: Make) -> None:
    spurious = signed(headers=[(b"x-amz-security-token", b"any")])
    assert refused(check, spurious).code == "InvalidToken"


@pytest.mark.parametrize("sign", [-1, 1])
def test_fifteen_minutes_of_skew_are_allowed(
    check: Check, signed: Signed, now: datetime, sign: int
) -> None:
    edge = now + sign * timedelta(minutes=15)
    assert check(signed(at=edge)).signed_at == edge
    error = refused(check, signed(at=edge + sign * timedelta(seconds=1)))
    assert (error.code, error.status) == ("RequestTimeTooSkewed", 403)
    assert error.details["MaxAllowedSkewMilliseconds"] == "900000"
    assert error.details["ServerTime"] == "2026-11-20T12:30:00Z"


def test_region_and_service_are_checked(check: Check, signed: Signed) -> None:
    assert (
        check(signed(region="eu-west-1"), regions=("eu-west-2", "eu-west-1")).region == "eu-west-1"
    )
    error = refused(check, signed(region="us-east-1"))
    assert (error.code, error.status) == ("AuthorizationHeaderMalformed", 400)
    assert error.details["Region"] == "eu-west-2"
    assert refused(check, signed(service="kms")).code == "AuthorizationHeaderMalformed"


def test_the_scope_must_be_of_the_same_day(check: Check, signed: Signed) -> None:
    error = refused(check, replaced(signed(), b"/20261120/", b"/20261119/"))
    assert error.code == "AuthorizationHeaderMalformed"


@pytest.mark.parametrize("date", [b"20261120T123000", b"20261320T123000Z", b"yesterday", b""])
def test_a_time_that_is_none_is_refused(check: Check, signed: Signed, date: bytes) -> None:
    good = signed()
    headers = [(n, date if n == b"X-Amz-Date" else v) for n, v in good.headers]
    error = refused(check, Request("GET", good.target, headers, good.body))
    assert (error.code, error.status) == ("AccessDenied", 403)


# --- what must be signed


def test_every_amz_header_must_be_signed(check: Check, signed: Signed, presigned: Signed) -> None:
    for good in (signed(), presigned()):
        assert check(with_headers(good, (b"X-Other", b"1"))).key is not None
        error = refused(check, with_headers(good, (b"X-Amz-Acl", b"public-read")))
        assert (error.code, error.status) == ("AccessDenied", 403)
        assert error.details["HeadersNotSigned"] == "x-amz-acl"


def test_the_host_must_be_signed(check: Check, signed: Signed) -> None:
    good = signed()
    assert refused(check, replaced(good, b"=host;", b"=")).details["HeadersNotSigned"] == "host"
    nowhere = [h for h in replaced(good, b"=host;", b"=").headers if h[0] != b"Host"]
    error = refused(check, Request("GET", good.target, nowhere, good.body))
    assert (error.code, error.details["HeadersNotSigned"]) == ("AccessDenied", "host")
    moved = [(n, b"evil.example" if n == b"Host" else v) for n, v in good.headers]
    error = refused(check, Request("GET", good.target, moved, good.body))
    assert error.code == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    "name", [b"Authorization", b"Host", b"X-Amz-Date", b"Content-Type", b"x-amz-acl"]
)
def test_a_second_one_is_refused(check: Check, signed: Signed, name: bytes) -> None:
    good = signed(headers=[(b"Content-Type", b"a/b"), (b"X-Amz-Acl", b"private")])
    assert check(good).key is not None
    value = next(v for n, v in good.headers if n.lower() == name.lower())
    error = refused(check, with_headers(good, (name, value)))
    assert (error.code, error.status) == ("InvalidRequest", 400)


def test_metadata_given_twice_is_joined(check: Check, signed: Signed) -> None:
    good = signed(headers=[(b"x-amz-meta-a", b"1"), (b"X-Amz-Meta-A", b"2")])
    assert check(good).key is not None
    assert (
        refused(check, with_headers(good, (b"x-amz-meta-a", b"3"))).code == "SignatureDoesNotMatch"
    )


@pytest.mark.parametrize("names", [b"host;host", b"Host", b"host;X-Amz-Date"])
def test_signed_headers_have_one_form(check: Check, signed: Signed, names: bytes) -> None:
    good = replaced(signed(), b"host;x-amz-content-sha256;x-amz-date", names)
    assert refused(check, good).code == "AuthorizationHeaderMalformed"


def test_transfer_encoding_can_be_signed(check: Check, signed: Signed) -> None:
    """As AWS CLI v2 does (aws/aws-cli issue 9257); a proxy that joins the chunks breaks it."""
    good = signed("PUT", headers=[(b"Transfer-Encoding", b"chunked")], payload=UNSIGNED_PAYLOAD)
    assert b"transfer-encoding" in dict(good.headers)[b"Authorization"]
    assert check(good).key is not None
    joined = [h for h in good.headers if h[0] != b"Transfer-Encoding"]
    error = refused(
        check, Request("PUT", good.target, [*joined, (b"Content-Length", b"3")], good.body)
    )
    assert error.code == "SignatureDoesNotMatch"


def test_s3_wants_the_payload_named(check: Check, signed: Signed) -> None:
    good = signed()
    headers = [h for h in good.headers if h[0] != b"X-Amz-Content-Sha256"]
    assert refused(check, Request("GET", good.target, headers, good.body)).code == "InvalidRequest"


@pytest.mark.parametrize("value", ["", "abc", EMPTY_SHA256.upper(), "STREAMING-", "UNSIGNED"])
def test_a_payload_that_is_none_of_the_words_is_refused(
    check: Check, signed: Signed, value: str
) -> None:
    assert refused(check, signed(payload=value)).code == "InvalidArgument"


# --- forms of authorization


@pytest.mark.parametrize(
    "value",
    [b"AWS4-HMAC-SHA256", b"AWS4-HMAC-SHA256 Credential=a/20261120/eu-west-2/s3/aws4_request",
     b"AWS4-HMAC-SHA256 Credential=a, SignedHeaders=host, Signature=0",
     b"AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, Signature=0",
     b"AWS4-HMAC-SHA256 Credential=a, Credential=a, Signature=0"],
)  # fmt: skip
def test_a_malformed_header_is_refused(check: Check, signed: Signed, value: bytes) -> None:
    good = signed()
    headers = [(n, value if n == b"Authorization" else v) for n, v in good.headers]
    error = refused(check, Request("GET", good.target, headers, good.body))
    assert (error.code, error.status) == ("AuthorizationHeaderMalformed", 400)


@pytest.mark.parametrize("value", [b"Bearer abc", b"Basic YTpi", b"AWS3 x", b""])
def test_other_schemes_are_refused(check: Check, make_request: Make, value: bytes) -> None:
    request = make_request("GET", "/", [(b"Host", HOST), (b"Authorization", value)])
    assert refused(check, request).code == "InvalidArgument"


def test_version_4a_is_not_implemented_and_says_so(check: Check, signed: Signed) -> None:
    by_header = replaced(signed(), b"AWS4-HMAC-SHA256 ", b"AWS4-ECDSA-P256-SHA256 ")
    target = "/b/k?X-Amz-Algorithm=AWS4-ECDSA-P256-SHA256&X-Amz-Signature=00"
    by_query = Request("GET", target, [(b"Host", HOST)], by_header.body)
    payload = signed(payload="STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD")
    for request in (by_header, by_query, payload):
        error = refused(check, request)
        assert (error.code, error.status) == ("NotImplemented", 501)
        assert "ECDSA" in error.message


def test_one_way_of_signing_is_enough(check: Check, signed: Signed, presigned: Signed) -> None:
    both = with_headers(presigned(), *(h for h in signed().headers if h[0] == b"Authorization"))
    assert refused(check, both).code == "InvalidArgument"
    target = presigned().target + "&AWSAccessKeyId=a"
    assert refused(check, with_target(presigned(), target)).code == "InvalidArgument"


# --- presigned URLs


def test_a_presigned_url_expires(check: Check, presigned: Signed, now: datetime) -> None:
    old = now - timedelta(seconds=60)
    assert check(presigned(at=old, expires_in=60)).scheme == "v4-query"
    error = refused(check, presigned(at=old, expires_in=59))
    assert (error.code, error.status) == ("AccessDenied", 403)
    assert error.details == {
        "X-Amz-Expires": "59",
        "Expires": "2026-11-20T12:29:59Z",
        "ServerTime": "2026-11-20T12:30:00Z",
    }


def test_a_presigned_url_of_the_future_is_refused(
    check: Check, presigned: Signed, now: datetime
) -> None:
    assert check(presigned(at=now + timedelta(minutes=15))).key is not None
    error = refused(check, presigned(at=now + timedelta(minutes=15, seconds=1)))
    assert error.code == "AccessDenied"


@pytest.mark.parametrize(
    ("expires_in", "good"),
    [(0, False), (1, True), (604800, True), (604801, False), (-1, False), (10**9, False)],
)
def test_the_time_of_a_presigned_url_is_bounded(
    check: Check, presigned: Signed, expires_in: int, good: bool
) -> None:
    request = presigned(expires_in=expires_in)
    if good:
        assert check(request).key is not None
    else:
        assert refused(check, request).code == "AuthorizationQueryParametersError"


@pytest.mark.parametrize(
    "name", ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-Date",
             "X-Amz-SignedHeaders", "X-Amz-Expires"]
)  # fmt: skip
def test_a_presigned_url_needs_all_its_parameters(
    check: Check, presigned: Signed, name: str
) -> None:
    good = presigned()
    path, _, query = good.target.partition("?")
    kept = [part for part in query.split("&") if not part.startswith(name + "=")]
    error = refused(check, with_target(good, f"{path}?{'&'.join(kept)}"))
    assert (error.code, error.status) == ("AuthorizationQueryParametersError", 400)
    twice = with_target(good, f"{good.target}&{name}=x")
    assert refused(check, twice).code == "AuthorizationQueryParametersError"


def test_a_credential_encoded_twice_is_malformed(check: Check, presigned: Signed) -> None:
    good = presigned()
    error = refused(check, with_target(good, good.target.replace("%2F", "%252F")))
    assert error.message == (
        "Error parsing the X-Amz-Credential parameter; the Credential is mal-formed; expecting "
        '"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".'
    )


def test_region_and_service_of_a_presigned_url_are_checked(check: Check, presigned: Signed) -> None:
    code = "AuthorizationQueryParametersError"
    assert refused(check, presigned(region="us-east-1")).code == code
    assert refused(check, presigned(service="kms")).code == code


def test_a_parameter_added_to_a_presigned_url_is_refused(check: Check, presigned: Signed) -> None:
    good = presigned("PUT")
    assert check(good).key is not None
    for more in ("&x-amz-acl=public-read", "&encryption", "&%61cl="):
        assert refused(check, with_target(good, good.target + more)).code == "SignatureDoesNotMatch"


def test_a_presigned_url_can_demand_headers(check: Check, presigned: Signed) -> None:
    good = presigned("PUT", headers=[(b"Content-Type", b"text/plain")])
    assert check(good).key is not None
    missing = Request("PUT", good.target, [(b"Host", HOST)], good.body)
    assert refused(check, missing).code == "SignatureDoesNotMatch"


def test_a_presigned_url_can_fix_the_body(
    check: Check, credentials: Credentials, now: datetime, make_request: Make
) -> None:
    base = f"http://{HOST.decode()}"
    url = presign_v4(
        credentials, "PUT", f"{base}/b/k", region="eu-west-2", now=now, expires_in=9,
        headers=[(b"x-amz-content-sha256", b"UNSIGNED-PAYLOAD")],
    )  # fmt: skip
    target = url.removeprefix(base)
    declared = (b"x-amz-content-sha256", b"UNSIGNED-PAYLOAD")
    good = make_request("PUT", target, [(b"Host", HOST), declared])
    assert check(good).payload.declared == UNSIGNED_PAYLOAD
    other = make_request("PUT", target, [(b"Host", HOST), (declared[0], EMPTY_SHA256.encode())])
    assert refused(check, other).code == "SignatureDoesNotMatch"


def test_chunks_cannot_be_signed_where_nothing_signs_their_beginning(
    check: Check, presigned: Signed
) -> None:
    chunks = with_headers(presigned("PUT"), (b"x-amz-content-sha256", STREAMING_SIGNED.encode()))
    assert refused(check, chunks).code == "InvalidArgument"


# --- which service


def test_the_claimed_service(signed: Signed, presigned: Signed, make_request: Make) -> None:
    assert claimed_service(signed(service="kms")) == "kms"
    assert claimed_service(presigned(service="sts")) == "sts"
    assert claimed_service(make_request("GET", "/", [])) is None
    assert claimed_service(make_request("GET", "/", [(b"Authorization", b"AWS a:b")])) is None
    assert claimed_service(make_request("GET", f"/?X-Amz-Credential={quote('a/b')}", [])) is None
