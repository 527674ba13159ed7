"""Verification: reading a whole trail again and naming the first record that is wrong.

It streams, so its memory does not grow with the trail, and sees one state of the database even
while others append. What it finds, it finds by the chain's keyed hashes; the kind of tampering it
names is the plainest explanation of what it sees, not a proof of what was done.
"""

from __future__ import annotations

import enum
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, select, type_coerce
from sqlalchemy.types import NullType

from tlslab.audit import tables
from tlslab.audit.chain import Chain, Head
from tlslab.audit.columns import columns

_FETCHED = 1000
"""Records in memory at a time, about a megabyte."""


class Fault(enum.Enum):
    """What is wrong with a trail."""

    CHANGED = "changed"
    """The record, its time or its place differs from what was written: also one put in its place,
    and one that somebody without the key added."""

    COLUMNS = "columns"
    """The record is what was written, but the columns to search it by say something else."""

    MISSING = "missing"
    """There are records after it, and it is not there."""

    CUT = "cut"
    """The sealed head counts more records than there are."""

    BEYOND = "beyond"
    """It fits the chain, but the sealed head is older: the head was put back."""

    HEAD = "head"
    """The sealed head is missing or not this trail's."""

    ROLLED_BACK = "rolled-back"
    """The trail does not contain the head that was noted elsewhere."""


@dataclass(frozen=True)
class Finding:
    """A fault, and the number of the first record it concerns (0: none)."""

    fault: Fault
    number: int


@dataclass(frozen=True)
class Verification:
    """What came out: how many records are right, counted from the first, and the first fault.

    `head` is the head up to there; if nothing is wrong, that of the trail, worth noting elsewhere.
    """

    head: Head
    finding: Finding | None

    @property
    def intact(self) -> bool:
        """Whether nothing is wrong."""
        return self.finding is None


def verify(
    connection: Connection, chain: Chain, *, expected: Head | None, begun: bool
) -> Verification:
    """Read the whole trail. `expected` is a head noted earlier, which must be in it.

    With `begun`, a trail without a head is not taken for one that has not begun.
    """
    head, noted = chain.start(), expected
    for row in _rows(connection):
        finding = _check(chain, head, row)
        if finding is not None:
            return Verification(head, finding)
        head = Head(row.number, row.mac)
        if noted is not None and noted.count == head.count:
            if not hmac.compare_digest(noted.mac, head.mac):
                return Verification(head, Finding(Fault.ROLLED_BACK, head.count))
            noted = None
    finding = _check_end(connection, chain, head, begun=begun)
    if finding is None and noted is not None and noted != head:
        finding = Finding(Fault.ROLLED_BACK, head.count)
    return Verification(head, finding)


def _rows(connection: Connection) -> Iterator[Row[Any]]:
    wanted = _as_stored(tables.records).order_by(tables.records.c.number)
    yield from connection.execute(wanted.execution_options(yield_per=_FETCHED))


def _as_stored(table: Table) -> Select[*tuple[Any, ...]]:
    """The table's values as they are: SQLite keeps any type in any column, as whoever wrote it."""
    return select(*(type_coerce(column, NullType()).label(column.name) for column in table.c))


def _check(chain: Chain, head: Head, row: Row[Any]) -> Finding | None:
    number = head.count + 1
    if row.number != number:
        return Finding(Fault.MISSING, number)
    if not (isinstance(row.time, int) and _are_bytes(row.record, row.mac)):
        return Finding(Fault.CHANGED, number)
    if not hmac.compare_digest(row.mac, chain.extend(head, row.time, row.record).mac):
        return Finding(Fault.CHANGED, number)
    kept = row._mapping
    if any(kept[name] != value for name, value in columns(json.loads(row.record)).items()):
        return Finding(Fault.COLUMNS, number)
    return None


def _check_end(connection: Connection, chain: Chain, head: Head, *, begun: bool) -> Finding | None:
    row = connection.execute(_as_stored(tables.head)).first()
    if row is None:
        return Finding(Fault.HEAD, 0) if begun or head.count else None
    if not (isinstance(row.number, int) and _are_bytes(row.mac, row.seal)):
        return Finding(Fault.HEAD, 0)
    sealed = Head(row.number, row.mac)
    if not chain.sealed(sealed, row.seal):
        return Finding(Fault.HEAD, 0)
    if sealed.count > head.count:
        return Finding(Fault.CUT, head.count + 1)
    if sealed.count < head.count:
        return Finding(Fault.BEYOND, sealed.count + 1)
    return None if sealed == head else Finding(Fault.HEAD, 0)


def _are_bytes(*values: object) -> bool:
    return all(isinstance(value, bytes) for value in values)
