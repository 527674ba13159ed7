"""Boxes and contexts: a value opens under its own key, purpose and context, and no other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlslab.envelope import BOX_OVERHEAD, encode_context, key_id, new_key, open_box, seal_box
from tlslab.errors import IntegrityError

KEY = new_key()
TEXT = st.text(max_size=20)
CONTEXTS = st.dictionaries(TEXT, TEXT, max_size=4)


@given(st.binary(max_size=100), st.binary(max_size=20))
def test_a_box_opens_to_what_was_put_in(value: bytes, context: bytes) -> None:
    box = seal_box(KEY, value, purpose="data key", context=context)
    assert len(box) == len(value) + BOX_OVERHEAD
    assert open_box(KEY, box, purpose="data key", context=context) == value


def test_every_bit_of_a_box_is_authenticated() -> None:
    box = seal_box(KEY, b"canary", purpose="data key", context=b"here")
    for bit in range(len(box) * 8):
        changed = bytearray(box)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(IntegrityError):
            open_box(KEY, bytes(changed), purpose="data key", context=b"here")


@pytest.mark.parametrize("length", [0, 1, BOX_OVERHEAD - 1, BOX_OVERHEAD, BOX_OVERHEAD + 5])
def test_a_cut_box_does_not_open(length: int) -> None:
    box = seal_box(KEY, b"canary", purpose="data key", context=b"here")
    with pytest.raises(IntegrityError):
        open_box(KEY, box[:length], purpose="data key", context=b"here")


def test_another_key_purpose_or_context_does_not_open_it() -> None:
    box = seal_box(KEY, b"canary", purpose="data key", context=b"here")
    for key, purpose, context in [
        (new_key(), "data key", b"here"),
        (KEY, "metadata", b"here"),
        (KEY, "data key", b"there"),
    ]:
        with pytest.raises(IntegrityError):
            open_box(key, box, purpose=purpose, context=context)


def test_a_value_sealed_twice_looks_different() -> None:
    boxes = {seal_box(KEY, b"canary", purpose="data key", context=b"") for _ in range(20)}
    assert len(boxes) == 20


@given(CONTEXTS, CONTEXTS)
def test_contexts_are_encoded_injectively(one: dict[str, str], two: dict[str, str]) -> None:
    assert (encode_context(one) == encode_context(two)) == (one == two)


def test_contexts_do_not_run_into_each_other() -> None:
    assert encode_context({"a": "bc"}) != encode_context({"ab": "c"})
    assert encode_context({"a": "b", "c": "d"}) == encode_context({"c": "d", "a": "b"})


def test_a_key_id_is_stable_public_and_not_the_key() -> None:
    assert key_id(KEY) == key_id(KEY) != key_id(new_key())
    assert len(key_id(KEY)) == 16
    assert key_id(KEY) not in KEY.hex()
