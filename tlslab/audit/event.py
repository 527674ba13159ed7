"""One event: who asked for what, from where, and what came of it.

An event becomes a record, JSON in CloudTrail's form, and what is written, authenticated and shown
later is that text itself: nothing is rendered anew when somebody reads it. Bytes have no place in
an event, so no plaintext, ciphertext or key can get into one by mistake.

Source: AWS CloudTrail User Guide, "CloudTrail record contents" and "CloudTrail userIdentity
element"; AWS KMS Developer Guide, "Logging AWS KMS API calls with AWS CloudTrail".
"""

from __future__ import annotations

import datetime
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tlslab.iam.caller import Caller, Principal

RECORD_VERSION = "1.11"
"""CloudTrail's eventVersion whose members these are."""

USER_AGENT_CHARACTERS = 1024
"""What is kept of a user agent, as CloudTrail does; anybody may send any amount of it."""

ANONYMOUS = "ANONYMOUS_PRINCIPAL"
"""The account of a request that nobody signed."""

_TYPES = {"root": "Root", "user": "IAMUser", "assumed-role": "AssumedRole"}


@dataclass(frozen=True)
class Resource:
    """Something an event was about: its ARN, the account that owns it, CloudTrail's type of it."""

    arn: str
    account: str
    type: str = "AWS::KMS::Key"


def new_event_id() -> str:
    """A fresh id in CloudTrail's form, a UUID."""
    return str(uuid.uuid4())


@dataclass(frozen=True)
class Event:
    """One request, allowed or refused.

    Where a service acts for a caller the record names it (`invokedBy`) and still shows the caller's
    own address and agent; AWS would put the service's name in their place.

    `time` is when it was decided, with a time zone. `parameters` and `response` are what the
    record shows of the request and its answer: JSON values under CloudTrail's names, no secrets
    (see redaction.py). `error` is the service's error code, None if it was served. `source` is
    the service's name ("kms.amazonaws.com").
    """

    time: datetime.datetime
    source: str
    name: str
    region: str
    caller: Caller
    parameters: Mapping[str, Any] | None = None
    response: Mapping[str, Any] | None = None
    error: str | None = None
    error_message: str | None = None
    resources: tuple[Resource, ...] = ()
    read_only: bool = True
    request_id: str = field(default_factory=new_event_id)
    event_id: str = field(default_factory=new_event_id)
    extra: Mapping[str, Any] | None = None
    """CloudTrail's additionalEventData, such as the id of the key material that was used."""

    def record(self) -> dict[str, Any]:
        """The event as a CloudTrail record."""
        utc = self.time.astimezone(datetime.UTC)
        record: dict[str, Any] = {
            "eventVersion": RECORD_VERSION,
            "userIdentity": _identity(self.caller),
            "eventTime": utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "eventSource": self.source,
            "eventName": self.name,
            "awsRegion": self.region,
            "sourceIPAddress": self.caller.source_ip,
            "userAgent": self.caller.user_agent[:USER_AGENT_CHARACTERS],
        }
        if self.error is not None:
            record["errorCode"] = self.error
            if self.error_message:
                record["errorMessage"] = self.error_message
        record["requestParameters"] = self.parameters
        record["responseElements"] = self.response
        if self.extra is not None:
            record["additionalEventData"] = self.extra
        record["requestID"] = self.request_id
        record["eventID"] = self.event_id
        record["readOnly"] = self.read_only
        if self.resources:
            record["resources"] = [
                {"accountId": resource.account, "type": resource.type, "ARN": resource.arn}
                for resource in self.resources
            ]
        record["eventType"] = "AwsApiCall"
        record["managementEvent"] = True
        record["recipientAccountId"] = self._recipient()
        record["eventCategory"] = "Management"
        return record

    def _recipient(self) -> str:
        """The account in whose trail it is: the caller's, or of what somebody unknown asked for."""
        account = self.caller.account
        if account is None:
            return self.resources[0].account if self.resources else ANONYMOUS
        return account


def encode(record: Mapping[str, Any]) -> bytes:
    """A record as the bytes that are kept. Raises TypeError for what is not JSON, such as bytes."""
    return _ENCODER.encode(record).encode()


_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


def _identity(caller: Caller) -> dict[str, Any]:
    principal = caller.principal
    if principal is None:
        identity: dict[str, Any] = {"type": "AWSAccount", "principalId": "", "accountId": ANONYMOUS}
    elif principal.kind == "service":
        identity = {"type": "AWSService", "invokedBy": principal.name}
    else:
        identity = {
            "type": _TYPES[principal.kind],
            "principalId": principal.user_id,
            "arn": principal.arn,
            "accountId": principal.account,
        }
        if caller.access_key_id is not None:
            identity["accessKeyId"] = caller.access_key_id
        if principal.kind == "user":
            identity["userName"] = principal.name
        if principal.kind == "assumed-role":
            identity["sessionContext"] = {"sessionIssuer": _issuer(principal)}
    if caller.via is not None:
        identity["invokedBy"] = _service(caller.via)
    return identity


def _issuer(principal: Principal) -> dict[str, str]:
    """The role behind a session."""
    return {
        "type": "Role",
        "principalId": principal.user_id.partition(":")[0],
        "arn": principal.policy_arn,
        "accountId": principal.account,
        "userName": principal.name,
    }


def _service(via: str) -> str:
    """The service's name without a region: "s3.amazonaws.com" of "s3.eu-west-2.amazonaws.com"."""
    return f"{via.partition('.')[0]}.amazonaws.com"
