"""The catalogue is complete, speaks only of what is there, and its page is the generated one."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from tlslab.cli.catalogue import command
from tlslab.lab.catalogue import catalogue

COUNTS = {"A": 34, "B": 14, "C": 20, "D": 7, "E": 15, "F": 7, "G": 11, "H": 4, "I": 6, "J": 4,
          "K": 3, "L": 10, "M": 3, "N": 5, "O": 6, "P": 7, "Q": 17}  # fmt: skip
"""How many attacks each group of the catalogue has, numbered from 01."""


def test_no_attack_is_missing() -> None:
    wanted = [f"{group}{n:02}" for group, count in COUNTS.items() for n in range(1, count + 1)]
    assert [entry.id for entry in catalogue()] == wanted


def test_every_attack_is_shown_or_said_why_not() -> None:
    for entry in catalogue():
        assert entry.is_shown or len(entry.not_shown) > 20, entry.id


def test_the_page_of_the_documentation_is_the_generated_one() -> None:
    page = Path(__file__).parents[2] / "docs" / "catalogue.md"
    if not page.is_file():
        pytest.skip("the documentation is not here (an installed tlslab has none)")
    generated = CliRunner().invoke(command, ["--markdown"]).output
    assert page.read_text() == generated, "run `make docs`"
