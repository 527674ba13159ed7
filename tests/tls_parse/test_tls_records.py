"""Records and handshake messages: whole, byte by byte, with trailing data, and garbage."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlslab.tls.records import (
    MAX_HANDSHAKE_MESSAGE,
    MAX_RECORD_PAYLOAD,
    NEED_MORE,
    ContentType,
    Cursor,
    HandshakeMessage,
    HandshakeParser,
    MalformedTLS,
    Record,
    RecordParser,
)

records = st.builds(
    Record,
    st.sampled_from(ContentType),
    st.integers(0x0300, 0x03FF),
    st.binary(min_size=1, max_size=300),
)
messages = st.builds(HandshakeMessage, st.integers(0, 255), st.binary(max_size=300))


def encode(record: Record) -> bytes:
    head = bytes([record.content_type]) + record.version.to_bytes(2)
    return head + len(record.payload).to_bytes(2) + record.payload


def drain(parser: RecordParser) -> list[Record]:
    found = []
    while (record := parser.next()) is not NEED_MORE:
        found.append(record)
    return found


def outcome(pieces: list[bytes]) -> tuple[list[Record], int | None]:
    """What a parser makes of bytes fed in pieces: the records, and where it gave up."""
    parser, found = RecordParser(), []
    for piece in pieces:
        parser.feed(piece)
        try:
            while (record := parser.next()) is not NEED_MORE:
                found.append(record)
        except MalformedTLS as error:
            return found, error.offset
    return found, None


@given(st.lists(records, max_size=5), st.binary(max_size=4))
def test_records_come_back_as_built_and_a_partial_one_waits(
    wanted: list[Record], tail: bytes
) -> None:
    tail = encode(Record(ContentType.ALERT, 0x0303, b"12"))[: len(tail)]
    parser = RecordParser()
    parser.feed(b"".join(map(encode, wanted)) + tail)
    found = drain(parser)
    assert [(r.content_type, r.version, r.payload) for r in found] == [
        (r.content_type, r.version, r.payload) for r in wanted
    ]
    sizes = itertools.accumulate((r.size for r in wanted), initial=0)
    assert [r.offset for r in found] == list(sizes)[:-1]
    assert parser.pending == len(tail)


@given(
    st.one_of(
        st.binary(max_size=60),
        st.lists(records, min_size=1, max_size=3).map(lambda rs: b"".join(map(encode, rs))),
    ),
    st.binary(max_size=20),
)
def test_byte_by_byte_equals_whole_also_in_where_it_gives_up(data: bytes, tail: bytes) -> None:
    data += tail
    assert outcome([data]) == outcome([bytes([byte]) for byte in data])


@pytest.mark.parametrize(
    ("data", "offset"),
    [
        (b"G", 0),
        (b"\x13", 0),
        (b"\x19", 0),
        (b"\x16\x02", 1),
        (b"\x16\x03\x01\x00\x00", 3),
        (b"\x15\x03\x03\x00\x00", 3),
        (b"\x17\x03\x03" + (MAX_RECORD_PAYLOAD + 1).to_bytes(2), 3),
        (b"\x17\x03\x03\x00\x01xG", 6),
    ],
)
def test_garbage_is_named_with_its_offset_again_and_again(data: bytes, offset: int) -> None:
    parser = RecordParser()
    parser.feed(data)
    for _ in range(2):
        with pytest.raises(MalformedTLS) as caught:
            drain(parser)
        assert caught.value.offset == offset
        parser.feed(b"more")


def test_the_longest_record_passes_and_empty_application_data_too() -> None:
    parser = RecordParser()
    wanted = [
        Record(ContentType.APPLICATION_DATA, 0x0303, p) for p in (b"", b"x" * MAX_RECORD_PAYLOAD)
    ]
    parser.feed(b"".join(map(encode, wanted)))
    assert [r.payload for r in drain(parser)] == [r.payload for r in wanted]


@given(st.lists(messages, max_size=5), st.integers(1, 40))
def test_messages_span_records_and_share_them(wanted: list[HandshakeMessage], size: int) -> None:
    stream = b"".join(bytes([m.type]) + len(m.body).to_bytes(3) + m.body for m in wanted)
    parser, found = HandshakeParser(), []
    for start in range(0, len(stream), size):
        parser.feed(stream[start : start + size])
        while (message := parser.next()) is not NEED_MORE:
            found.append(message)
    assert found == wanted
    assert parser.pending == 0


@pytest.mark.parametrize("excess", [0, 1])
def test_a_handshake_message_has_a_longest_length(excess: int) -> None:
    parser = HandshakeParser()
    parser.feed(b"\x0b" + (MAX_HANDSHAKE_MESSAGE + excess).to_bytes(3))
    if excess:
        with pytest.raises(MalformedTLS):
            parser.next()
    else:
        assert parser.next() is NEED_MORE


def test_a_cursor_never_reads_past_its_end_and_counts_from_its_base() -> None:
    cursor = Cursor(b"\x02ab\x05x", base=100)
    inner = cursor.vector(1, "a name")
    assert (inner.offset, inner.rest(), inner.at_end) == (101, b"ab", True)
    with pytest.raises(MalformedTLS) as caught:
        cursor.vector(1, "another")
    assert caught.value.offset == 104
