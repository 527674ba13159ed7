"""What `run` and `demo` share: a run's folder, its progress, its report and its exit code."""

from __future__ import annotations

import datetime
import functools
import platform
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import click
import trio
from OpenSSL import SSL
from rich.console import Console

from tlslab import __version__
from tlslab.errors import UsageError
from tlslab.lab import Matrix, RunResult, Scenario, ScenarioResult, measure, run_scenarios
from tlslab.report import RunProgress, print_run, run_to_json, write_html, write_json, write_junit

RUNS = "tlslab-runs"
"""Folder, in the current one, in which every run gets a folder of its own."""

EXIT_NOT_AS_DECLARED = 1

F = TypeVar("F", bound=Callable[..., Any])


def run_options(command: F) -> F:
    """The options that every command has which runs scenarios."""
    options = [
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout."),
        click.option(
            "--junit", type=click.Path(path_type=Path, dir_okay=False), help="Write JUnit XML."
        ),
        click.option(
            "--out",
            type=click.Path(path_type=Path, file_okay=False),
            help=f"Folder for the evidence.  [default: {RUNS}/<time>]",
        ),
    ]
    return functools.reduce(lambda decorated, option: option(decorated), reversed(options), command)


def new_folder(out: Path | None) -> Path:
    """The folder for this run's evidence, made anew; UsageError when there is something in it."""
    folder = out or Path(RUNS) / datetime.datetime.now().strftime("%Y%m%d-%H%M%S-%f")[:-3]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(
                f"the folder {folder} is not empty",
                hint="evidence is never overwritten; name another",
            )
    except OSError as error:
        raise UsageError(
            f"cannot write to {folder}: {error.strerror}", hint="name another folder with --out"
        ) from error
    return folder.resolve()


def check_junit(path: Path | None) -> None:
    """Raise UsageError where a report could not be written, before the work and not after it."""
    if path is not None and not path.absolute().parent.is_dir():
        raise UsageError(
            f"there is no folder {path.parent} to write {path.name} to", hint="make it first"
        )


def run_and_report(
    scenarios: Sequence[Scenario],
    *,
    matrix: bool,
    as_json: bool,
    junit: Path | None,
    out: Path | None,
) -> int:
    """Run scenarios (and measure the matrix), show and write the results; the exit code."""
    check_junit(junit)
    folder = new_folder(out)
    started, clock = datetime.datetime.now(datetime.UTC), time.monotonic()
    finished: list[ScenarioResult] = []
    results, measured, interrupted = finished, None, False
    with RunProgress(len(scenarios)) as progress:
        try:
            results, measured = trio.run(_run, scenarios, matrix, folder, progress, finished)
        except BaseException as error:
            if not _is_interrupt(error):
                raise
            interrupted = True
    run = RunResult(
        started=started.isoformat(timespec="seconds"),
        seconds=time.monotonic() - clock,
        folder=str(folder),
        versions=versions(),
        scenarios=results,
        matrix=measured,
    )
    if interrupted:
        raise _interrupted(run, len(scenarios))
    write_html(run, folder / "report.html")
    write_json(run, folder / "run.json")
    if junit is not None:
        write_junit(run, junit)
    if as_json:
        print(run_to_json(run))
    else:
        print_run(Console(), run)
        _say_where(folder)
    return 0 if run.as_declared else EXIT_NOT_AS_DECLARED


async def _run(
    scenarios: Sequence[Scenario],
    matrix: bool,
    folder: Path,
    progress: RunProgress,
    finished: list[ScenarioResult],
) -> tuple[list[ScenarioResult], Matrix | None]:
    def finish(result: ScenarioResult) -> None:
        finished.append(result)
        progress.finished(result)

    results = await run_scenarios(
        scenarios,
        folder,
        on_start=lambda scenario: progress.started(scenario.id),
        on_finish=lambda scenario, result: finish(result),
    )
    return results, await measure(folder) if matrix else None


def _is_interrupt(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(KeyboardInterrupt) is not None
    return isinstance(error, KeyboardInterrupt)


def _interrupted(run: RunResult, wanted: int) -> KeyboardInterrupt:
    """Keep what was finished; what was not is said."""
    folder = Path(run.folder)
    print(f"interrupted: {len(run.scenarios)} of {wanted} scenarios finished", file=sys.stderr)
    if run.scenarios:
        write_html(run, folder / "report.html")
        write_json(run, folder / "run.json")
        print(f"report of those  {folder / 'report.html'}", file=sys.stderr)
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return KeyboardInterrupt()


def versions() -> dict[str, str]:
    """The software that a result depends on."""
    openssl = SSL.SSLeay_version(SSL.SSLEAY_VERSION).decode()
    return {
        "tlslab": __version__,
        "Python": platform.python_version(),
        "OpenSSL": openssl.removeprefix("OpenSSL "),
        "cryptography": version("cryptography"),
        "trio": trio.__version__,
    }


def _count(folder: Path, pattern: str, what: str) -> str:
    count = len(list(folder.rglob(pattern)))
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _say_where(folder: Path) -> None:
    captures = _count(folder, "*.pcapng", "capture")
    keylogs = _count(folder, "tls-keys.log", "key log")
    print(f"\nreport    {folder / 'report.html'}")
    print(f"evidence  {folder} ({captures}, {keylogs})", flush=True)
    print(
        "look into a capture with: tlslab capture show FILE, or in Wireshark with its key log",
        file=sys.stderr,
    )
