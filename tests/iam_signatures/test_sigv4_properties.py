"""Signed requests verify, whatever they hold; changed ones do not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tlslab.http import Headers, Request
from tlslab.iam import AccessKey, Principal
from tlslab.iam.signature_error import SignatureError
from tlslab.iam.signatures import authenticate
from tlslab.iam.signing import Credentials, presign_v4, sign_v4
from tlslab.iam.sigv4 import UNSIGNED_PAYLOAD

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
HOST = "s3.example"
PRINCIPAL = Principal("arn:aws:iam::111122223333:root", "111122223333", "root", "root", "1")

access_key_ids = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1)
secrets = st.text(min_size=1, max_size=60)
keys = st.text(max_size=40).map(lambda text: text.encode("utf-8", "replace").decode())
queries = st.dictionaries(
    keys.filter(lambda name: name and not name.lower().startswith("x-amz-")), keys, max_size=4
)
names = st.from_regex(r"x-amz-meta-[a-z0-9-]{1,9}", fullmatch=True)
values = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"))
metadata = st.dictionaries(names, values.map(lambda text: text.strip().encode("latin-1")))


class One:
    def __init__(self, key: AccessKey) -> None:
        self._key = key

    def find(self, access_key_id: str) -> AccessKey | None:
        return self._key if access_key_id == self._key.id else None


class nothing(AsyncIterator[bytes]):  # noqa: N801 (a body without bytes)
    async def __anext__(self) -> bytes:
        raise StopAsyncIteration


def target_of(key: str, query: dict[str, str], safe: str) -> str:
    parameters = [f"{quote(n, safe=safe)}={quote(v, safe=safe)}" for n, v in query.items()]
    path = f"/bucket/{quote(key, safe=safe + '/')}"
    return f"{path}?{'&'.join(parameters)}" if parameters else path


def verifies(request: Request, key: AccessKey) -> bool:
    try:
        found = authenticate(request, One(key), now=NOW, regions=("eu-west-2",))
    except SignatureError:
        return False
    assert found.key in (key, None)
    return found.key is not None


@given(
    access_key_ids, secrets, keys, queries, metadata, st.sampled_from(["", "~", "!*'()+,;=@:$~"])
)
def test_what_is_signed_verifies(
    key_id: str, secret: str, name: str, query: dict[str, str], meta: dict[str, bytes], safe: str
) -> None:
    assume("AWSAccessKeyId" not in query and "Signature" not in query)
    key, credentials = AccessKey(key_id, secret, PRINCIPAL), Credentials(key_id, secret)
    target = target_of(name, query, safe.replace("+", "").replace("=", "").replace(";", ""))
    headers: Headers = [(name.encode(), value) for name, value in meta.items()]
    sent = sign_v4(
        credentials, "PUT", target, headers,
        host=HOST, service="s3", region="eu-west-2", now=NOW, payload_hash=UNSIGNED_PAYLOAD,
    )  # fmt: skip
    host = (b"Host", HOST.encode())
    assert verifies(Request("PUT", target, [host, *sent], nothing()), key)
    assert not verifies(
        Request("PUT", target, [host, *sent], nothing()), AccessKey(key_id, secret + "x", PRINCIPAL)
    )
    url = presign_v4(
        credentials, "PUT", f"http://{HOST}{target}",
        region="eu-west-2", now=NOW, expires_in=5, headers=headers,
    )  # fmt: skip
    presigned = Request("PUT", url.removeprefix(f"http://{HOST}"), [host, *headers], nothing())
    assert verifies(presigned, key)


KEY = AccessKey("AKIDEXAMPLE", "secret", PRINCIPAL)
TARGET = "/bucket/a%20key?partNumber=3&uploadId=f00"
SENT = sign_v4(
    Credentials(KEY.id, KEY.secret), "PUT", TARGET, [(b"x-amz-meta-a", b"one two")],
    host=HOST, service="s3", region="eu-west-2", now=NOW, payload_hash=UNSIGNED_PAYLOAD,
)  # fmt: skip
SIGNED: Headers = [(b"Host", HOST.encode()), *SENT]
PRESIGNED = presign_v4(
    Credentials(KEY.id, KEY.secret), "PUT", f"http://{HOST}{TARGET}",
    region="eu-west-2", now=NOW, expires_in=5,
).removeprefix(f"http://{HOST}")  # fmt: skip


def meaning(target: str) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """What a target asks for, however it is encoded."""
    path, _, query = target.partition("?")
    pairs = [part.replace("+", " ").partition("=") for part in query.split("&") if part]
    return (
        unquote_to_bytes(path),
        sorted((unquote_to_bytes(name), unquote_to_bytes(value)) for name, _, value in pairs),
    )


@given(st.data())
@pytest.mark.parametrize("target", [TARGET, PRESIGNED])
def test_no_byte_of_a_target_can_be_changed(target: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(1, len(target) - 1))
    new = data.draw(st.sampled_from([chr(c) for c in range(33, 127)]))
    changed = target[:at] + new + target[at + 1 :]
    headers = SIGNED if target == TARGET else SIGNED[:1]
    assert verifies(Request("PUT", target, headers, nothing()), KEY)
    if meaning(changed) != meaning(target):
        assert not verifies(Request("PUT", changed, headers, nothing()), KEY)


@given(st.data())
def test_no_byte_of_a_signed_header_can_be_changed(data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(SIGNED) - 1))
    name, value = SIGNED[index]
    at = data.draw(st.integers(0, len(value) - 1))
    new = data.draw(st.binary(min_size=1, max_size=1).filter(lambda b: b.isalnum()))
    assume(value[at : at + 1] != new)
    headers = [*SIGNED]
    headers[index] = (name, value[:at] + new + value[at + 1 :])
    assert not verifies(Request("PUT", TARGET, headers, nothing()), KEY)


@given(st.text(st.characters(codec="latin-1"), max_size=200))
def test_any_authorization_header_is_answered(text: str) -> None:
    headers = [(b"Host", HOST.encode()), (b"Authorization", text.encode("latin-1"))]
    assert not verifies(Request("GET", "/", headers, nothing()), KEY)
    with_prefix = (b"Authorization", b"AWS4-HMAC-SHA256 " + text.encode("latin-1"))
    assert not verifies(Request("GET", "/", [headers[0], with_prefix], nothing()), KEY)


@given(st.text(st.characters(codec="ascii"), max_size=200))
def test_any_query_is_answered(text: str) -> None:
    for mark in ("X-Amz-Signature=1", "Signature=x", "X-Amz-Algorithm=AWS4-HMAC-SHA256"):
        request = Request("GET", f"/?{mark}&{text}", [(b"Host", HOST.encode())], nothing())
        assert not verifies(request, KEY)
