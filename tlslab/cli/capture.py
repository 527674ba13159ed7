"""`tlslab capture`: what an eavesdropper learns from a capture, and how two captures differ.

Only translates between the terminal and `tlslab.capture`. Names, request lines and certificates in
captures come from strangers: everything is printed as text without markup, control characters
escaped.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tlslab.capture import (
    Canary,
    Capture,
    CaptureHit,
    FlowFacts,
    FlowRecord,
    Pair,
    compare,
    facts,
    read_capture,
    search_capture,
)
from tlslab.capture.compare import Side
from tlslab.pki.facts import printable
from tlslab.report.text import counted

_F = TypeVar("_F", bound=Callable[..., Any])

_NOTHING = "–"


def _shared_options(command: _F) -> _F:
    command = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(
        command
    )
    return click.option(
        "--canary",
        "texts",
        multiple=True,
        metavar="TEXT",
        help="Look for this text, also encoded, compressed or split. May be repeated.",
    )(command)


_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def capture() -> None:
    """Show and compare packet captures: pcap and pcapng files from any tool."""


@capture.command()
@click.argument("file", type=_FILE)
@_shared_options
def show(file: Path, texts: tuple[str, ...], as_json: bool) -> None:
    """Show the flows in FILE, and what an eavesdropper learns from each."""
    read, notes = read_capture(file, partial=True), list[str]()
    hits = search_capture(read, _canaries(texts), notes=notes)
    sides = [Side(record, facts(record)) for record in read.flows]
    if as_json:
        flows = [_side_json(side) for side in sides]
        notes = [*_truncation(file, read), *notes]
        out = _capture_json(file, read) | {"flows": flows, "notes": notes}
        _print_json(out | {"canaries": [_hit_json(hit) for hit in hits]})
        return
    console = Console()
    console.print(_text(_headline(file, read)))
    _print_warnings(console, _truncation(file, read))
    for side in sides:
        console.print(_title(_flow_title(side.record)))
        console.print(_table(["", ""], _show_rows(side.facts)))
    _print_canaries(console, texts, [(str(file), hits)], whole=read.truncated_at is None)
    _print_lines(console, "Not searched", notes)


@capture.command("compare")
@click.argument("a", type=_FILE)
@click.argument("b", type=_FILE)
@_shared_options
def compare_command(a: Path, b: Path, texts: tuple[str, ...], as_json: bool) -> None:
    """Compare the captures A and B, flow by flow, as an eavesdropper sees them."""
    left, right = read_capture(a, partial=True), read_capture(b, partial=True)
    warnings = [*_truncation(a, left), *_truncation(b, right)]
    comparison = compare(left, right, _canaries(texts))
    if as_json:
        out = {
            "a": _capture_json(a, left),
            "b": _capture_json(b, right),
            "pairs": [
                {"title": pair.title, "a": _side_json(pair.a), "b": _side_json(pair.b)}
                for pair in comparison.pairs
            ],
            "canaries": {
                "a": [_hit_json(hit) for hit in comparison.hits_a],
                "b": [_hit_json(hit) for hit in comparison.hits_b],
            },
            "differences": comparison.differences,
            "notes": [*warnings, *comparison.notes],
        }
        _print_json(out)
        return
    console = Console()
    console.print(_text(f"A  {_headline(a, left)}"))
    console.print(_text(f"B  {_headline(b, right)}"))
    _print_warnings(console, warnings)
    for pair in comparison.pairs:
        console.print(_title(pair.title))
        console.print(_table(["", "A", "B"], _pair_rows(pair)))
    found = [("A", comparison.hits_a), ("B", comparison.hits_b)]
    _print_canaries(console, texts, found, whole=not warnings)
    _print_lines(console, "Differences", comparison.differences or ["None was found."])
    _print_lines(console, "Not searched", comparison.notes)


def _canaries(texts: Iterable[str]) -> list[Canary]:
    return [Canary(text, text.encode(errors="surrogateescape")) for text in dict.fromkeys(texts)]


def _headline(file: Path, read: Capture) -> str:
    secrets = ", with TLS secrets" if read.has_secrets else ""
    packets, flows = counted(read.packets, "packet"), counted(len(read.flows), "flow")
    return f"{file}: {packets}, {flows}{secrets}"


def _truncation(file: Path, read: Capture) -> list[str]:
    """What to say of a capture that is not whole: an absence proves nothing there."""
    if read.truncated_at is None:
        return []
    return [
        f"{file}: the file ends in the middle of a block at byte {read.truncated_at};"
        " what came before is shown"
    ]


def _flow_title(record: FlowRecord) -> str:
    return f"{record.flow.number}  {record.flow.client} → {record.flow.server}  ({record.flow.leg})"


def _rows(side: FlowFacts) -> dict[str, str]:
    """What to show of a flow, by title."""
    rows = {name.replace("_", " "): value for name, value in side.learned.items()}
    rows["readable bytes"] = f"{side.readable} ({side.readable_share:.0%})"
    rows["opaque bytes"] = str(side.opaque)
    if side.tls is not None:
        rows["certificate visible"] = "yes" if side.tls.certificate_visible else "no"
    if side.gaps:
        rows["missing bytes"] = str(side.gaps)
    return rows


def _show_rows(side: FlowFacts) -> list[tuple[str, ...]]:
    return list(_rows(side).items())


def _pair_rows(pair: Pair) -> list[tuple[str, ...]]:
    a, b = ({} if side is None else _rows(side.facts) for side in (pair.a, pair.b))
    return [
        (name, a.get(name, _NOTHING), b.get(name, _NOTHING)) for name in dict.fromkeys([*a, *b])
    ]


def _title(text: str) -> Text:
    return Text(f"\n{printable(text)}", style="bold")


def _table(headings: list[str], rows: Iterable[tuple[str, ...]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 2), show_header=any(headings))
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(_text, row))
    return table


def _print_canaries(
    console: Console,
    texts: tuple[str, ...],
    found: list[tuple[str, list[CaptureHit]]],
    *,
    whole: bool,
) -> None:
    if not texts:
        return
    lines = [
        f"{hit.canary.label}: in {where}, packet {hit.packet}, byte {hit.offset}, {hit.encoding}"
        for where, hits in found
        for hit in hits
    ]
    none = "No canary is readable" + ("." if whole else " in what came before the cut.")
    _print_lines(console, "Canaries", lines or [none])


def _print_lines(console: Console, title: str, lines: Iterable[str]) -> None:
    lines = list(lines)
    if lines:
        console.print(_title(title))
        for line in lines:
            console.print(_text(f"  {line}"))


def _print_warnings(console: Console, warnings: Iterable[str]) -> None:
    for warning in warnings:
        console.print(_text(f"warning: {warning}"), style="yellow")


def _text(value: str) -> Text:
    return Text(printable(value))


def _print_json(out: dict[str, Any]) -> None:
    """One JSON object on standard output: enums by value, bytes in hexadecimal."""

    def plain(value: object) -> object:
        if isinstance(value, enum.Enum):
            return value.value
        assert isinstance(value, bytes)
        return value.hex()

    print(json.dumps(out, indent=2, default=plain))


def _capture_json(file: Path, read: Capture) -> dict[str, Any]:
    return {
        "file": str(file),
        "packets": read.packets,
        "interfaces": list(read.interfaces),
        "has_secrets": read.has_secrets,
        "truncated_at": read.truncated_at,
    }


def _side_json(side: Side | None) -> dict[str, Any] | None:
    if side is None:
        return None
    record, seen = side.record, side.facts
    return {
        "flow": asdict(record.flow),
        "packets": record.packets,
        "bytes": {"to_server": record.to_server.size, "to_client": record.to_client.size},
        "gaps": seen.gaps,
        "readable": seen.readable,
        "opaque": seen.opaque,
        "learned": seen.learned,
        "tls": None if seen.tls is None else asdict(seen.tls),
        "requests": [asdict(head) for head in seen.requests],
        "responses": [asdict(head) for head in seen.responses],
    }


def _hit_json(hit: CaptureHit) -> dict[str, Any]:
    return {
        "canary": hit.canary.label,
        "encoding": hit.encoding,
        "packet": hit.packet,
        "offset": hit.offset,
        "flow": None if hit.flow is None else hit.flow.number,
        "direction": None if hit.direction is None else hit.direction.value,
    }
