"""Opening a store fails closed: no default key, no plain fallback, no mix."""

from __future__ import annotations

from pathlib import Path

import pytest

from tlslab.errors import UsageError
from tlslab.store import RootKey, open_store


async def filled(directory: Path, key_file: Path | None) -> None:
    store = open_store(directory, root_key_file=key_file)
    await store.create_bucket("letters")
    await store.put("letters", "x", b"hello")


async def text_in(directory: Path, key_file: Path | None) -> bytes:
    _, body = await open_store(directory, root_key_file=key_file).get("letters", "x")
    return await body.read()


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "root.key"


async def test_a_new_store_gets_a_new_key_and_keeps_it(directory: Path, key_file: Path) -> None:
    await filled(directory, key_file)
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert await text_in(directory, key_file) == b"hello"
    RootKey.rotate(key_file)
    assert await text_in(directory, key_file) == b"hello"


async def test_two_new_stores_have_different_keys(tmp_path: Path) -> None:
    for name in ("one", "two"):
        open_store(tmp_path / name, root_key_file=tmp_path / f"{name}.key")
    assert RootKey.load(tmp_path / "one.key") != RootKey.load(tmp_path / "two.key")


async def test_a_missing_key_file_is_not_replaced(directory: Path, key_file: Path) -> None:
    await filled(directory, key_file)
    key_file.unlink()
    with pytest.raises(UsageError, match="cannot read"):
        open_store(directory, root_key_file=key_file)
    assert not key_file.exists()


async def test_another_key_file_is_refused(directory: Path, key_file: Path, tmp_path: Path) -> None:
    await filled(directory, key_file)
    RootKey.generate().save(tmp_path / "other.key")
    with pytest.raises(UsageError, match="not the root key"):
        open_store(directory, root_key_file=tmp_path / "other.key")


async def test_a_loose_key_file_is_refused(directory: Path, key_file: Path) -> None:
    RootKey.generate().save(key_file)
    key_file.chmod(0o640)
    with pytest.raises(UsageError, match="open to others"):
        open_store(directory, root_key_file=key_file)
    key_file.chmod(0o600)
    open_store(directory, root_key_file=key_file)


async def test_plain_and_encrypted_do_not_mix(tmp_path: Path, key_file: Path) -> None:
    await filled(tmp_path / "encrypted", key_file)
    await filled(tmp_path / "plain", None)
    with pytest.raises(UsageError, match="without a key"):
        open_store(tmp_path / "encrypted", root_key_file=None)
    with pytest.raises(UsageError, match="holds plain objects"):
        open_store(tmp_path / "plain", root_key_file=key_file)
    assert await text_in(tmp_path / "plain", None) == b"hello"
