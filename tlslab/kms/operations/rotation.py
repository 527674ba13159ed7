"""EnableKeyRotation, DisableKeyRotation, GetKeyRotationStatus, RotateKeyOnDemand, ListKeyRotations.

Rotation gives a key new material to encrypt with; all earlier material stays and decrypts what it
encrypted. The keys of a multi-region key rotate together, by the primary's settings.

Source: AWS KMS Developer Guide, "Rotate AWS KMS keys".
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from tlslab.kms import material
from tlslab.kms.call import Call
from tlslab.kms.errors import KMSError, unsupported
from tlslab.kms.keyring import Keyring, next_rotation
from tlslab.kms.model import SYMMETRIC, Key, Material, expiration, moment
from tlslab.kms.paging import slice_page

DEFAULT_DAYS = 365
MAX_ON_DEMAND = 25
"""On-demand rotations in the life of a key (quotas of AWS KMS)."""

PENDING = "PENDING_ROTATION"
AUTOMATIC, ON_DEMAND = "AUTOMATIC", "ON_DEMAND"


def rotate(keyring: Keyring, connection: Connection, key: Key, now: int, kind: str) -> None:
    """Give a key, in all of its regions, new material to encrypt with.

    `kind` is AUTOMATIC or ON_DEMAND. Imported keys take the material that is pending rotation.
    """
    pending = next((each for each in key.materials if each.state == PENDING), None)
    fresh = None if pending is not None else material.generate(SYMMETRIC)
    changes: dict[str, Any] = {"state": "CURRENT", "rotated": now, "rotation": kind}
    for each in keyring.related(connection, key):
        if each.current is not None:
            keyring.update_material(connection, each, each.current.id, state="NON_CURRENT")
        if fresh is not None:
            keyring.add_material(connection, each, fresh, **changes)
        elif pending is not None:
            keyring.update_material(connection, each, pending.id, **changes)


def enable_key_rotation(call: Call) -> dict[str, Any]:
    """Rotate the key automatically from now on, every so many days."""
    _require_rotatable(call)
    call.require_origin(call.key, "AWS_KMS")
    days = call.parameters.get("RotationPeriodInDays", DEFAULT_DAYS)
    call.keyring.update(
        call.connection,
        call.key,
        rotation_days=days,
        next_rotation=next_rotation(call.now, days),
    )
    return {}


def disable_key_rotation(call: Call) -> dict[str, Any]:
    """Rotate the key no more."""
    _require_rotatable(call)
    call.require_origin(call.key, "AWS_KMS")
    call.keyring.update(call.connection, call.key, rotation_days=None, next_rotation=None)
    return {}


def get_key_rotation_status(call: Call) -> dict[str, Any]:
    """Whether and when the key is rotated; a replica answers for its primary."""
    if not call.key.symmetric:
        raise unsupported()
    key = _primary(call)
    status: dict[str, Any] = {
        "KeyId": call.key.arn,
        "KeyRotationEnabled": key.rotation_days is not None,
    }
    if key.rotation_days is not None and key.next_rotation is not None:
        status["RotationPeriodInDays"] = key.rotation_days
        status["NextRotationDate"] = moment(key.next_rotation)
    return status


def rotate_key_on_demand(call: Call) -> dict[str, Any]:
    """Rotate the key now; the dates of automatic rotation stay."""
    key = call.key
    _require_rotatable(call)
    if sum(each.rotation == ON_DEMAND for each in key.materials) >= MAX_ON_DEMAND:
        raise KMSError(
            "LimitExceededException",
            "The on-demand rotations limit has been reached for the given keyId. No more "
            f"on-demand rotations can be performed for this key: {key.arn}",
        )
    if key.origin == "EXTERNAL" and not any(each.state == PENDING for each in key.materials):
        raise KMSError(
            "KMSInvalidStateException",
            f"No available key material pending rotation for the key: {key.arn}.",
        )
    rotate(call.keyring, call.connection, key, call.now, ON_DEMAND)
    return {"KeyId": key.arn}


def list_key_rotations(call: Call) -> dict[str, Any]:
    """The key's rotations; also its first and pending material, if asked for."""
    key = call.key
    if not key.symmetric:
        raise unsupported()
    everything = call.parameters.get("IncludeKeyMaterial") == "ALL_KEY_MATERIAL"
    listed = [each for each in key.materials if everything or each.rotation is not None]
    found, rest = slice_page(call, listed, default=100)
    return {"Rotations": [_entry(key, each) for each in found]} | rest


def _entry(key: Key, listed: Material) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "KeyId": key.arn,
        "KeyMaterialId": listed.id,
        "KeyMaterialState": listed.state,
    }
    if listed.rotated is not None:
        entry |= {"RotationDate": moment(listed.rotated), "RotationType": listed.rotation}
    if key.origin == "EXTERNAL":
        entry["ImportState"] = "PENDING_IMPORT" if listed.sealed is None else "IMPORTED"
        if listed.sealed is not None:
            entry |= expiration(listed)
        if listed.description is not None:
            entry["KeyMaterialDescription"] = listed.description
    return entry


def _require_rotatable(call: Call) -> None:
    """Raise KMSError unless it is a symmetric key, and no replica."""
    if not call.key.symmetric:
        raise unsupported()
    call.require_customer_managed(call.key)
    if call.key.multi_region_type == "REPLICA":
        raise unsupported(f"{call.key.arn} is not a multi-region primary key.")


def _primary(call: Call) -> Key:
    related = call.keyring.related(call.connection, call.key)
    return next((each for each in related if each.is_primary), call.key)
