"""The format of ciphertexts: everything in it is authentic, and it says nothing why it is not."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlslab.kms.blob import CHECK_BYTES, HEADER_BYTES, parse_blob, seal_blob
from tlslab.kms.errors import KMSError

SERVICE = b"s" * 32
SECRET = b"k" * 32
MATERIAL = "ab" * 32

key_ids = st.one_of(
    st.uuids().map(str), st.binary(min_size=16, max_size=16).map(lambda raw: "mrk-" + raw.hex())
)
contexts = st.dictionaries(st.text(max_size=8).filter(lambda t: t.isprintable()), st.just("v"))


def opened(blob: bytes, context: dict[str, str], secret: bytes = SECRET) -> bytes:
    return parse_blob(SERVICE, blob).open(secret, context)


@given(key_ids, st.binary(max_size=200), contexts)
def test_sealing_and_opening(key_id: str, plaintext: bytes, context: dict[str, str]) -> None:
    blob = seal_blob(SERVICE, key_id, MATERIAL, SECRET, plaintext, context)
    parsed = parse_blob(SERVICE, blob)
    assert (parsed.key_id, parsed.material_id) == (key_id, MATERIAL)
    assert parsed.open(SECRET, context) == plaintext


@given(st.data(), key_ids)
def test_any_changed_bit_is_an_invalid_ciphertext(data: st.DataObject, key_id: str) -> None:
    blob = bytearray(seal_blob(SERVICE, key_id, MATERIAL, SECRET, b"plain", {"a": "b"}))
    bit = data.draw(st.integers(0, len(blob) * 8 - 1))
    blob[bit // 8] ^= 1 << bit % 8
    with pytest.raises(KMSError) as caught:
        opened(bytes(blob), {"a": "b"})
    assert (caught.value.code, caught.value.message) == ("InvalidCiphertextException", "")


def test_every_bit_of_one_blob() -> None:
    blob = seal_blob(SERVICE, str(uuid.uuid4()), MATERIAL, SECRET, b"p", {})
    for bit in range(len(blob) * 8):
        changed = bytearray(blob)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(KMSError):
            opened(bytes(changed), {})
    assert opened(blob, {}) == b"p"


def test_every_other_length() -> None:
    blob = seal_blob(SERVICE, str(uuid.uuid4()), MATERIAL, SECRET, b"p", {})
    for other in (*(blob[:size] for size in range(len(blob))), blob + b"\0"):
        with pytest.raises(KMSError):
            opened(other, {})


@given(st.binary(max_size=400))
def test_arbitrary_bytes(blob: bytes) -> None:
    with pytest.raises(KMSError):
        opened(blob, {})


def test_another_key_and_another_service() -> None:
    blob = seal_blob(SERVICE, str(uuid.uuid4()), MATERIAL, SECRET, b"p", {})
    with pytest.raises(KMSError):
        opened(blob, {}, b"x" * 32)
    with pytest.raises(KMSError):
        parse_blob(b"x" * 32, blob)


def test_a_header_cannot_be_put_before_another_box() -> None:
    ours = seal_blob(SERVICE, str(uuid.uuid4()), MATERIAL, SECRET, b"ours", {})
    theirs = seal_blob(SERVICE, str(uuid.uuid4()), MATERIAL, SECRET, b"theirs", {})
    start = HEADER_BYTES + CHECK_BYTES
    mixed = ours[:start] + theirs[start:]
    assert parse_blob(SERVICE, mixed).key_id == parse_blob(SERVICE, ours).key_id
    with pytest.raises(KMSError):
        opened(mixed, {})
