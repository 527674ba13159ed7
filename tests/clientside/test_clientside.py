"""Encryption before upload: only the key and the context open it, and only unchanged."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlslab.clientside import ApplicationKey, decrypt, encrypt
from tlslab.envelope import SEGMENT_BYTES, create_key_file
from tlslab.errors import IntegrityError, UsageError

KEY = ApplicationKey.generate()
CONTEXT = {"bucket": "letters", "key": "to/alice"}


@pytest.mark.parametrize(
    "size", [0, 1, *(n * SEGMENT_BYTES + d for n in (1, 3) for d in (-1, 0, 1))]
)
def test_every_edge_comes_back(size: int) -> None:
    plaintext = bytes(range(251)) * (size // 251 + 1)
    sealed = encrypt(plaintext[:size], KEY, context=CONTEXT)
    assert decrypt(sealed, KEY, context=CONTEXT) == plaintext[:size]


@given(st.binary(max_size=500), st.dictionaries(st.text(), st.text(), max_size=3))
def test_decrypt_undoes_encrypt(plaintext: bytes, context: dict[str, str]) -> None:
    assert decrypt(encrypt(plaintext, KEY, context=context), KEY, context=context) == plaintext


def test_the_operator_sees_no_plaintext_and_would_without_it() -> None:
    canary = b"canary 4711 " * 10
    assert canary[:12] not in encrypt(canary, KEY, context=CONTEXT)
    assert canary[:12] in decrypt(encrypt(canary, KEY, context=CONTEXT), KEY, context=CONTEXT)


def test_another_key_or_context_does_not_decrypt() -> None:
    sealed = encrypt(b"canary", KEY, context=CONTEXT)
    with pytest.raises(IntegrityError):
        decrypt(sealed, ApplicationKey.generate(), context=CONTEXT)
    for context in ({}, {"bucket": "letters"}, {**CONTEXT, "key": "to/bob"}, {**CONTEXT, "x": ""}):
        with pytest.raises(IntegrityError):
            decrypt(sealed, KEY, context=context)


def test_every_bit_is_authenticated() -> None:
    sealed = encrypt(b"canary", KEY, context=CONTEXT)
    for bit in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(IntegrityError):
            decrypt(bytes(changed), KEY, context=CONTEXT)


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_cut_extended_or_random_bytes_do_not_decrypt(data: st.DataObject) -> None:
    sealed = encrypt(bytes(SEGMENT_BYTES + 1), KEY, context=CONTEXT)
    cut = data.draw(st.integers(0, len(sealed) - 1))
    for changed in (sealed[:cut], sealed + b"\0", data.draw(st.binary(max_size=200))):
        with pytest.raises(IntegrityError):
            decrypt(changed, KEY, context=CONTEXT)


def test_a_data_key_of_one_object_does_not_open_another() -> None:
    """Envelope of one before the payload of the other: both genuine, under the same key."""
    one, two = (encrypt(text, KEY, context=CONTEXT) for text in (b"one", b"two"))
    with pytest.raises(IntegrityError):
        decrypt(one[:88] + two[88:], KEY, context=CONTEXT)


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
