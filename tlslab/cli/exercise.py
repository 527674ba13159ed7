"""`tlslab exercise`: list, start, hint, check and reset training exercises."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import click
import trio
from rich.console import Console
from rich.table import Table

from tlslab.errors import UsageError
from tlslab.exercise import EXERCISES, Exercise, Progress, Standing

EXIT_NOT_SOLVED = 1


def _default_folder() -> Path:
    data = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(data) / "tlslab" / "exercises"


@click.group("exercise")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="TLSLAB_EXERCISES",
    help="Where exercises and progress are kept.  [default: the user's data folder]",
)
@click.pass_context
def command(context: click.Context, folder: Path | None) -> None:
    """Training exercises. Start one, work on it, take hints, and let it be checked."""
    context.obj = (folder or _default_folder()).resolve()


def _find(name: str) -> Exercise:
    if name not in EXERCISES:
        raise UsageError(
            f"no exercise is called {name!r}", hint=f"there are: {', '.join(EXERCISES)}"
        )
    return EXERCISES[name]


def _state(exercise: Exercise, root: Path, standing: Standing) -> str:
    if standing.solved:
        return "solved"
    return "started" if (root / exercise.id).is_dir() else "not started"


def _started(exercise: Exercise, root: Path) -> Path:
    folder = root / exercise.id
    if not folder.is_dir():
        raise UsageError(
            f"{exercise.id} is not started", hint=f"`tlslab exercise start {exercise.id}`"
        )
    return folder


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@click.pass_obj
def list_exercises(root: Path, as_json: bool) -> None:
    """List the exercises and how you stand."""
    progress = Progress(root)
    rows = [
        {
            "id": exercise.id,
            "title": exercise.title,
            "state": _state(exercise, root, progress.of(exercise.id)),
            "hints_taken": progress.of(exercise.id).hints,
            "hints": len(exercise.hints),
            "attempts": progress.of(exercise.id).attempts,
        }
        for exercise in EXERCISES.values()
    ]
    if as_json:
        print(json.dumps({"exercises": rows}, indent=2))
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("exercise", "title", "state", "hints taken"):
        table.add_column(heading)
    for row in rows:
        hints = f"{row['hints_taken']} of {row['hints']}"
        table.add_row(str(row["id"]), str(row["title"]), str(row["state"]), hints)
    Console().print(table)


@command.command("start")
@click.argument("name")
@click.pass_obj
def start(root: Path, name: str) -> None:
    """Start an exercise: puts what you need into its folder and tells your objective."""
    exercise = _find(name)
    if (root / exercise.id).exists():
        _tell(exercise, root / exercise.id)
        print(f"\n(already started; `tlslab exercise reset {name}` starts it anew)")
        return
    _begin(exercise, root)


def _begin(exercise: Exercise, root: Path) -> None:
    """Make the exercise's folder whole before it appears under its name."""
    root.mkdir(parents=True, exist_ok=True)
    unfinished = root / f".{exercise.id}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    trio.run(exercise.start, unfinished)
    unfinished.rename(root / exercise.id)
    _tell(exercise, root / exercise.id)


def _tell(exercise: Exercise, folder: Path) -> None:
    console = Console()
    console.print(exercise.title, style="bold", markup=False)
    console.print(exercise.objective, markup=False, highlight=False)
    answer = " --answer …" if exercise.wants else ""
    console.print(f"\nfolder  {folder}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"hint    tlslab exercise hint {exercise.id}", markup=False, highlight=False)
    console.print(
        f"check   tlslab exercise check {exercise.id}{answer}", markup=False, highlight=False
    )
    if exercise.wants:
        console.print(f"        the answer is {exercise.wants}", markup=False, highlight=False)


@command.command("hint")
@click.argument("name")
@click.pass_obj
def hint(root: Path, name: str) -> None:
    """Give the next hint; the last one leads all the way."""
    exercise = _find(name)
    progress = Progress(root)
    standing = progress.of(exercise.id)
    standing.hints = min(standing.hints + 1, len(exercise.hints))
    progress.save()
    for number, text in enumerate(exercise.hints[: standing.hints], 1):
        print(f"hint {number} of {len(exercise.hints)}: {text}")


@command.command("check")
@click.argument("name")
@click.option("--answer", help="Your answer, where the exercise wants one.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@click.pass_obj
def check(root: Path, name: str, answer: str | None, as_json: bool) -> int:
    """Check your work by running it. Exits with 0 if the exercise is solved, with 1 if not."""
    exercise = _find(name)
    folder = _started(exercise, root)
    checks = trio.run(exercise.check, folder, answer)
    solved = all(check.holds for check in checks)
    progress = Progress(root)
    standing = progress.of(exercise.id)
    standing.attempts += 1
    standing.solved = standing.solved or solved
    progress.save()
    if as_json:
        listed = [
            {"statement": c.statement, "holds": c.holds, "measured": c.measured} for c in checks
        ]
        print(json.dumps({"exercise": exercise.id, "solved": solved, "checks": listed}, indent=2))
    else:
        for one in checks:
            print(f"{'✓' if one.holds else '✗'} {one.statement}: {one.measured}")
        print("solved" if solved else f"not yet; `tlslab exercise hint {exercise.id}` helps")
    return 0 if solved else EXIT_NOT_SOLVED


@command.command("reset")
@click.argument("name")
@click.pass_obj
def reset(root: Path, name: str) -> None:
    """Start one exercise anew; what you did in its folder is removed."""
    exercise = _find(name)
    shutil.rmtree(_started(exercise, root))
    progress = Progress(root)
    progress.forget(exercise.id)
    progress.save()
    _begin(exercise, root)
