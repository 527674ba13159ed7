"""`tlslab exercise`: a learner's way through one, with hints, a reset and a second try."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def test_a_learners_way(tlslab: Run, tmp_path: Path) -> None:
    name, where = "find-the-password", tmp_path / "exercises"

    def exercise(*arguments: str) -> subprocess.CompletedProcess[str]:
        return tlslab("exercise", *arguments, TLSLAB_EXERCISES=str(where))

    assert "not started" in exercise("list").stdout
    assert exercise("start", name).returncode == 0
    capture = where / name / "login.pcapng"
    first = capture.read_bytes()
    assert exercise("start", name).returncode == 0
    assert capture.read_bytes() == first  # starting again loses nothing

    assert "hint 1 of 3" in exercise("hint", name).stdout
    assert "hint 2 of 3" in exercise("hint", name).stdout
    assert exercise("check", name, "--answer", "guess").returncode == 1
    found = re.search(rb"password=([\w-]+)", first)
    assert found is not None
    done = exercise("check", name, "--answer", found[1].decode(), "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["solved"] is True
    row = json.loads(exercise("list", "--json").stdout)["exercises"][0]
    assert (row["state"], row["hints_taken"], row["attempts"]) == ("solved", 2, 2)

    assert exercise("reset", name).returncode == 0
    assert capture.read_bytes() != first
    row = json.loads(exercise("list", "--json").stdout)["exercises"][0]
    assert (row["state"], row["hints_taken"], row["attempts"]) == ("started", 0, 0)
