"""Attacks on a handshake in flight, from both sides."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeAlias

import pytest
import trio
import trio.testing

from tlslab.attack import CutServerFlight, FlipServerFlight, ForgedAlert
from tlslab.tls import ClientPolicy, HandshakeFailure, ServerPolicy, Version

Meet: TypeAlias = Callable[..., Awaitable[Any]]

both_versions = pytest.mark.parametrize("version", Version)


@pytest.mark.parametrize(("version", "alert"), [(Version.TLS_1_2, 51), (Version.TLS_1_3, 20)])
async def test_one_wrong_bit_in_the_servers_flight(
    version: Version, alert: int, careful: ClientPolicy, serving: ServerPolicy, meet: Meet
) -> None:
    client = replace(careful, maximum=version)
    meeting = await meet(FlipServerFlight(), client, serving)
    assert meeting.client.alert == (alert, "sent")
    assert meeting.server.alert == (alert, "received")
    assert meeting.server.took == []
    assert len(meeting.struck) == 1
    assert (await meet(FlipServerFlight(), None, None)).server.took  # without TLS: no handshake


@both_versions
@pytest.mark.parametrize("alert", [40, 80])
async def test_a_forged_alert_is_believed(
    version: Version, alert: int, careful: ClientPolicy, serving: ServerPolicy, meet: Meet
) -> None:
    meeting = await meet(ForgedAlert(alert), replace(careful, maximum=version), serving)
    assert meeting.client.alert == (alert, "received")
    assert meeting.server.alert is None  # which never heard of anything
    assert meeting.server.took == []


@both_versions
async def test_silence_is_ended_by_a_deadline_only(
    version: Version,
    careful: ClientPolicy,
    serving: ServerPolicy,
    autojump_clock: trio.testing.MockClock,
    meet: Meet,
) -> None:
    client = replace(careful, maximum=version)
    started = trio.current_time()
    meeting = await meet(CutServerFlight(), client, serving, handshake_timeout=5.0)
    assert trio.current_time() - started == pytest.approx(5.0, abs=0.1)
    assert isinstance(meeting.client.error, HandshakeFailure)
    assert meeting.server.took == []

    waited: list[Any] = []
    with trio.move_on_after(30.0) as patience:
        waited.append(await meet(CutServerFlight(), client, serving, handshake_timeout=math.inf))
    assert patience.cancelled_caught  # without a deadline both wait as long as the attacker likes
    assert waited == []


@both_versions
async def test_a_cut_handshake_gives_nothing_away(
    version: Version, careful: ClientPolicy, serving: ServerPolicy, meet: Meet
) -> None:
    client = replace(careful, maximum=version)
    meeting = await meet(CutServerFlight(fin=True), client, serving)
    assert isinstance(meeting.client.error, HandshakeFailure)
    assert meeting.client.alert is None
    assert not any(message in passed.data for passed in meeting.passed for message in meeting.said)
