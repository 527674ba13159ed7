"""Key files: strict, private, never overwritten, never half-written."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlslab.envelope import (
    create_key_file,
    new_key,
    parse_key_file,
    read_key_file,
    replace_private_file,
)
from tlslab.envelope.keyfile import encode_keys
from tlslab.errors import UsageError

KEYS = st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=4)


@given(KEYS)
def test_decode_undoes_encode(keys: list[bytes]) -> None:
    assert parse_key_file("root-key", encode_keys("root-key", keys)) == tuple(keys)


@given(st.binary(max_size=200), st.booleans())
def test_there_is_one_encoding(noise: bytes, prefixed: bool) -> None:
    data = (b"tlslab-key-file 1 root-key\n" if prefixed else b"") + noise
    try:
        keys = parse_key_file("root-key", data)
    except UsageError:
        return
    assert encode_keys("root-key", keys) == data


@given(KEYS, st.data())
def test_any_changed_byte_is_refused_or_another_key(keys: list[bytes], data: st.DataObject) -> None:
    text = bytearray(encode_keys("root-key", keys))
    text[data.draw(st.integers(0, len(text) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(UsageError):
        assert parse_key_file("root-key", bytes(text)) != tuple(keys)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tlslab-key-file 1 root-key\n",
        "tlslab-key-file 2 root-key\n{key}\n",
        "tlslab-key-file 1 application-key\n{key}\n",
        "tlslab-key-file 1 root-key\n{key}",
        "tlslab-key-file 1 root-key\n{key}\n\n",
        "tlslab-key-file 1 root-key\r\n{key}\r\n",
        "tlslab-key-file 1 root-key\nAAAA\n",
    ],
)
def test_malformed_files_are_refused(text: str) -> None:
    key = encode_keys("root-key", [new_key()]).split(b"\n")[1].decode()
    with pytest.raises(UsageError, match="not a key file of kind root-key"):
        parse_key_file("root-key", text.format(key=key).encode())


def test_a_new_file_is_private_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        create_key_file(tmp_path / "key", "root-key", [new_key()])
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key"
    create_key_file(path, "root-key", [new_key()])
    before = path.read_bytes()
    with pytest.raises(UsageError, match="exists already"):
        create_key_file(path, "root-key", [new_key()])
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="exists already"):
        create_key_file(tmp_path / "link", "root-key", [new_key()])
    assert path.read_bytes() == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601, 0o644, 0o620])
def test_loose_permissions_are_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    key = new_key()
    create_key_file(path, "root-key", [key])
    assert read_key_file(path, "root-key") == (key,)
    path.chmod(mode)
    with pytest.raises(UsageError, match="open to others"):
        read_key_file(path, "root-key")


def test_a_missing_file_has_no_substitute(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        read_key_file(tmp_path / "key", "root-key")
    with pytest.raises(UsageError, match="cannot read"):
        read_key_file(tmp_path, "root-key")


def test_replacing_leaves_one_whole_private_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    first, second = new_key(), new_key()
    create_key_file(path, "root-key", [first])
    replace_private_file(path, encode_keys("root-key", [first, second]))
    assert read_key_file(path, "root-key") == (first, second)
    assert [entry.name for entry in tmp_path.iterdir()] == ["key"]


def test_errors_do_not_show_keys(tmp_path: Path) -> None:
    key = new_key()
    text = encode_keys("root-key", [key]).decode() + "trailing"
    with pytest.raises(UsageError) as caught:
        parse_key_file("root-key", text.encode())
    assert text.split("\n")[1][:8] not in f"{caught.value} {caught.value.hint}"
