"""`tlslab attack`: what attacks on the path there are."""

from __future__ import annotations

import json

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tlslab.attack import ATTACKS, ELSEWHERE, IMPOSSIBLE


@click.group("attack")
def command() -> None:
    """Active attacks on the path between two parties, for use in scenarios."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def list_attacks(as_json: bool) -> None:
    """List every attack: what defeats it, and when it wins; and those that cannot be shown.

    A scenario puts one on the path with `await lab.tamperer(FlipBit(), victim=client)`, the class
    being from `tlslab.attack`; others have a method of `lab` of their own.
    """
    if as_json:
        print(json.dumps(_as_dict(), indent=2))
        return
    table = Table(box=None, padding=(0, 2, 1, 0))
    table.add_column("attack", no_wrap=True)
    table.add_column("what it does, what defeats it, when it wins")
    for attack in ATTACKS:
        name = Text(f"{attack.id}\n")
        name.append(" ".join(attack.catalogue), "dim")
        told = Text(f"{attack.title}\n")
        told.append(f"defeated by {attack.defeated_by}\n", "green")
        told.append(f"wins when {attack.wins_when}", "red")
        table.add_row(name, told)
    for other in ELSEWHERE:
        told = Text(f"{other.title}\n")
        told.append(other.use, "dim")
        table.add_row(Text(" ".join(other.catalogue), "dim"), told)
    for impossible in IMPOSSIBLE:
        told = Text(f"{impossible.title}\n")
        told.append(f"cannot be shown: {impossible.reason}", "dim")
        table.add_row(Text(" ".join(impossible.catalogue), "dim"), told)
    Console().print(table)


def _as_dict() -> dict[str, object]:
    return {
        "attacks": [
            {
                "id": attack.id,
                "class": attack.__name__,
                "title": attack.title,
                "catalogue": list(attack.catalogue),
                "defeated_by": attack.defeated_by,
                "wins_when": attack.wins_when,
            }
            for attack in ATTACKS
        ],
        "elsewhere": [
            {"title": other.title, "catalogue": list(other.catalogue), "use": other.use}
            for other in ELSEWHERE
        ],
        "impossible": [
            {
                "title": impossible.title,
                "catalogue": list(impossible.catalogue),
                "reason": impossible.reason,
            }
            for impossible in IMPOSSIBLE
        ],
    }
