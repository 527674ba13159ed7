"""Byte ranges: of a read (RFC 9110 section 14) and of a copied part (which is stricter).

One range at a time, as S3; several, or a field that is no byte range, are ignored as the RFC
allows. A range that is well-formed and names no byte is 416. The module knows sizes, not objects.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tlslab.store.refusals import Refused

_RANGE = re.compile(r"bytes\s*=\s*([0-9]{0,19})-([0-9]{0,19})\s*", re.IGNORECASE)
_COPY_RANGE = re.compile(r"bytes=([0-9]{1,19})-([0-9]{1,19})")


@dataclass(frozen=True, slots=True)
class ByteRange:
    """The bytes from `start` up to, not including, `stop`, of `size`."""

    start: int
    stop: int
    size: int

    @property
    def content_range(self) -> str:
        """The value of Content-Range, for a range that is not empty."""
        return f"bytes {self.start}-{self.stop - 1}/{self.size}"


def read_range(value: str | None, size: int) -> ByteRange | None:
    """What a Range field asks for of `size` bytes, None if the whole is to be sent.

    Raises Refused (InvalidRange, 416).
    """
    found = _RANGE.fullmatch(value or "")
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        start, stop = max(size - int(found[2]), 0), size
    else:
        start = int(found[1])
        stop = min(int(found[2]) + 1, size) if found[2] else size
        if found[2] and int(found[2]) < start:
            return None  # RFC 9110 14.1.1: invalid, so it is ignored
    if start >= stop:
        details = {"RangeRequested": value or "", "ActualObjectSize": str(size)}
        raise Refused("InvalidRange", details=details)
    return ByteRange(start, stop, size)


def read_copy_range(value: str | None) -> tuple[int, int] | None:
    """The first and the last byte of `x-amz-copy-source-range`, None if it is not given.

    Raises Refused (InvalidArgument).
    """
    if value is None:
        return None
    found = _COPY_RANGE.fullmatch(value)
    if found is None or int(found[2]) < int(found[1]):
        raise Refused(
            "InvalidArgument",
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first "
            "and last are the zero-based offsets of the first and last bytes to copy",
            details={"ArgumentName": "x-amz-copy-source-range", "ArgumentValue": value},
        )
    return int(found[1]), int(found[2])
