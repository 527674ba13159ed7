"""Header fields as they were on the wire, and how to look them up.

A list of pairs keeps order, case and repetition, which proxies and signatures need.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

Headers: TypeAlias = list[tuple[bytes, bytes]]
"""Field names in the case received, and their values without surrounding whitespace."""


def header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes | None:
    """The value of the first field called `name` (in any case), or None."""
    wanted = name.lower()
    for field, value in headers:
        if field.lower() == wanted:
            return value
    return None


def header_tokens(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    """The lower-cased members of all comma-separated fields called `name` (RFC 9110 5.6.1)."""
    wanted = name.lower()
    members = (
        member.strip(b" \t").lower()
        for field, value in headers
        if field.lower() == wanted
        for member in value.split(b",")
    )
    return [member for member in members if member]
