"""The types of values in conditions: numbers, dates, booleans, bytes, addresses.

Each function reads a value and answers None for what is none, so that a policy's author can be told
and a request's value simply does not match.

Source: IAM, "IAM JSON policy elements: Condition operators".
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_DIGITS = 40
"""Of a number, on each side of the point: beyond any quantity, and cheap to compare."""

_NUMBER = re.compile(rf"[+-]?[0-9]{{1,{MAX_DIGITS}}}(?:\.[0-9]{{1,{MAX_DIGITS}}})?")

_DATE = re.compile(  # the profile of ISO 8601 in the W3C note "Date and Time Formats"
    r"(?P<year>[0-9]{4})(?:-(?P<month>[0-9]{2})(?:-(?P<day>[0-9]{2})"
    r"(?P<time>T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2}))?)?)?"
)


def number(text: str) -> Decimal | None:
    """An integer or decimal number."""
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def seconds(text: str) -> Decimal | None:
    """A date, in ISO 8601 or as seconds since the epoch, as seconds since the epoch.

    Four digits are a year, as in the W3C's note.
    """
    match = _DATE.fullmatch(text)
    if match is None:
        return number(text)
    day = f"{match['year']}-{match['month'] or '01'}-{match['day'] or '01'}"
    try:
        moment = datetime.fromisoformat(day + (match["time"] or "T00:00:00+00:00"))
        since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError):  # 31 February; the year 0
        return None
    return Decimal(since.days * 86_400 + since.seconds) + Decimal(since.microseconds) / 1_000_000


def boolean(text: str) -> bool | None:
    """`true` or `false`, in any case."""
    return {"true": True, "false": False}.get(text.lower())


def octets(text: str) -> bytes | None:
    """Bytes in base64."""
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None


def network(text: str) -> Network | None:
    """A range of addresses in CIDR notation, or a single address."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def address(text: str) -> Address | None:
    """An address; one of IPv4 within IPv6 (`::ffff:192.0.2.1`, a dual-stack socket) as IPv4."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return found if mapped is None else mapped
