"""Progress while scenarios run, on standard error.

On a terminal: a line for every scenario that ended, above a bar and the names of those that run.
Elsewhere (a pipe, a log of continuous integration) only the lines. It is told what happens and
knows nothing of how scenarios are run.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.text import Text

from tlslab.lab.evidence import ScenarioResult
from tlslab.report.marks import OUTCOME_MARKS, verdict_mark
from tlslab.report.terminal import Drawing, Pen
from tlslab.report.text import duration

_NAMES = 3
"""As many running scenarios are named; the line must not wrap while it is redrawn."""


class RunProgress:
    """Shows the progress of `total` scenarios: a context manager with two callbacks.

    `console` is standard error unless given. Not to be called from several threads at once.
    """

    def __init__(self, total: int, *, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._running: dict[str, None] = {}
        self._progress = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.description}", markup=False),
            console=self._console,
            transient=True,
        )
        self._task = self._progress.add_task("", total=total)

    def __enter__(self) -> Self:
        if self._console.is_terminal:  # elsewhere even an unused Progress prints an empty line
            self._progress.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._console.is_terminal:
            self._progress.stop()

    def started(self, identifier: str) -> None:
        """A scenario of that id began to run."""
        self._running[identifier] = None
        self._describe()

    def finished(self, result: ScenarioResult) -> None:
        """A scenario ended."""
        self._running.pop(result.id, None)
        self._describe(advance=1)
        self._console.print(Drawing(lambda pen, width: _line(result, pen)), soft_wrap=True)

    def _describe(self, *, advance: int = 0) -> None:
        pen = Pen(self._console.options)
        names = [pen.text(name).plain for name in self._running]
        more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
        description = ", ".join(names[:_NAMES]) + more
        self._progress.update(self._task, advance=advance, description=description, refresh=True)


def _line(result: ScenarioResult, pen: Pen) -> Text:
    line = Text(" ").join(
        [
            pen.mark(verdict_mark(result)),
            pen.text(result.id),
            pen.mark(OUTCOME_MARKS[result.outcome], result.outcome.value),
            pen.text(duration(result.seconds), "dim"),
        ]
    )
    if not result.as_declared:
        line += pen.text(f" declared {result.declared.value}: {result.error or result.reason}")
    return line
