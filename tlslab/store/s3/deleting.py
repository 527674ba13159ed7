"""DeleteObjects: many at once, each permitted, refused and reported by itself."""

from __future__ import annotations

from dataclasses import dataclass

import trio

from tlslab.http import Response
from tlslab.store.refusals import Refused
from tlslab.store.s3.access import refusal_to_delete
from tlslab.store.s3.answers import xml
from tlslab.store.s3.call import Call
from tlslab.store.s3.xml import Child, Element, parse

MAX_KEYS = 1000
"""Objects in one request; S3's limit."""

AT_ONCE = 32
"""Deletions under way at a time, so that they share commits without starving other requests."""


@dataclass(frozen=True, slots=True)
class Doomed:
    """One object that is to go; `if_match` is an ETag it must have."""

    key: str
    version_id: str | None
    if_match: str | None


async def delete_objects(call: Call) -> Response:
    """DeleteObjects. It succeeds also where single deletions fail; `Quiet` tells only of those."""
    root = parse(await call.document(), "Delete").knows("Quiet", "Object")
    doomed = [_doomed(element) for element in root.all("Object")]
    if not 1 <= len(doomed) <= MAX_KEYS:
        raise Refused("MalformedXML")
    outcomes: list[Child | None] = [None] * len(doomed)
    limiter = trio.CapacityLimiter(AT_ONCE)

    async def delete(index: int) -> None:
        async with limiter:
            outcomes[index] = await _delete(call, doomed[index])

    async with trio.open_nursery() as nursery:
        for index in range(len(doomed)):
            nursery.start_soon(delete, index)
    quiet = (root.value("Quiet") or "").strip().lower() == "true"
    told = [found for found in outcomes if found is not None]
    return xml("DeleteResult", [found for found in told if not quiet or found[0] == "Error"])


async def _delete(call: Call, doomed: Doomed) -> Child:
    named: list[Child] = [("Key", doomed.key), ("VersionId", doomed.version_id)]
    try:
        refusal = await refusal_to_delete(call, doomed.key, doomed.version_id, doomed.if_match)
        if refusal is not None:
            raise refusal
        deleted = await call.store.delete(
            call.caller,
            call.bucket,
            doomed.key,
            version_id=doomed.version_id,
            if_match=doomed.if_match,
        )
    except Refused as refused:
        return ("Error", [*named, ("Code", refused.code), ("Message", refused.message)])
    if deleted.delete_marker:
        named += [("DeleteMarker", True), ("DeleteMarkerVersionId", deleted.version_id)]
    return ("Deleted", named)


def _doomed(element: Element) -> Doomed:
    for name in ("LastModifiedTime", "Size"):
        if element.all(name):
            raise Refused("NotImplemented", f"{name} of an object to delete is not implemented")
    element.knows("Key", "VersionId", "ETag")
    key = element.one("Key").leaf()
    if not key:
        raise Refused("MalformedXML")
    etag = element.value("ETag")
    version = element.value("VersionId") or None
    return Doomed(key, version, None if etag is None else etag.strip().strip('"'))
