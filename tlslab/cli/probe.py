"""`tlslab probe`: is your client safe? Every fault and attack of the catalogue, against it."""

from __future__ import annotations

import dataclasses
import datetime
import difflib
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import trio
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

from tlslab.cli.running import EXIT_NOT_AS_DECLARED, check_junit, versions
from tlslab.errors import UsageError
from tlslab.lab import Outcome, RunResult, ScenarioResult
from tlslab.probe import CONTROL, Case, Finding, Probe, Reach, Verdict, check_command
from tlslab.probe.catalog import Catalog, LeftOut
from tlslab.probe.recipes import RECIPES
from tlslab.report import write_junit
from tlslab.report.text import one_line


@click.command("probe", context_settings={"ignore_unknown_options": True})
@click.option(
    "--reach",
    type=click.Choice([reach.value for reach in Reach]),
    default=Reach.LOCALHOST.value,
    show_default=True,
    help="How your client finds the servers: all are `localhost`; through an HTTP proxy that the "
    "environment names; or you resolve the names on your own.",
)
@click.option(
    "--strict", is_flag=True, help="Stapled responses and transparency must be enforced as well."
)
@click.option("--only", multiple=True, metavar="ID|TAG", help="Only these cases (and the control).")
@click.option("--limit", type=click.FloatRange(0.1), default=10.0, help="Seconds for each case.")
@click.option("--at-once", type=click.IntRange(1, 64), default=4, help="Clients at the same time.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@click.option("--junit", type=click.Path(path_type=Path, dir_okay=False), help="Write JUnit XML.")
@click.option("--list", "list_cases", is_flag=True, help="List the cases and end.")
@click.option("--recipes", is_flag=True, help="Show command lines for common clients and end.")
@click.argument("client", nargs=-1, type=click.UNPROCESSED, metavar="-- CLIENT ARGUMENTS...")
def command(
    reach: str,
    strict: bool,
    only: tuple[str, ...],
    limit: float,
    at_once: int,
    as_json: bool,
    junit: Path | None,
    list_cases: bool,
    recipes: bool,
    client: tuple[str, ...],
) -> int:
    """Run your client against servers with one thing wrong each, and see which it falls for.

    In its command, {url} {host} {port} {ca} {hosts} stand for where to go, the CA to trust and a
    hosts file. The CA is also set in the environment, for clients that look there. The client is
    judged by what the servers saw: did its secret arrive? Exits with 1 if it accepted what a
    careful client refuses.

    \b
    tlslab probe -- curl -sS {url}
    tlslab probe --reach proxy -- python3 -c 'import sys, requests; requests.get(sys.argv[1])' {url}
    tlslab probe --recipes
    """
    if recipes:
        _print_recipes(as_json)
        return 0
    check_junit(junit)
    with tempfile.TemporaryDirectory(prefix="tlslab-probe-") as folder:
        catalog = Catalog.of(Reach(reach), strict=strict)
        cases = _chosen(catalog.cases, only)
        if list_cases:
            _print_cases(cases, as_json)
            return 0
        if not client:
            raise UsageError(
                "there is no client to probe", hint="name one: tlslab probe -- curl -sS {url}"
            )
        check_command(client)
        probe = Probe(client, Path(folder), Reach(reach), limit, at_once)
        findings = _probe(probe, cases)
    if findings[0].case.id == CONTROL and not findings[0].passed:
        raise _control_failed(findings[0])
    if junit is not None:
        write_junit(_as_run(findings), junit)
    if as_json:
        print(json.dumps(_as_json(client, findings, catalog.left_out), indent=2))
    else:
        _print_scorecard(findings)
        _print_left_out(catalog.left_out, only)
    return 0 if all(_is_fine(finding) for finding in findings) else EXIT_NOT_AS_DECLARED


def _chosen(cases: Sequence[Case], only: tuple[str, ...]) -> list[Case]:
    known = {case.id for case in cases} | {tag for case in cases for tag in case.tags}
    for word in only:
        if word not in known:
            near = difflib.get_close_matches(word, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "`tlslab probe --list` shows them"
            raise UsageError(f"no case or tag is called {word!r}", hint=hint)
    wanted = set(only)
    return [
        case
        for case in cases
        if not wanted or case.id == CONTROL or case.id in wanted or wanted & set(case.tags)
    ]


def _probe(probe: Probe, cases: Sequence[Case]) -> list[Finding]:
    console = Console(stderr=True)
    with Progress(
        SpinnerColumn(),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.description}", markup=False),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task("the control", total=len(cases))

        def tell(finding: Finding) -> None:
            progress.update(task, advance=1, description=finding.case.title)

        async def main() -> list[Finding]:
            return await probe.run(cases, on_finding=tell)

        return trio.run(main)


def _is_fine(finding: Finding) -> bool:
    """Whether it does not stand against the client: what cannot be said does, where it matters."""
    if finding.passed is None:
        return not finding.case.must_refuse or finding.verdict is Verdict.SPARED
    return finding.passed


def _control_failed(finding: Finding) -> UsageError:
    seen = {
        Verdict.NO_CONTACT: "the client never came",
        Verdict.REFUSED: f"the client refused it with alert {finding.alert}"
        if finding.alert
        else "the client came but sent nothing",
    }[finding.verdict]
    said = f"; it said: {one_line(finding.said)}" if finding.said else ""
    return UsageError(
        f"the control failed, a server with nothing wrong: {seen}{said}",
        hint="tell the client of the CA with {ca}, and of the address with {url}; "
        "`tlslab probe --recipes` has command lines for common clients",
    )


def _print_scorecard(findings: Sequence[Finding]) -> None:
    console = Console()
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("", "severity", "case", "the client", "how"):
        table.add_column(heading)
    for finding in sorted(findings, key=lambda one: (_is_fine(one), -one.case.severity)):
        mark, style = _mark(finding)
        how = f"alert {finding.alert}" if finding.alert else ""
        if finding.verdict is Verdict.REFUSED and not finding.alert:
            how = "left after the handshake" if finding.handshake else "closed the connection"
        table.add_row(
            Text(mark, style),
            str(finding.case.severity),
            Text(finding.case.title),
            Text(finding.verdict.value, style),
            Text(how),
        )
    console.print(table)
    bad = [finding for finding in findings if not _is_fine(finding)]
    for finding in bad:
        _explain(console, finding)
    judged = _judged(findings)
    cases = "1 case" if len(judged) == 1 else f"{len(judged)} cases"
    verdict = "safe against all of them" if not bad else f"{len(bad)} not refused"
    if not judged:
        console.print("\nno case here must be refused: nothing is judged")
    else:
        console.print(f"\n{cases} that a careful client refuses: {verdict}")


def _print_left_out(left_out: Sequence[LeftOut], only: tuple[str, ...]) -> None:
    if not left_out or only:
        return
    by_reason: dict[str, list[str]] = {}
    for one in left_out:
        by_reason.setdefault(one.reason, []).append(one.id)
    for reason, ids in by_reason.items():
        line = f"left out, {reason}: {', '.join(ids)}"
        Console().print(Text(line, "dim"))


def _judged(findings: Sequence[Finding]) -> list[Finding]:
    """Those by which a client is judged: what it must refuse, where that can be said."""
    return [
        finding
        for finding in findings
        if finding.case.must_refuse and finding.verdict is not Verdict.SPARED
    ]


def _mark(finding: Finding) -> tuple[str, str]:
    if finding.case.id == CONTROL:
        return "✓", "green"
    if not finding.case.must_refuse or finding.verdict is Verdict.SPARED:
        return "·", "dim"
    return ("✓", "green") if finding.passed else ("✗", "bold red")


def _explain(console: Console, finding: Finding) -> None:
    case = finding.case
    console.print()
    console.print(Text(f"✗ {case.title}  ({case.severity}, {case.id})", "bold"))
    if finding.verdict is Verdict.NO_CONTACT:
        console.print(Text("  nothing can be said: the client never came to this server"))
    if finding.verdict is Verdict.UNDECIDED:
        console.print(Text("  nothing can be said: the client was ended at the limit (--limit)"))
    for label, text in (("wrong", case.wrong), ("rule", case.rule), ("fix", case.fix)):
        if text:
            console.print(Text(f"  {label:<6}{text}"))


def _as_json(
    client: Sequence[str], findings: Sequence[Finding], left_out: Sequence[LeftOut]
) -> dict[str, Any]:
    safe = all(_is_fine(finding) for finding in findings) if _judged(findings) else None
    return {
        "client": list(client),
        "safe": safe,
        "left_out": [{"id": one.id, "reason": one.reason} for one in left_out],
        "cases": [
            {
                "id": finding.case.id,
                "title": finding.case.title,
                "severity": str(finding.case.severity),
                "must_refuse": finding.case.must_refuse,
                "tags": list(finding.case.tags),
                "verdict": finding.verdict.value,
                "passed": finding.passed,
                "handshake": finding.handshake,
                "alert": finding.alert,
                "exit_code": finding.exit_code,
                "seconds": round(finding.seconds, 3),
                "wrong": finding.case.wrong,
                "rule": finding.case.rule,
                "fix": finding.case.fix,
            }
            for finding in findings
        ],
    }


def _as_run(findings: Sequence[Finding]) -> RunResult:
    """The findings as a run's results, for JUnit: every case should be defended."""
    results = []
    for finding in findings:
        fine, case = _is_fine(finding), finding.case
        result = ScenarioResult(
            id=case.id,
            group=f"probe.{case.severity}",
            docstring=case.title,
            declared=Outcome.DEFENDED,
            outcome=Outcome.DEFENDED if fine else Outcome.BREACHED,
            seconds=finding.seconds,
            reason=f"{finding.verdict.value}: {case.wrong}",
        )
        if not fine and finding.verdict is not Verdict.ACCEPTED:
            result.error = f"nothing can be said: {finding.verdict.value}"
        results.append(result)
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    seconds = sum(finding.seconds for finding in findings)
    return RunResult(now, seconds, "", versions(), results)


def _print_cases(cases: Sequence[Case], as_json: bool) -> None:
    if as_json:
        rows = [
            {
                "id": case.id,
                "title": case.title,
                "severity": str(case.severity),
                "must_refuse": case.must_refuse,
                "tags": list(case.tags),
                "host": case.host,
            }
            for case in cases
        ]
        print(json.dumps({"cases": rows}, indent=2))
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("case", no_wrap=True, min_width=max(len(case.id) for case in cases))
    for heading in ("refuse", "tags", "title"):
        table.add_column(heading)
    for case in cases:
        must = "must" if case.must_refuse else "may"
        if case.id == CONTROL:
            must = "must not"
        table.add_row(case.id, must, Text(" ".join(case.tags)), Text(case.title))
    Console().print(table)


def _print_recipes(as_json: bool) -> None:
    if as_json:
        print(json.dumps({"recipes": [dataclasses.asdict(recipe) for recipe in RECIPES]}, indent=2))
        return
    for recipe in RECIPES:
        print(f"{recipe.client}\n    tlslab probe -- {recipe.command}")
        if recipe.note:
            print(f"    ({recipe.note})")
