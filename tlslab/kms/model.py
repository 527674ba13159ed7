"""What a key is: its values, its state, and the table of what each state refuses.

A key's state is not kept, it follows from what is: whether deletion is scheduled, whether all
material is there, whether the key is switched on.

Source: AWS KMS Developer Guide, "Key states of AWS KMS keys"; AWS KMS API Reference, KeyMetadata.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from tlslab.iam.policy import Policy
from tlslab.kms.errors import KMSError
from tlslab.kms.material.specs import ALGORITHMS_MEMBER, SPECS, KeySpec

SYMMETRIC = "SYMMETRIC_DEFAULT"
DAY = 24 * 60 * 60 * 1_000_000
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def micros(time: datetime.datetime) -> int:
    """A time as the tables keep it."""
    return (time - _EPOCH) // datetime.timedelta(microseconds=1)


def moment(time: int) -> datetime.datetime:
    """The inverse of `micros`."""
    return _EPOCH + datetime.timedelta(microseconds=time)


class State(StrEnum):
    """KeyState; the values are the API's."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"
    PENDING_DELETION = "PendingDeletion"
    PENDING_REPLICA_DELETION = "PendingReplicaDeletion"
    PENDING_IMPORT = "PendingImport"


ANY_STATE = frozenset(State)
USABLE = frozenset({State.ENABLED})
PRESENT = frozenset({State.ENABLED, State.DISABLED})
NOT_BEING_DELETED = PRESENT | {State.PENDING_IMPORT}
BEING_DELETED = frozenset({State.PENDING_DELETION, State.PENDING_REPLICA_DELETION})

_REFUSALS: Mapping[State, tuple[str, str]] = {
    State.ENABLED: ("KMSInvalidStateException", "is not pending deletion."),
    State.DISABLED: ("DisabledException", "is disabled."),
    State.PENDING_DELETION: ("KMSInvalidStateException", "is pending deletion."),
    State.PENDING_REPLICA_DELETION: ("KMSInvalidStateException", "is pending replica deletion."),
    State.PENDING_IMPORT: ("KMSInvalidStateException", "is pending import."),
}


@dataclass(frozen=True)
class Material:
    """One of the key materials of a key, sealed. `sealed` is None once an imported one is gone."""

    id: str
    number: int
    state: str
    sealed: bytes | None = field(repr=False)
    rotated: int | None
    rotation: str | None
    expires: int | None
    description: str | None


@dataclass(frozen=True)
class Key:
    """A KMS key in one region, as of one generation of the tables."""

    region: str
    id: str
    account: str
    created: int
    description: str
    usage: str
    spec: str
    origin: str
    manager: str
    enabled: bool
    pending_window: int | None
    deletion: int | None
    policy_text: str = field(repr=False)
    tags: Mapping[str, str]
    primary_region: str | None
    rotation_days: int | None
    next_rotation: int | None
    materials: tuple[Material, ...]

    @cached_property
    def arn(self) -> str:
        """`arn:aws:kms:REGION:ACCOUNT:key/ID`."""
        return key_arn(self.region, self.account, self.id)

    @cached_property
    def policy(self) -> Policy:
        """The key policy, compiled."""
        return Policy.parse(self.policy_text)

    @cached_property
    def current(self) -> Material | None:
        """The material that encrypts; None before the first import."""
        return next((each for each in self.materials if each.state == "CURRENT"), None)

    @cached_property
    def state(self) -> State:
        """The key's state, from what is there of it."""
        if self.pending_window is not None:
            waiting = self.deletion is None
            return State.PENDING_REPLICA_DELETION if waiting else State.PENDING_DELETION
        needed = [each for each in self.materials if each.state in {"CURRENT", "NON_CURRENT"}]
        if not needed or any(each.sealed is None for each in needed):
            return State.PENDING_IMPORT
        return State.ENABLED if self.enabled else State.DISABLED

    @property
    def details(self) -> KeySpec:
        """The key spec's row in the table of specs."""
        return SPECS[self.spec]

    @property
    def symmetric(self) -> bool:
        """Whether this is a symmetric encryption key."""
        return self.spec == SYMMETRIC

    @property
    def is_primary(self) -> bool:
        """Whether this is the primary key of a multi-region key."""
        return self.primary_region == self.region

    @property
    def multi_region_type(self) -> str | None:
        """PRIMARY or REPLICA, None for a key of a single region."""
        if self.primary_region is None:
            return None
        return "PRIMARY" if self.is_primary else "REPLICA"

    def material(self, material_id: str) -> Material | None:
        """The material with that id."""
        return next((each for each in self.materials if each.id == material_id), None)

    def require(self, states: frozenset[State]) -> None:
        """Raise KMSError unless the key is in one of `states`."""
        if self.state not in states:
            code, message = _REFUSALS[self.state]
            if states == BEING_DELETED:
                code, message = _REFUSALS[State.ENABLED]
            raise KMSError(code, f"{self.arn} {message}")


def key_arn(region: str, account: str, key_id: str) -> str:
    """The ARN of a key."""
    return f"arn:aws:kms:{region}:{account}:key/{key_id}"


def alias_arn(region: str, account: str, name: str) -> str:
    """The ARN of an alias; `name` begins with `alias/`."""
    return f"arn:aws:kms:{region}:{account}:{name}"


def key_metadata(key: Key, related: Iterable[Key] = ()) -> dict[str, Any]:
    """KeyMetadata. `related` are a multi-region key's keys in all regions, this one included."""
    found: dict[str, Any] = {
        "AWSAccountId": key.account,
        "KeyId": key.id,
        "Arn": key.arn,
        "CreationDate": moment(key.created),
        "Enabled": key.state is State.ENABLED,
        "Description": key.description,
        "KeyUsage": key.usage,
        "KeyState": key.state.value,
        "Origin": key.origin,
        "KeyManager": key.manager,
        "CustomerMasterKeySpec": key.spec,
        "KeySpec": key.spec,
        ALGORITHMS_MEMBER[key.usage]: list(key.details.algorithms[key.usage]),
        "MultiRegion": key.primary_region is not None,
    }
    if key.deletion is not None:
        found["DeletionDate"] = moment(key.deletion)
    if key.state is State.PENDING_REPLICA_DELETION:
        found["PendingDeletionWindowInDays"] = key.pending_window
    current = key.current
    if current is not None:
        if key.symmetric:
            found["CurrentKeyMaterialId"] = current.id
        if key.origin == "EXTERNAL" and current.sealed is not None:
            found |= expiration(current)
    if key.primary_region is not None:
        found["MultiRegionConfiguration"] = _regions(key, related)
    return found


def expiration(material: Material) -> dict[str, Any]:
    """ExpirationModel and ValidTo of imported material."""
    if material.expires is None:
        return {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
    return {"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": moment(material.expires)}


def _regions(key: Key, related: Iterable[Key]) -> dict[str, Any]:
    def entry(region: str) -> dict[str, str]:
        return {"Arn": key_arn(region, key.account, key.id), "Region": region}

    assert key.primary_region is not None
    return {
        "MultiRegionKeyType": key.multi_region_type,
        "PrimaryKey": entry(key.primary_region),
        "ReplicaKeys": [entry(each.region) for each in related if not each.is_primary],
    }
