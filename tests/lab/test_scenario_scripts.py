"""Declaring, finding and loading scenarios; a mistake in a script is told, not a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from tlslab.errors import UsageError
from tlslab.lab import Outcome, load_file, select, shipped_scenarios

GOOD = '''
from tlslab import Lab, scenario

@scenario(group="mine", outcome="breached", twin="other")
async def mine(lab: Lab) -> None:
    """A lesson."""
'''


def script(folder: Path, text: str) -> Path:
    path = folder / "script.py"
    path.write_text(text)
    return path


def test_a_script_declares_scenarios(tmp_path: Path) -> None:
    (one,) = load_file(script(tmp_path, GOOD))
    assert (one.id, one.group, one.outcome, one.twin) == ("mine", "mine", Outcome.BREACHED, "other")
    assert one.title == "A lesson."
    assert "async def mine" in one.source


@pytest.mark.parametrize(
    "text",
    [
        "this is not Python",
        "1 / 0",
        "import nonexistent_module",
        "import sys; sys.exit(5)",
        "x = 1",
        GOOD.replace('"""A lesson."""', "pass"),
        GOOD.replace("breached", "won"),
        GOOD.replace("async def", "def"),
    ],
)
def test_a_mistake_in_a_script_is_told(tmp_path: Path, text: str) -> None:
    path = script(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        load_file(path)
    assert str(path) in caught.value.message
    assert "\n" not in caught.value.message


def test_a_mistake_names_its_line(tmp_path: Path) -> None:
    path = script(tmp_path, "x = 1\n\n1 / 0\n")
    with pytest.raises(UsageError) as caught:
        load_file(path)
    assert f"{path}:3 " in caught.value.message


def test_what_a_script_imports_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "library.py").write_text(GOOD)
    path = script(
        tmp_path, f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nfrom library import mine\n"
    )
    with pytest.raises(UsageError):
        load_file(path)


def test_every_shipped_scenario_has_a_twin_with_the_opposite_outcome() -> None:
    scenarios = {one.id: one for one in shipped_scenarios()}
    assert len(scenarios) == len(shipped_scenarios()) >= 22  # no name is used twice
    for one in scenarios.values():
        assert one.twin is not None, one.id
        twin = scenarios[one.twin]
        assert twin.outcome is not one.outcome, one.id


def test_every_defence_has_its_failing_twin() -> None:
    """A defence that was never seen to fail without itself proves nothing."""
    scenarios = shipped_scenarios()
    breached = {one.id for one in scenarios if one.outcome is Outcome.BREACHED}
    assert all(one.twin in breached for one in scenarios if one.outcome is Outcome.DEFENDED)


def test_select_by_name_group_and_file(tmp_path: Path) -> None:
    path = script(tmp_path, GOOD)
    chosen = select(["plaintext_is_read", "at-rest", str(path), "plaintext_is_read"])
    assert chosen[0].id == "plaintext_is_read"
    assert {one.group for one in chosen[1:-1]} == {"at-rest"}
    assert chosen[-1].id == "mine"
    assert len({(one.id, one.path) for one in chosen}) == len(chosen)
    assert len(select(["all"])) == len(shipped_scenarios())


@pytest.mark.parametrize("word", ["plaintext_is_raed", "nothing.py", "no/such/file.py", ""])
def test_an_unknown_name_is_told_with_a_hint(word: str) -> None:
    with pytest.raises(UsageError):
        select([word])


def test_a_near_name_is_suggested() -> None:
    with pytest.raises(UsageError) as caught:
        select(["plaintext_is_raed"])
    assert caught.value.hint == "did you mean plaintext_is_read?"


CASES = '''
from tlslab import Lab, scenarios

@scenarios({"a": {"word": "one"}, "b": {"word": "two", "outcome": "breached", "twin": "x[{case}]"}},
           group="mine", twin="y[{case}]")
async def mine(lab: Lab, word: str) -> None:
    """A lesson on {word}."""
'''


def test_cases_are_scenarios_of_their_own(tmp_path: Path) -> None:
    first, second = load_file(script(tmp_path, CASES))
    assert (first.id, first.title, first.twin) == ("mine[a]", "A lesson on one.", "y[a]")
    assert (second.id, second.title, second.twin) == ("mine[b]", "A lesson on two.", "x[b]")
    assert (first.outcome, second.outcome) == (Outcome.DEFENDED, Outcome.BREACHED)
    assert (first.arguments, second.arguments) == ({"word": "one"}, {"word": "two"})
