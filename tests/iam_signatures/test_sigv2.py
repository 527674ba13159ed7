"""Signature Version 2: as botocore makes it, and what it must not let through."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, TypeAlias
from urllib.parse import quote

import pytest

from tlslab.http import Headers, Request
from tlslab.iam import AccessKey, sigv2
from tlslab.iam.signature_error import SignatureError
from tlslab.iam.signatures import Authentication
from tlslab.store.s3.operations import OPERATIONS

Check: TypeAlias = Callable[..., Authentication]
Make: TypeAlias = Callable[..., Request]
Signed: TypeAlias = Callable[..., Request]

HOST = "s3.example:9000"


@pytest.fixture
def by_botocore(
    key: AccessKey, session_key: AccessKey, now: datetime, make_request: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> Signed:  # fmt: skip
    auth = pytest.importorskip("botocore.auth", reason="botocore is not installed")
    awsrequest = pytest.importorskip("botocore.awsrequest", reason="botocore is not installed")
    theirs = pytest.importorskip("botocore.credentials", reason="botocore is not installed")
    monkeypatch.setattr(auth, "formatdate", lambda **_: format_datetime(now, usegmt=True))
    monkeypatch.setattr(time, "time", now.timestamp)

    def sign(
        method: str,
        target: str,
        headers: dict[str, str] | None = None,
        *,
        session: bool = False,
        expires: int | None = None,
        auth_path: str | None = None,
    ) -> Request:
        mine = session_key if session else key
        credentials = theirs.Credentials(mine.id, mine.secret, mine.token)
        signer: Any = auth.HmacV1Auth(credentials)
        if expires is not None:
            signer = auth.HmacV1QueryAuth(credentials, expires=expires)
        request = awsrequest.AWSRequest(
            method, f"http://{HOST}{target}", headers=headers or {}, auth_path=auth_path
        )
        signer.add_auth(request)
        sent: Headers = [(b"Host", HOST.encode())]
        if expires is None:
            sent += [(name.encode(), value.encode()) for name, value in request.headers.items()]
        return make_request(method, request.url.removeprefix(f"http://{HOST}"), sent)

    return sign


def refused(check: Check, request: Request) -> SignatureError:
    with pytest.raises(SignatureError) as caught:
        check(request)
    return caught.value


def with_target(request: Request, target: str) -> Request:
    return Request(request.method, target, request.headers, request.body)


@pytest.mark.parametrize("name", ["k", "a b", "ü/+&=?#", "..//x", "(a)!*'~"])
@pytest.mark.parametrize("query", ["", "?acl", "?uploadId=a%2Fb&partNumber=3&other=1",
                                   "?response-content-type=text%2Fplain"])  # fmt: skip
def test_botocores_header_signature_is_verified(
    check: Check, by_botocore: Signed, key: AccessKey, name: str, query: str
) -> None:
    headers = {"Content-Type": "text/plain", "x-amz-meta-b": " x ", "x-amz-meta-a": "1"}
    request = by_botocore("PUT", f"/bucket/{quote(name, safe='/~')}{query}", headers)
    found = check(request)
    assert (found.key, found.scheme, found.service) == (key, "v2-header", "s3")


@pytest.mark.parametrize("session", [False, True])
def test_botocores_presigned_url_is_verified(
    check: Check, by_botocore: Signed, session: bool
) -> None:
    headers = {"x-amz-meta-a": "one two", "Content-Type": "text/plain"}
    request = by_botocore("PUT", "/b/a%20b?versionId=v", headers, expires=60, session=session)
    sent = [*request.headers, (b"Content-Type", b"text/plain")]
    assert check(Request("PUT", request.target, sent, request.body)).scheme == "v2-query"
    assert refused(check, request).code == "SignatureDoesNotMatch"  # it is no header in the query


def test_a_bucket_is_signed_with_a_slash_or_without(check: Check, by_botocore: Signed) -> None:
    for path in ("/bucket", "/bucket/"):
        request = by_botocore("GET", "/bucket?prefix=x", auth_path=path)
        assert check(request).scheme == "v2-header"
    other = by_botocore("GET", "/bucket/key", auth_path="/bucket/key/")
    assert refused(check, other).code == "SignatureDoesNotMatch"


def test_the_bucket_of_a_virtual_host_is_signed(check: Check, by_botocore: Signed) -> None:
    request = by_botocore("GET", "/key", auth_path="/bucket/key")
    assert check(request, bucket="bucket").scheme == "v2-header"
    assert refused(check, request).code == "SignatureDoesNotMatch"


def test_a_presigned_url_expires(check: Check, by_botocore: Signed, now: datetime) -> None:
    request = by_botocore("GET", "/b/k", expires=10)
    assert check(request, now=now + timedelta(seconds=10)).key is not None
    with pytest.raises(SignatureError) as caught:
        check(request, now=now + timedelta(seconds=11))
    error = caught.value
    assert (error.code, error.status, error.message) == ("AccessDenied", 403, "Request has expired")
    assert error.details["Expires"] == "2026-11-20T12:30:10Z"


@pytest.mark.parametrize("name", ["AWSAccessKeyId", "Expires", "Signature"])
def test_a_presigned_url_needs_all_its_parameters(
    check: Check, by_botocore: Signed, name: str
) -> None:
    good = by_botocore("GET", "/b/k", expires=10)
    path, _, query = good.target.partition("?")
    kept = [part for part in query.split("&") if not part.startswith(name + "=")]
    error = refused(check, with_target(good, f"{path}?{'&'.join(kept)}"))
    assert (error.code, error.status) == ("AccessDenied", 403)


@pytest.mark.parametrize("skew", [-1, 1])
def test_the_clock_is_checked(check: Check, by_botocore: Signed, now: datetime, skew: int) -> None:
    request = by_botocore("GET", "/b/k")
    assert check(request, now=now + skew * timedelta(minutes=15)).signed_at == now
    with pytest.raises(SignatureError) as caught:
        check(request, now=now + skew * timedelta(minutes=15, seconds=1))
    assert caught.value.code == "RequestTimeTooSkewed"


@pytest.mark.parametrize(
    "more",
    [f"&{name}" for name in sorted(sigv2.SUBRESOURCES)]
    + ["&%61cl", "&x-amz-acl=public-read", "&X-Amz-Acl=public-read", "&x%2Damz-acl=public-read",
       "&response-content-type=a&encryption=&acl"],
)  # fmt: skip
@pytest.mark.parametrize("expires", [None, 10])
def test_nothing_that_chooses_what_is_done_can_be_added(
    check: Check, by_botocore: Signed, more: str, expires: int | None
) -> None:
    good = by_botocore("PUT", "/b/k?prefix=a", expires=expires)
    assert check(good).key is not None
    assert refused(check, with_target(good, good.target + more)).code == "SignatureDoesNotMatch"


def test_whatever_the_store_tells_operations_by_is_signed() -> None:
    selectors = {name for operation in OPERATIONS for name in operation.selector}
    assert selectors - sigv2.SUBRESOURCES == {"list-type"}  # two forms of the same listing
    assert {"encryption", "versionId", "partNumber", "uploadId"} <= sigv2.SUBRESOURCES


def test_what_is_not_signed_can_be_added(check: Check, by_botocore: Signed) -> None:
    """The failing twin: Version 2 covers neither the host nor the other parameters."""
    good = by_botocore("GET", "/b?acl")
    assert check(with_target(good, good.target + "&prefix=x")).key is not None
    moved = [(n, b"other" if n == b"Host" else v) for n, v in good.headers]
    assert check(Request("GET", good.target, moved, good.body)).key is not None


def test_another_header_or_secret_is_refused(check: Check, by_botocore: Signed) -> None:
    good = by_botocore("PUT", "/b/k", {"x-amz-meta-a": "1"})
    assert check(good).key is not None
    for old, new in ((b"1", b"2"), (b":", b":A")):
        headers = [(n, v.replace(old, new) if n in (b"x-amz-meta-a", b"Authorization") else v)
                   for n, v in good.headers]  # fmt: skip
        error = refused(check, Request("PUT", good.target, headers, good.body))
        assert error.code == "SignatureDoesNotMatch"
        assert "StringToSign" in error.details
    added = [*good.headers, (b"x-amz-acl", b"public-read")]
    assert refused(check, Request("PUT", good.target, added, good.body)).code == (
        "SignatureDoesNotMatch"
    )


@pytest.mark.parametrize("date", [b"", b"never", b"20261120"])
def test_a_date_is_needed(check: Check, by_botocore: Signed, date: bytes) -> None:
    good = by_botocore("GET", "/b/k")
    headers = [(n, date if n == b"Date" else v) for n, v in good.headers]
    assert refused(check, Request("GET", good.target, headers, good.body)).code == "AccessDenied"


def test_an_empty_x_amz_date_is_no_date(check: Check, by_botocore: Signed) -> None:
    """It stands in for Date, which is not signed then."""
    good = by_botocore("GET", "/b/k")
    check(good)
    headers = [*good.headers, (b"x-amz-date", b"")]
    assert refused(check, Request("GET", good.target, headers, good.body)).code == "AccessDenied"


def test_x_amz_date_stands_in_for_date(
    check: Check, key: AccessKey, make_request: Make, now: datetime
) -> None:
    date = format_datetime(now, usegmt=True).encode()
    for time_given in (b"20261120T123000Z", date):
        fields = {"x-amz-date": time_given}
        message = sigv2.string_to_sign("GET", "/b/k", fields, "")
        value = f"AWS {key.id}:{sigv2.sign(key.secret, message)}".encode()
        headers = [(b"Host", b"h"), (b"x-amz-date", time_given), (b"Authorization", value)]
        assert check(make_request("GET", "/b/k", headers)).signed_at == now.astimezone(UTC)


def test_only_s3_takes_version_2(check: Check, by_botocore: Signed) -> None:
    good = by_botocore("POST", "/")
    assert check(good).scheme == "v2-header"
    with pytest.raises(SignatureError) as caught:
        check(good, services=("kms",), body=b"")
    assert caught.value.code == "InvalidArgument"
