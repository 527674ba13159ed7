"""The policy of an HTML form: what may be uploaded with it, until when.

The policy is signed by whoever wrote the form (see `signatures.authenticate_form`); here the fields
that came are held against it. Every field must be allowed by a condition, so a browser's user can
add nothing. Sizes are left to whoever reads the file: see `SizeRange`.

Source: "POST policy", Amazon S3 API Reference.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from tlslab.iam.signature_error import SignatureError

MAX_POLICY_BYTES = 20 * 1024
"""As base64: all fields of a form together have at most 20 KB."""

_FREE: Final = frozenset({"awsaccesskeyid", "file", "policy", "signature", "x-amz-signature"})
_IGNORED: Final = "x-ignore-"
_MAX_DIGITS = 19


@dataclass(frozen=True, slots=True)
class SizeRange:
    """How many bytes the file may have, both ends included; `most` None is no bound."""

    least: int = 0
    most: int | None = None


@dataclass(frozen=True, slots=True)
class _Condition:
    operator: str
    name: str
    value: str

    def holds(self, fields: Mapping[str, str]) -> bool:
        actual = fields.get(self.name[1:].lower(), "")
        if not self.name.startswith("$"):
            return False
        if self.operator == "starts-with":
            return actual.startswith(self.value)
        return actual == self.value

    def __str__(self) -> str:
        return json.dumps([self.operator, self.name, self.value])


def check_policy(fields: Mapping[str, str], *, bucket: str, now: datetime) -> SizeRange:
    """Hold a form against the policy in its field `policy`.

    `fields` have lower-case names, and `key` as it will be stored: `${filename}` replaced. The
    signature must have been verified. Returns how large the file may be.

    Raises SignatureError: InvalidPolicyDocument for a policy that is none, AccessDenied if it has
    expired or does not allow the fields.
    """
    policy = _parse(fields["policy"])
    if now > _expiration(policy):
        raise _deny("Policy expired.")
    conditions = policy.get("conditions")
    if not isinstance(conditions, list):
        raise _invalid("Policy missing conditions.")
    actual = {**fields, "bucket": bucket}
    allowed, sizes = set(_FREE), SizeRange()
    for item in conditions:
        if _is_range(item):
            sizes = _range(item)
            continue
        condition = _condition(item)
        if not condition.holds(actual):
            raise _deny(f"Policy Condition failed: {condition}")
        allowed.add(condition.name[1:].lower())
    extra = [name for name in actual if name not in allowed and not name.startswith(_IGNORED)]
    if extra:
        raise _deny(f"Extra input fields: {', '.join(sorted(extra))}")
    return sizes


def _parse(text: str) -> dict[str, Any]:
    if len(text) > MAX_POLICY_BYTES:
        raise _invalid("Policy is too large.")
    try:
        document = json.loads(base64.b64decode("".join(text.split()), validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise _invalid("Invalid JSON.") from None
    if not isinstance(document, dict):
        raise _invalid("Invalid JSON.")
    return document


def _expiration(policy: Mapping[str, Any]) -> datetime:
    text = policy.get("expiration")
    if text is None:
        raise _invalid("Policy missing expiration.")
    try:
        if not (isinstance(text, str) and text[10:11] == "T" and text.endswith("Z")):
            raise ValueError
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise _invalid(f"Invalid 'expiration' value: '{text}'") from None


def _condition(item: object) -> _Condition:
    match item:
        case dict():
            if len(item) != 1:
                raise _invalid(
                    "Invalid Simple-Condition: Simple-Conditions must have exactly one property "
                    "specified."
                )
            [(name, value)] = item.items()
            if not isinstance(value, str):
                raise _invalid("Invalid Simple-Condition: value must be a string.")
            return _Condition("eq", f"${name}", value)
        case [str() as operator, str() as name, str() as value]:
            if operator.lower() not in ("eq", "starts-with"):
                raise _invalid("Invalid Condition: unknown operation.")
            return _Condition(operator.lower(), name, value)
        case _:
            raise _invalid("Invalid Condition: neither an object nor a list of three strings.")


def _is_range(item: object) -> bool:
    match item:
        case [str() as operator, *_]:
            return operator.lower() == "content-length-range"
    return False


def _range(item: list[Any]) -> SizeRange:
    if len(item) != 3:
        raise _invalid("Invalid Content-Length-Range: wrong number of arguments.")
    least, most = (_number(value) for value in item[1:])
    if least is None or most is None or least > most:
        raise _deny(f"Policy Condition failed: {json.dumps(item)}")
    return SizeRange(least, most)


def _number(value: object) -> int | None:
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    digits = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
    return int(text) if digits else None


def _deny(why: str) -> SignatureError:
    return SignatureError("AccessDenied", f"Invalid according to Policy: {why}")


def _invalid(why: str) -> SignatureError:
    return SignatureError("InvalidPolicyDocument", f"Invalid Policy: {why}")
