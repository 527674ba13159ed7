"""Stores on a directory, and what the tests of this folder do with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tlslab.store import SSES3, ObjectStore, RootKey

ROOT_KEY = RootKey.generate()


@pytest.fixture
def root_key() -> RootKey:
    return ROOT_KEY


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "disk"


@pytest.fixture(params=["encrypted", "plain"])
def either_store(request: pytest.FixtureRequest, directory: Path, root_key: RootKey) -> ObjectStore:
    encryption = SSES3(root_key) if request.param == "encrypted" else None
    return ObjectStore(directory, encryption=encryption)


@pytest.fixture
def encrypted(directory: Path, root_key: RootKey) -> ObjectStore:
    return ObjectStore(directory, encryption=SSES3(root_key))


@pytest.fixture
def plain(directory: Path) -> ObjectStore:
    return ObjectStore(directory, encryption=None)


@pytest.fixture
def files_in(directory: Path) -> Callable[[str], list[Path]]:
    """The files below a folder of the store, whatever made them."""

    def files(folder: str = "") -> list[Path]:
        return sorted(path for path in (directory / folder).rglob("*") if path.is_file())

    return files
