"""The evidence in a terminal: rich renderables for the matrix, scenarios, failures and refusals.

They fit 80 columns, are readable without colour (`NO_COLOR`, a pipe) and in ASCII, and take every
recorded string as text: neither control characters nor rich's markup in it have any effect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tlslab.lab.evidence import CellValue, Matrix, Outcome, Refusal, RunResult, ScenarioResult
from tlslab.report.grouping import by_group, differing
from tlslab.report.marks import (
    AS_DECLARED,
    CELL_MARKS,
    NOT_AS_DECLARED,
    NOT_MEASURED,
    OUTCOME_MARKS,
    Mark,
    refusal_numbers,
    verdict_mark,
)
from tlslab.report.text import as_ascii, counted, duration, one_line, visible

STYLES = {
    "plaintext": "bold white on red",
    "metadata": "black on yellow",
    "ciphertext": "black on green",
    "refused": "bold white on blue",
    "not-built": "dim",
    "defended": "green",
    "breached": "red",
    "failed": "bold yellow",
    "as-declared": "green",
    "differs": "bold red",
}
"""The style of each mark, in the terminal's own sixteen colours, which its user chose legible."""

_SHOWN_MARKS = tuple(CELL_MARKS[value] for value in CellValue)
_BORDER = "blue"
_LABEL = 24  # a row's label keeps this much, or cells show their sign only
_WORD = 11  # " ⊘ refused "


class Pen:
    """Makes text for an output that may know only ASCII."""

    def __init__(self, options: ConsoleOptions) -> None:
        self._ascii = options.ascii_only

    def text(self, text: str, style: str = "") -> Text:
        """One line of text, nothing in it being markup."""
        return Text(self._fit(one_line(text)), style)

    def lines(self, text: str, style: str = "") -> Text:
        """Text that keeps its lines."""
        return Text(self._fit(visible(text)), style)

    def mark(self, mark: Mark, word: str = "") -> Text:
        """A mark's sign, and a word."""
        sign = Text(mark.plain if self._ascii else mark.sign, STYLES[mark.key])
        return sign + self.text(f" {word}", STYLES[mark.key]) if word else sign

    def tile(self, mark: Mark, width: int, *, word: bool) -> Text:
        """A mark as a coloured field of that width."""
        text = self.mark(mark, mark.brief if word else "").plain
        return Text(text.center(width), STYLES[mark.key])

    def _fit(self, text: str) -> str:
        return as_ascii(text) if self._ascii else text


@dataclass(frozen=True)
class Drawing:
    """Something to print, drawn anew for each console: for its width, and its character set."""

    draw: Callable[[Pen, int], RenderableType]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self.draw(Pen(options), options.max_width)


def matrix_table(matrix: Matrix) -> Drawing:
    """The exposure matrix, with letters for its columns and a legend of letters and signs."""
    return Drawing(lambda pen, width: _matrix(matrix, pen, width))


def scenario_table(scenarios: Iterable[ScenarioResult]) -> Drawing:
    """Scenarios by group: verdict, id and reason, declared and measured outcome, time."""
    results = list(scenarios)
    return Drawing(lambda pen, width: _scenarios(results, pen))


def refusal_panel(refusal: Refusal) -> Drawing:
    """A refused connection explained: the numbers, what they mean, the usual cause, the fix."""
    return Drawing(lambda pen, width: _refusal(refusal, pen))


def failure_panel(result: ScenarioResult) -> Drawing:
    """Why a scenario did not end as declared: its reason, and its checks with what was measured."""
    return Drawing(lambda pen, width: _failure(result, pen))


def print_run(console: Console, run: RunResult) -> None:
    """Print a whole run: scenarios, the matrix, what did not end as declared, and one last line."""
    if run.scenarios:
        console.print(scenario_table(run.scenarios))
    if run.matrix is not None:
        console.print(Padding(matrix_table(run.matrix), (1, 0)))
    for result in differing(run.scenarios):
        console.print(failure_panel(result))
    if run.scenarios:
        console.print(Drawing(lambda pen, width: _last_line(run, pen)))


