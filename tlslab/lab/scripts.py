"""Scenarios: what one is, how a script declares it, and how scripts are found and loaded.

A scenario is an async function that takes a `Lab`. Its docstring is the lesson, its name is its
id, and its outcome is declared beside it. Loading runs the script's top level and nothing else;
running scenarios is the runner's task.
"""

from __future__ import annotations

import importlib.util
import inspect
import os
import re
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from tlslab.errors import ScenarioError, UsageError
from tlslab.lab.evidence import Outcome
from tlslab.shipped import shipped

if TYPE_CHECKING:
    from tlslab.lab.lab import Lab

    Script: TypeAlias = Callable[["Lab"], Awaitable[None]]

DEADLINE = 20.0
"""Seconds a scenario may take unless it says otherwise; the shipped ones take a fraction of one."""


LESSONS = (
    "in-flight",
    "metadata",
    "interception",
    "certificates",
    "trust",
    "revocation",
    "downgrade",
    "stripping",
    "records",
    "sessions",
    "key-compromise",
    "termination",
    "at-rest",
)
"""The groups of the shipped scenarios, in the order in which they are best read: along the way that
a secret takes."""


@dataclass(frozen=True)
class Scenario:
    """One scenario, ready to run.

    `outcome` is what the script declares. `twin` is the id of the same run without the defence (or
    with it). `headline` scenarios are the ones that `tlslab demo` runs. `deadline` is in seconds.
    """

    id: str
    group: str
    script: Callable[..., Awaitable[None]]
    docstring: str
    outcome: Outcome
    twin: str | None
    headline: bool
    deadline: float
    path: Path
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The first line of the docstring."""
        return self.docstring.split("\n", 1)[0]

    @property
    def folder(self) -> str:
        """The id as the name of a folder."""
        return re.sub(r"[^\w.-]+", "-", self.id).strip("-")

    @property
    def source(self) -> str:
        """The text of the script's function, as it stands in its file."""
        return inspect.getsource(self.script)


def scenario(
    *,
    group: str,
    outcome: Outcome | str = Outcome.DEFENDED,
    twin: str | None = None,
    headline: bool = False,
    deadline: float = DEADLINE,
) -> Callable[[Script], Scenario]:
    """Declare the decorated `async def name(lab: Lab) -> None` to be a scenario.

    `outcome` is `"defended"` (the default) or `"breached"`. Raises ScenarioError where the
    declaration is wrong. Where the script is the program itself (`python script.py`), it is handed
    to `tlslab run`, with the arguments given.
    """

    def declare(script: Script) -> Scenario:
        _run_if_program(script)
        return _declared(
            script, script.__name__, group, _outcome(script, outcome), twin, headline, deadline
        )

    return declare


def scenarios(
    cases: Mapping[str, Mapping[str, Any]],
    *,
    group: str,
    outcome: Outcome | str = Outcome.DEFENDED,
    twin: str | None = None,
    deadline: float = DEADLINE,
) -> Callable[[Callable[..., Awaitable[None]]], tuple[Scenario, ...]]:
    """Declare one scenario for each case: `name[case]`, with the case's keyword arguments.

    A case's docstring is the function's, in which `{argument}` stands for the argument's value. A
    case may bring its own `outcome` and `twin` among its arguments, which the function does not
    get; in `twin`, `{case}` stands for the case.
    """

    def declare(script: Callable[..., Awaitable[None]]) -> tuple[Scenario, ...]:
        _run_if_program(script)
        made = []
        for case, given in cases.items():
            arguments = dict(given)
            declared = _outcome(script, arguments.pop("outcome", outcome))
            its_twin = arguments.pop("twin", twin)
            if its_twin is not None:
                its_twin = its_twin.replace("{case}", case)
            name = f"{script.__name__}[{case}]"
            one = _declared(script, name, group, declared, its_twin, False, deadline, arguments)
            made.append(one)
        return tuple(made)

    return declare


def _run_if_program(script: Callable[..., Awaitable[None]]) -> None:
    if script.__module__ == "__main__":
        _run_as_program(Path(inspect.getsourcefile(script) or sys.argv[0]))


def _outcome(script: Callable[..., Awaitable[None]], outcome: Outcome | str) -> Outcome:
    try:
        return Outcome(outcome)
    except ValueError:
        raise ScenarioError(
            f"scenario {script.__name__} declares the outcome {outcome!r}",
            hint='an outcome is "defended" or "breached"',
        ) from None


