"""CloudTrail's LookupEvents, for the trail's own account and region.

    X-Amz-Target: com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents   (JSON 1.1)

It authorises, and checks parameters; how requests are framed and signed it does not know. Other
operations of CloudTrail are refused in words: there is one trail, and it cannot be turned off.

Source: AWS CloudTrail API Reference, LookupEvents.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from tlslab.audit.columns import username
from tlslab.audit.lookup import MAX_PAGE, UNREADABLE, Attribute, Found, Position, Query
from tlslab.audit.trail import Trail
from tlslab.errors import TlslabError
from tlslab.iam.caller import Caller
from tlslab.iam.context import global_context
from tlslab.iam.policy import Access, evaluate
from tlslab.seal import Seal

TARGET = "CloudTrail_20131101"
"""What the part of X-Amz-Target before the operation ends with."""

VALUE_CHARACTERS = 2000
"""LookupEvents: the longest AttributeValue."""

_TOKEN_MAC_BYTES = 16
_LATEST = 2**40
"""Seconds since 1970 beyond which a time is a mistake (the year 36812)."""


class CloudTrailError(TlslabError):
    """A request that CloudTrail refuses: the exception's name in the API's model, and a status."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = 400


class CloudTrail:
    """Answers CloudTrail's requests from a trail."""

    def __init__(self, trail: Trail, seal: Seal) -> None:
        self._trail = trail
        self._token_key = seal.derive("audit next token")

    async def invoke(
        self,
        caller: Caller,
        operation: str,
        parameters: Mapping[str, Any],
        *,
        region: str,
        now: datetime.datetime,
    ) -> dict[str, Any]:
        """The answer in JSON values under its wire names. Raises CloudTrailError."""
        if operation != "LookupEvents":
            raise CloudTrailError("UnsupportedOperationException", f"{operation} is not supported.")
        account = _authorised(caller, now)
        query = _query(parameters, account, region)
        limit = _limit(parameters.get("MaxResults"))
        after = self._position(parameters.get("NextToken"), query)
        if parameters.get("EventCategory") is not None:
            if parameters["EventCategory"] != "insight":
                raise CloudTrailError("InvalidEventCategoryException", "Unknown event category.")
            return {"Events": []}  # insights are CloudTrail's own findings; there are none here
        page = await self._trail.lookup(query, after=after, limit=limit)
        answer: dict[str, Any] = {"Events": [_event(found) for found in page.found]}
        if page.next is not None:
            answer["NextToken"] = self._token(page.next, query)
        return answer

    def _token(self, position: Position, query: Query) -> str:
        """Opaque, and only good for the query that it came with."""
        place = position.time.to_bytes(8, "big", signed=True) + position.number.to_bytes(8, "big")
        return base64.urlsafe_b64encode(place + self._mac(place, query)).decode()

    def _position(self, token: object, query: Query) -> Position | None:
        if token is None:
            return None
        try:
            raw = base64.b64decode(str(token).encode("ascii"), altchars=b"-_", validate=True)
        except (binascii.Error, UnicodeEncodeError):
            raw = b""
        place = raw[:16]
        if not hmac.compare_digest(raw[16:], self._mac(place, query)):
            raise CloudTrailError("InvalidNextTokenException", "Invalid token.")
        return Position(
            int.from_bytes(place[:8], "big", signed=True), int.from_bytes(place[8:], "big")
        )

    def _mac(self, place: bytes, query: Query) -> bytes:
        message = place + repr(query).encode("utf-8", "backslashreplace")
        return hmac.digest(self._token_key, message, hashlib.sha256)[:_TOKEN_MAC_BYTES]


def _authorised(caller: Caller, now: datetime.datetime) -> str:
    """The account whose events the caller may see."""
    principal = caller.principal
    access = Access.NONE
    if principal is not None:
        access = evaluate(
            principal.policies,
            principal=principal,
            action="cloudtrail:LookupEvents",
            resource="*",
            context=global_context(caller, now),
            resource_based=False,
        )
    if principal is None or access is not Access.ALLOW:
        who = "anonymous" if principal is None else principal.arn
        raise CloudTrailError(
            "AccessDeniedException",
            f"User: {who} is not authorized to perform: cloudtrail:LookupEvents",
        )
    return principal.account


def _query(parameters: Mapping[str, Any], account: str, region: str) -> Query:
    attribute, value = _attribute(parameters.get("LookupAttributes"))
    start, end = _time(parameters.get("StartTime")), _time(parameters.get("EndTime"))
    if start is not None and end is not None and start > end:
        raise CloudTrailError("InvalidTimeRangeException", "The start time is after the end time.")
    return Query(
        account=account,
        region=region,
        attribute=attribute,
        value=value,
        start=None if start is None else start * 1_000_000,
        end=None if end is None else end * 1_000_000 + 999_999,
    )


def _attribute(attributes: object) -> tuple[Attribute | None, str]:
    if attributes is None or attributes == []:
        return None, ""
    if not isinstance(attributes, list) or len(attributes) != 1:
        raise _invalid("Only one lookup attribute is allowed.")
    only = attributes[0]
    key = only.get("AttributeKey") if isinstance(only, dict) else None
    value = only.get("AttributeValue") if isinstance(only, dict) else None
    if not isinstance(value, str) or not 1 <= len(value) <= VALUE_CHARACTERS:
        raise _invalid(f"An attribute value has 1 to {VALUE_CHARACTERS} characters.")
    try:
        attribute = Attribute(key)
    except ValueError:
        raise _invalid("Unknown attribute key.") from None
    if attribute is Attribute.READ_ONLY and value not in {"true", "false"}:
        raise _invalid("ReadOnly is true or false.")
    return attribute, value


def _invalid(message: str) -> CloudTrailError:
    return CloudTrailError("InvalidLookupAttributesException", message)


def _time(value: object) -> int | None:
    """Whole seconds since 1970, which is how precise events show their time."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < _LATEST:
        raise CloudTrailError("InvalidTimeRangeException", "A time is seconds since 1970.")
    return int(value)


def _limit(value: object) -> int:
    if value is None:
        return MAX_PAGE
    if type(value) is not int or not 1 <= value <= MAX_PAGE:
        raise CloudTrailError("InvalidMaxResultsException", f"MaxResults is 1 to {MAX_PAGE}.")
    return value


def _event(found: Found) -> dict[str, Any]:
    try:
        return _readable(found)
    except UNREADABLE:  # all members are optional; what is kept is still given
        text = found.record.decode(errors="backslashreplace")
        return {"EventTime": found.time // 1_000_000, "CloudTrailEvent": text}


def _readable(found: Found) -> dict[str, Any]:
    text = found.record.decode()
    record = json.loads(text)
    identity = record["userIdentity"]
    event = {
        "EventId": record["eventID"],
        "EventName": record["eventName"],
        "ReadOnly": "true" if record["readOnly"] else "false",
        "EventTime": found.time // 1_000_000,
        "EventSource": record["eventSource"],
        "Resources": [
            {"ResourceType": resource["type"], "ResourceName": resource["ARN"]}
            for resource in record.get("resources", ())
        ],
        "CloudTrailEvent": text,
    }
    who = {"Username": username(identity), "AccessKeyId": identity.get("accessKeyId")}
    return event | {name: value for name, value in who.items() if value}
