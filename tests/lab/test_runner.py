"""Running scripts: deadlines, scripts that break, expectations from both sides."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
import trio.testing

from tlslab.lab import Lab, Outcome, Scenario, ScenarioResult, run_scenario, run_scenarios, scenario

Script = Callable[[Lab], Awaitable[None]]


def declare(script: Script, **options: object) -> Scenario:
    script.__doc__ = "A lesson."
    return scenario(group="test", **options)(script)  # type: ignore[arg-type]


async def run(script: Script, folder: Path, **options: object) -> ScenarioResult:
    return await run_scenario(declare(script, **options), folder)


async def test_a_script_that_hangs_is_ended_at_its_deadline(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def hangs(lab: Lab) -> None:
        await trio.sleep_forever()

    result = await run(hangs, tmp_path, deadline=7.0)
    assert trio.current_time() >= 7.0
    assert result.outcome is Outcome.FAILED
    assert result.error is not None
    assert "7 s" in result.error


async def test_a_script_just_within_its_deadline_is_not(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def slow(lab: Lab) -> None:
        lab.sniffer()
        await trio.sleep(6.9)

    assert (await run(slow, tmp_path, deadline=7.0)).outcome is Outcome.DEFENDED


async def test_a_script_that_breaks_is_failed_not_defended(tmp_path: Path) -> None:
    async def breaks(lab: Lab) -> None:
        await lab.client().get("https://nowhere.test/")

    result = await run(breaks, tmp_path)
    assert result.outcome is Outcome.FAILED
    assert not result.as_declared
    assert result.error is not None
    assert "nowhere.test" in result.error


async def test_an_attack_that_won_stays_won_when_the_script_breaks(tmp_path: Path) -> None:
    async def breaks_late(lab: Lab) -> None:
        shop = await lab.server("shop.test", tls=False)
        lab.sniffer()
        await lab.client().post(shop.url(), lab.canary("card"))
        raise ValueError("too late")

    result = await run(breaks_late, tmp_path, outcome="breached")
    assert result.outcome is Outcome.BREACHED
    assert not result.as_declared  # the script did not run to its end


async def test_a_refusal_that_was_not_expected_is_evidence(tmp_path: Path) -> None:
    async def refused(lab: Lab) -> None:
        shop = await lab.server("shop.test")
        client = lab.client()
        await lab.interceptor(victim=client)
        await client.post(shop.url(), lab.canary("card"))

    result = await run(refused, tmp_path, outcome="breached")
    assert result.outcome is Outcome.DEFENDED
    assert [(r.refuser, r.peer, r.x509_number, r.alert) for r in result.refusals] == [
        ("client", "mallory", 20, 48)
    ]
    assert not result.as_declared


async def test_every_expectation_can_fail(tmp_path: Path) -> None:
    async def all_wrong(lab: Lab) -> None:
        shop = await lab.server("shop.test", tls=False)
        sniffer = lab.sniffer()
        client = lab.client()
        card, other = lab.canary("card"), lab.canary("other")
        with lab.expect(client).refuses(x509=20):
            await client.post(shop.url(), card)
        lab.expect(shop).received(other)
        lab.expect(shop).received_no(card)
        lab.expect(sniffer).saw(other)
        lab.expect(sniffer).saw_no(card)
        lab.expect(sniffer).learned(http_host="bank.test")
        lab.expect(sniffer).learned_no("http_host")

    result = await run(all_wrong, tmp_path, outcome="breached")
    assert len(result.checks) == 7
    assert [check for check in result.checks if check.holds] == []
    assert not result.as_declared


async def test_every_expectation_can_hold(tmp_path: Path) -> None:
    async def all_right(lab: Lab) -> None:
        shop = await lab.server("shop.test", tls=False)
        sniffer = lab.sniffer()
        card, other = lab.canary("card"), lab.canary("other")
        await lab.client().post(shop.url(), card)
        lab.expect(shop).received(card).received_no(other)
        lab.expect(sniffer).saw(card).saw_no(other).learned(http_host="shop.test")
        lab.expect(sniffer).learned_no("server_name", "tls_version")

    result = await run(all_right, tmp_path, outcome="breached")
    assert len(result.checks) == 6
    assert result.as_declared


@pytest.mark.parametrize(
    ("x509", "alert", "holds"),
    [(62, "bad_certificate", True), (62, None, True), (20, None, False), (62, "unknown_ca", False)],
)
async def test_a_refusal_is_matched_by_its_numbers(
    tmp_path: Path, x509: int, alert: str | None, holds: bool
) -> None:
    async def wrong_name(lab: Lab) -> None:
        shop = await lab.server("shop.test")
        client = lab.client()
        await lab.interceptor(victim=client, genuine=lab.ca.issue("other.test"))
        with lab.expect(client).refuses(x509=x509, alert=alert):
            await client.get(shop.url())

    (check,) = (await run(wrong_name, tmp_path)).checks
    assert check.holds is holds
    assert "62" in check.measured


async def test_what_is_asked_of_the_wrong_one_is_the_scripts_mistake(tmp_path: Path) -> None:
    async def mixed_up(lab: Lab) -> None:
        sniffer = lab.sniffer()
        lab.expect(sniffer).received(lab.canary("card"))

    result = await run(mixed_up, tmp_path)
    assert result.outcome is Outcome.FAILED
    assert result.error is not None
    assert "saw()" in result.error


async def test_against_nobody_nothing_is_measured(tmp_path: Path) -> None:
    async def nobody(lab: Lab) -> None:
        lab.canary("card")

    async def somebody(lab: Lab) -> None:
        lab.canary("card")
        lab.sniffer()

    assert (await run(nobody, tmp_path)).outcome is Outcome.FAILED
    assert (await run(somebody, tmp_path)).outcome is Outcome.DEFENDED


async def test_a_fact_that_does_not_exist_is_a_mistake(tmp_path: Path) -> None:
    async def misspelt(lab: Lab) -> None:
        lab.expect(lab.sniffer()).learned_no("servername")

    result = await run(misspelt, tmp_path)
    assert result.outcome is Outcome.FAILED
    assert result.error is not None
    assert "servername" in result.error


async def test_an_error_of_the_script_is_told_with_its_line(tmp_path: Path) -> None:
    async def misspelt(lab: Lab) -> None:
        lab.snifer()  # type: ignore[attr-defined]

    result = await run(misspelt, tmp_path)
    assert result.error is not None
    assert result.error.startswith("test_runner.py:")


async def test_scenarios_run_side_by_side_and_report_in_order(tmp_path: Path) -> None:
    both = trio.Event()
    waiting: list[str] = []

    def meeting(name: str) -> Scenario:
        async def script(lab: Lab) -> None:
            lab.sniffer()
            waiting.append(name)
            if len(waiting) == 2:
                both.set()
            await both.wait()

        script.__name__ = name
        return declare(script)

    started: list[str] = []
    results = await run_scenarios(
        [meeting("first"), meeting("second")],
        tmp_path,
        at_once=2,
        on_start=lambda scenario: started.append(scenario.id),
    )
    assert [result.id for result in results] == ["first", "second"]
    assert all(result.outcome is Outcome.DEFENDED for result in results)
    assert sorted(started) == ["first", "second"]


def test_a_full_disk_is_told_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    """A limit on file sizes stands in for a full disk: the write fails half-way all the same."""
    command = f"ulimit -f 1; {sys.executable!r} -m tlslab run in-flight --out here"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        # Without the coverage that is measured in subprocesses: it has files of its own to write.
        # And without writing bytecode: the interpreter may take half a file for a whole one.
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("COV")},
            "PYTHONDONTWRITEBYTECODE": "1",
        },
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "hint:" in done.stderr
    written = [path for path in (tmp_path / "here").rglob("*") if path.is_file()]
    assert not [path for path in written if path.name.startswith(".")]  # no temporary files
    assert not [path for path in written if path.suffix in (".html", ".json")]
