"""`tlslab show`: one scenario, to be read."""

from __future__ import annotations

import json

import click
from rich.console import Console
from rich.syntax import Syntax
from rich.text import Text

from tlslab.cli.list import as_dict
from tlslab.lab import select
from tlslab.report.text import visible


@click.command("show")
@click.argument("name", metavar="NAME|FILE")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def command(name: str, as_json: bool) -> None:
    """Show a scenario: its lesson, what it declares, and its source."""
    scenarios = select([name])
    if as_json:
        full = [
            {**as_dict(one), "docstring": one.docstring, "source": one.source} for one in scenarios
        ]
        print(json.dumps({"scenarios": full}, indent=2))
        return
    console = Console()
    for scenario in scenarios:
        console.print(Text(scenario.id, style="bold"))
        console.print(Text(f"\n{visible(scenario.docstring)}\n"))
        facts = {"group": scenario.group, "declares": scenario.outcome.value}
        if scenario.twin:
            facts["twin"] = f"{scenario.twin}  (the same the other way round)"
        facts["file"] = str(scenario.path)
        for fact, value in facts.items():
            console.print(Text(f"{fact:<9} {value}"))
        console.print()
        if console.is_terminal:
            source = visible(scenario.source)
            console.print(Syntax(source, "python", background_color="default", word_wrap=True))
        else:
            print(scenario.source)  # to be copied: not a line is broken
