"""Heads and bodies: what is refused, what passes unchanged, and that h11 sees the same ends."""

from __future__ import annotations

from contextlib import suppress

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlslab.http import ExchangeError
from tlslab.proxy.framing import (
    MAX_CHUNK_LINE,
    MAX_TRAILER,
    ChunkedBody,
    request_body,
    response_body,
)
from tlslab.proxy.heads import forwarded, parse_request_head, parse_response_head

GET = b"GET / HTTP/1.1\r\nHost: a\r\n"


def status_of_request(raw: bytes) -> int:
    """200, or the status with which the request's head is refused."""
    try:
        request_body(parse_request_head(raw))
    except ExchangeError as error:
        return error.status
    return 200


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (b"", 200),
        (b"Content-Length: 5\r\n", 200),
        (b"Content-Length:5\r\n", 200),
        (b"content-LENGTH: \t5 \r\n", 200),
        (b"Transfer-Encoding: Chunked\r\n", 200),
        (b"X:\r\n", 200),
        (b"X: \xe4\r\n", 200),
        # Two ways to tell the length, or one told twice: request smuggling.
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", 400),
        (b"Content-Length: 5\r\nContent-Length: 5\r\n", 400),
        (b"Content-Length: 5, 5\r\n", 400),
        (b"Content-Length: +5\r\n", 400),
        (b"Content-Length: 0x5\r\n", 400),
        (b"Content-Length: -5\r\n", 400),
        (b"Content-Length: \r\n", 400),
        (b"Content-Length: 99999999999999999999\r\n", 400),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 501),
        (b"Transfer-Encoding: gzip, chunked\r\n", 501),
        (b"Transfer-Encoding: identity\r\n", 501),
        (b"Transfer-Encoding: xchunked\r\n", 501),
        (b"Transfer-Encoding:\x0bchunked\r\n", 400),
        (b"Transfer-Encoding : chunked\r\n", 400),
        # What one parser takes for a line's end, and another does not.
        (b"X: 1\nContent-Length: 5\r\n", 400),
        (b"X: 1\rContent-Length: 5\r\n", 400),
        (b"X: 1\r\n folded\r\n", 400),
        (b"X: \x00\r\n", 400),
        (b"X\r\n", 400),
        (b": x\r\n", 400),
        (b"Host: b\r\n", 400),
        # What would make the proxy drop what the upstream decides by.
        (b"Connection: close, Host\r\n", 400),
        (b"Connection: content-length\r\n", 400),
        (b"Connection: Authorization\r\n", 400),
        (b"Connection: X-Mine\r\n", 200),
    ],
)
def test_ambiguous_request_heads_are_refused(fields: bytes, status: int) -> None:
    assert status_of_request(GET + fields + b"\r\n") == status


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET / HTTP/1.1", 200),
        (b"GET / HTTP/1.0", 200),
        (b"GET / HTTP/2.0", 505),
        (b"GET / HTTP/1.2", 505),
        (b"GET / http/1.1", 400),
        (b"GET  / HTTP/1.1", 400),
        (b"GET /a b HTTP/1.1", 400),
        (b"GET /\xe4 HTTP/1.1", 400),
        (b" GET / HTTP/1.1", 400),
        (b"G@T / HTTP/1.1", 400),
        (b"GET /", 400),
    ],
)
def test_request_lines(line: bytes, status: int) -> None:
    assert status_of_request(line + b"\r\nHost: a\r\n\r\n") == status


def test_who_needs_a_host() -> None:
    assert status_of_request(b"GET / HTTP/1.1\r\n\r\n") == 400
    assert status_of_request(b"GET / HTTP/1.0\r\n\r\n") == 200
    assert status_of_request(b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n") == 400


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 O\nK\r\n\r\n",
    ],
)
def test_ambiguous_response_heads_are_the_upstreams_fault(raw: bytes) -> None:
    with pytest.raises(ExchangeError) as caught:
        response_body(parse_response_head(raw), b"GET")
    assert caught.value.status == 502


def test_a_head_passes_unchanged_but_for_its_hop() -> None:
    raw = (
        b"PUT /a%2Fb?x=%20 HTTP/1.1\r\nhOST:a.test\r\nX-Odd:  spaces \r\nTE: trailers\r\n"
        b"Connection: keep-alive, X-Mine\r\nKeep-Alive: 5\r\nProxy-Authorization: s\r\n"
        b"X-Mine: gone\r\nx-odd: again\r\nContent-Length: 0\r\nUpgrade: h2c\r\n\r\n"
    )
    assert forwarded(parse_request_head(raw)) == (
        b"PUT /a%2Fb?x=%20 HTTP/1.1\r\nhOST:a.test\r\nX-Odd:  spaces \r\nx-odd: again\r\n"
        b"Content-Length: 0\r\n\r\n"
    )


def test_an_upgrade_keeps_what_asks_for_it() -> None:
    raw = GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\nProxy-X: 1\r\n\r\n"
    head = parse_request_head(raw)
    assert head.wants_websocket
    assert forwarded(head, upgrade=True) == raw.replace(b"Proxy-X: 1\r\n", b"")


def test_a_close_is_told_to_the_next_hop() -> None:
    head = parse_response_head(b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nA: b\r\n\r\n")
    assert forwarded(head, close=True) == b"HTTP/1.1 200 OK\r\nA: b\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("status_line", "method", "size"),
    [
        (b"200 OK", b"GET", 5),
        (b"200 OK", b"HEAD", 0),
        (b"204 No Content", b"GET", 0),
        (b"304 Not Modified", b"GET", 0),
        (b"100 Continue", b"GET", 0),
    ],
)
def test_responses_without_bodies(status_line: bytes, method: bytes, size: int) -> None:
    head = parse_response_head(b"HTTP/1.1 " + status_line + b"\r\nContent-Length: 5\r\n\r\n")
    assert response_body(head, method).feed(b"0123456789") == size


