"""When a key was last used (GetKeyLastUsage).

Written at most once a second and key and process, so that a busy key does not pay a statement for
every use: what is shown may be older than the truth by less than that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.dialects import postgresql, sqlite

from tlslab.audit import Event
from tlslab.kms import tables
from tlslab.kms.model import Key, micros

if TYPE_CHECKING:
    from tlslab.kms.call import Call

RESOLUTION = 1_000_000
"""Microseconds; CloudTrail's own times have whole seconds."""


_MAX_PLACES = 10_000


def note_usage(call: Call, key: Key, operation: str, event: Event) -> None:
    """Note that a key served an operation, which `event` records."""
    last = call.keyring.last_used
    now = micros(event.time)
    place = (key.region, key.id)
    if now - last.get(place, now - RESOLUTION) < RESOLUTION:
        return
    if len(last) >= _MAX_PLACES:
        last.clear()
    last[place] = now
    insert = (postgresql if call.connection.dialect.name == "postgresql" else sqlite).insert
    row = {
        "operation": operation,
        "time": now,
        "event_id": event.event_id,
        "request_id": event.request_id,
    }
    statement = insert(tables.usage).values(region=key.region, key=key.id, **row)
    call.connection.execute(
        statement.on_conflict_do_update(index_elements=["region", "key"], set_=row)
    )
