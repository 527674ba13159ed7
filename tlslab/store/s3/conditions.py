"""Conditional requests, as RFC 9110 section 13.2.2 orders them and S3 answers them.

If-Match beats If-Unmodified-Since, If-None-Match beats If-Modified-Since; a field whose date
cannot be read is ignored (RFC 9110 13.1.3). Copies have the same four for their source, and fail
where a read would say 304. The module knows ETags and times, not objects.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from tlslab.store.refusals import Refused

_MEMBER = re.compile(r'\s*(?:W/)?"?([^",]*)"?\s*')

SOURCE = "x-amz-copy-source-"
"""The prefix of the conditions on a copy's source."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """The four fields, each None if it is not given or means nothing."""

    if_match: str | None = None
    if_none_match: str | None = None
    if_modified_since: datetime | None = None
    if_unmodified_since: datetime | None = None

    @classmethod
    def read(cls, fields: Mapping[str, str], prefix: str = "") -> Conditions:
        """From header fields whose names begin with `prefix`."""
        return cls(
            fields.get(f"{prefix}if-match"),
            fields.get(f"{prefix}if-none-match"),
            http_date(fields.get(f"{prefix}if-modified-since")),
            http_date(fields.get(f"{prefix}if-unmodified-since")),
        )

    def check(self, etag: str, modified: datetime, *, copying: bool = False) -> None:
        """Hold them against an object that exists.

        Raises Refused: PreconditionFailed (412), or NotModified (304) unless it is for a copy.
        """
        modified = modified.replace(microsecond=0)  # as Last-Modified showed it
        if self.if_match is not None:
            if not matches(self.if_match, etag):
                raise _failed("If-Match")
        elif self.if_unmodified_since is not None and modified > self.if_unmodified_since:
            raise _failed("If-Unmodified-Since")
        if self.if_none_match is not None:
            unchanged, name = matches(self.if_none_match, etag), "If-None-Match"
        else:
            since = self.if_modified_since
            unchanged, name = since is not None and modified <= since, "If-Modified-Since"
        if unchanged:
            raise _failed(name) if copying else Refused("NotModified")


def matches(condition: str, etag: str) -> bool:
    """Whether a list of entity tags, quoted or not as S3 takes them, or `*`, names this one."""
    if condition.strip() == "*":
        return True
    return any(found[1] == etag for found in map(_MEMBER.fullmatch, condition.split(",")) if found)


def http_date(value: str | None) -> datetime | None:
    """A date in any of HTTP's three forms (RFC 9110 5.6.7), None if it is not one."""
    if value is None:
        return None
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return date if date.utcoffset() == timedelta() else None


def _failed(name: str) -> Refused:
    return Refused("PreconditionFailed", details={"Condition": name})
