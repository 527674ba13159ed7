"""Running scenarios: one lab each, a deadline each, side by side where that is safe.

Every scenario has a network, a CA and a folder of its own, so any number may run at once; only the
machine's cores limit how many do.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import trio

from tlslab.errors import TlslabError
from tlslab.lab import verdict
from tlslab.lab.evidence import Check, Outcome, ScenarioResult
from tlslab.lab.lab import Lab, open_lab
from tlslab.lab.scripts import Scenario, line_of
from tlslab.tls import HandshakeFailure

Progress = Callable[[Scenario], None]
Finished = Callable[[Scenario, ScenarioResult], None]


async def run_scenario(scenario: Scenario, run: Path, folder: str | None = None) -> ScenarioResult:
    """Run one scenario in `run/folder` (its id by default) and compute its outcome from evidence.

    Never raises for what the scenario does: that ends in the result.
    """
    started = time.monotonic()
    result = ScenarioResult(
        id=scenario.id,
        group=scenario.group,
        docstring=scenario.docstring,
        declared=scenario.outcome,
        outcome=Outcome.FAILED,
        seconds=0.0,
        twin=scenario.twin,
        source=scenario.source,
    )
    lab: Lab | None = None
    try:
        with trio.fail_after(scenario.deadline):
            async with open_lab(run, folder or scenario.folder) as lab:
                stopped_by = await _play(scenario, lab)
            await _judge(scenario, lab, result, stopped_by)
    except trio.TooSlowError:
        result.error = f"took longer than its deadline of {scenario.deadline:g} s"
    except Exception as error:
        result.error = in_words(error)
    if result.error is not None and result.outcome is Outcome.FAILED:
        result.reason = result.error
    if lab is not None:
        result.messages, result.tls = lab.journal.messages, lab.journal.tls
        result.refusals = lab.journal.refusals
        result.canaries = [canary.label for canary in lab.canaries]
        result.files = sorted(
            path.relative_to(run).as_posix() for path in lab.folder.rglob("*") if path.is_file()
        )
    result.seconds = time.monotonic() - started
    return result


async def _play(scenario: Scenario, lab: Lab) -> Exception | None:
    """Run the script to its end, or to the error that ended it."""
    try:
        await scenario.script(lab, **scenario.arguments)
    except trio.TooSlowError:
        raise
    except Exception as error:
        return error
    return None


async def _judge(
    scenario: Scenario, lab: Lab, result: ScenarioResult, stopped_by: Exception | None
) -> None:
    """Compute the outcome. What adversaries hold by then they hold, also if the script broke.

    A connection refused against expectation is evidence; any other error means that what was to be
    tried was not, so that nothing can be said unless the attack had won already.
    """
    result.parties = await lab.collect()
    result.checks = lab.checks()
    result.outcome = verdict.outcome(result.parties)
    result.reason = verdict.reason(result.parties, lab.journal.refusals)
    if stopped_by is not None:
        why = in_words(stopped_by, scenario.path)
        result.checks.append(Check("the script runs to its end", False, why))
        if not isinstance(stopped_by, HandshakeFailure):
            result.error = why
            if result.outcome is Outcome.DEFENDED:
                result.outcome = Outcome.FAILED


def in_words(error: BaseException, script: Path | None = None) -> str:
    """An error in one line; of a group, the first that is not itself a group.

    One that is not of tlslab's making is told with its line in `script`, if it passed there.
    """
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, TlslabError):
        return error.message
    line = "" if script is None else line_of(error, script)
    where = f"{script.name}{line}: " if script is not None and line else ""
    return f"{where}{type(error).__name__}: {error}"


async def run_scenarios(
    scenarios: Sequence[Scenario],
    run: Path,
    *,
    at_once: int | None = None,
    on_start: Progress = lambda scenario: None,
    on_finish: Finished = lambda scenario, result: None,
) -> list[ScenarioResult]:
    """Run scenarios side by side, `at_once` (default: twice the cores); results in their order."""
    folders: Counter[str] = Counter()
    limit = trio.CapacityLimiter(at_once or 2 * (os.cpu_count() or 1))
    results: dict[int, ScenarioResult] = {}

    async def one(index: int, scenario: Scenario, folder: str) -> None:
        async with limit:
            on_start(scenario)
            results[index] = await run_scenario(scenario, run, folder)
            on_finish(scenario, results[index])

    async with trio.open_nursery() as nursery:
        for index, scenario in enumerate(scenarios):
            # Scripts of different files may use the same name.
            folders[scenario.folder] += 1
            count = folders[scenario.folder]
            folder = scenario.folder if count == 1 else f"{scenario.folder}-{count}"
            nursery.start_soon(one, index, scenario, folder)
    return [results[index] for index in range(len(scenarios))]
