"""Checksums of bytes against published check values and botocore; of parts against the whole."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlslab.store.checksums import ALGORITHMS, Hasher, can_combine, combine, composite

CRCS = ["CRC32", "CRC32C", "CRC64NVME"]
CHECK = {  # of b"123456789"; the CRCs are those of the catalogue of parametrised CRC algorithms
    "CRC32": "cbf43926",
    "CRC32C": "e3069283",
    "CRC64NVME": "ae8b14860a799888",
    "SHA1": "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
    "SHA256": "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
    "MD5": "25f9e794323b453885f5181f1b624d0b",
}


def checksum(algorithm: str, *parts: bytes) -> str:
    hasher = Hasher(algorithm)
    for part in parts:
        hasher.update(part)
    return hasher.digest()


@pytest.mark.parametrize(("algorithm", "expected"), CHECK.items())
def test_check_values(algorithm: str, expected: str) -> None:
    assert base64.b64decode(checksum(algorithm, b"123456789")).hex() == expected


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(parts=st.lists(st.binary(max_size=50), max_size=5))
def test_pieces_do_not_matter(algorithm: str, parts: list[bytes]) -> None:
    value = checksum(algorithm, *parts)
    assert value == checksum(algorithm, b"".join(parts))
    assert len(base64.b64decode(value)) == ALGORITHMS[algorithm]


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_botocore_computes_the_same(algorithm: str) -> None:
    theirs = pytest.importorskip("botocore.httpchecksum", reason="botocore is not installed")
    kinds = theirs._CHECKSUM_CLS
    if algorithm.lower() not in kinds:
        pytest.skip(f"botocore has no {algorithm} without awscrt")
    other = kinds[algorithm.lower()]()
    data = bytes(range(256)) * 1000
    other.update(data)
    assert checksum(algorithm, data) == other.b64digest()


@pytest.mark.parametrize("algorithm", CRCS)
@given(parts=st.lists(st.binary(max_size=70), max_size=6))
def test_the_crc_of_a_whole_follows_from_those_of_its_parts(
    algorithm: str, parts: list[bytes]
) -> None:
    found = combine(algorithm, [(checksum(algorithm, part), len(part)) for part in parts])
    assert found == checksum(algorithm, *parts)


@pytest.mark.parametrize("algorithm", CRCS)
def test_order_and_size_of_parts_matter(algorithm: str) -> None:
    one, two = b"first" * 100, b"second" * 100
    parts = [(checksum(algorithm, part), len(part)) for part in (one, two)]
    assert combine(algorithm, parts) == checksum(algorithm, one + two)
    assert combine(algorithm, parts[::-1]) != checksum(algorithm, one + two)
    assert combine(algorithm, [parts[0], (parts[1][0], 1)]) != checksum(algorithm, one + two)


@pytest.mark.parametrize("algorithm", CRCS)
def test_parts_can_be_large(algorithm: str) -> None:
    """Five parts of 5 GiB of zeros, by doubling and by adding up."""
    mebibyte = checksum(algorithm, bytes(2**20))
    doubled, size = mebibyte, 2**20
    while size < 2**30:
        doubled, size = combine(algorithm, [(doubled, size), (doubled, size)]), 2 * size
    five_gibibytes = combine(algorithm, [(doubled, 2**30)] * 5)
    assert combine(algorithm, [(mebibyte, 2**20)] * 5120) == five_gibibytes
    whole = combine(algorithm, [(five_gibibytes, 5 * 2**30)] * 5)
    assert whole == combine(algorithm, [(doubled, 2**30)] * 25)


def test_which_can_be_combined() -> None:
    assert [name for name in ALGORITHMS if can_combine(name)] == CRCS
    with pytest.raises(ValueError, match="does not follow"):
        combine("SHA256", [])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_composite_is_the_checksum_of_checksums(algorithm: str) -> None:
    values = [checksum(algorithm, part) for part in (b"one", b"two", b"three")]
    raw = b"".join(base64.b64decode(value) for value in values)
    assert composite(algorithm, values) == f"{checksum(algorithm, raw)}-3"
    assert composite(algorithm, []).endswith("-0")


def test_a_composite_of_md5_is_an_etag_of_many_parts() -> None:
    raw = hashlib.md5(b"a").digest() + hashlib.md5(b"b").digest()
    values = [checksum("MD5", b"a"), checksum("MD5", b"b")]
    base64_value, _, count = composite("MD5", values).partition("-")
    assert base64.b64decode(base64_value) == hashlib.md5(raw).digest()
    assert count == "2"


@pytest.mark.parametrize("value", ["", "AAAA", "not base64!", "AAAAAAAA"])
def test_a_value_must_be_one(value: str) -> None:
    with pytest.raises(ValueError, match="is base64 of 4 bytes"):
        composite("CRC32", [value])
    with pytest.raises(ValueError, match="is base64 of 4 bytes"):
        combine("CRC32", [(value, 1)])


def test_an_unknown_algorithm_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown"):
        Hasher("CRC16")
