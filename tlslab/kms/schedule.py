"""What happens by itself when its time comes: deletions, rotations, expiries.

It happens at the beginning of the first write after that time, before anything else is looked at,
so no request ever sees a key beyond its time. Each leaves a record in the audit trail, as AWS's own
service events do.
"""

from __future__ import annotations

import datetime

from sqlalchemy import Connection

from tlslab.audit import Event, Resource, Trail
from tlslab.iam import Caller
from tlslab.kms.keyring import Keyring, next_rotation
from tlslab.kms.model import DAY, Key, State, micros
from tlslab.kms.operations.rotation import AUTOMATIC, rotate

SERVICE = "kms.amazonaws.com"


def advance(
    keyring: Keyring, trail: Trail, connection: Connection, time: datetime.datetime
) -> None:
    """Do all that is due."""
    now = micros(time)
    due = keyring.next_due(connection)
    if due is None or due > now:
        return
    deletions, rotations, expiries = keyring.due(connection, now)
    for key in deletions:
        _delete(keyring, connection, key, now)
        record(trail, connection, key, "DeleteKey", time)
    for key in rotations:
        if key not in deletions and key.rotation_days is not None:
            rotate(keyring, connection, key, now, AUTOMATIC)
            keyring.update(connection, key, next_rotation=next_rotation(now, key.rotation_days))
            record(trail, connection, key, "RotateKey", time)
    for key in expiries:
        for each in key.materials if key not in deletions else ():
            if each.sealed is not None and each.expires is not None and each.expires <= now:
                keyring.update_material(connection, key, each.id, sealed=None)
                record(trail, connection, key, "DeleteExpiredKeyMaterial", time)


def _delete(keyring: Keyring, connection: Connection, key: Key, now: int) -> None:
    """Erase a key; the last replica's end begins the waiting period of its primary."""
    keyring.erase(connection, key)
    if key.primary_region is None:
        return
    primary = keyring.find(connection, key.primary_region, key.id)
    if primary is None or primary.state is not State.PENDING_REPLICA_DELETION:
        return
    if len(keyring.related(connection, primary)) == 1:
        window = primary.pending_window or 0
        keyring.update(connection, primary, deletion=now + window * DAY)


def record(
    trail: Trail, connection: Connection, key: Key, name: str, time: datetime.datetime
) -> None:
    """Record what the KMS did to a key by itself."""
    event = Event(
        time=time,
        source=SERVICE,
        name=name,
        region=key.region,
        caller=Caller.service(SERVICE, key.account),
        resources=(Resource(key.arn, key.account),),
        read_only=False,
    )
    trail.append(connection, event)
