"""Attacks on records: without TLS they work unnoticed, with TLS they end the connection.

The alert's number is what was measured: that of the end that found out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeAlias

import pytest

from tlslab.attack import (
    Attack,
    Drop,
    FlipBit,
    ForgedClose,
    Reflect,
    Reorder,
    Replay,
    Splice,
    Truncate,
    WrongLength,
    WrongType,
)
from tlslab.net import Direction
from tlslab.tls import ClientPolicy, ServerPolicy, TruncationError, Version

Meet: TypeAlias = Callable[..., Awaitable[Any]]

MESSAGES = ONE, TWO, THREE = (b"pay 10 to alice", b"pay 20 to bob", b"pay 30 to carol")
TO_SERVER, TO_CLIENT = Direction.TO_SERVER, Direction.TO_CLIENT
BAD_RECORD_MAC, UNEXPECTED_MESSAGE, RECORD_OVERFLOW = 20, 10, 22

both_versions = pytest.mark.parametrize("version", Version)


async def with_tls(
    meet: Meet,
    attack: Attack,
    version: Version,
    client: ClientPolicy,
    server: ServerPolicy,
    **options: tuple[bytes, ...],
) -> Any:
    return await meet(
        attack, replace(client, maximum=version), replace(server, maximum=version), **options
    )


PLAIN = [
    (FlipBit(), [ONE, TWO[:-1] + b"c", THREE]),
    (Replay(), [ONE, TWO, TWO, THREE]),
    (Drop(), [ONE, THREE]),
    (Reorder(), [ONE, THREE, TWO]),
]


@pytest.mark.parametrize(("attack", "taken"), PLAIN, ids=lambda value: type(value).__name__)
async def test_without_tls_nobody_notices(attack: Attack, taken: list[bytes], meet: Meet) -> None:
    meeting = await meet(attack, None, None)
    assert b"".join(meeting.server.took) == b"".join(taken)
    assert meeting.server.clean
    assert meeting.struck


@both_versions
@pytest.mark.parametrize(
    ("attack", "before"),
    [(FlipBit(), [ONE]), (Replay(), [ONE, TWO]), (Drop(), [ONE]), (Reorder(), [ONE])],
    ids=lambda value: type(value).__name__,
)
async def test_with_tls_the_receiver_finds_out(
    attack: Attack,
    before: list[bytes],
    version: Version,
    careful: ClientPolicy,
    serving: ServerPolicy,
    meet: Meet,
) -> None:
    meeting = await with_tls(meet, attack, version, careful, serving)
    assert meeting.server.took == before
    assert not meeting.server.clean
    assert meeting.server.alert == (BAD_RECORD_MAC, "sent")
    assert meeting.client.alert == (BAD_RECORD_MAC, "received")
    assert meeting.struck


@both_versions
async def test_an_attack_that_strikes_too_late_does_nothing(
    version: Version, careful: ClientPolicy, serving: ServerPolicy, meet: Meet
) -> None:
    """The other side of every test above: the same path, but nothing to strike at."""
    meeting = await with_tls(meet, FlipBit(nth=99), version, careful, serving)
    assert meeting.server.took == list(meeting.said)
    assert meeting.server.clean
    assert meeting.client.clean
    assert meeting.struck == []


async def test_a_record_of_another_connection(
    careful: ClientPolicy, serving: ServerPolicy, meet: Meet
) -> None:
    plain = Splice()
    await meet(plain, None, None)
    taken = (await meet(plain, None, None, client_says=(b"a", b"b"))).server.took
    assert b"".join(taken) == b"a" + TWO
    for version in Version:
        attack = Splice()
        first = await with_tls(meet, attack, version, careful, serving)
        assert first.server.took == list(first.said)
        second = await with_tls(meet, attack, version, careful, serving)
        assert second.server.took == [ONE]
        assert second.server.alert == (BAD_RECORD_MAC, "sent")


@both_versions
async def test_ones_own_record_sent_back(
    version: Version, careful: ClientPolicy, serving: ServerPolicy, meet: Meet
) -> None:
    assert (await meet(Reflect(), None, None)).client.took == [TWO]
    meeting = await with_tls(meet, Reflect(), version, careful, serving)
    assert meeting.client.took == []
    assert meeting.client.error is not None
    assert not meeting.client.clean


@both_versions
async def test_a_fin_in_the_middle(
    version: Version, careful: ClientPolicy, serving: ServerPolicy, meet: Meet
) -> None:
    attack = Truncate(after=len(ONE) + 30, way=TO_SERVER)
    meeting = await with_tls(meet, attack, version, careful, serving)
    assert meeting.server.took
    assert meeting.server.took != list(meeting.said)
    assert isinstance(meeting.server.error, TruncationError)
    careless = replace(serving, require_close_notify=False)
    cut = await with_tls(meet, attack, version, careful, careless)
    assert cut.server.took == meeting.server.took
    assert cut.server.clean  # it believes that this was all


async def test_without_tls_a_fin_cuts_at_the_very_byte(meet: Meet) -> None:
    for after in (0, 1, len(ONE), len(ONE) + 1):
        meeting = await meet(Truncate(after=after, way=TO_SERVER), None, None)
        assert b"".join(meeting.server.took) == b"".join(meeting.said)[:after]
        assert meeting.server.clean


@pytest.mark.parametrize("alert", [0, 40])
@pytest.mark.parametrize(
    ("version", "answer"),
    [(Version.TLS_1_2, BAD_RECORD_MAC), (Version.TLS_1_3, UNEXPECTED_MESSAGE)],
)
async def test_an_alert_without_the_keys(
    version: Version,
    answer: int,
    alert: int,
    careful: ClientPolicy,
    serving: ServerPolicy,
    meet: Meet,
) -> None:
    attack = ForgedClose(way=TO_SERVER, nth=1, alert=alert)
    meeting = await with_tls(meet, attack, version, careful, serving)
    assert meeting.server.took == [ONE]
    assert meeting.server.alert == (answer, "sent")
    plain = await meet(attack, None, None)
    assert plain.server.took == [ONE]
    assert plain.server.clean


@pytest.mark.parametrize(
    ("attack", "version", "answer"),
    [
        (WrongType(), Version.TLS_1_2, BAD_RECORD_MAC),  # the type is authenticated, too
        (WrongType(), Version.TLS_1_3, UNEXPECTED_MESSAGE),
        (WrongLength(), Version.TLS_1_2, RECORD_OVERFLOW),
        (WrongLength(), Version.TLS_1_3, RECORD_OVERFLOW),
    ],
)
async def test_a_header_that_cannot_be(
    attack: Attack,
    version: Version,
    answer: int,
    careful: ClientPolicy,
    serving: ServerPolicy,
    meet: Meet,
) -> None:
    meeting = await with_tls(meet, attack, version, careful, serving)
    assert meeting.server.took == []
    assert meeting.server.alert == (answer, "sent")


@both_versions
async def test_data_is_told_from_the_handshake(
    version: Version, careful: ClientPolicy, serving: ServerPolicy, meet: Meet
) -> None:
    """The pieces counted are the messages sent: no Finished, no ticket is taken for one."""
    for nth, message in enumerate(MESSAGES, 1):
        meeting = await with_tls(meet, Drop(nth=nth), version, careful, serving)
        (struck,) = meeting.struck
        overhead = 17 if version is Version.TLS_1_3 else 24  # RFC 8446 5.2; RFC 5288 section 3
        assert len(struck.payload) == len(message) + overhead
