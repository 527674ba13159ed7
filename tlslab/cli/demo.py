"""`tlslab demo`: the headline scenarios, then the exposure matrix."""

from __future__ import annotations

from pathlib import Path

import click

from tlslab.cli.running import run_and_report, run_options
from tlslab.lab import shipped_scenarios


@click.command("demo")
@run_options
def command(as_json: bool, junit: Path | None, out: Path | None) -> int:
    """Run the headline scenarios, measure the exposure matrix, and write the report.

    Takes a few seconds. Nothing leaves this machine.
    """
    headline = [scenario for scenario in shipped_scenarios() if scenario.headline]
    return run_and_report(headline, matrix=True, as_json=as_json, junit=junit, out=out)
