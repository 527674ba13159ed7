"""The import table: which package may import which. The design's walls, walked."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import tlslab

ROOT = Path(tlslab.__file__).parent

ALWAYS = {"errors", "shipped"}

TABLE: dict[str, set[str]] = {
    "pki": set(),
    "net": set(),
    "http": set(),
    "envelope": set(),
    "database": set(),
    "iam": {"http"},
    "seal": {"envelope", "database", "http", "tls", "pki", "iam"},
    "audit": {"database", "seal", "iam", "http", "envelope"},
    "kms": {"envelope", "database", "iam", "seal", "audit", "http"},
    "tls": {"pki"},
    "capture": {"tls", "net"},
    "proxy": {"pki", "tls", "http", "net"},
    "attack": {"pki", "tls", "http", "net", "proxy"},
    "store": {"kms", "envelope", "database", "iam", "seal", "http"},
    "volume": {"kms", "envelope", "iam"},
    "clientside": {"envelope", "iam", "http", "tls", "pki"},
    "endpoint": {
        "store", "kms", "audit", "seal", "iam", "database", "envelope", "http", "net", "tls",
    },
    "lab": {
        "pki", "tls", "http", "net", "envelope", "capture", "proxy", "attack", "endpoint", "store",
        "kms", "audit", "seal", "iam", "volume", "clientside",
    },
    "probe": {"pki", "tls", "proxy", "attack"},
    "report": {"lab", "capture"},
    "exercise": {"lab", "capture"},
}  # fmt: skip
"""Every package but `cli`, which may import everything and which nothing imports."""


def imported(file: Path) -> set[str]:
    """The packages of tlslab that a file imports, wherever in the file it does so."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            names = [node.module or ""]
            if node.module == "tlslab":
                names = [f"tlslab.{alias.name}" for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("tlslab.")}
    return found - {"__version__"}


@pytest.mark.parametrize("package", TABLE)
def test_a_package_imports_only_what_it_may(package: str) -> None:
    files = list((ROOT / package).rglob("*.py"))
    assert files
    allowed = TABLE[package] | ALWAYS | {package}
    for file in files:
        assert imported(file) <= allowed, f"{file} imports {imported(file) - allowed}"


def test_the_table_is_complete() -> None:
    packages = {path.name for path in ROOT.iterdir() if (path / "__init__.py").is_file()}
    assert packages == TABLE.keys() | {"cli"}


def test_nothing_imports_the_command_line() -> None:
    for file in ROOT.rglob("*.py"):
        if file.parent.name != "cli" and file.name != "__main__.py":
            assert "cli" not in imported(file), file


def test_errors_and_shipped_import_nothing() -> None:
    for name in ALWAYS:
        assert imported(ROOT / f"{name}.py") == set()


def test_the_walk_finds_a_breach(tmp_path: Path) -> None:
    file = tmp_path / "x.py"
    file.write_text("def f():\n    from tlslab.lab import Lab\n    import tlslab.net.loopback\n")
    assert imported(file) == {"lab", "net"}
