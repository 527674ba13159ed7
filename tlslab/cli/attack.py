"""`tlslab attack`: what attacks on the path there are."""

from __future__ import annotations

import json

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tlslab.attack import ATTACKS, IMPOSSIBLE


@click.group("attack")
def command() -> None:
    """Active attacks on the path between two parties, for use in scenarios."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def list_attacks(as_json: bool) -> None:
    """List every attack: what defeats it, and when it wins; and those that cannot be shown."""
    if as_json:
        print(json.dumps(_as_dict(), indent=2))
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for head in ("ids", "attack", "defeated by", "wins when"):
        table.add_column(head, overflow="fold")
    for attack in ATTACKS:
        name = Text(attack.title)
        name.append(f"\n{attack.id}", "dim")
        wins = Text(attack.wins_when)
        table.add_row(" ".join(attack.catalogue), name, Text(attack.defeated_by), wins)
    for impossible in IMPOSSIBLE:
        reason = Text(f"cannot be shown: {impossible.reason}", "dim")
        table.add_row(" ".join(impossible.catalogue), Text(impossible.title), reason, "")
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
        "impossible": [
            {
                "title": impossible.title,
                "catalogue": list(impossible.catalogue),
                "reason": impossible.reason,
            }
            for impossible in IMPOSSIBLE
        ],
    }
