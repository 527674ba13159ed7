"""`tlslab list`: what scenarios there are."""

from __future__ import annotations

import json
from itertools import groupby

import click
from rich.console import Console
from rich.padding import Padding
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
    for group, members in groupby(scenarios, key=lambda scenario: scenario.group):
        console.print(Text(group, "bold"))
        for scenario in members:
            console.print(Text(f"  {scenario.outcome.value:<9} {scenario.id}"), soft_wrap=True)
            console.print(Padding(Text(scenario.title, "dim"), (0, 0, 0, 12)))
        console.print()


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
