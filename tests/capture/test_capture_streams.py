"""Reassembly: any order, duplicates, overlaps; what is missing is a gap and never guessed."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlslab.capture.streams import Piece, Reassembler, Stream

FULL = 1 << 32


def rebuild(
    source: bytes, segments: list[tuple[int, int]], *, first: int = 0, syn: bool = True
) -> Stream:
    """The stream made of segments (start, end) of `source`, in the order in which they came."""
    side = Reassembler()
    if syn:
        side.synchronize((first - 1) % FULL)
    for packet, (start, end) in enumerate(segments, 1):
        side.add((first + start) % FULL, packet, start, end - start, 0)
    return side.stream(source)


def present(size: int, segments: list[tuple[int, int]]) -> list[bool]:
    return [any(start <= i < end for start, end in segments) for i in range(size)]


@given(
    st.binary(min_size=1, max_size=200),
    st.lists(st.tuples(st.integers(0, 200), st.integers(1, 50)), max_size=12),
    st.integers(0, FULL - 1),
)
def test_any_segments_in_any_order_give_exactly_the_bytes_that_came(
    source: bytes, cuts: list[tuple[int, int]], first: int
) -> None:
    size = len(source)
    segments = [(s % size, min(s % size + n, size)) for s, n in cuts]
    stream = rebuild(source, segments, first=first)
    have = present(size, segments)
    found: list[int | None] = [None] * size
    for run in stream.runs():
        found[run.offset : run.offset + len(run.data)] = run.data
    assert found == [source[i] if have[i] else None for i in range(size)]
    assert stream.size == sum(have)
    assert stream.conflicts == ()
    end = max((end for _, end in segments), default=0)
    missing = {i for start, length in stream.gaps for i in range(start, start + length)}
    assert missing == {i for i in range(end) if not have[i]}
    assert stream.data == bytes(itertools.takewhile(lambda v: v is not None, found))  # type: ignore[arg-type]


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=20),
    st.integers(0, FULL - 1),
    st.randoms(use_true_random=False),
)
def test_every_byte_is_located_in_the_packet_that_brought_it(
    sizes: list[int], first: int, shuffled: random.Random
) -> None:
    ends = list(itertools.accumulate(sizes))
    segments = list(zip([0, *ends], ends, strict=False))
    shuffled.shuffle(segments)
    stream = rebuild(bytes(ends[-1]), segments, first=first)
    for packet, (start, end) in enumerate(segments, 1):
        for offset in (start, end - 1):
            assert stream.locate(offset) == (packet, offset - start)
    for outside in (-1, ends[-1]):
        with pytest.raises(IndexError):
            stream.locate(outside)


def test_of_a_partial_retransmission_only_the_new_bytes_are_its_own() -> None:
    source = b"abcdefghij"
    stream = rebuild(source, [(0, 4), (2, 8), (8, 10)])
    assert stream.data == source
    assert stream.pieces[1] == Piece(4, 4, 2, 4, 2)
    assert stream.locate(3) == (1, 3)
    assert stream.locate(4) == (2, 2)
    with pytest.raises(IndexError):
        rebuild(source, [(0, 4), (6, 8)]).locate(5)


@pytest.mark.parametrize(("evil", "conflicts"), [(b"abcd", 0), (b"abXd", 1)])
def test_other_bytes_for_the_same_place_are_told(evil: bytes, conflicts: int) -> None:
    side = Reassembler()
    side.synchronize(99)
    side.add(100, 1, 0, 4, 0)
    side.add(100, 2, 4, 4, 0)
    stream = side.stream(b"abcd" + evil)
    assert stream.data == b"abcd"
    assert [piece.packet for piece in stream.conflicts] == [2] * conflicts


def test_a_keep_alive_probe_is_no_data() -> None:
    side = Reassembler()
    side.synchronize(99)
    side.add(99, 1, 0, 1, 0)  # one byte before the first: RFC 9293 section 3.8.4
    side.add(100, 2, 1, 3, 0)
    assert side.stream(b"\0abc").data == b"abc"


def test_without_syn_the_lowest_byte_is_the_first() -> None:
    stream = rebuild(b"abcdef", [(3, 6), (0, 3)], first=FULL - 2, syn=False)
    assert stream.data == b"abcdef"
    assert stream.locate(0) == (2, 0)


@pytest.mark.parametrize(
    ("acknowledged", "finished", "gaps"),
    [(103, None, ()), (104, None, ()), (110, None, ((3, 6),)), (None, 105, ((3, 2),))],
)
def test_the_end_may_be_missing(
    acknowledged: int | None, finished: int | None, gaps: tuple[tuple[int, int], ...]
) -> None:
    side = Reassembler()
    side.synchronize(99)
    side.add(100, 1, 0, 3, 0)
    if acknowledged is not None:
        side.acknowledge(acknowledged)
    if finished is not None:
        side.finish(finished)
    assert side.stream(b"abc").gaps == gaps


def test_a_syn_belongs_to_the_stream_or_starts_another() -> None:
    side = Reassembler()
    side.add(100, 1, 0, 3, 0)
    assert not side.synchronize(500)
    assert side.synchronize(99)
    assert side.synchronize(99)  # retransmitted
    assert not side.synchronize(98)


@pytest.mark.parametrize(
    ("limit", "overlap"), [(1, 0), (10, 0), (10, 1), (35, 0), (35, 1), (35, 25), (1000, 25)]
)
def test_long_runs_come_in_parts_that_cover_everything(limit: int, overlap: int) -> None:
    source = bytes(range(100))
    stream = rebuild(source, [(i, i + 10) for i in range(0, 100, 10) if i != 50])
    parts = list(stream.runs(limit, overlap))
    seen = bytearray(100)
    for offset, data in parts:
        seen[offset : offset + len(data)] = data
        assert data == source[offset : offset + len(data)]
    assert seen == source[:50] + bytes(10) + source[60:]
    for before, after in itertools.pairwise(parts):
        if after.offset != 60:
            assert before.offset + len(before.data) - after.offset >= overlap
            assert after.offset + len(after.data) > before.offset + len(before.data)


@given(st.integers(-5, 60), st.integers(-5, 60))
def test_read_stops_at_the_gap(start: int, end: int) -> None:
    source = bytes(range(60))
    stream = rebuild(source, [(0, 7), (7, 20), (30, 60)])
    wanted = b"" if start < 0 or 20 <= start < 30 else source[start : max(end, 0)]
    assert stream.read(start, end) == (wanted[: 20 - start] if 0 <= start < 20 else wanted)
