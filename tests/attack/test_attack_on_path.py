"""A tamperer in a lab: who is at the other end, what is recorded, what a report shows of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tlslab.attack import DropHellos, FlipBit, Redirect, Replay, Truncate
from tlslab.capture import read_capture
from tlslab.errors import TlslabError
from tlslab.lab import Lab, Outcome, ScenarioResult, run_scenario, scenario, to_json
from tlslab.lab.evidence import Harm, RunResult
from tlslab.lab.on_path import undisturbed
from tlslab.net import Direction
from tlslab.pki import Authority
from tlslab.report import write_html
from tlslab.tls import ClientPolicy, ServerPolicy, Version

Script = Callable[[Lab], Awaitable[None]]


async def run(script: Script, folder: Path) -> ScenarioResult:
    script.__doc__ = "A lesson."
    return await run_scenario(scenario(group="test")(script), folder)


def harms(result: ScenarioResult) -> list[Harm]:
    return [done.what for party in result.parties for done in party.achievements]


async def test_who_tampers_with_nothing_did_no_harm(tmp_path: Path) -> None:
    async def script(lab: Lab) -> None:
        shop = await lab.server("shop.test")
        await lab.tamperer(FlipBit(nth=99))
        card = lab.canary("card")
        await lab.client().post(shop.url(), card)
        lab.expect(shop).received(card)

    result = await run(script, tmp_path)
    assert result.as_declared, result.reason
    assert harms(result) == []
    # The ends speak with each other: nobody's peer is the one who only carries bytes.
    assert {(one.side, one.peer) for one in result.tls} == {
        ("client", "shop.test"),
        ("shop.test", "client"),
    }
    assert {(one.source, one.target) for one in result.messages} <= {
        ("client", "shop.test"),
        ("shop.test", "client"),
    }


async def test_a_broken_connection_is_told_with_its_alert(tmp_path: Path) -> None:
    async def script(lab: Lab) -> None:
        shop = await lab.server("shop.test")
        await lab.tamperer(FlipBit(nth=1))
        with lab.expect(shop).refuses(alert="bad_record_mac"):
            await lab.client().post(shop.url(), b"card")

    result = await run(script, tmp_path)
    assert result.as_declared, result.reason
    first = result.refusals[0]
    assert (first.refuser, first.peer, first.alert) == ("shop.test", "client", 20)
    assert first.meaning
    assert first.cause
    assert first.fix
    assert len([one for one in result.refusals if one.alert == 20]) == 1  # told by both ends


async def test_a_truncated_answer_is_told_without_one(tmp_path: Path) -> None:
    async def script(lab: Lab) -> None:
        shop = await lab.server("shop.test", reply=b"x" * 50_000, until_close=True)
        await lab.tamperer(Truncate(after=1000))
        client = lab.client()
        with lab.expect(client).refuses():
            await client.get(shop.url())

    result = await run(script, tmp_path)
    assert result.as_declared, result.reason
    told = [one for one in result.refusals if one.refuser == "client"]
    assert told[0].alert is None
    assert "close_notify" in told[0].reason
    assert told[0].fix


async def test_what_passed_is_in_its_capture_on_both_legs(tmp_path: Path) -> None:
    async def script(lab: Lab) -> None:
        shop = await lab.server("shop.test", tls=False)
        await lab.tamperer(FlipBit(nth=1))
        await lab.client().post(shop.url("/pay"), b"pay 20 to bob")

    result = await run(script, tmp_path)
    assert result.outcome is Outcome.BREACHED
    assert harms(result) == [Harm.FORGED]
    (name,) = [one for one in result.files if one.endswith("mallory.pcapng")]
    capture = read_capture(tmp_path / name)
    near, far = (flow.stream(Direction.TO_SERVER) for flow in capture.flows)
    assert near.head(near.size).endswith(b"pay 20 to bob")
    assert far.head(far.size).endswith(b"pay 20 to boc")


async def test_a_canary_that_a_tamperer_reads_is_a_sighting(tmp_path: Path) -> None:
    async def script(lab: Lab) -> None:
        shop = await lab.server("shop.test", tls=False)
        mallory = await lab.tamperer(FlipBit(nth=99))
        card = lab.canary("card")
        await lab.client().post(shop.url(), card)
        lab.expect(mallory).saw(card).achieved_nothing()

    result = await run(script, tmp_path)
    assert result.outcome is Outcome.BREACHED
    assert all(check.holds for check in result.checks)


async def test_only_the_victim_is_led_past_it(tmp_path: Path) -> None:
    async def script(lab: Lab) -> None:
        shop = await lab.server("shop.test", tls=False)
        victim, other = lab.client("victim"), lab.client("other")
        await lab.tamperer(Replay(nth=1), victim=victim)
        await other.post(shop.url(), b"once")
        lab.expect(shop).took(b"/once")

    result = await run(script, tmp_path)
    assert result.as_declared, result.reason


async def test_a_server_that_is_not_there_is_not_hidden(tmp_path: Path) -> None:
    async def script(lab: Lab) -> None:
        shop = await lab.server("shop.test")
        await lab.tamperer(Redirect("nowhere.test"))
        client = lab.client()
        with lab.expect(client).refuses():
            await client.get(shop.url())

    assert (await run(script, tmp_path)).as_declared


async def test_each_new_expectation_can_fail(tmp_path: Path) -> None:
    async def script(lab: Lab) -> None:
        shop = await lab.server("shop.test", tls=False)
        mallory = await lab.tamperer(Replay(nth=1))
        await lab.client().post(shop.url("/"), b"once")
        lab.expect(shop).took(b"/once")
        lab.expect(mallory).achieved("dropped")
        lab.expect(mallory).achieved_nothing()

    result = await run(script, tmp_path)
    assert [check.holds for check in result.checks] == [False, False, False]
    assert "2 times" in result.checks[1].measured


async def test_a_client_retries_only_where_it_may(tmp_path: Path) -> None:
    """A refused certificate is no reason to come back with less."""

    async def script(lab: Lab) -> None:
        shop = await lab.server("shop.test")
        client = lab.client()
        client.fall_back(verify_chain=False, verify_name=False)
        await lab.interceptor(victim=client)
        with lab.expect(client).refuses(x509=20):
            await client.post(shop.url(), lab.canary("card"))

    assert (await run(script, tmp_path)).as_declared


async def test_what_two_ends_agree_on_undisturbed(authority: Authority) -> None:
    client = ClientPolicy(trust=authority.trust)
    server = ServerPolicy(authority.issue("shop.test"), maximum=Version.TLS_1_2)
    facts = await undisturbed(client, server, "shop.test")
    assert facts is not None
    assert facts.version == "TLS 1.2"
    assert await undisturbed(client, server, "bank.test") is None


async def test_harm_is_shown_and_told(tmp_path: Path) -> None:
    async def script(lab: Lab) -> None:
        shop = await lab.server("shop.test")
        client = lab.client()
        client.fall_back(maximum=Version.TLS_1_2)
        await lab.tamperer(DropHellos())
        await client.post(shop.url(), b"card")

    result = await run(script, tmp_path)
    (told,) = [one for party in to_json(result)["parties"] for one in party["achievements"]]
    assert told["what"] == "downgraded"
    assert "TLS 1.2 instead of TLS 1.3" in told["measured"]
    page = tmp_path / "report.html"
    write_html(RunResult("now", 0.0, str(tmp_path), {}, [result]), page)
    assert "harm, measured at the ends" in page.read_text()
    assert told["measured"] in page.read_text()


async def test_a_websocket_that_ends_says_why(tmp_path: Path) -> None:
    async def script(lab: Lab) -> None:
        chat = await lab.server("chat.test")
        await lab.tamperer(FlipBit())

        async def talk() -> None:
            async with lab.client().websocket(chat.ws_url()) as room:
                await room.send_message(b"hello")
                await room.get_message()

        with pytest.raises(TlslabError) as caught:
            await talk()
        assert getattr(caught.value, "alert", None) is not None

    result = await run(script, tmp_path)
    assert result.error is None
    assert result.as_declared
