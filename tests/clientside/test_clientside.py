"""Encryption before upload: only the key and the context open it, and only unchanged."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tlslab.clientside import ApplicationKey, decrypt, encrypt
from tlslab.envelope import create_key_file
from tlslab.errors import IntegrityError, UsageError

KEY = ApplicationKey.generate()


async def test_a_small_object_comes_back_and_only_with_its_key_and_context() -> None:
    context = {"object": "/records/customer.txt"}
    metadata, body = await encrypt(b"card 4711", KEY, context=context)
    assert b"4711" not in body
    assert await decrypt(metadata, body, KEY, context=context) == b"card 4711"
    for key, other in ((ApplicationKey.generate(), context), (KEY, {"object": "/another"})):
        with pytest.raises(IntegrityError):
            await decrypt(metadata, body, key, context=other)


def test_a_key_is_saved_privately_once_and_loaded_again(tmp_path: Path) -> None:
    path = tmp_path / "app.key"
    KEY.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ApplicationKey.load(path) == KEY
    before = path.read_bytes()
    with pytest.raises(UsageError, match="exists already"):
        ApplicationKey.generate().save(path)
    assert path.read_bytes() == before
    path.chmod(0o644)
    with pytest.raises(UsageError, match="open to others"):
        ApplicationKey.load(path)


def test_a_root_key_file_is_no_application_key(tmp_path: Path) -> None:
    create_key_file(tmp_path / "root.key", "root-key", [KEY.secret])
    with pytest.raises(UsageError, match="application-key"):
        ApplicationKey.load(tmp_path / "root.key")


def test_repr_hides_the_key() -> None:
    key = ApplicationKey.generate()
    assert repr(key) == "ApplicationKey()"
    assert key.secret.hex() not in f"{key} {key!r}"


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_key_has_32_bytes(length: int) -> None:
    with pytest.raises(UsageError, match="32 bytes"):
        ApplicationKey(bytes(length))
