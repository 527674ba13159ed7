"""Header fields by meaning: encryption, attributes, tags, CORS; and forms."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlslab.store.model import (
    SSEC,
    SSEKMS,
    SSES3,
    Attributes,
    CustomerKey,
    DefaultEncryption,
    EncryptionFacts,
)
from tlslab.store.refusals import Refused
from tlslab.store.s3 import attributes, cors, form, sse, tags
from tlslab.store.s3.xml import document

KEY = os.urandom(32)
OTHER = base64.b64encode(os.urandom(16)).decode()
C = sse.CUSTOMER


def customer(key: bytes = KEY, prefix: str = C) -> dict[str, str]:
    return {
        f"{prefix}algorithm": "AES256",
        f"{prefix}key": base64.b64encode(key).decode(),
        f"{prefix}key-md5": sse.md5_of(key),
    }


def without(name: str) -> dict[str, str]:
    return {field: value for field, value in customer().items() if field != f"{C}{name}"}


def refused(call: object) -> Refused:
    with pytest.raises(Refused) as refusal:
        call()  # type: ignore[operator]
    return refusal.value


RECORDED_ON_PUT = [
    (
        customer() | {sse.SSE: "AES256"},
        "InvalidArgument",
        "Server Side Encryption with Customer provided key is incompatible with the encryption "
        "method specified",
        "AES256",
    ),
    (
        customer() | {f"{C}algorithm": "KMS"},
        "InvalidEncryptionAlgorithmError",
        "The Encryption request you specified is not valid. Supported value: AES256.",
        "KMS",
    ),
    (
        without("algorithm"),
        "InvalidArgument",
        "Requests specifying Server Side Encryption with Customer provided keys must provide a "
        "valid encryption algorithm.",
        None,
    ),
    (
        without("key"),
        "InvalidArgument",
        "Requests specifying Server Side Encryption with Customer provided keys must provide an "
        "appropriate secret key.",
        None,
    ),
    (
        without("key-md5"),
        "InvalidArgument",
        "The secret key was invalid for the specified algorithm.",
        None,
    ),
    (
        customer(KEY[:31]),
        "InvalidArgument",
        "The secret key was invalid for the specified algorithm.",
        None,
    ),
    (
        customer(KEY + b"x"),
        "InvalidArgument",
        "The secret key was invalid for the specified algorithm.",
        None,
    ),
    (
        customer() | {f"{C}key": "%%%"},
        "InvalidArgument",
        "The secret key was invalid for the specified algorithm.",
        None,
    ),
    (
        customer() | {f"{C}key-md5": OTHER},
        "InvalidArgument",
        "The calculated MD5 hash of the key did not match the hash that was provided.",
        None,
    ),
]


@pytest.mark.parametrize(("fields", "code", "message", "value"), RECORDED_ON_PUT)
def test_customer_keys_of_writes_are_refused_as_aws_was_recorded_to(
    fields: dict[str, str], code: str, message: str, value: str | None
) -> None:
    error = refused(lambda: sse.wanted(fields, secure=True))
    assert (error.code, error.status, error.message) == (code, 400, message)
    assert error.details["ArgumentName"] == "x-amz-server-side-encryption"
    assert error.details.get("ArgumentValue") == value
    assert base64.b64encode(KEY).decode() not in repr((error, error.details, error.args))


def test_a_read_without_the_md5_is_access_denied_and_otherwise_as_a_write() -> None:
    error = refused(lambda: sse.customer_key(without("key-md5"), secure=True))
    assert (error.code, error.status) == ("AccessDenied", 403)
    for fields, code, message, _ in RECORDED_ON_PUT[5:]:
        error = refused(lambda fields=fields: sse.customer_key(fields, secure=True))
        assert (error.code, error.message) == (code, message)


def test_a_customer_key_is_taken_over_a_secure_hop_only() -> None:
    assert sse.wanted(customer(), secure=True) == SSEC(KEY)
    assert sse.customer_key(customer(), secure=True) == CustomerKey(KEY)
    source = customer(prefix=sse.SOURCE_CUSTOMER)
    assert sse.customer_key(source, secure=True, prefix=sse.SOURCE_CUSTOMER) == CustomerKey(KEY)
    for part in ("algorithm", "key", "key-md5"):
        fields = {f"{C}{part}": customer()[f"{C}{part}"], "x-forwarded-proto": "https"}
        assert refused(lambda fields=fields: sse.wanted(fields, secure=False)).status == 400
    error = refused(lambda: sse.customer_key(source, secure=False, prefix=sse.SOURCE_CUSTOMER))
    assert error.code == "InvalidRequest"
    assert sse.wanted({}, secure=False) is None


def test_methods_that_the_store_manages() -> None:
    assert sse.wanted({sse.SSE: "AES256"}, secure=False) == SSES3()
    assert sse.wanted({sse.SSE: "aws:kms"}, secure=False) == SSEKMS()
    context = base64.b64encode(json.dumps({"a": "b"}).encode()).decode()
    fields = {
        sse.SSE: "aws:kms:dsse",
        f"{sse.SSE}-aws-kms-key-id": "alias/x",
        f"{sse.SSE}-context": context,
        f"{sse.SSE}-bucket-key-enabled": "True",
    }
    wanted = SSEKMS("alias/x", {"a": "b"}, bucket_key=True, dsse=True)
    assert sse.wanted(fields, secure=False) == wanted


@pytest.mark.parametrize(
    "fields",
    [
        {sse.SSE: "aes256"},
        {sse.SSE: ""},
        {sse.SSE: "aws:kms,AES256"},
        {sse.SSE: "AES256", f"{sse.SSE}-aws-kms-key-id": "k"},
        {f"{sse.SSE}-aws-kms-key-id": "k"},
        {f"{sse.SSE}-context": "e30="},
        {sse.SSE: "aws:kms", f"{sse.SSE}-bucket-key-enabled": "yes"},
        {sse.SSE: "aws:kms", f"{sse.SSE}-context": "e30"},
        {sse.SSE: "aws:kms", f"{sse.SSE}-context": base64.b64encode(b'{"a":1}').decode()},
        {sse.SSE: "aws:kms", f"{sse.SSE}-context": base64.b64encode(b"[]").decode()},
        {sse.SSE: "aws:kms", f"{sse.SSE}-context": base64.b64encode(b"\xff").decode()},
        {sse.SSE: "aws:kms", f"{sse.SSE}-context": base64.b64encode(b"[" * 5000).decode()},
    ],
)
def test_methods_that_make_no_sense_are_invalid_arguments(fields: dict[str, str]) -> None:
    error = refused(lambda: sse.wanted(fields, secure=True))
    assert (error.code, error.status) == ("InvalidArgument", 400)


def test_a_bucket_key_may_be_asked_for_where_the_bucket_defaults_to_the_kms() -> None:
    fields = {f"{sse.SSE}-bucket-key-enabled": "true"}
    default = DefaultEncryption("aws:kms", "k")
    assert sse.wanted(fields, secure=True, default=default) == SSEKMS("k", bucket_key=True)
    for other in (None, DefaultEncryption()):
        error = refused(lambda other=other: sse.wanted(fields, secure=True, default=other))
        assert error.code == "InvalidArgument"


def test_responses_tell_the_arn_and_never_a_customers_key() -> None:
    facts = EncryptionFacts("aws:kms", "arn:k", bucket_key=True, context={"a": "b"})
    told = dict(sse.told(facts, with_context=True))
    assert told[b"x-amz-server-side-encryption-aws-kms-key-id"] == b"arn:k"
    assert told[b"x-amz-server-side-encryption-bucket-key-enabled"] == b"true"
    assert json.loads(base64.b64decode(told[b"x-amz-server-side-encryption-context"])) == {"a": "b"}
    assert b"x-amz-server-side-encryption-context" not in dict(sse.told(facts))
    told = dict(sse.told(EncryptionFacts("SSE-C", customer_key_md5="m")))
    assert told == {f"{C}algorithm".encode(): b"AES256", f"{C}key-MD5".encode(): b"m"}
    assert dict(sse.told(EncryptionFacts("AES256"))) == {sse.SSE.encode(): b"AES256"}
    assert sse.told(EncryptionFacts(None)) == []


def test_attributes_are_kept_without_the_framing_of_the_transfer() -> None:
    found = attributes.read_attributes(
        {"content-encoding": "aws-chunked, gzip", "x-amz-meta-a": "1", "expires": "soon"}
    )
    assert (found.content_encoding, found.content_type) == ("gzip", "binary/octet-stream")
    assert (found.metadata, found.expires) == ({"a": "1"}, "soon")
    assert attributes.read_attributes({"content-encoding": "aws-chunked"}).content_encoding is None
    for sent in ("deflate, gzip", "deflate, gzip,aws-chunked", "aws-chunked, deflate, gzip"):
        found = attributes.read_attributes({"content-encoding": sent})
        assert found.content_encoding == "deflate, gzip"


def test_metadata_has_a_limit_and_other_characters_travel_encoded() -> None:
    limit = attributes.MAX_METADATA_BYTES
    attributes.read_attributes({"x-amz-meta-a": "x" * (limit - 1)})
    error = refused(lambda: attributes.read_attributes({"x-amz-meta-a": "x" * limit}))
    assert error.code == "MetadataTooLarge"
    sent = dict(attributes.told(Attributes(metadata={"a": "Grüße\n", "b": "plain"})))
    assert sent[b"x-amz-meta-b"] == b"plain"
    back = attributes.read_attributes({"x-amz-meta-a": sent[b"x-amz-meta-a"].decode()})
    assert back.metadata["a"] == "Grüße\n"


@pytest.mark.parametrize(
    "fields",
    [
        {"content-type": "a/b\r\nSet-Cookie: x"},
        {"cache-control": "\0"},
        {"x-amz-meta-a b": "1"},
        {"x-amz-meta-a:b": "1"},
        {"x-amz-meta-ü": "1"},
        {"x-amz-meta-a\r\n": "1"},
    ],
)
def test_what_no_header_can_hold_is_not_kept(fields: dict[str, str]) -> None:
    assert refused(lambda: attributes.read_attributes(fields)).code == "InvalidArgument"


def test_overrides_replace_what_is_stored_unless_no_field_can_hold_them() -> None:
    stored = Attributes(content_type="a/b")
    assert attributes.told(stored, {"response-content-type": "c/d"})[0][1] == b"c/d"
    for value in ("\u2014", "a\r\nSet-Cookie: x"):
        error = refused(lambda value=value: attributes.told(stored, {"response-expires": value}))
        assert error.code == "InvalidArgument"


def test_tags_from_a_header_and_from_xml_are_the_same() -> None:
    assert tags.from_header(None) == {}
    assert tags.from_header("a=1&b+c=%C3%BC&d") == {"a": "1", "b c": "ü", "d": ""}
    found = {f"k{i}": "v" * 256 for i in range(tags.MAX_BUCKET_TAGS)}
    assert tags.from_xml(tags.to_xml(found)) == found
    tags.check_bucket_tags(found)
    assert refused(lambda: tags.check_bucket_tags(found | {"more": ""})).code == "BadRequest"
    for wrong in ({"": "v"}, {"k" * 129: ""}, {"k": "v" * 257}, {"aws:x": ""}):
        error = refused(lambda wrong=wrong: tags.check_bucket_tags(wrong))
        assert error.code == "InvalidTag"
    assert refused(lambda: tags.from_header("a=1&a=2")).code == "InvalidTag"
    assert refused(lambda: tags.from_xml(b"<Tagging/>")).code == "MalformedXML"


RULES = (
    cors.CORSRule(("https://*.a.test",), ("GET", "PUT"), ("x-*",), ("ETag",), 60, "one"),
    cors.CORSRule(("*",), ("GET",)),
)


def test_cors_rules_round_trip_and_the_first_match_decides() -> None:
    assert cors.read_rules(cors.write_rules(RULES)) == RULES
    fields = {
        "origin": "https://w.a.test",
        "access-control-request-method": "PUT",
        "access-control-request-headers": "X-Amz-Date, x-b",
    }
    headers = dict(cors.preflight(RULES, fields))
    assert headers[b"Access-Control-Allow-Origin"] == b"https://w.a.test"
    assert headers[b"Access-Control-Allow-Headers"] == b"x-amz-date, x-b"
    assert headers[b"Access-Control-Max-Age"] == b"60"
    assert headers[b"Access-Control-Allow-Credentials"] == b"true"
    assert (
        dict(cors.response_headers(RULES, {"origin": "http://z"}, "GET"))[
            b"Access-Control-Allow-Origin"
        ]
        == b"*"
    )
    assert cors.response_headers(RULES, {"origin": "http://z"}, "PUT") == []
    assert cors.response_headers(RULES, {}, "GET") == []


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"origin": "https://a.test.evil"}, 403),
        ({"access-control-request-headers": "authorization"}, 403),
        ({"access-control-request-method": "DELETE"}, 403),
        ({"access-control-request-method": "FLY"}, 400),
        ({"origin": None}, 400),
    ],
)
def test_preflights_that_no_rule_allows(change: dict[str, str | None], status: int) -> None:
    fields = {"origin": "https://w.a.test", "access-control-request-method": "PUT"} | change
    given = {name: value for name, value in fields.items() if value is not None}
    assert refused(lambda: cors.preflight(RULES, given)).status == status


@pytest.mark.parametrize(
    "rule",
    [
        [("AllowedOrigin", "*")],
        [("AllowedMethod", "GET")],
        [("AllowedOrigin", "*"), ("AllowedMethod", "PATCH")],
        [("AllowedOrigin", "*.*"), ("AllowedMethod", "GET")],
        [("AllowedOrigin", "*"), ("AllowedMethod", "GET"), ("MaxAgeSeconds", "-1")],
        [("AllowedOrigin", "*"), ("AllowedMethod", "GET"), ("Unknown", "1")],
    ],
)
def test_cors_rules_that_are_wrong(rule: list[tuple[str, str]]) -> None:
    data = document("CORSConfiguration", [("CORSRule", rule)])
    assert refused(lambda: cors.read_rules(data)).status == 400


def test_the_number_of_cors_rules_is_limited() -> None:
    rule = cors.CORSRule(("*",), ("GET",))
    assert len(cors.read_rules(cors.write_rules([rule] * cors.MAX_RULES))) == cors.MAX_RULES
    for wrong in (0, cors.MAX_RULES + 1):
        data = cors.write_rules([rule] * wrong)
        assert refused(lambda data=data: cors.read_rules(data)).code == "MalformedXML"


BOUNDARY = "simple"


def part(name: str, value: bytes, more: str = "") -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
    return head.encode() + value + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


async def pieces(data: bytes, size: int) -> AsyncGenerator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def read_all(data: bytes, size: int) -> tuple[form.Form, bytes]:
    async with aclosing(pieces(data, size)) as body:
        found = await form.read_form(body, BOUNDARY)
        return found, b"".join([piece async for piece in found.file])


@given(content=st.binary(max_size=300), size=st.integers(1, 64), value=st.text("ab\r\n-ü"))
async def test_a_form_is_read_whatever_pieces_it_comes_in(
    content: bytes, size: int, value: str
) -> None:
    delimiter = f"\r\n--{BOUNDARY}".encode()
    content = content.replace(delimiter, b"")
    if delimiter in b"\r\n" + value.encode():
        return
    data = part("Key", value.encode()) + part("file", content, '; filename="C:\\x/f.txt"')
    found, body = await read_all(data + part("after", b"ignored") + END, size)
    assert (found.fields, found.filename, body) == ({"key": value}, "f.txt", content)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
async def test_what_looks_like_the_delimiter_is_content(size: int) -> None:
    content = b"\r\n--simpl\r\n--\r\r\n--simpleX"[:-9] + b"\r\n-"
    _, body = await read_all(part("file", content) + END, size)
    assert body == content


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "MalformedPOSTRequest"),
        (b"junk" + part("file", b"x") + END, "MalformedPOSTRequest"),
        (part("file", b"x"), "MalformedPOSTRequest"),
        (part("a", b"1") + part("A", b"2") + part("file", b"") + END, "MalformedPOSTRequest"),
        (part("a", b"\xff") + part("file", b"") + END, "MalformedPOSTRequest"),
        (part("a", b"1") + END, "InvalidArgument"),
        (f"--{BOUNDARY}\r\nX: y\r\n\r\nz\r\n".encode() + END, "MalformedPOSTRequest"),
        (part("a", b"x" * form.MAX_FIELDS_BYTES) + END, "MaxPostPreDataLengthExceededError"),
        (part("a" * form.MAX_HEAD_BYTES, b"") + END, "MaxPostPreDataLengthExceededError"),
        (
            b"".join(part(f"a{i}", b"x" * 1000) for i in range(21)) + END,
            "MaxPostPreDataLengthExceededError",
        ),
    ],
    ids=range(10),
)
async def test_forms_that_are_wrong(data: bytes, code: str) -> None:
    with pytest.raises(Refused) as refusal:
        await read_all(data, 50)
    assert refusal.value.code == code


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("multipart/form-data; boundary=abc", "abc"),
        ('multipart/form-data; boundary="a b"', "a b"),
        ("multipart/form-data", "MalformedPOSTRequest"),
        ("multipart/form-data; boundary=" + "x" * 71, "MalformedPOSTRequest"),
        ("application/json; boundary=abc", "PreconditionFailed"),
        (None, "PreconditionFailed"),
    ],
)
def test_boundaries(content_type: str | None, expected: str) -> None:
    try:
        found = form.boundary(content_type)
    except Refused as refusal:
        found = refusal.code
    assert found == expected