def _matrix(matrix: Matrix, pen: Pen, width: int) -> RenderableType:
    letters = _letters(len(matrix.columns))
    word = _LABEL + len(letters) * (_WORD + 1) <= width
    tile = _WORD if word else 5 if _LABEL + len(letters) * 6 <= width else 3
    cells = {(cell.row, cell.column): cell for cell in reversed(matrix.cells)}
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(pen.text("protection", "bold"), overflow="fold")
    for letter in letters:
        table.add_column(letter.center(tile), width=tile, no_wrap=True, overflow="crop")
    for row in matrix.rows:
        marks = [
            CELL_MARKS[cells[row, column].value] if (row, column) in cells else NOT_MEASURED
            for column in matrix.columns
        ]
        table.add_row(pen.text(row), *(pen.tile(mark, tile, word=word) for mark in marks))
    signs = [pen.mark(mark) + pen.text(f" {mark.word}") for mark in _SHOWN_MARKS]
    return Group(table, _column_legend(pen, letters, matrix.columns), Text("   ").join(signs))


def _letters(count: int) -> list[str]:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return [alphabet[i] if i < len(alphabet) else str(i + 1) for i in range(count)]


def _column_legend(pen: Pen, letters: Sequence[str], columns: Sequence[str]) -> RenderableType:
    legend = _grid(1)
    for letter, column in zip(letters, columns, strict=True):
        legend.add_row(Text(letter, "bold"), pen.text(column))
    return Padding(legend, (1, 0))


def _scenarios(results: list[ScenarioResult], pen: Pen) -> RenderableType:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("")
    table.add_column(pen.text("scenario", "bold"), overflow="fold", ratio=1)
    for head in ("declared", "measured"):
        table.add_column(pen.text(head, "bold"), min_width=10, no_wrap=True, overflow="crop")
    table.add_column(pen.text("time", "bold"), justify="right", no_wrap=True, overflow="crop")
    for group, members in by_group(results).items():
        table.add_row("", pen.text(group, "bold"))
        for result in members:
            reason = result.error or result.reason
            name = pen.text(result.id)
            table.add_row(
                pen.mark(verdict_mark(result)),
                name + "\n" + pen.text(reason, "dim") if reason else name,
                *(pen.mark(OUTCOME_MARKS[end], end.value) for end in _ends(result)),
                duration(result.seconds),
            )
    return table


def _ends(result: ScenarioResult) -> Iterator[Outcome]:
    yield result.declared
    yield result.outcome


def _refusal(refusal: Refusal, pen: Pen) -> RenderableType:
    grid = _grid(2)
    for phrase in refusal_numbers(refusal):
        grid.add_row("", pen.text(phrase, "bold"))
    for term, text in (("reason", refusal.reason), ("meaning", refusal.meaning),
                       ("cause", refusal.cause), ("fix", refusal.fix)):  # fmt: skip
        if text:
            grid.add_row(pen.text(term, "dim"), pen.lines(text))
    title = pen.text(f"{refusal.refuser} refused {refusal.peer}")
    return Panel(grid, title=title, title_align="left", border_style=_BORDER)


def _failure(result: ScenarioResult, pen: Pen) -> RenderableType:
    ends = f"declared {result.declared.value}, measured {result.outcome.value}"
    parts: list[RenderableType] = [pen.text(ends, "bold")]
    if result.reason:
        parts.append(pen.lines(result.reason))
    if result.error is not None:
        parts.append(pen.text(f"it broke: {result.error}", STYLES["differs"]))
    checks = _grid(1)
    for check in result.checks:
        sign = pen.mark(AS_DECLARED if check.holds else NOT_AS_DECLARED)
        measured = pen.text(f"measured: {check.measured}", "dim")
        checks.add_row(sign, pen.text(check.statement) + "\n" + measured)
    if result.checks:
        parts.append(checks)
    return Panel(Group(*parts), title=pen.text(result.id), title_align="left", border_style="red")


def _grid(gap: int) -> Table:
    """Two columns without lines: a short one, and one for text, of which nothing is cut off."""
    grid = Table.grid(padding=(0, gap, 0, 0))
    grid.add_column()
    grid.add_column(overflow="fold")
    return grid


def _last_line(run: RunResult, pen: Pen) -> RenderableType:
    wrong = len(differing(run.scenarios))
    verdict = f"{wrong} not as declared" if wrong else "all as declared"
    mark = NOT_AS_DECLARED if wrong else AS_DECLARED
    total = counted(len(run.scenarios), "scenario")
    return pen.mark(mark, f"{total} in {duration(run.seconds)}: {verdict}")
