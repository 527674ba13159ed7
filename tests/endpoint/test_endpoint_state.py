"""A state folder opens with its own root of trust, or not at all; each disk alone opens nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.endpoint.conftest import Endpoint
from tlslab.endpoint import StateFolder, open_backend
from tlslab.errors import UsageError


async def reopened(state: StateFolder) -> None:
    settings = state.settings(await state.open_root_of_trust(), state.open_identities())
    async with open_backend(settings, create=False):
        pass


async def test_it_opens_again(endpoint: Endpoint) -> None:
    await reopened(endpoint.state)


@pytest.mark.parametrize("lost", ["root-of-trust.key", "passphrase", "kms/kms.sqlite"])
async def test_without_any_of_its_parts_it_does_not_open(endpoint: Endpoint, lost: str) -> None:
    copy = StateFolder(Path(shutil.copytree(endpoint.state.path, endpoint.state.path.parent / "b")))
    await reopened(copy)
    (copy.path / lost).unlink()
    with pytest.raises(UsageError):
        await reopened(copy)
    if lost != "kms/kms.sqlite":  # an empty one is opened, and refused for having no seal
        assert not (copy.path / lost).exists()


@pytest.mark.parametrize("lost", ["disk/store.sqlite", "kms/kms.sqlite"])
async def test_a_folder_without_one_of_its_databases_is_not_whole(
    endpoint: Endpoint, lost: str
) -> None:
    endpoint.state.check_whole()
    StateFolder(endpoint.state.path / "new").check_whole()
    (endpoint.state.path / lost).unlink()
    with pytest.raises(UsageError):
        endpoint.state.check_whole()


async def test_lost_identities_are_not_made_anew(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.state.identities.unlink()
    with pytest.raises(UsageError):
        endpoint.state.open_identities()
    assert not endpoint.state.identities.exists()
    assert StateFolder(tmp_path / "new").open_identities().keys


async def test_the_root_of_trust_of_another_folder_does_not_open_it(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    other = StateFolder(tmp_path / "other")
    await other.open_root_of_trust()
    for name in ("root-of-trust.key", "passphrase"):
        shutil.copy2(other.path / name, endpoint.state.path / name)
    with pytest.raises(UsageError):
        await reopened(endpoint.state)


async def test_a_proxy_key_of_another_length_is_refused(endpoint: Endpoint) -> None:
    first = endpoint.state.open_proxy_key()
    assert endpoint.state.open_proxy_key() == first
    endpoint.state.proxy_key.write_bytes(b"short")
    with pytest.raises(UsageError):
        endpoint.state.open_proxy_key()
