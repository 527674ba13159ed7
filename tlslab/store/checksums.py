"""The checksums that S3 keeps of objects and parts: of bytes as they pass, and of checksums.

CRC32 comes from zlib, CRC32C and CRC64NVME from AWS's own runtime, the rest from hashlib. Values
are base64 text, as in headers. Source: "Checking object integrity in Amazon S3", User Guide.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable, Iterable
from typing import Final

from awscrt import checksums as crt

ALGORITHMS: Final = {
    "CRC32": 4,
    "CRC32C": 4,
    "CRC64NVME": 8,
    "SHA1": 20,
    "SHA256": 32,
    "SHA512": 64,
    "MD5": 16,
}
"""Bytes of a value, by name. S3 takes the first five from clients; MD5 is that of ETags."""

_CRCS: Final[dict[str, Callable[[bytes, int], int]]] = {
    "CRC32": zlib.crc32,
    "CRC32C": crt.crc32c,
    "CRC64NVME": crt.crc64nvme,
}
_COMBINE: Final[dict[str, Callable[[int, int, int], int]]] = {
    "CRC32": crt.combine_crc32,
    "CRC32C": crt.combine_crc32c,
    "CRC64NVME": crt.combine_crc64nvme,
}


class Hasher:
    """One running checksum. Raises ValueError for an algorithm that is not in ALGORITHMS."""

    __slots__ = ("_crc", "_hash", "_value", "algorithm")

    def __init__(self, algorithm: str) -> None:
        if algorithm not in ALGORITHMS:
            raise ValueError(f"unknown checksum algorithm {algorithm}")
        self.algorithm = algorithm
        self._crc = _CRCS.get(algorithm)
        self._value = 0
        self._hash = (
            hashlib.new(algorithm.lower(), usedforsecurity=False) if self._crc is None else None
        )

    def update(self, data: bytes) -> None:
        """Take the next bytes. From a few kilobytes on, other threads run meanwhile."""
        if self._hash is not None:
            self._hash.update(data)
        elif self._crc is not None:
            self._value = self._crc(data, self._value)

    def raw(self) -> bytes:
        """The checksum of what was taken so far, as bytes."""
        if self._hash is not None:
            return self._hash.digest()
        return self._value.to_bytes(ALGORITHMS[self.algorithm], "big")

    def digest(self) -> str:
        """... as base64."""
        return base64.b64encode(self.raw()).decode("ascii")


def composite(algorithm: str, values: Iterable[str]) -> str:
    """The checksum of parts' checksums: base64, a hyphen, how many parts there are.

    Raises ValueError for a value that is not base64 of the algorithm's length.
    """
    hasher, count = Hasher(algorithm), 0
    for count, value in enumerate(values, start=1):  # noqa: B007 (how many there were)
        hasher.update(_decode(algorithm, value))
    return f"{hasher.digest()}-{count}"


def can_combine(algorithm: str) -> bool:
    """Whether the checksum of a whole follows from those of its parts: only for CRCs."""
    return algorithm in _COMBINE


def combine(algorithm: str, parts: Iterable[tuple[str, int]]) -> str:
    """The CRC of a whole, from value and size of each of its parts in order.

    Raises ValueError if the algorithm is no CRC, or a value not base64 of its length.
    """
    if algorithm not in _COMBINE:
        raise ValueError(f"the {algorithm} of a whole does not follow from those of its parts")
    whole = 0  # the CRC of no bytes, for all three
    for value, size in parts:
        part = int.from_bytes(_decode(algorithm, value), "big")
        whole = _COMBINE[algorithm](whole, part, size)
    return base64.b64encode(whole.to_bytes(ALGORITHMS[algorithm], "big")).decode("ascii")


def _decode(algorithm: str, value: str) -> bytes:
    try:
        raw = base64.b64decode(value, validate=True)
    except ValueError:
        raw = b""
    if len(raw) != ALGORITHMS[algorithm]:
        raise ValueError(f"a {algorithm} is base64 of {ALGORITHMS[algorithm]} bytes")
    return raw
