"""The database scenario: without its defence the thief wins, with a real database as loot."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tlslab.lab import Outcome, load_file, run_scenario
from tlslab.shipped import shipped

pytest.importorskip("sqlcipher3", reason="sqlcipher3 is not installed")


async def test_without_the_key_of_the_kms_the_thief_wins(tmp_path: Path) -> None:
    text = (shipped("scenarios") / "at-rest" / "database.py").read_text()
    assert text.count(", key_from=store") == 1
    changed = tmp_path / "database.py"
    changed.write_text(text.replace(", key_from=store", ""))
    scenario = next(one for one in load_file(changed) if one.id.endswith("gets_ciphertext"))
    result = await run_scenario(scenario, tmp_path / "run")
    assert result.outcome is Outcome.BREACHED, result.reason


async def test_the_loot_is_no_database_without_the_key(tmp_path: Path) -> None:
    path = shipped("scenarios") / "at-rest" / "database.py"
    for scenario in load_file(path):
        result = await run_scenario(scenario, tmp_path)
        assert result.as_declared, result.reason
        (loot,) = (tmp_path / scenario.id).rglob("disk/database.db")
        connection = sqlite3.connect(loot)
        if scenario.outcome is Outcome.BREACHED:
            assert connection.execute("SELECT count(*) FROM records").fetchone() == (1,)
        else:
            with pytest.raises(sqlite3.DatabaseError):
                connection.execute("SELECT count(*) FROM records")
        connection.close()
