"""The passphrase's key file: its format, its permissions, its passphrase."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tlslab.errors import IntegrityError, UsageError
from tlslab.seal import Cost, PassphraseFile
from tlslab.seal.passphrase import _open_file, _parse_head, _seal_file

CHEAP = Cost(memory=8 * 1024, passes=1, lanes=1)
KEY = bytes(range(32))
FILE = _seal_file(KEY, b"passphrase", CHEAP)


async def test_a_file_wraps_and_unwraps(tmp_path: Path) -> None:
    root = await PassphraseFile.create(tmp_path / "root", b"passphrase", CHEAP)
    wrapped = await root.wrap(KEY, {"a": "b"})
    assert await root.unwrap(wrapped, {"a": "b"}) == KEY
    for context in ({}, {"a": "c"}):
        with pytest.raises(UsageError):
            await root.unwrap(wrapped, context)


async def test_a_new_file_is_private_and_never_overwrites(tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        root = await PassphraseFile.create(tmp_path / "root", b"passphrase", CHEAP)
    finally:
        os.umask(previous)
    assert stat.S_IMODE(root.path.stat().st_mode) == 0o600
    before = root.path.read_bytes()
    with pytest.raises(UsageError):
        await PassphraseFile.create(root.path, b"passphrase", CHEAP)
    assert root.path.read_bytes() == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
async def test_a_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    root = await PassphraseFile.create(tmp_path / "root", b"passphrase", CHEAP)
    root.path.chmod(mode)
    with pytest.raises(UsageError):
        await root.wrap(KEY, {})
    root.path.chmod(0o400)
    await root.wrap(KEY, {})


async def test_the_passphrase_changes_and_the_key_stays(tmp_path: Path) -> None:
    root = await PassphraseFile.create(tmp_path / "root", b"passphrase", CHEAP)
    wrapped, old_file = await root.wrap(KEY, {}), root.path.read_bytes()
    changed = await root.change_passphrase(b"another", CHEAP)
    assert await changed.unwrap(wrapped, {}) == KEY
    assert stat.S_IMODE(root.path.stat().st_mode) == 0o600
    with pytest.raises(UsageError):
        await root.unwrap(wrapped, {})
    root.path.write_bytes(old_file)  # what its docstring warns of
    assert await root.unwrap(wrapped, {}) == KEY


async def test_a_wrong_passphrase_changes_nothing(tmp_path: Path) -> None:
    root = await PassphraseFile.create(tmp_path / "root", b"passphrase", CHEAP)
    before = root.path.read_bytes()
    with pytest.raises(UsageError) as refusal:
        await PassphraseFile(root.path, b"Passphrase").change_passphrase(b"x", CHEAP)
    assert refusal.value.hint
    assert root.path.read_bytes() == before


@pytest.mark.parametrize("passphrase", [b"", b"x" * 4097])
async def test_passphrases_have_a_size(tmp_path: Path, passphrase: bytes) -> None:
    with pytest.raises(UsageError):
        await PassphraseFile.create(tmp_path / "root", passphrase, CHEAP)
    assert not (tmp_path / "root").exists()
    await PassphraseFile.create(tmp_path / "root", b"x" * 4096, CHEAP)


def test_the_same_key_never_gives_the_same_file() -> None:
    assert _seal_file(KEY, b"passphrase", CHEAP) != FILE


def test_what_is_sealed_opens() -> None:
    assert _open_file(FILE, b"passphrase") == KEY


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, len(FILE) - 1), bit=st.integers(0, 7))
def test_every_changed_bit_is_refused(place: int, bit: int) -> None:
    changed = bytearray(FILE)
    changed[place] ^= 1 << bit
    with pytest.raises((UsageError, IntegrityError)):
        _open_file(bytes(changed), b"passphrase")


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file[:-1],
        lambda file: file + b"\n",
        lambda file: file + b"x",
        lambda file: file.replace(b"\n", b"\r\n"),
        lambda file: file.replace(b" 8192 ", b" 08192 "),
        lambda file: file.replace(b" 8192 ", b"  8192 "),
        lambda file: file.replace(b"argon2id", b"argon2i"),
        lambda file: b"\n" + file,
        lambda file: b"",
    ],
)
def test_there_is_one_encoding(change: object) -> None:
    assert callable(change)
    with pytest.raises(UsageError):
        _open_file(change(FILE), b"passphrase")


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.binary(max_size=300) | st.builds(lambda b: FILE[:23] + b, st.binary(max_size=200)))
@example(data=bytes(300))
def test_any_bytes_are_refused_in_words(data: bytes) -> None:
    with pytest.raises((UsageError, IntegrityError)):
        _open_file(data, b"passphrase")


@pytest.mark.parametrize(
    ("cost", "allowed"),
    [
        (Cost(8 * 1024, 1, 1), True),
        (Cost(8 * 1024 - 1, 1, 1), False),
        (Cost(1024**2, 1, 1), True),
        (Cost(1024**2 + 1, 1, 1), False),
        (Cost(8 * 1024, 64, 64), True),
        (Cost(8 * 1024, 65, 1), False),
        (Cost(8 * 1024, 0, 1), False),
        (Cost(8 * 1024, 1, 65), False),
        (Cost(8 * 1024, 1, 0), False),
        (Cost(), True),
    ],
)
def test_costs_have_bounds_on_both_sides(cost: Cost, allowed: bool) -> None:
    assert cost.allowed == allowed


def test_a_file_that_asks_for_much_is_refused_before_any_work() -> None:
    head = b"tlslab-root-of-trust 1\nargon2id 999999999 9999 4 AAAAAAAAAAAAAAAAAAAAAA==\n"
    with pytest.raises(UsageError):
        _parse_head(head)
    with pytest.raises(UsageError):
        _open_file(head + FILE.split(b"\n")[2] + b"\n", b"passphrase")


def test_weakened_parameters_do_not_open_it() -> None:
    """Whoever lowers the parameters in the file hopes that the next tries are cheaper."""
    dear = _seal_file(KEY, b"passphrase", Cost(8 * 1024, 2, 1))
    assert _open_file(dear, b"passphrase") == KEY
    with pytest.raises(IntegrityError):
        _open_file(dear.replace(b" 8192 2 ", b" 8192 1 "), b"passphrase")
