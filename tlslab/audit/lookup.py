"""Looking records up, the newest first, a page at a time.

One call looks at no more than SCANNED records, however few of them match: a search for something
rare takes more pages, some of them empty, instead of one that holds everybody up.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Row, Select, Tuple, func, select, tuple_

from tlslab.audit import tables
from tlslab.audit.columns import searchable

SCANNED = 50_000
"""About a tenth of a second's work."""

MAX_PAGE = 50
"""CloudTrail's own limit for a page (LookupEvents, MaxResults)."""

_records = tables.records.c


class Attribute(enum.Enum):
    """What records can be looked up by; the values are LookupEvents' names."""

    EVENT_ID = "EventId"
    EVENT_NAME = "EventName"
    READ_ONLY = "ReadOnly"
    USERNAME = "Username"
    RESOURCE_TYPE = "ResourceType"
    RESOURCE_NAME = "ResourceName"
    EVENT_SOURCE = "EventSource"
    ACCESS_KEY_ID = "AccessKeyId"


@dataclass(frozen=True)
class Query:
    """Which records are wanted; None leaves a question open.

    `account` is that of the caller or of a resource. `start` and `end` are microseconds since 1970,
    both included. `value` is compared with the attribute in full; ReadOnly's are "true" and
    "false".
    """

    account: str | None = None
    region: str | None = None
    attribute: Attribute | None = None
    value: str = ""
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True)
class Position:
    """How far a lookup has come: the record it looked at last."""

    time: int
    number: int


UNREADABLE = (AttributeError, KeyError, RecursionError, TypeError, ValueError)
"""What reading a record raises that is none any more: somebody wrote over it in the database. It is
shown as such, not passed over; verification says what is wrong."""


@dataclass(frozen=True)
class Found:
    """A record found: its number, its time in microseconds, and its text as it is kept."""

    number: int
    time: int
    record: bytes


@dataclass(frozen=True)
class Page:
    """Records, the newest first, and where to go on; None after the last."""

    found: tuple[Found, ...]
    next: Position | None


def look_up(connection: Connection, query: Query, after: Position | None, limit: int) -> Page:
    """The next `limit` records that match, of those older than `after`."""
    within = list(_span(query, after))
    indexed = query.attribute is Attribute.EVENT_ID
    horizon = None if indexed else _horizon(connection, within)
    if horizon is not None:
        within.append(_order() >= tuple_(horizon.time, horizon.number))
    wanted = _columns().where(*within, *_matching(query))
    rows = connection.execute(_newest_first(wanted).limit(limit + 1)).all()
    found = tuple(_found(row) for row in rows[:limit])
    if len(rows) > limit:
        return Page(found, Position(found[-1].time, found[-1].number))
    return Page(found, horizon)


def read_after(connection: Connection, number: int, limit: int) -> tuple[Found, ...]:
    """The next `limit` records after one, in the order in which they were written."""
    wanted = _columns().where(_records.number > number).order_by(_records.number).limit(limit)
    return tuple(_found(row) for row in connection.execute(wanted))


def _horizon(connection: Connection, within: list[ColumnElement[bool]]) -> Position | None:
    """The last record that one call looks at, None if there are not that many."""
    wanted = select(_records.time, _records.number).where(*within)
    row = connection.execute(_newest_first(wanted).offset(SCANNED - 1).limit(1)).first()
    return None if row is None else Position(row.time, row.number)


def _span(query: Query, after: Position | None) -> Iterator[ColumnElement[bool]]:
    if query.start is not None:
        yield _records.time >= query.start
    if query.end is not None:
        yield _records.time <= query.end
    if after is not None:
        yield _order() < tuple_(after.time, after.number)


def _matching(query: Query) -> Iterator[ColumnElement[bool]]:
    if query.account is not None:
        yield _has(_records.accounts, query.account)
    if query.region is not None:
        yield _records.region == query.region
    value = searchable(query.value)
    match query.attribute:
        case None:
            pass
        case Attribute.READ_ONLY:
            yield _records.read_only == (value.lower() == "true")
        case Attribute.RESOURCE_NAME | Attribute.RESOURCE_TYPE:
            yield _has(_records.resources, value)
        case attribute:
            yield _PLAIN[attribute] == value


_PLAIN = {
    Attribute.EVENT_ID: _records.event_id,
    Attribute.EVENT_NAME: _records.name,
    Attribute.USERNAME: _records.username,
    Attribute.EVENT_SOURCE: _records.source,
    Attribute.ACCESS_KEY_ID: _records.access_key_id,
}


def _has(listed: Column[str], item: str) -> ColumnElement[bool]:
    """Whether a list has an item, by a comparison that minds case on both databases."""
    return func.replace(listed, f"\n{searchable(item)}\n", "") != listed


def _order() -> Tuple:
    return tuple_(_records.time, _records.number)


def _newest_first(wanted: Select[Any]) -> Select[Any]:
    return wanted.order_by(_records.time.desc(), _records.number.desc())


def _columns() -> Select[Any]:
    return select(_records.number, _records.time, _records.record)


def _found(row: Row[Any]) -> Found:
    kept = row.record  # SQLite keeps text in a column for bytes, if somebody put it there
    return Found(row.number, row.time, kept if isinstance(kept, bytes) else str(kept).encode())
