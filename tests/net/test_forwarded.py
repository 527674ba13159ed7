"""A proxy proves to the next hop what it says of its client; nobody else can say it, or twice."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlslab.net.forwarded import (
    HEAD_BYTES,
    MAX_BYTES,
    SIGNATURE,
    WINDOW,
    Forwarded,
    Gate,
    NotForwarded,
    announce,
)

KEY = os.urandom(32)
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CLIENT = Forwarded("192.0.2.7", 51234, "TLSv1.3")


@given(
    st.ip_addresses().map(str),
    st.integers(0, 65535),
    st.none() | st.sampled_from(["TLSv1.2", "TLSv1.3"]),
)
def test_what_was_said_is_understood(address: str, port: int, version: str | None) -> None:
    said = Forwarded(address, port, version)
    header = announce(said, KEY, now=NOW)
    gate = Gate(KEY)
    assert gate.size(header[:HEAD_BYTES]) == len(header) <= MAX_BYTES
    assert gate.check(header, now=NOW) == said


def test_the_outline_is_that_of_the_protocol() -> None:
    header = announce(CLIENT, KEY, now=NOW)
    assert header.startswith(b"\r\n\r\n\x00\r\nQUIT\n\x21\x11")
    assert header[16:20] == bytes([192, 0, 2, 7])
    assert header[28:31] == b"\x20\x00\x0f"  # PP2_TYPE_SSL with client, verify and the version


@given(st.integers(0))
def test_any_changed_bit_is_refused(position: int) -> None:
    header = bytearray(announce(CLIENT, KEY, now=NOW))
    position %= len(header) * 8
    header[position // 8] ^= 1 << position % 8
    with pytest.raises(NotForwarded):
        Gate(KEY).check(bytes(header), now=NOW)


@given(st.binary(max_size=200))
def test_anything_else_is_refused(data: bytes) -> None:
    for header in (data, SIGNATURE + data):
        with pytest.raises(NotForwarded):
            Gate(KEY).check(header, now=NOW)


def test_another_key_is_refused() -> None:
    with pytest.raises(NotForwarded):
        Gate(os.urandom(32)).check(announce(CLIENT, KEY, now=NOW), now=NOW)


def test_a_repetition_is_refused_and_would_pass_at_a_gate_that_forgets() -> None:
    header, gate = announce(CLIENT, KEY, now=NOW), Gate(KEY)
    gate.check(header, now=NOW)
    with pytest.raises(NotForwarded):
        gate.check(header, now=NOW + WINDOW)
    assert Gate(KEY).check(header, now=NOW + WINDOW) == CLIENT


@pytest.mark.parametrize("sign", [1, -1])
def test_the_window_from_both_sides(sign: int) -> None:
    header = announce(CLIENT, KEY, now=NOW)
    assert Gate(KEY).check(header, now=NOW + sign * WINDOW) == CLIENT
    with pytest.raises(NotForwarded):
        Gate(KEY).check(header, now=NOW + sign * (WINDOW + timedelta(milliseconds=1)))


def test_nonces_are_forgotten_once_their_time_is_over() -> None:
    gate = Gate(KEY)
    for number in range(100):
        moment = NOW + number * WINDOW
        gate.check(announce(CLIENT, KEY, now=moment), now=moment)
    assert len(gate._nonces) <= 4


def test_a_header_beyond_the_limit_is_refused_before_it_is_read() -> None:
    head = announce(CLIENT, KEY, now=NOW)[:14]
    limit = MAX_BYTES - HEAD_BYTES
    assert Gate(KEY).size(head + limit.to_bytes(2, "big")) == MAX_BYTES
    with pytest.raises(NotForwarded):
        Gate(KEY).size(head + (limit + 1).to_bytes(2, "big"))
