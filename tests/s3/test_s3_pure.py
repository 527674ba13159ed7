"""The parts that only read or write text: targets, XML, conditions, ranges, operations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlslab.http import Request
from tlslab.store.refusals import Refused
from tlslab.store.s3 import permissions, xml
from tlslab.store.s3.conditions import Conditions, matches
from tlslab.store.s3.fields import Fields
from tlslab.store.s3.handlers import HANDLERS
from tlslab.store.s3.operations import OPERATIONS, Operation, find_operation
from tlslab.store.s3.ranges import read_copy_range, read_range
from tlslab.store.s3.target import Target, read_query, read_target, virtual_host

KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
NOW = datetime(2026, 2, 3, 4, 5, 6, 700_000, tzinfo=UTC)


class _Nothing:
    def __aiter__(self) -> _Nothing:
        return self

    async def __anext__(self) -> bytes:
        raise StopAsyncIteration


def request(target: str, host: str = "s3.test", method: str = "GET") -> Request:
    return Request(method, target, [(b"Host", host.encode())], _Nothing())


def code(refusal: pytest.ExceptionInfo[Refused]) -> str:
    return refusal.value.code


@given(key=KEYS)
def test_a_key_of_any_characters_survives_both_styles(key: str) -> None:
    path = quote(key, safe="/~")
    target = read_target(request(f"/my-bucket/{path}?versionId=x"))
    assert (target.bucket, target.key, target.query) == ("my-bucket", key, {"versionId": "x"})
    target = read_target(request(f"/{path}", "my.bucket.s3.test:8443"), ["s3.test"])
    assert (target.bucket, target.key) == ("my.bucket", key)


@pytest.mark.parametrize(
    ("path", "bucket", "key"),
    [
        ("/", "", ""),
        ("/b", "b", ""),
        ("/b/", "b", ""),
        ("/b/..", "b", ".."),
        ("/b/../../etc/passwd", "b", "../../etc/passwd"),
        ("/b//", "b", "/"),
        ("/b/a//c", "b", "a//c"),
        ("/b/a%2Fc", "b", "a/c"),
        ("/b/a%252Fc", "b", "a%2Fc"),
        ("/b/+", "b", "+"),
        ("/b/%00", "b", "\0"),
    ],
)
def test_a_path_is_decoded_once_and_otherwise_untouched(path: str, bucket: str, key: str) -> None:
    target = read_target(request(path))
    assert (target.bucket, target.key) == (bucket, key)


@pytest.mark.parametrize("path", ["/b/%", "/b/%4", "/b/%zz", "/b/%ff", "/b/k?a=%", "*"])
def test_what_is_not_strictly_encoded_is_refused(path: str) -> None:
    with pytest.raises(Refused) as refusal:
        read_target(request(path))
    assert code(refusal) == "InvalidURI"


def test_an_empty_bucket_name_and_a_parameter_given_twice_are_refused() -> None:
    with pytest.raises(Refused) as refusal:
        read_target(request("//key"))
    assert code(refusal) == "InvalidBucketName"
    with pytest.raises(Refused) as refusal:
        read_target(request("/b?acl&acl"))
    assert code(refusal) == "InvalidArgument"


@given(parameters=st.dictionaries(KEYS, st.text(st.characters(exclude_categories=["Cs"]))))
def test_a_query_round_trips(parameters: dict[str, str]) -> None:
    parts = [f"{quote(name, safe='')}={quote(text, safe='')}" for name, text in parameters.items()]
    assert read_query("&".join(parts)) == parameters


@pytest.mark.parametrize(
    ("host", "bucket"),
    [
        ("s3.test", None),
        ("a.s3.test", "a"),
        ("a.b.S3.Test:1", "a.b"),
        ("as3.test", None),
        ("", None),
    ],
)
def test_virtual_hosts(host: str, bucket: str | None) -> None:
    assert virtual_host(host, ["s3.test"]) == bucket


def test_fields_are_merged_once_so_that_nothing_is_read_two_ways() -> None:
    headers = [(b"X-Amz-Meta-A", b"1"), (b"x-amz-meta-a", b"2"), (b"Host", b"h")]
    query = {"X-Amz-Acl": "private", "X-Amz-Signature": "s", "prefix": "p"}
    fields = Fields(headers, query, "v4-query")
    assert dict(fields) == {"x-amz-meta-a": "1,2", "host": "h", "x-amz-acl": "private"}
    with pytest.raises(Refused):
        Fields([(b"x-amz-acl", b"public-read")], {"x-amz-acl": "private"}, "v4-query")
    assert "private" not in repr(fields)


@pytest.mark.parametrize(
    ("scheme", "parameter", "merged"),
    [
        ("v4-query", "X-Amz-Acl", True),
        ("v2-query", "x-amz-acl", True),
        ("v2-query", "X-Amz-Acl", False),  # Version 2 does not sign it
        ("v2-header", "x-amz-acl", False),
        ("v4-header", "x-amz-acl", False),
        ("anonymous", "x-amz-acl", False),
    ],
)
def test_what_a_signature_does_not_cover_is_no_header(
    scheme: str, parameter: str, merged: bool
) -> None:
    fields = Fields([], {parameter: "private"}, scheme)
    assert ("x-amz-acl" in fields) is merged
    target = target_for("object", {parameter: "private"})
    if merged:
        assert find_operation("PUT", target, fields).name == "PutObject"
    else:
        with pytest.raises(Refused) as refusal:
            find_operation("PUT", target, fields)
        assert refusal.value.status == 501


def target_for(scope: str, query: dict[str, str]) -> Target:
    return Target("" if scope == "service" else "b", "k" if scope == "object" else "", query)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_every_operation_is_found_by_what_selects_it_and_by_nothing_more(
    operation: Operation,
) -> None:
    query = dict.fromkeys(operation.selector, "2")
    headers = [(b"x-amz-copy-source", b"b/k")] if operation.copies else []
    fields = Fields(headers)
    target = target_for(operation.scope, query)
    assert find_operation(operation.method, target, fields) is operation
    full = target_for(operation.scope, {**query, **dict.fromkeys(operation.query, "1")})
    every = Fields(
        [
            *headers,
            *(
                (n.encode(), b"1")
                for n in operation.headers
                if headers == [] or n != "x-amz-copy-source"
            ),
        ]
    )
    assert find_operation(operation.method, full, every) is operation
    for unknown in ("torrent", "response-foo", "versionid"):
        with pytest.raises(Refused) as refusal:
            find_operation(
                operation.method, target_for(operation.scope, {**query, unknown: ""}), fields
            )
        assert refusal.value.status == 501
    for name in (b"x-amz-object-lock-mode", b"x-amz-unheard-of", b"content-range"):
        with pytest.raises(Refused) as refusal:
            find_operation(operation.method, target, Fields([*headers, (name, b"1")]))
        assert refusal.value.status == 501


def test_every_operation_is_done_and_permitted_by_somebody() -> None:
    names = [operation.name for operation in OPERATIONS]
    assert len(names) == len(set(names))
    assert set(names) == set(HANDLERS)
    somewhere = {*permissions.BUCKET_ACTIONS, *permissions.OBJECT_ACTIONS, *permissions.BY_KEY}
    assert set(names) - somewhere == {"ListBuckets"}


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE", "HEAD", "PATCH"])
@pytest.mark.parametrize("scope", ["bucket", "object"])
@pytest.mark.parametrize(
    "subresource",
    [
        "torrent",
        "restore",
        "retention",
        "legal-hold",
        "select",
        "inventory",
        "renameObject",
        "x",
        "append",
    ],
)
def test_no_unknown_subresource_falls_through(method: str, scope: str, subresource: str) -> None:
    with pytest.raises(Refused) as refusal:
        find_operation(method, target_for(scope, {subresource: ""}), Fields([]))
    assert refusal.value.status == 501


def test_what_means_nothing_to_s3_is_let_pass() -> None:
    target = target_for("object", {"x-id": "PutObject", "X-Amz-Signature": "", "Expires": "1"})
    fields = Fields([(b"x-amzn-trace-id", b"1"), (b"X-Amz-Date", b"1"), (b"Expect", b"x")])
    assert find_operation("PUT", target, fields).name == "PutObject"
    with pytest.raises(Refused) as refusal:
        find_operation("PATCH", target_for("object", {}), Fields([]))
    assert refusal.value.status == 405


@given(
    text=st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")),
    number=st.integers(),
    flag=st.booleans(),
)
def test_documents_round_trip(text: str, number: int, flag: bool) -> None:
    data = xml.document("Root", [("A", text), ("N", number), ("None", None), ("L", [("F", flag)])])
    root = xml.parse(data, "Root").knows("A", "N", "L")
    assert root.value("A") == text
    assert root.value("N") == str(number)
    assert root.one("L").value("F") == ("true" if flag else "false")
    assert ElementTree.fromstring(data).tag == f"{{{xml.NAMESPACE}}}Root"


def test_line_breaks_survive_and_control_characters_are_references() -> None:
    assert xml.parse(xml.document("R", [("A", "\r\n\t<&>")]), "R").value("A") == "\r\n\t<&>"
    assert b"&#x1;" in xml.document("R", [("A", "\x01")])


BOMB = b'<!DOCTYPE a [<!ENTITY b "bbbbbbbb">]><R>&b;</R>'


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<R>",
        b"<S/>",
        b"<R/><R/>",
        b'<R xmlns="http://elsewhere.test/"/>',
        BOMB,
        b'<!DOCTYPE R SYSTEM "file:///etc/passwd"><R/>',
        b"<R>" + b"<a>" * xml.MAX_DEPTH + b"</a>" * xml.MAX_DEPTH + b"</R>",
        b"<R>" + b"<a/>" * xml.MAX_ELEMENTS + b"</R>",
        b'<?xml version="1.0" encoding="no-such"?><R/>',
    ],
    ids=range(10),
)
def test_xml_that_is_wrong_or_hostile_is_malformed(data: bytes) -> None:
    with pytest.raises(Refused) as refusal:
        xml.parse(data, "R")
    assert code(refusal) == "MalformedXML"


def test_xml_within_the_bounds_is_read() -> None:
    depth = xml.MAX_DEPTH - 1
    assert xml.parse(b"<R>" + b"<a>" * depth + b"</a>" * depth + b"</R>", "R").children
    many = xml.parse(b"<R>" + b"<a/>" * (xml.MAX_ELEMENTS - 1) + b"</R>", "R")
    assert len(many.children) == xml.MAX_ELEMENTS - 1


@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_document_or_malformed(data: bytes) -> None:
    for candidate in (data, b"<R>" + data + b"</R>"):
        try:
            xml.parse(candidate, "R")
        except Refused as refused:
            found = refused.code
        else:
            found = "MalformedXML"
        assert found == "MalformedXML"


def test_elements_know_what_may_be_in_them() -> None:
    root = xml.parse(b"<R><A>1</A><A>2</A><B><C/></B></R>", "R")
    assert [child.text for child in root.all("A")] == ["1", "2"]
    for wrong in (
        lambda: root.knows("A"),
        lambda: root.find("A"),
        lambda: root.one("D"),
        lambda: root.value("B"),
        lambda: xml.parse(b"<R>text<A/></R>", "R").knows("A"),
    ):
        with pytest.raises(Refused):
            wrong()


@pytest.mark.parametrize(
    ("value", "size", "expected"),
    [
        (None, 10, None),
        ("bytes=0-", 10, (0, 10)),
        ("bytes=0-0", 10, (0, 1)),
        ("bytes=2-5", 10, (2, 6)),
        ("bytes=2-99", 10, (2, 10)),
        ("bytes=9-", 10, (9, 10)),
        ("bytes=-3", 10, (7, 10)),
        ("bytes=-99", 10, (0, 10)),
        ("Bytes=1-2", 10, (1, 3)),
        ("bytes=5-2", 10, None),
        ("bytes=0-1,3-4", 10, None),
        ("bytes=a-b", 10, None),
        ("bytes=-", 10, None),
        ("lines=0-1", 10, None),
        ("bytes=0-1", 0, "416"),
        ("bytes=10-", 10, "416"),
        ("bytes=-0", 10, "416"),
        ("bytes=100-200", 10, "416"),
        ("bytes=-1", 0, "416"),
    ],
)
def test_ranges(value: str | None, size: int, expected: object) -> None:
    if expected == "416":
        with pytest.raises(Refused) as refusal:
            read_range(value, size)
        assert refusal.value.status == 416
        assert refusal.value.details == {"RangeRequested": value, "ActualObjectSize": str(size)}
        return
    found = read_range(value, size)
    assert (None if found is None else (found.start, found.stop)) == expected


@given(value=st.text(), size=st.integers(0, 100))
def test_any_text_as_a_range_is_within_the_object_ignored_or_416(value: str, size: int) -> None:
    try:
        found = read_range(value, size)
    except Refused as refused:
        good = refused.status == 416
    else:
        good = found is None or 0 <= found.start < found.stop <= size
    assert good


@pytest.mark.parametrize(
    "value",
    [
        "0-8",
        "bytes=1-0",
        "bytes=-1-",
        "bytes=0--1",
        "bytes=0-1,3-4,7-9",
        "bytes=-",
        "bytes=-0",
        "bytes=1-",
        "bytes=-2",
    ],
)
def test_copy_ranges_that_aws_was_recorded_to_refuse(value: str) -> None:
    with pytest.raises(Refused) as refusal:
        read_copy_range(value)
    assert code(refusal) == "InvalidArgument"
    assert refusal.value.details == {
        "ArgumentName": "x-amz-copy-source-range",
        "ArgumentValue": value,
    }


def test_copy_ranges_name_their_first_and_last_byte() -> None:
    assert read_copy_range(None) is None
    assert read_copy_range("bytes=0-8") == (0, 8)
    assert read_copy_range("bytes=8-8") == (8, 8)


BEFORE, AFTER = NOW - timedelta(days=1), NOW + timedelta(days=1)


def date(moment: datetime) -> str:
    return format_datetime(moment.replace(microsecond=0), usegmt=True)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 200),
        ({"if-match": '"e"'}, 200),
        ({"if-match": "e"}, 200),
        ({"if-match": "*"}, 200),
        ({"if-match": '"x", "e"'}, 200),
        ({"if-match": '"x"'}, 412),
        ({"if-none-match": '"e"'}, 304),
        ({"if-none-match": "*"}, 304),
        ({"if-none-match": 'W/"e"'}, 304),
        ({"if-none-match": '"x"'}, 200),
        ({"if-modified-since": date(NOW)}, 304),
        ({"if-modified-since": date(BEFORE)}, 200),
        ({"if-modified-since": date(AFTER)}, 304),
        ({"if-modified-since": "yesterday"}, 200),
        ({"if-unmodified-since": date(NOW)}, 200),
        ({"if-unmodified-since": date(BEFORE)}, 412),
        ({"if-unmodified-since": date(AFTER)}, 200),
        # precedence: RFC 9110 13.2.2, and S3's GetObject says the same of both pairs
        ({"if-match": "e", "if-unmodified-since": date(BEFORE)}, 200),
        ({"if-none-match": "e", "if-modified-since": date(BEFORE)}, 304),
        ({"if-none-match": "x", "if-modified-since": date(AFTER)}, 200),
        ({"if-match": "x", "if-none-match": "e"}, 412),
    ],
)
def test_conditions(fields: dict[str, str], status: int) -> None:
    found = 200
    try:
        Conditions.read(fields).check("e", NOW)
    except Refused as refused:
        found = refused.status
    assert found == status
    prefixed = {f"x-amz-copy-source-{name}": value for name, value in fields.items()}
    found = 200
    try:
        Conditions.read(prefixed, "x-amz-copy-source-").check("e", NOW, copying=True)
    except Refused as refused:
        found = refused.status
    assert found == (412 if status == 304 else status)


@given(value=st.text())
def test_any_text_as_a_condition_is_read(value: str) -> None:
    Conditions.read({"if-modified-since": value, "if-match": value})
    assert matches(value, "0" * 32) in {True, False}
