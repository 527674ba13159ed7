"""ReplicateKey and UpdatePrimaryRegion: one key in several regions.

The keys of a multi-region key share id and material, so what one encrypts the others decrypt. Each
has its own policy, grants, aliases, tags, description and state.

Source: AWS KMS Developer Guide, "Multi-Region keys in AWS KMS".
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tlslab.kms.call import Call
from tlslab.kms.errors import KMSError, invalid, unsupported
from tlslab.kms.model import USABLE, Key, key_metadata
from tlslab.kms.operations.policies import default_policy, safe_policy
from tlslab.kms.operations.tags import new_tags


def replicate_key(call: Call) -> dict[str, Any]:
    """Make the primary key available in another region."""
    key, region = call.key, call.parameters["ReplicaRegion"]
    _require_primary(key)
    _check_region(call, region)
    call.authorise_identity("CreateKey", region=region)
    if call.keyring.find(call.connection, region, key.id) is not None:
        raise KMSError(
            "AlreadyExistsException", f"A replica of {key.arn} already exists in {region}"
        )
    policy = call.parameters.get("Policy") or default_policy(call.account)
    replica = replace(
        key,
        region=region,
        created=call.now,
        description=call.parameters.get("Description", ""),
        enabled=True,
        policy_text=policy,
        tags=new_tags({}, call.parameters.get("Tags", [])),
        rotation_days=None,
        next_rotation=None,
        materials=(),
    )
    safe_policy(call, replica, policy)
    call.keyring.add(call.connection, replica, None)
    for each in key.materials:
        imported = key.origin == "EXTERNAL"  # the customer brings it to each region itself
        call.keyring.copy_material(call.connection, key, each, replica, empty=imported)
    replica = call.keyring.reload(call.connection, replica)
    call.touched[replica.arn] = replica
    return {
        "ReplicaKeyMetadata": key_metadata(replica, call.keyring.related(call.connection, replica)),
        "ReplicaPolicy": policy,
        "ReplicaTags": [{"TagKey": k, "TagValue": v} for k, v in sorted(replica.tags.items())],
    }


def update_primary_region(call: Call) -> dict[str, Any]:
    """Make a replica the primary key, and the primary a replica."""
    key, region = call.key, call.parameters["PrimaryRegion"]
    _require_primary(key)
    new = call.keyring.find(call.connection, region, key.id)
    if new is None or region == key.region:
        raise unsupported(f"{key.arn} has no replica in {region}.")
    new.require(USABLE)
    settings = {"rotation_days": key.rotation_days, "next_rotation": key.next_rotation}
    call.keyring.update(call.connection, key, rotation_days=None, next_rotation=None)
    call.keyring.update(call.connection, new, **settings)
    for each in call.keyring.related(call.connection, key):
        call.keyring.update(call.connection, each, primary_region=region)
    return {}


def _require_primary(key: Key) -> None:
    if not key.is_primary:
        raise unsupported(f"{key.arn} is not a multi-region primary key.")


def _check_region(call: Call, region: str) -> None:
    regions = call.services.regions
    if region == call.region:
        raise invalid(f"Cannot replicate a key to its own region {region}.")
    if regions is not None and region not in regions:
        raise invalid(f"Region {region} is not available.")
