"""The audit trail: who asked for what, when, from where, and what came of it; append-only, chained.

    event.py         one request, and its record in CloudTrail's form
    redaction.py     what a record may show of a request: no secrets
    columns.py       what of a record can be searched
    tables.py        where records are kept
    chain.py         keyed hashes that fix every record, its place and the trail's end
    lookup.py        looking records up, a page at a time
    verification.py  reading it all again, and naming the first record that is wrong
    trail.py         Trail: appending inside writes
    face.py          CloudTrail's LookupEvents

It knows no service: names, parameters and resources are what it is told.
"""

from tlslab.audit.chain import Head
from tlslab.audit.event import Event, Resource, new_event_id
from tlslab.audit.lookup import Attribute, Found, Page, Position, Query
from tlslab.audit.tables import metadata
from tlslab.audit.trail import Trail
from tlslab.audit.verification import Fault, Finding, Verification

__all__ = [
    "Attribute",
    "Event",
    "Fault",
    "Finding",
    "Found",
    "Head",
    "Page",
    "Position",
    "Query",
    "Resource",
    "Trail",
    "Verification",
    "metadata",
    "new_event_id",
]
