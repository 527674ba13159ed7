"""Key commitment, and what goes without it: one object that two keys open to two contents."""

from __future__ import annotations

import hmac

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tlslab.clientside.content import ContentOpener, Suite, commitment_of
from tlslab.envelope import new_key
from tlslab.errors import IntegrityError


def _times(a: int, b: int) -> int:
    """Product in GCM's field (NIST SP 800-38D section 6.3, algorithm 1)."""
    product = 0
    for bit in range(128):
        if b >> 127 - bit & 1:
            product ^= a
        a = a >> 1 ^ (0xE1 << 120 if a & 1 else 0)
    return product


def _inverse(a: int) -> int:
    result, power = 1 << 127, a  # a ** (2**128 - 2)
    for _ in range(127):
        power = _times(power, power)
        result = _times(result, power)
    return result


def _block(key: bytes, block: bytes) -> int:
    cipher = Cipher(algorithms.AES256(key), modes.ECB()).encryptor()  # one block, no mode
    return int.from_bytes(cipher.update(block) + cipher.finalize(), "big")


def body_for_two_keys(one: bytes, two: bytes, iv: bytes, aad: bytes) -> bytes:
    """A ciphertext of one block and a tag that AES-GCM accepts under both keys."""
    lengths = (len(aad) * 8) << 64 | 128
    extra = int.from_bytes(aad.ljust(16, b"\0"), "big") if aad else 0

    def all_but_ciphertext(key: bytes) -> tuple[int, int]:
        h = _block(key, bytes(16))
        square = _times(h, h)
        rest = _times(extra, _times(square, h)) ^ _times(lengths, h)
        return square, rest ^ _block(key, iv + b"\0\0\0\x01")

    (square_one, rest_one), (square_two, rest_two) = map(all_but_ciphertext, (one, two))
    text = _times(rest_one ^ rest_two, _inverse(square_one ^ square_two))
    return text.to_bytes(16, "big") + (_times(text, square_one) ^ rest_one).to_bytes(16, "big")


def test_without_commitment_one_object_has_two_keys_and_two_contents() -> None:
    one, two, iv = new_key(), new_key(), bytes(12)
    body = body_for_two_keys(one, two, iv, b"")
    contents = set()
    for key in (one, two):
        opener = ContentOpener(Suite.PLAIN, key, iv, None)
        contents.add(opener.open(body))
        opener.finish()
    assert len(contents) == 2


def test_with_commitment_one_object_has_one_key() -> None:
    one, two, message_id = new_key(), new_key(), bytes(28)

    def content_key(data_key: bytes) -> bytes:
        extracted = hmac.digest(message_id, data_key, "sha512")
        return hmac.digest(extracted, b"\0\x73DERIVEKEY\x01", "sha512")[:32]

    body = body_for_two_keys(content_key(one), content_key(two), b"\x01" * 12, b"\0\x73")
    committed = commitment_of(one, message_id)
    opener = ContentOpener(Suite.COMMITTING, one, message_id, committed)
    opener.open(body)
    opener.finish()
    with pytest.raises(IntegrityError):
        ContentOpener(Suite.COMMITTING, two, message_id, committed)
    # The forgery is a good one: only the commitment stands in its way.
    opener = ContentOpener(Suite.COMMITTING, two, message_id, commitment_of(two, message_id))
    opener.open(body)
    opener.finish()


def test_a_missing_commitment_is_no_commitment() -> None:
    with pytest.raises(IntegrityError):
        ContentOpener(Suite.COMMITTING, new_key(), bytes(28), None)
