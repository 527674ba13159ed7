"""Attacks on STARTTLS: on whole commands and replies, however they are cut, until TLS begins."""

from __future__ import annotations

import pytest

from tlslab.attack import Attack
from tlslab.attack.attack import End, Send
from tlslab.attack.starttls import (
    MAX_HELD,
    InjectBeforeTLS,
    StripStartTLS,
    without_offer,
    without_wish,
)
from tlslab.attack.units import Splitter
from tlslab.net import Direction

TO_SERVER, TO_CLIENT = Direction.TO_SERVER, Direction.TO_CLIENT

REPLY = b"250-mail.test\r\n250-STARTTLS\r\n250 8BITMIME\r\n"
INJECTED = b"NOOP\r\nMAIL FROM:<>\r\nRCPT TO:<m@mail.test>\r\nDATA\r\n"
HELLO = b"\x16\x03\x01\x00\x05hello"


def passed(attack: Attack, *said: tuple[Direction, bytes]) -> dict[Direction, bytes]:
    """What comes out of the attack on both ends."""
    splitter, tampering, out = Splitter(), attack.begin(), dict.fromkeys(Direction, b"")
    for way, data in said:
        for unit in splitter.feed(way, data):
            for action in tampering.on_unit(unit):
                assert isinstance(action, Send)
                out[action.way] += action.data
    for way in Direction:
        for action in tampering.on_end(way):
            if isinstance(action, Send):
                out[action.way] += action.data
            else:
                assert action == End(way)
    return out


def cut(way: Direction, data: bytes, size: int) -> list[tuple[Direction, bytes]]:
    return [(way, data[at : at + size]) for at in range(0, len(data), size)]


@pytest.mark.parametrize(
    ("reply", "stripped"),
    [
        (REPLY, b"250-mail.test\r\n250 8BITMIME\r\n"),
        (b"250-mail.test\r\n250 STARTTLS\r\n", b"250 mail.test\r\n"),
        (b"250-a\r\n250-b\r\n250 starttls \r\n", b"250-a\r\n250 b\r\n"),
        (b"250-mail.test\r\n250 SIZE\r\n", b"250-mail.test\r\n250 SIZE\r\n"),
        (b"220 say STARTTLS\r\n", b"220 say STARTTLS\r\n"),
    ],
)
def test_the_offer_is_deleted_and_the_reply_stays_one(reply: bytes, stripped: bytes) -> None:
    assert without_offer(reply) == stripped


def test_the_wish_is_made_unreadable() -> None:
    assert without_wish(b"starttls\r\n") == b"XXXXXXXX\r\n"
    assert without_wish(b"MAIL FROM:<STARTTLS>\r\n") == b"MAIL FROM:<STARTTLS>\r\n"


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_stripping_however_the_bytes_are_cut(size: int) -> None:
    said = [
        *cut(TO_CLIENT, b"220 mail.test\r\n", size),
        *cut(TO_SERVER, b"EHLO client\r\n", size),
        *cut(TO_CLIENT, REPLY, size),
        *cut(TO_SERVER, b"STARTTLS\r\nQUIT\r\n", size),
    ]
    assert passed(StripStartTLS(), *said) == {
        TO_CLIENT: b"220 mail.test\r\n250-mail.test\r\n250 8BITMIME\r\n",
        TO_SERVER: b"EHLO client\r\nXXXXXXXX\r\nQUIT\r\n",
    }


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_injecting_however_the_bytes_are_cut(size: int) -> None:
    said = [(TO_CLIENT, b"220 hi\r\n"), *cut(TO_SERVER, b"EHLO c\r\nSTARTTLS\r\n", size)]
    out = passed(InjectBeforeTLS("m@mail.test"), *said)
    assert out[TO_SERVER] == b"EHLO c\r\nSTARTTLS\r\n" + INJECTED


def test_tls_is_left_alone() -> None:
    after = HELLO + b"STARTTLS\r\n"
    said = [(TO_CLIENT, b"220 hi\r\n"), (TO_SERVER, b"STARTTLS\r\n"), (TO_CLIENT, b"220 go\r\n"),
            (TO_SERVER, HELLO), (TO_CLIENT, HELLO), (TO_SERVER, b"STARTTLS\r\n")]  # fmt: skip
    out = passed(InjectBeforeTLS("m@mail.test"), *said)
    assert out[TO_SERVER] == b"STARTTLS\r\n" + INJECTED + after
    assert out[TO_CLIENT] == b"220 hi\r\n220 go\r\n" + HELLO


@pytest.mark.parametrize("attack", [StripStartTLS(), InjectBeforeTLS("m@mail.test")])
def test_a_connection_that_begins_with_tls_is_left_alone(attack: Attack) -> None:
    assert passed(attack, (TO_SERVER, HELLO), (TO_CLIENT, HELLO))[TO_SERVER] == HELLO


@pytest.mark.parametrize("size", [MAX_HELD, MAX_HELD + 1])
def test_what_has_no_end_passes(size: int) -> None:
    splitter, tampering = Splitter(), StripStartTLS().begin()
    (unit,) = [*splitter.feed(TO_CLIENT, b"2" * size)]
    actions = list(tampering.on_unit(unit))
    assert actions == ([] if size <= MAX_HELD else [Send(TO_CLIENT, unit.raw)])
    ending = list(tampering.on_end(TO_CLIENT))
    assert ending[-1] == End(TO_CLIENT)
    assert len(ending) == (2 if size <= MAX_HELD else 1)
