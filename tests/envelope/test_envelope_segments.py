"""Payloads in segments: sizes around every edge, every kind of tampering, every way of feeding."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlslab.envelope import (
    SEGMENT_BYTES,
    SegmentAccess,
    SegmentOpener,
    SegmentSealer,
    new_key,
    sealed_size,
)
from tlslab.envelope.segments import HEADER_BYTES, SEALED_SEGMENT_BYTES
from tlslab.errors import IntegrityError

EDGES = [0, 1, *(n * SEGMENT_BYTES + d for n in (1, 2, 5) for d in (-1, 0, 1))]
KEY = new_key()


def seal(plaintext: bytes, key: bytes = KEY, *, step: int | None = None) -> bytes:
    sealer = SegmentSealer(key)
    parts = [sealer.seal(part) for part in pieces(plaintext, step)]
    return b"".join(parts) + sealer.finish()


def open_(sealed: bytes, key: bytes = KEY, *, step: int | None = None) -> bytes:
    opener = SegmentOpener(key)
    parts = [opener.open(part) for part in pieces(sealed, step)]
    return b"".join(parts) + opener.finish()


def pieces(data: bytes, step: int | None) -> list[bytes]:
    if step is None:
        return [data]
    return [data[start : start + step] for start in range(0, len(data), step)]


def message(size: int) -> bytes:
    """Bytes in which every segment differs."""
    return b"".join(n.to_bytes(8, "big") for n in range(size // 8 + 1))[:size]


def parts_of(sealed: bytes) -> tuple[bytes, list[bytes]]:
    body = sealed[HEADER_BYTES:]
    return sealed[:HEADER_BYTES], pieces(body, SEALED_SEGMENT_BYTES)


@pytest.mark.parametrize("size", EDGES)
@pytest.mark.parametrize("step", [None, 4096, SEGMENT_BYTES, SEGMENT_BYTES + 1, 100_000])
def test_every_edge_comes_back_however_it_is_fed(size: int, step: int | None) -> None:
    plaintext = message(size)
    sealed = seal(plaintext, step=step)
    assert len(sealed) == sealed_size(size)
    assert open_(sealed, step=step) == plaintext


def test_byte_by_byte() -> None:
    plaintext = message(SEGMENT_BYTES + 3)
    sealed = seal(plaintext)
    assert open_(sealed, step=1) == plaintext


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 3 * SEGMENT_BYTES), st.integers(1000, 2 * SEGMENT_BYTES), st.data())
def test_any_flipped_bit_is_found(size: int, step: int, data: st.DataObject) -> None:
    sealed = bytearray(seal(message(size)))
    assert open_(bytes(sealed), step=step) == message(size)
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(IntegrityError):
        open_(bytes(sealed), step=step)


def test_every_bit_of_a_small_payload_is_authenticated() -> None:
    """All of the header, the text and the tag, one bit at a time."""
    sealed = seal(b"canary")
    for bit in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(IntegrityError):
            open_(bytes(changed))


@pytest.mark.parametrize("size", [0, 1, SEGMENT_BYTES, SEGMENT_BYTES + 1, 3 * SEGMENT_BYTES])
def test_any_truncation_and_any_extension_is_found(size: int) -> None:
    sealed = seal(message(size))
    cuts = {0, 1, HEADER_BYTES - 1, HEADER_BYTES, len(sealed) - 1, len(sealed) - 16}
    cuts |= {HEADER_BYTES + n * SEALED_SEGMENT_BYTES for n in range(3)}
    for cut in cuts - {len(sealed)}:
        if cut < len(sealed):
            with pytest.raises(IntegrityError):
                open_(sealed[:cut])
    for extra in (b"\0", bytes(16), bytes(SEALED_SEGMENT_BYTES), sealed[HEADER_BYTES:]):
        with pytest.raises(IntegrityError):
            open_(sealed + extra)


def test_any_other_order_or_number_of_segments_is_found() -> None:
    plaintext = message(3 * SEGMENT_BYTES + 5)
    header, segments = parts_of(seal(plaintext))
    assert len(segments) == 4
    for count in range(1, 6):
        for choice in itertools.product(range(4), repeat=count):
            if choice != (0, 1, 2, 3) and (count < 4 or len(set(choice)) >= 3):
                with pytest.raises(IntegrityError):
                    open_(header + b"".join(segments[n] for n in choice))


def test_segments_of_another_payload_under_the_same_key_are_found() -> None:
    header, segments = parts_of(seal(message(2 * SEGMENT_BYTES)))
    other_header, other = parts_of(seal(message(2 * SEGMENT_BYTES)))
    with pytest.raises(IntegrityError):
        open_(header + segments[0] + other[1])
    with pytest.raises(IntegrityError):
        open_(other_header + b"".join(segments))


def test_an_empty_last_segment_is_not_another_encoding() -> None:
    """Made by hand with the right key, so every tag is right, and refused all the same."""
    sealer = SegmentSealer(KEY)
    full = sealer.seal(bytes(SEGMENT_BYTES + 1))
    del sealer._pending[:]
    forged = bytes(full) + sealer.finish()
    assert len(forged) == HEADER_BYTES + SEALED_SEGMENT_BYTES + 16
    with pytest.raises(IntegrityError, match="empty"):
        open_(forged)


def test_no_byte_of_a_segment_leaves_before_it_is_authenticated() -> None:
    sealed = bytearray(seal(message(4 * SEGMENT_BYTES)))
    sealed[HEADER_BYTES + 2 * SEALED_SEGMENT_BYTES + 100] ^= 1
    opener = SegmentOpener(KEY)
    opened = bytearray()

    def feed() -> None:
        for part in pieces(bytes(sealed), 1000):
            opened.extend(opener.open(part))

    with pytest.raises(IntegrityError):
        feed()
    assert opened == message(4 * SEGMENT_BYTES)[: 2 * SEGMENT_BYTES]
    for _ in range(2):
        with pytest.raises(IntegrityError):
            opener.open(b"more")
    with pytest.raises(IntegrityError):
        opener.finish()


def test_another_key_opens_nothing() -> None:
    with pytest.raises(IntegrityError):
        open_(seal(b"canary"), new_key())


def test_nothing_repeats_between_payloads_under_one_key() -> None:
    """One plaintext twice under one data key: were a nonce reused, segments would match."""
    one, two = (parts_of(seal(bytes(SEGMENT_BYTES + 1))) for _ in range(2))
    assert one[0][8:40] != two[0][8:40]
    assert not set(one[1]) & set(two[1])


def test_a_finished_payload_takes_no_more() -> None:
    sealer = SegmentSealer(KEY)
    sealed = bytes(sealer.seal(b"x")) + sealer.finish()
    opener = SegmentOpener(KEY)
    assert opener.open(sealed) + opener.finish() == b"x"
    for call in (sealer.finish, opener.finish):
        with pytest.raises(ValueError, match="finished"):
            call()
    for feed in (sealer.seal, opener.open):
        with pytest.raises(ValueError, match="finished"):
            feed(b"more")


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_key_has_32_bytes(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        SegmentSealer(bytes(length))


EDGES = [0, 1, SEGMENT_BYTES - 1, SEGMENT_BYTES, SEGMENT_BYTES + 1, 3 * SEGMENT_BYTES, 200_000]


def accessed(sealed: bytes, size: int, start: int, stop: int, key: bytes = KEY) -> bytes:
    access = SegmentAccess(key, sealed[:HEADER_BYTES], size)
    first, end = access.covering(start, stop)
    return bytes(access.open(start, stop, sealed[first:end]))


@pytest.mark.parametrize("size", EDGES)
def test_any_range_opens_alone(size: int) -> None:
    plain = message(size)
    sealed = seal(plain)
    edges = sorted({min(edge, size) for edge in (*EDGES, size // 2, size - 1) if edge >= 0})
    for start in edges:
        for stop in edges:
            if start <= stop:
                assert accessed(sealed, size, start, stop) == plain[start:stop]


def test_a_range_costs_what_it_covers() -> None:
    size = 10 * SEGMENT_BYTES
    access = SegmentAccess(KEY, seal(bytes(size))[:HEADER_BYTES], size)
    for start, stop, segments in ((0, 1, 1), (5, SEGMENT_BYTES, 1), (5, SEGMENT_BYTES + 1, 2)):
        first, end = access.covering(start, stop)
        assert end - first == segments * (SEGMENT_BYTES + 16)
    assert access.covering(0, size)[1] == sealed_size(size)


@pytest.mark.parametrize("size", [0, 10, SEGMENT_BYTES, SEGMENT_BYTES + 10])
def test_a_changed_payload_opens_at_no_place_that_was_changed(size: int) -> None:
    sealed = seal(message(size))
    for position in {0, HEADER_BYTES - 1, HEADER_BYTES, len(sealed) - 1}:
        changed = bytearray(sealed)
        changed[position] ^= 1
        with pytest.raises(IntegrityError):
            accessed(bytes(changed), size, 0, size)
    with pytest.raises(IntegrityError):
        accessed(sealed, size, 0, size, new_key())


def test_another_size_than_was_sealed_opens_nothing_at_the_end() -> None:
    """The last segment is marked as such, so a cut payload does not pass for a shorter one."""
    sealed = seal(message(2 * SEGMENT_BYTES))
    for size in (SEGMENT_BYTES, SEGMENT_BYTES - 1, 3 * SEGMENT_BYTES, 2 * SEGMENT_BYTES - 1):
        with pytest.raises(IntegrityError):
            accessed(sealed, size, size - 1, size)
    with pytest.raises(IntegrityError):
        SegmentAccess(KEY, sealed[: HEADER_BYTES - 1], 2 * SEGMENT_BYTES)


def test_segments_in_each_others_place_do_not_open() -> None:
    size = 3 * SEGMENT_BYTES
    access = SegmentAccess(KEY, seal(message(size))[:HEADER_BYTES], size)
    sealed = seal(message(size))
    first, end = access.covering(SEGMENT_BYTES, 2 * SEGMENT_BYTES)
    with pytest.raises(IntegrityError):
        access.open(0, SEGMENT_BYTES, sealed[first:end])


@pytest.mark.parametrize(("start", "stop"), [(-1, 0), (2, 1), (0, 11)])
def test_a_range_lies_within_the_payload(start: int, stop: int) -> None:
    access = SegmentAccess(KEY, seal(message(10))[:HEADER_BYTES], 10)
    with pytest.raises(ValueError, match="no range"):
        access.covering(start, stop)
