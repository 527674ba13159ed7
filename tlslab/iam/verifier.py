"""What every way of signing is verified with: keys, clock, scope, and the result.

The module knows what a credential must be; how signatures are computed is none of its business.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final, Literal, Protocol, TypeAlias

from tlslab.iam.caller import AccessKey
from tlslab.iam.payload import PayloadRule
from tlslab.iam.signature_error import SignatureError, timestamp, unknown_key, unsupported
from tlslab.iam.sigv4 import ALGORITHM, TERMINATOR, TIME_FORMAT, Scope

MAX_SKEW = timedelta(minutes=15)
"""How far a signer's clock may be off (AWS's own limit for S3 and KMS)."""

MAX_EXPIRY_SECONDS = 7 * 24 * 3600
"""How long a presigned URL can be good: the longest that its signing key lives."""

HEADER_CODE: Final = "AuthorizationHeaderMalformed"
QUERY_CODE: Final = "AuthorizationQueryParametersError"

Scheme: TypeAlias = Literal[
    "anonymous", "v4-header", "v4-query", "v2-header", "v2-query", "v4-form", "v2-form"
]


class KeyFinder(Protocol):
    """Where access keys are known; `tlslab.iam.Identities` is one."""

    def find(self, access_key_id: str) -> AccessKey | None:
        """The key with that id, or None if there is none or it is not in use."""


@dataclass(frozen=True, slots=True)
class Authentication:
    """Who signed a request, and how. `key` None is nobody; then there is no scope either."""

    key: AccessKey | None
    scheme: Scheme
    region: str | None = None
    service: str | None = None
    signed_at: datetime | None = None
    payload: PayloadRule = field(default_factory=PayloadRule)


@dataclass(frozen=True, slots=True)
class Verifier:
    """What one request is verified against."""

    keys: KeyFinder
    now: datetime
    services: Collection[str]
    regions: Collection[str]

    def key(self, access_key_id: str, token: str | None) -> AccessKey:
        """The key, if it exists and came with the token that it needs."""
        key = self.keys.find(access_key_id)
        if key is None:
            raise unknown_key(access_key_id)
        if not hmac.compare_digest((key.token or "").encode(), (token or "").encode()):
            message = "The provided token is malformed or otherwise invalid."
            raise SignatureError("InvalidToken", message)
        return key

    def check_clock(self, signed_at: datetime) -> None:
        """Raise SignatureError (RequestTimeTooSkewed) if that is too far from now."""
        if abs(self.now - signed_at) > MAX_SKEW:
            raise SignatureError(
                "RequestTimeTooSkewed",
                "The difference between the request time and the current time is too large.",
                {
                    "RequestTime": timestamp(signed_at),
                    "ServerTime": timestamp(self.now),
                    "MaxAllowedSkewMilliseconds": str(int(MAX_SKEW.total_seconds() * 1000)),
                },
            )

    def check_expiry(self, expires: datetime, details: Mapping[str, str]) -> None:
        """Raise SignatureError (AccessDenied), with these details too, if that is over."""
        if self.now > expires:
            more = {"Expires": timestamp(expires), "ServerTime": timestamp(self.now)}
            raise SignatureError("AccessDenied", "Request has expired", {**details, **more})

    def credential(self, text: str, time: str, code: str, prefix: str) -> tuple[str, Scope]:
        """Access key id and scope of a credential that is good here, at `time`."""
        parts = text.rsplit("/", 4)
        if len(parts) != 5 or parts[4] != TERMINATOR or not parts[0]:
            expecting = '"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request"'
            raise SignatureError(
                code, f"{prefix} the Credential is mal-formed; expecting {expecting}."
            )
        key_id, date, region, service, _ = parts
        if service not in self.services:
            owner = next(iter(self.services), "")
            message = f'{prefix} incorrect service "{service}". This endpoint belongs to "{owner}".'
            raise SignatureError(code, message)
        if region not in self.regions:
            expected = next(iter(self.regions), "")
            message = f"{prefix} the region '{region}' is wrong; expecting '{expected}'"
            raise SignatureError(code, message, {"Region": expected})
        if date != time[:8]:
            message = f'{prefix} Invalid credential date "{date}". '
            message += f'This date is not the same as X-Amz-Date: "{time[:8]}".'
            raise SignatureError(code, message)
        return key_id, Scope(date, region, service)


def refuse_ecdsa(algorithm: str) -> None:
    """Raise SignatureError (NotImplemented) if that is Signature Version 4A."""
    if algorithm.startswith("AWS4-ECDSA"):
        raise unsupported(f"Signature Version 4A ({algorithm})", f"sign with {ALGORITHM}")


def request_time(fields: Mapping[str, bytes]) -> tuple[datetime, str]:
    """When a request says it was signed, also in the format that is signed."""
    text = fields.get("x-amz-date", fields.get("date", b"")).decode("latin-1")
    moment = parse_time(text)
    if moment is not None:
        return moment, text
    moment = _parse_http_date(text)
    if moment is None:
        message = "AWS authentication requires a valid Date or x-amz-date header"
        raise SignatureError("AccessDenied", message)
    return moment, moment.strftime(TIME_FORMAT)


def parse_time(text: str) -> datetime | None:
    """`YYYYMMDDTHHMMSSZ`, strictly."""
    if len(text) != 16 or text[8] != "T" or text[15] != "Z" or not text.isascii():
        return None
    if not (text[:8] + text[9:15]).isdigit():
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _parse_http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