def _declared(
    script: Callable[..., Awaitable[None]],
    name: str,
    group: str,
    outcome: Outcome,
    twin: str | None,
    headline: bool,
    deadline: float,
    arguments: Mapping[str, Any] | None = None,
) -> Scenario:
    if not inspect.iscoroutinefunction(script):
        raise ScenarioError(f"scenario {name} is not an async function")
    docstring = inspect.getdoc(script) or inspect.getdoc(inspect.getmodule(script)) or ""
    if not docstring:
        raise ScenarioError(f"scenario {name} has no docstring", hint="it is what a learner reads")
    for argument, value in (arguments or {}).items():
        docstring = docstring.replace("{" + argument + "}", str(getattr(value, "value", value)))
    return Scenario(
        id=name,
        group=group,
        script=script,
        docstring=docstring,
        outcome=outcome,
        twin=twin,
        headline=headline,
        deadline=deadline,
        path=Path(inspect.getsourcefile(script) or ""),
        arguments=dict(arguments or {}),
    )


def _run_as_program(path: Path) -> None:
    """Become `tlslab run path`: the one way to run scenarios, with its options and exit codes."""
    sys.stdout.flush()
    arguments = [sys.executable, "-m", "tlslab", "run", str(path), *sys.argv[1:]]
    os.execv(sys.executable, arguments)  # noqa: S606  # our own interpreter, no shell


def load_file(path: Path) -> list[Scenario]:
    """The scenarios that a script declares, in the order in which they stand there.

    Runs the script's top level. Raises UsageError when it cannot be read or breaks.
    """
    name = f"tlslab_scenario_{path.stem}_{abs(hash(path.resolve()))}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise UsageError(f"{path} is not a scenario script", hint="a script is a .py file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except ScenarioError as error:
        raise UsageError(f"{path}: {error.message}", hint=error.hint) from error
    except (Exception, SystemExit) as error:
        where = line_of(error, path)
        raise UsageError(
            f"{path}{where} broke while loading: {type(error).__name__}: {error}",
            hint="a scenario script may use anything from `import tlslab`",
        ) from error
    found = [
        one
        for value in vars(module).values()
        for one in (value if isinstance(value, tuple) else (value,))
        if isinstance(one, Scenario) and one.path.resolve() == path.resolve()
    ]
    if not found:
        raise UsageError(
            f"{path} declares no scenario", hint="decorate an async function with @tlslab.scenario"
        )
    return found


def line_of(error: BaseException, path: Path) -> str:
    """`:7` for the innermost line of the script itself that an error passed through."""
    if isinstance(error, SyntaxError):
        return f":{error.lineno}"
    lines = []
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == str(path):
            lines.append(traceback.tb_lineno)
        traceback = traceback.tb_next
    return f":{lines[-1]}" if lines else ""


def shipped_scenarios() -> list[Scenario]:
    """Every scenario that ships with tlslab, in the order of the lessons."""
    found = [one for path in sorted(shipped("scenarios").rglob("*.py")) for one in load_file(path)]
    return sorted(found, key=lambda one: LESSONS.index(one.group))


def select(wanted: Iterable[str]) -> list[Scenario]:
    """The scenarios meant by names, groups, paths of scripts, or `all`; each once, in order.

    Raises UsageError for something that is none of these, with the nearest name as a hint.
    """
    shipped_ones: list[Scenario] | None = None
    chosen: dict[tuple[str, Path], Scenario] = {}
    for word in wanted:
        path = Path(word)
        if word.endswith(".py") or os.sep in word:
            if not path.is_file():
                raise UsageError(
                    f"no such file: {word}",
                    hint="`tlslab list` shows the scenarios that are shipped",
                )
            matches = load_file(path)
        else:
            if shipped_ones is None:
                shipped_ones = shipped_scenarios()
            matches = [
                one
                for one in shipped_ones
                if word in (one.id, one.id.partition("[")[0], one.group, "all")
            ]
            if not matches:
                raise _unknown(word, shipped_ones)
        for one in matches:
            chosen[one.id, one.path.resolve()] = one
    return list(chosen.values())


def _unknown(word: str, known: list[Scenario]) -> UsageError:
    import difflib

    names = {one.id for one in known} | {one.group for one in known}
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else "`tlslab list` shows what there is"
    return UsageError(f"no scenario or group is called {word!r}", hint=hint)
