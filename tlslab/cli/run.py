"""`tlslab run`: scenarios by name, group or file."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tlslab.cli.running import run_and_report, run_options
from tlslab.lab import Scenario, select, shipped_scenarios


@click.command("run")
@click.argument("what", nargs=-1, required=True, metavar="NAME|GROUP|FILE|all...")
@run_options
@click.option("--matrix", is_flag=True, help="Measure the exposure matrix too.")
def command(
    what: tuple[str, ...], as_json: bool, junit: Path | None, out: Path | None, matrix: bool
) -> int:
    """Run scenarios by name, by group or from script files; `all` is every shipped one.

    Exits with 0 if every outcome is as its script declares, with 1 if not.

    \b
    tlslab run tls_hides_the_payload
    tlslab run interception at-rest --json
    tlslab run my_scenario.py --junit results.xml
    """
    chosen = select(what)
    _check_twins(chosen)
    return run_and_report(chosen, matrix=matrix, as_json=as_json, junit=junit, out=out)


def _check_twins(chosen: list[Scenario]) -> None:
    """Tell of twins that are nowhere: a defence that was never seen to fail proves nothing."""
    wanted = {scenario.twin for scenario in chosen if scenario.twin}
    missing = wanted - {scenario.id for scenario in chosen}
    if missing:
        missing -= {scenario.id for scenario in shipped_scenarios()}
    for twin in sorted(missing):
        print(f"note: no scenario is called {twin!r}, which is named as a twin", file=sys.stderr)
