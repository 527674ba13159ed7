"""Pages of a list: how many, from where, and where the next begins.

A marker is the last entry of the page before, with the operation it belongs to. It is no secret and
gives nothing to whoever makes one up: what it continues is authorised anew.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import ColumnElement, Row, Select

from tlslab.kms.errors import KMSError

if TYPE_CHECKING:
    from tlslab.kms.call import Call

_T = TypeVar("_T")
_MOST = 1000  # the model's limit of Limit


def page(
    call: Call, query: Select[Any], by: ColumnElement[Any], *, default: int, most: int = _MOST
) -> tuple[Sequence[Row[Any]], dict[str, Any]]:
    """One page of a query's rows, in the order of the unique column `by`; NextMarker, Truncated.

    `default` is how many without a Limit, `most` how many with one that is larger. Raises KMSError
    (InvalidMarkerException).
    """
    limit = _limit(call, default, most)
    after = _after(call)
    if after is not None:
        query = query.where(by > after)
    rows = call.connection.execute(query.order_by(by).limit(limit + 1)).all()
    if len(rows) <= limit:
        return rows, {"Truncated": False}
    rows = rows[:limit]
    return rows, _more(call, getattr(rows[-1], str(by.key)))


def slice_page(
    call: Call, entries: Sequence[_T], *, default: int, most: int = _MOST
) -> tuple[Sequence[_T], dict[str, Any]]:
    """One page of entries that are all at hand; the marker counts them. Otherwise as `page`."""
    limit = _limit(call, default, most)
    after = _after(call)
    if not (after is None or (after.isdecimal() and after.isascii())):
        raise KMSError("InvalidMarkerException")
    start = 0 if after is None else int(after)
    found = entries[start : start + limit]
    if start + limit >= len(entries):
        return found, {"Truncated": False}
    return found, _more(call, str(start + limit))


def _limit(call: Call, default: int, most: int) -> int:
    return min(int(call.parameters.get("Limit", default)), most)


def _more(call: Call, last: str) -> dict[str, Any]:
    marker = json.dumps([call.operation.name, last]).encode()
    return {"Truncated": True, "NextMarker": base64.urlsafe_b64encode(marker).decode()}


def _after(call: Call) -> str | None:
    marker = call.parameters.get("Marker")
    if marker is None:
        return None
    try:
        found = json.loads(base64.b64decode(marker, altchars=b"-_", validate=True))
        operation, last = found
    except (ValueError, TypeError, RecursionError):
        raise KMSError("InvalidMarkerException") from None
    if operation != call.operation.name or not isinstance(last, str) or "\0" in last:
        raise KMSError("InvalidMarkerException")
    return last
