"""What an operation is, and the kinds there are: using a key, showing or changing it, without one.

Source: AWS KMS Developer Guide, "Permissions reference" (cross account use) and "Key states".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tlslab.kms.call import Call
from tlslab.kms.model import ANY_STATE, USABLE, State
from tlslab.kms.operations.members import FLAG, GRANT_TOKENS, KEY_ID
from tlslab.kms.shapes import Members, Shape

Handler = Callable[[Call], Mapping[str, Any]]


@dataclass(frozen=True)
class Operation:
    """An operation.

    `key` is the member that names its key, in one of `states` and for `usage`; with `alias` it may
    be an alias. `cross_account`: whether the key may be another account's. `read_only` is what
    CloudTrail calls so: nothing is changed.
    """

    name: str
    handler: Handler
    members: Members
    key: str | None = None
    states: frozenset[State] = ANY_STATE
    usage: str | None = None
    read_only: bool = True
    cross_account: bool = False
    alias: bool = False


def _members(required: Mapping[str, Shape], optional: Mapping[str, Shape] | None) -> Members:
    return Members({**required, **(optional or {})}, frozenset(required))


def using(
    name: str,
    handler: Handler,
    usage: str,
    required: Mapping[str, Shape],
    optional: Mapping[str, Shape] | None = None,
) -> Operation:
    """A cryptographic operation: also across accounts, by alias, with grants and dry runs."""
    shared: dict[str, Shape] = {"GrantTokens": GRANT_TOKENS, "DryRun": FLAG}
    return Operation(
        name,
        handler,
        _members({"KeyId": KEY_ID, **required}, {**(optional or {}), **shared}),
        key="KeyId",
        states=USABLE,
        usage=usage,
        cross_account=True,
        alias=True,
    )


def reading(
    name: str,
    handler: Handler,
    optional: Mapping[str, Shape] | None = None,
    *,
    required: Mapping[str, Shape] | None = None,
    states: frozenset[State] = ANY_STATE,
    cross_account: bool = False,
    alias: bool = False,
) -> Operation:
    """An operation that shows something of a key."""
    found = _members({"KeyId": KEY_ID, **(required or {})}, optional)
    return Operation(
        name, handler, found, "KeyId", states, cross_account=cross_account, alias=alias
    )


def changing(
    name: str,
    handler: Handler,
    states: frozenset[State],
    required: Mapping[str, Shape] | None = None,
    optional: Mapping[str, Shape] | None = None,
    *,
    cross_account: bool = False,
) -> Operation:
    """An operation that changes a key."""
    found = _members({"KeyId": KEY_ID, **(required or {})}, optional)
    return Operation(
        name, handler, found, "KeyId", states, read_only=False, cross_account=cross_account
    )


def free(
    name: str,
    handler: Handler,
    required: Mapping[str, Shape],
    optional: Mapping[str, Shape] | None = None,
    *,
    read_only: bool = True,
    cross_account: bool = False,
) -> Operation:
    """An operation without a key, or that finds its keys itself."""
    found = _members(required, optional)
    return Operation(name, handler, found, read_only=read_only, cross_account=cross_account)
