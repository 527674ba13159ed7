"""botocore signs, we verify; we sign, and get what botocore gets."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeAlias
from urllib.parse import quote

import pytest

from tlslab.http import Headers, Request
from tlslab.iam import AccessKey
from tlslab.iam.signatures import Authentication
from tlslab.iam.signing import Credentials, presign_v4, sign_v4
from tlslab.iam.sigv4 import EMPTY_SHA256, UNSIGNED_PAYLOAD

auth = pytest.importorskip("botocore.auth", reason="botocore is not installed")
awsrequest = pytest.importorskip("botocore.awsrequest", reason="botocore is not installed")
theirs = pytest.importorskip("botocore.credentials", reason="botocore is not installed")

Check: TypeAlias = Callable[..., Authentication]
Make: TypeAlias = Callable[..., Request]

HOST = "s3.example:9000"
KEYS = [
    "plain.txt",
    "a b+c/d&e=f",
    "ünï/ço dé",
    "..//./dots//",
    "(parens)!*'~_-.",
    "%41%2f",
    "😀",
    "a?b#c",
]


@pytest.fixture(autouse=True)
def _frozen(monkeypatch: pytest.MonkeyPatch, now: datetime) -> None:
    monkeypatch.setattr(auth, "get_current_datetime", lambda: now)


def signed_by_botocore(
    signer: Any, method: str, url: str, headers: dict[str, str], body: bytes = b""
) -> tuple[str, Headers]:
    """The target and headers of a request that botocore signed."""
    request = awsrequest.AWSRequest(method, url, headers=headers, data=body)
    request.context["payload_signing_enabled"] = True
    signer.add_auth(request)
    scheme_and_host = f"http://{HOST}"
    assert request.url.startswith(scheme_and_host)
    sent = [(name.encode(), str(value).encode()) for name, value in request.headers.items()]
    return request.url.removeprefix(scheme_and_host), [(b"Host", HOST.encode()), *sent]


def their_credentials(key: AccessKey) -> Any:
    return theirs.Credentials(key.id, key.secret, key.token)


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("query", ["", "?acl", "?prefix=a%20b%2Fc&list-type=2&x-id=Y&delimiter="])
def test_botocores_header_signature_is_verified(
    check: Check, make_request: Make, key: AccessKey, name: str, query: str
) -> None:
    signer = auth.S3SigV4Auth(their_credentials(key), "s3", "eu-west-2")
    url = f"http://{HOST}/bucket/{quote(name, safe='/~')}{query}"
    headers = {"Content-Type": "text/plain", "X-Amz-Meta-Who": "  two   words "}
    target, sent = signed_by_botocore(signer, "PUT", url, headers, b"body")
    found = check(make_request("PUT", target, sent))
    assert found.key == key
    assert (found.scheme, found.service, found.region) == ("v4-header", "s3", "eu-west-2")


@pytest.mark.parametrize("name", KEYS)
def test_botocores_presigned_url_is_verified(
    check: Check, make_request: Make, key: AccessKey, name: str
) -> None:
    signer = auth.S3SigV4QueryAuth(their_credentials(key), "s3", "eu-west-2", expires=60)
    url = f"http://{HOST}/bucket/{quote(name, safe='/~')}?versionId=null"
    target, sent = signed_by_botocore(signer, "GET", url, {})
    assert check(make_request("GET", target, sent)).scheme == "v4-query"


@pytest.mark.parametrize("query", [False, True])
def test_a_sessions_token_is_verified(
    check: Check, make_request: Make, session_key: AccessKey, query: bool
) -> None:
    kind = auth.S3SigV4QueryAuth if query else auth.S3SigV4Auth
    signer = kind(their_credentials(session_key), "s3", "eu-west-2")
    target, sent = signed_by_botocore(signer, "GET", f"http://{HOST}/bucket/key", {})
    assert check(make_request("GET", target, sent)).key == session_key


def test_botocores_signature_for_kms_is_verified_with_the_body(
    check: Check, make_request: Make, key: AccessKey
) -> None:
    signer = auth.SigV4Auth(their_credentials(key), "kms", "eu-west-2")
    headers = {
        "X-Amz-Target": "TrentService.ListKeys",
        "Content-Type": "application/x-amz-json-1.1",
    }
    target, sent = signed_by_botocore(signer, "POST", f"http://{HOST}/", headers, b"{}")
    request = make_request("POST", target, sent)
    assert check(request, services=("kms",), body=b"{}").service == "kms"
    with pytest.raises(ValueError, match="takes the body"):
        check(request, services=("kms",))


@pytest.mark.parametrize("path", ["/", "/a/../b//c/./d/", "/a%20b/%C3%BC", "/.."])
def test_other_services_normalise_paths_as_botocore_does(
    check: Check, make_request: Make, key: AccessKey, path: str
) -> None:
    signer = auth.SigV4Auth(their_credentials(key), "kms", "eu-west-2")
    target, sent = signed_by_botocore(signer, "GET", f"http://{HOST}{path}", {})
    assert check(make_request("GET", target, sent), services=("kms",), body=b"").key == key


@pytest.mark.parametrize("name", KEYS)
def test_our_signature_is_botocores(
    credentials: Credentials, key: AccessKey, now: datetime, name: str
) -> None:
    target = f"/bucket/{quote(name, safe='/~')}?prefix=a%20b&list-type=2&acl"
    signer = auth.S3SigV4Auth(their_credentials(key), "s3", "eu-west-2")
    url = f"http://{HOST}{target}"
    _, expected = signed_by_botocore(signer, "GET", url, {"Content-Type": "text/plain"})
    sent = sign_v4(
        credentials,
        "GET",
        target,
        [(b"Content-Type", b"text/plain")],
        host=HOST,
        service="s3",
        region="eu-west-2",
        now=now,
        payload_hash=EMPTY_SHA256,
    )
    assert dict(sent)[b"Authorization"] == dict(expected)[b"Authorization"]


def test_our_presigned_url_is_botocores(
    credentials: Credentials, key: AccessKey, now: datetime
) -> None:
    url = f"http://{HOST}/bucket/a%20b?versionId=1"
    signer = auth.S3SigV4QueryAuth(their_credentials(key), "s3", "eu-west-2", expires=99)
    target, _ = signed_by_botocore(signer, "GET", url, {})
    ours = presign_v4(credentials, "GET", url, region="eu-west-2", now=now, expires_in=99)
    assert ours == f"http://{HOST}{target}"


def test_our_token_is_signed_and_verified(
    check: Check, make_request: Make, session_key: AccessKey, now: datetime
) -> None:
    credentials = Credentials(session_key.id, session_key.secret, session_key.token)
    sent = sign_v4(
        credentials,
        "GET",
        "/b/k",
        [],
        host=HOST,
        service="s3",
        region="eu-west-2",
        now=now,
        payload_hash=UNSIGNED_PAYLOAD,
    )
    request = make_request("GET", "/b/k", [(b"Host", HOST.encode()), *sent])
    assert check(request).key == session_key
    url = presign_v4(
        credentials, "GET", f"http://{HOST}/b/k", region="eu-west-2", now=now, expires_in=1
    )
    target = url.removeprefix(f"http://{HOST}")
    assert check(make_request("GET", target, [(b"Host", HOST.encode())])).key == session_key


def test_secrets_are_not_shown() -> None:
    assert "geheim" not in repr(Credentials("id", "geheim", "geheimer"))
