"""What a record may show of a request and its answer: CloudTrail's names for it, and no secrets.

Two rules keep secrets out, and neither has to know an operation. Bytes are never shown: in KMS's
wire API every plaintext, ciphertext, signature, key and token of a wrapping key is a blob, and
nothing else is. And grant tokens, which are texts, are left out by name. The encryption context is
shown, as in CloudTrail: it is no secret, and names the object that a key was used for.

Source: AWS KMS Developer Guide, "Logging AWS KMS API calls with AWS CloudTrail".
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

_SECRET = {"GrantToken", "GrantTokens", "KeyStorePassword", "XksProxyAuthenticationCredential"}

_VERBATIM = {"EncryptionContext", "EncryptionContextSubset", "EncryptionContextEquals",
             "SourceEncryptionContext", "DestinationEncryptionContext"}  # fmt: skip
"""Maps whose names are the caller's own."""


def shown(members: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a record shows of members under their wire names; None if nothing is left.

    CloudTrail begins names in lower case (`keyId`, `aWSAccountId`) and writes times for people.
    """
    kept = {
        name[:1].lower() + name[1:]: _value(value, verbatim=name in _VERBATIM)
        for name, value in members.items()
        if value is not None and not isinstance(value, _BYTES) and name not in _SECRET
    }
    return kept or None


_BYTES = (bytes, bytearray, memoryview)


def _value(value: Any, *, verbatim: bool = False) -> Any:
    if isinstance(value, Mapping):
        if verbatim:
            return {name: text for name, text in value.items() if isinstance(text, str)}
        return shown(value) or {}
    if isinstance(value, (list, tuple)):
        return [_value(item) for item in value if not isinstance(item, _BYTES)]
    if isinstance(value, datetime.datetime):
        return _time(value)
    return value


def _time(time: datetime.datetime) -> str:
    """A time as CloudTrail shows it: "Nov 20, 2026, 7:04:05 PM"."""
    utc = time.astimezone(datetime.UTC)
    return f"{utc:%b} {utc.day}, {utc.year}, {utc.hour % 12 or 12}:{utc:%M:%S} {utc:%p}"
