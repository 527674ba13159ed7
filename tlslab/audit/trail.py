"""The trail: events appended inside writes, each chained to the one before.

An append is two statements. The first moves the head on from where this process last saw it; it
finds nothing to move if the head is elsewhere, because another process has appended or because the
write that moved it was undone. Only then is the head read. So the head in memory is never trusted,
only tried, and an append costs no reading while one process writes.
"""

from __future__ import annotations

import calendar
import datetime

from sqlalchemy import Connection, bindparam, insert, select, update

from tlslab.audit import tables
from tlslab.audit.chain import Chain, Head
from tlslab.audit.columns import columns
from tlslab.audit.event import Event, encode
from tlslab.audit.lookup import MAX_PAGE, Found, Page, Position, Query, look_up, read_after
from tlslab.audit.verification import Verification, verify
from tlslab.database import Database
from tlslab.errors import IntegrityError
from tlslab.seal import Seal

_MOVE = (
    update(tables.head)
    .where(tables.head.c.id == 1, tables.head.c.mac == bindparam("from_mac"))
    .values(number=bindparam("to_number"), mac=bindparam("to_mac"), seal=bindparam("to_seal"))
)
_ADD = insert(tables.records)
_HEAD = select(tables.head.c.number, tables.head.c.mac, tables.head.c.seal)


class Trail:
    """An append-only, hash-chained trail of events in a database.

    Its database must have been opened with this package's `metadata` among its tables. With
    `begun` a trail without a head is refused as tampered with, otherwise it begins with the first
    event; see `begin`.
    """

    def __init__(self, database: Database, seal: Seal, *, begun: bool = False) -> None:
        self._database = database
        self._chain = Chain(seal.derive("audit"))
        self._begun = begun
        self._last = self._chain.start()

    def append(self, connection: Connection, event: Event) -> None:
        """Add an event, inside a write of the database: it is kept if and only if the write is.

        Raises IntegrityError if the head was tampered with: nothing goes on unseen after that.
        """
        record = event.record()
        text, time = encode(record), microseconds(event.time)
        if not self._move(connection, time, text):
            self._last = self._read_head(connection)
            if not self._move(connection, time, text):
                raise IntegrityError("the audit trail's head moved under a write")
        connection.execute(
            _ADD,
            {
                "number": self._last.count,
                "time": time,
                "mac": self._last.mac,
                "record": text,
                **columns(record),
            },
        )

    def begin(self, connection: Connection) -> None:
        """Write the head of an empty trail, in the write that creates all else.

        From then on, with `begun`, a trail that is gone as a whole is not taken for a new one.
        """
        start = self._chain.start()
        row = {"id": 1, "number": 0, "mac": start.mac, "seal": self._chain.seal(start)}
        connection.execute(insert(tables.head), row)

    async def head(self) -> Head:
        """The end of the trail, to be noted elsewhere. Raises IntegrityError as `append`."""
        return await self._database.read(self._stored_head)

    async def lookup(
        self, query: Query, *, after: Position | None = None, limit: int = MAX_PAGE
    ) -> Page:
        """A page of the records that match, the newest first; `after` is the last page's `next`."""
        return await self._database.read(lambda found: look_up(found, query, after, limit))

    async def read_after(self, number: int, *, limit: int = MAX_PAGE) -> tuple[Found, ...]:
        """The next records after one, in the order in which they were written; 0 starts."""
        return await self._database.read(lambda found: read_after(found, number, limit))

    async def verify(self, expected: Head | None = None) -> Verification:
        """Read the whole trail again and find the first record that is wrong.

        `expected` is a head noted elsewhere, which only it shows to be gone if everything was put
        back to an earlier state.
        """
        return await self._database.read(
            lambda found: verify(found, self._chain, expected=expected, begun=self._begun)
        )

    def _move(self, connection: Connection, time: int, text: bytes) -> bool:
        """Move the head on from where it was last seen; False if it is not there."""
        head = self._chain.extend(self._last, time, text)
        moved = connection.execute(
            _MOVE,
            {
                "from_mac": self._last.mac,
                "to_number": head.count,
                "to_mac": head.mac,
                "to_seal": self._chain.seal(head),
            },
        )
        if moved.rowcount != 1:
            return False
        self._last = head
        return True

    def _read_head(self, connection: Connection) -> Head:
        if not self._begun and connection.execute(_HEAD).first() is None:
            if connection.execute(select(tables.records.c.number).limit(1)).first() is not None:
                raise IntegrityError("the audit trail has records but no head")
            self.begin(connection)
        return self._stored_head(connection)

    def _stored_head(self, connection: Connection) -> Head:
        row = connection.execute(_HEAD).first()
        if row is None:
            if not self._begun:
                return self._chain.start()
            raise IntegrityError("the audit trail has no head: it was removed")
        head = Head(row.number, row.mac)
        if not self._chain.sealed(head, row.seal):
            raise IntegrityError("the audit trail's head does not authenticate")
        return head


def microseconds(time: datetime.datetime) -> int:
    """Microseconds since 1970."""
    utc = time.astimezone(datetime.UTC)
    return calendar.timegm(utc.timetuple()) * 1_000_000 + utc.microsecond