def test_a_response_without_a_length_lasts_as_long_as_the_connection() -> None:
    body = response_body(parse_response_head(b"HTTP/1.1 200 OK\r\n\r\n"), b"GET")
    assert body.ends_with_connection
    assert body.feed(b"anything") == 8
    assert not body.complete


CHUNKS = st.lists(st.binary(min_size=1, max_size=40), max_size=6)
TRAILERS = st.sampled_from([b"", b"X-Sum: 1\r\n", b"A: b\r\nC:\r\n"])


def feed_all(body: ChunkedBody, data: bytes, size: int) -> int:
    """How many bytes of `data`, fed in pieces, the body took."""
    taken = 0
    for start in range(0, len(data), size):
        piece = data[start : start + size]
        used = body.feed(piece)
        taken += used
        if used < len(piece):
            assert body.complete
            break
    return taken


@given(
    chunks=CHUNKS,
    trailer=TRAILERS,
    extension=st.sampled_from([b"", b";a", b';a="b c"', b";\xff"]),
    rest=st.binary(max_size=30),
    size=st.integers(1, 50),
)
def test_a_chunked_body_ends_where_it_ends(
    chunks: list[bytes], trailer: bytes, extension: bytes, rest: bytes, size: int
) -> None:
    encoded = b"".join(b"%X%s\r\n%s\r\n" % (len(c), extension, c) for c in chunks)
    encoded += b"000" + extension + b"\r\n" + trailer + b"\r\n"
    body = ChunkedBody(400)
    assert feed_all(body, encoded + rest, size) == len(encoded)
    assert body.complete
    cut = ChunkedBody(400)
    feed_all(cut, encoded[:-1], size)
    assert not cut.complete


@settings(max_examples=500)
@given(
    data=st.lists(
        st.sampled_from(
            [
                b"0",
                b"1",
                b"a",
                b"\r\n",
                b"\n",
                b"\r",
                b";",
                b" ",
                b"x:",
                b"0\r\n\r\n",
                b"3\r\nabc\r\n",
            ]
        ),
        max_size=14,
    ).map(b"".join),
    size=st.integers(1, 20),
)
def test_whatever_passes_h11_ends_at_the_same_byte(data: bytes, size: int) -> None:
    body = ChunkedBody(400)
    try:
        taken = feed_all(body, data, size)
    except ExchangeError:
        return
    oracle = h11.Connection(h11.SERVER)
    oracle.receive_data(GET + b"Transfer-Encoding: chunked\r\n\r\n" + data)
    while not isinstance(event := oracle.next_event(), h11.EndOfMessage):
        if event is h11.NEED_DATA:
            break
    assert body.complete == isinstance(event, h11.EndOfMessage)
    if body.complete:
        assert oracle.trailing_data[0] == data[taken:]


@pytest.mark.parametrize(
    "data",
    [b"5 \r\n", b"5\n", b"5\rX", b"0x5\r\n", b"+5\r\n", b"\r\n", b";\r\n", b"1\r\nab", b"1\r\na\n"],
)
@pytest.mark.parametrize("size", [1, 100])
def test_malformed_chunks_are_not_passed_on(data: bytes, size: int) -> None:
    """At the latest the byte that makes it malformed is held back."""
    body = ChunkedBody(400)
    with pytest.raises(ExchangeError):
        feed_all(body, data, size)


@pytest.mark.parametrize(
    ("length", "passes"), [(MAX_CHUNK_LINE, True), (MAX_CHUNK_LINE + 1, False)]
)
@pytest.mark.parametrize("size", [100, 100_000])
def test_the_chunk_line_is_bounded(length: int, passes: bool, size: int) -> None:
    line = b"0;" + b"x" * (length - 4) + b"\r\n"
    body = ChunkedBody(400)
    if passes:
        feed_all(body, line + b"\r\n", size)
        assert body.complete
    else:
        with pytest.raises(ExchangeError):
            feed_all(body, line + b"\r\n", size)


@pytest.mark.parametrize(("extra", "passes"), [(0, True), (1, False)])
def test_the_trailer_is_bounded(extra: int, passes: bool) -> None:
    lines = [b"X: " + b"x" * 1021] * (MAX_TRAILER // 1024)
    lines[0] += b"x" * extra
    trailer = b"0\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n"
    body = ChunkedBody(502)
    if passes:
        feed_all(body, trailer, 1000)
        assert body.complete
    else:
        with pytest.raises(ExchangeError) as caught:
            feed_all(body, trailer, 1000)
        assert caught.value.status == 502


@given(st.binary(max_size=200))
def test_any_head_is_parsed_or_refused(garbage: bytes) -> None:
    raw = garbage.replace(b"\r\n\r\n", b"") + b"\r\n\r\n"
    for parse in (parse_request_head, parse_response_head):
        with suppress(ExchangeError):
            parse(raw)


@given(
    names=st.lists(st.sampled_from([b"A", b"x-B", b"cOOkie"]), max_size=5),
    value=st.binary(max_size=20),
)
def test_h11_reads_the_same_fields(names: list[bytes], value: bytes) -> None:
    raw = GET + b"".join(name + b":" + value + b"\r\n" for name in names) + b"\r\n"
    try:
        head = parse_request_head(raw)
    except ExchangeError:
        return
    oracle = h11.Connection(h11.SERVER)
    oracle.receive_data(raw)
    event = oracle.next_event()
    assert isinstance(event, h11.Request)
    assert [(f.name, f.value) for f in head.fields] == [
        (bytes(n), bytes(v)) for n, v in event.headers
    ]
    assert forwarded(head) == raw
