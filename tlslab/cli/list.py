"""`tlslab list`: what scenarios there are."""

from __future__ import annotations

import json
from itertools import groupby

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tlslab.lab import Scenario, shipped_scenarios


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def command(as_json: bool) -> None:
    """List the scenarios that ship with tlslab, by group, with their declared outcomes."""
    scenarios = shipped_scenarios()
    if as_json:
        print(json.dumps({"scenarios": [as_dict(scenario) for scenario in scenarios]}, indent=2))
        return
    console = Console()
    longest = max(len(scenario.id) for scenario in scenarios)
    for group, members in groupby(scenarios, key=lambda scenario: scenario.group):
        table = Table(
            title=group, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0)
        )
        table.add_column("scenario", no_wrap=True, min_width=longest)
        table.add_column("declares", no_wrap=True)
        table.add_column("lesson")
        for scenario in members:
            table.add_row(scenario.id, scenario.outcome.value, Text(scenario.title))
        console.print(table, "")


def as_dict(scenario: Scenario) -> dict[str, object]:
    """What a script declares, as JSON values."""
    return {
        "id": scenario.id,
        "group": scenario.group,
        "declared": scenario.outcome.value,
        "twin": scenario.twin,
        "headline": scenario.headline,
        "title": scenario.title,
        "file": str(scenario.path),
    }
