"""Bytes into units: nothing lost, whatever comes, and the same units however it comes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlslab.attack.plain import MAX_HEAD, PlainSplitter, turned
from tlslab.attack.units import Splitter, Unit, record_bytes
from tlslab.net import Direction

TO_SERVER, TO_CLIENT = Direction.TO_SERVER, Direction.TO_CLIENT

UPGRADE = b"GET /chat HTTP/1.1\r\nHost: " + b"chat.test" + b"\r\nUpgrade: WebSocket\r\n\r\n"
POST = b"POST /pay HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"


def frame(payload: bytes, mask: bytes | None = None) -> bytes:
    """A binary WebSocket frame (RFC 6455 section 5.2), masked if it is a client's."""
    size = len(payload)
    width = b"" if size < 126 else size.to_bytes(2) if size < 2**16 else size.to_bytes(8)
    short = size if size < 126 else 126 if size < 2**16 else 127
    head = bytes((0x82, short | (0x80 if mask else 0))) + width
    if mask is None:
        return head + payload
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


def units(data: bytes, way: Direction = TO_SERVER, *, step: int | None = None) -> list[Unit]:
    splitter = Splitter()
    step = step or len(data)
    parts = [data[start : start + step] for start in range(0, len(data), step)]
    found = [unit for part in parts for unit in splitter.feed(way, part)]
    assert b"".join(unit.raw for unit in found) + splitter.rest(way) == data
    return found


TLS = record_bytes(22, 0x0301, b"\x01\0\0\0") + record_bytes(23, 0x0303, b"abc")


@given(st.binary(max_size=400), st.integers(1, 9))
def test_no_byte_is_lost_or_invented(data: bytes, step: int) -> None:
    units(data, step=step)
    units(TLS + data, step=step)
    units(UPGRADE + data, step=step)
    units(POST + data, step=step)


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (TLS, 2),
        (POST, 1),
        (POST + POST, 2),
        (b"GET / HTTP/1.1\r\n\r\n" * 2, 2),
        (UPGRADE + frame(b"one", b"abcd") + frame(b"two" * 99, b"1234"), 3),
        (UPGRADE + frame(b"x" * 70_000, b"abcd"), 2),
    ],
)
def test_whole_and_byte_by_byte_are_the_same(data: bytes, count: int) -> None:
    whole = units(data)
    assert units(data, step=1) == whole
    assert len(whole) == count
    assert len(units(data + data[:3])) == count  # what is begun is not a unit yet


def test_where_the_content_of_a_message_starts() -> None:
    (post,) = units(POST)
    assert post.payload == b"hello"
    assert post.flipped() == POST[:-1] + b"n"
    head, message = units(UPGRADE + frame(b"hello", b"\0\0\0\0"))
    assert (head.payload, message.payload) == (b"", b"hello")
    assert head.flipped() == head.raw
    assert [unit.data_number for unit in (head, message)] == [1, 2]


def test_a_flipped_record_keeps_its_header() -> None:
    _, record = units(TLS)
    flipped = record.flipped()
    assert flipped[:5] == record.raw[:5]
    assert sum(bin(a ^ b).count("1") for a, b in zip(flipped, record.raw, strict=True)) == 1


@given(st.binary(max_size=300), st.binary(min_size=4, max_size=4))
def test_a_frame_is_turned_round_and_back(payload: bytes, mask: bytes) -> None:
    masked = frame(payload, mask)
    at = len(masked) - len(payload)
    bare = turned(masked, at)
    assert bare == frame(payload)
    again = turned(bare, at - 4)
    assert len(again) == len(masked)
    assert turned(again, at) == bare


def test_a_body_that_lasts_until_the_end_comes_as_it_comes() -> None:
    splitter = PlainSplitter()
    (head,) = splitter.feed(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    assert head.payload_at == len(head.raw)
    assert [piece.raw for piece in splitter.feed(b"some")] == [b"some"]
    assert [piece.raw for piece in splitter.feed(b"GET / HTTP/1.1\r\n\r\n")] != []
    assert splitter.rest == b""


@pytest.mark.parametrize(("size", "held"), [(MAX_HEAD, True), (MAX_HEAD + 1, False)])
def test_a_head_without_end_is_held_no_longer_than_its_limit(size: int, held: bool) -> None:
    splitter = PlainSplitter()
    assert (splitter.feed(b"GET ".ljust(size, b"x")) == []) is held


def test_what_stops_being_tls_passes_as_bytes() -> None:
    splitter = Splitter()
    splitter.feed(TO_SERVER, TLS)
    assert [unit.raw for unit in splitter.feed(TO_SERVER, b"\xff\xff")] == [b"\xff\xff"]
    assert [unit.raw for unit in splitter.feed(TO_SERVER, b"more")] == [b"more"]
