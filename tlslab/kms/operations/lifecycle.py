"""CreateKey, DescribeKey, ListKeys, enabling, disabling, deletion, description, last usage.

Source: AWS KMS API Reference, the operations of these names; AWS KMS Developer Guide, "Deleting
AWS KMS keys".
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import and_, select

from tlslab.kms import material, tables
from tlslab.kms.call import Call
from tlslab.kms.errors import KMSError, invalid, unsupported
from tlslab.kms.keyring import new_key_id
from tlslab.kms.material import ENCRYPT_DECRYPT
from tlslab.kms.model import DAY, SYMMETRIC, Key, key_arn, key_metadata, moment
from tlslab.kms.operations.policies import default_policy, safe_policy
from tlslab.kms.operations.tags import new_tags
from tlslab.kms.paging import page

_WINDOW_DAYS = (7, 30)
"""PendingWindowInDays: what AWS enforces within the model's 1 to 365, and its default, 30."""


def create_key(call: Call) -> dict[str, Any]:
    """A new key, in the caller's account and the request's region."""
    spec, usage, origin = _wanted(call)
    call.authorise_identity("CreateKey")
    key = Key(
        region=call.region,
        id=new_key_id(multi_region=bool(call.parameters.get("MultiRegion"))),
        account=call.account,
        created=call.now,
        description=call.parameters.get("Description", ""),
        usage=usage,
        spec=spec,
        origin=origin,
        manager="CUSTOMER",
        enabled=True,
        pending_window=None,
        deletion=None,
        policy_text=call.parameters.get("Policy") or default_policy(call.account),
        tags=new_tags({}, call.parameters.get("Tags", [])),
        primary_region=call.region if call.parameters.get("MultiRegion") else None,
        rotation_days=None,
        next_rotation=None,
        materials=(),
    )
    safe_policy(call, key, key.policy_text)
    secret = None
    if origin == "AWS_KMS":
        slow = spec.startswith("RSA")
        secret = _secret(call, spec) if slow else material.generate(spec)
    key = call.keyring.add(call.connection, key, secret)
    call.touched[key.arn] = key
    return {"KeyMetadata": key_metadata(key, call.keyring.related(call.connection, key))}


def _wanted(call: Call) -> tuple[str, str, str]:
    """Key spec, usage and origin, once they fit together. Raises KMSError."""
    parameters = call.parameters
    spec = parameters.get("KeySpec") or parameters.get("CustomerMasterKeySpec") or SYMMETRIC
    both = "KeySpec" in parameters and "CustomerMasterKeySpec" in parameters
    if both and parameters["KeySpec"] != parameters["CustomerMasterKeySpec"]:
        raise invalid("You cannot specify KeySpec and CustomerMasterKeySpec in the same request.")
    origin = parameters.get("Origin", "AWS_KMS")
    custom = {"CustomKeyStoreId", "XksKeyId"} & parameters.keys()
    if origin not in {"AWS_KMS", "EXTERNAL"} or custom:
        raise unsupported("Custom key stores are not supported.")
    usage = parameters.get("KeyUsage")
    if usage is None:
        if spec != SYMMETRIC:
            raise invalid(
                "You must specify a KeyUsage value for all KMS keys except for symmetric "
                "encryption keys."
            )
        usage = ENCRYPT_DECRYPT
    if usage not in material.find_spec(spec).usages:
        raise invalid(f"KeyUsage {usage} is not compatible with KeySpec {spec}")
    return spec, usage, origin


def _secret(call: Call, spec: str) -> bytes:
    return call.slow("secret", lambda: material.generate(spec))


def describe_key(call: Call) -> dict[str, Any]:
    """What there is to know of a key."""
    return {"KeyMetadata": key_metadata(call.key, call.keyring.related(call.connection, call.key))}


def list_keys(call: Call) -> dict[str, Any]:
    """All keys of the account in the region. Nobody shares keys here by RAM."""
    call.authorise_identity("ListKeys")
    keys = tables.keys.c
    where = and_(keys.region == call.region, keys.account == call.account)
    if "SELF" not in call.parameters.get("ResourceOwners", ["SELF"]):
        return {"Keys": [], "Truncated": False}
    found, rest = page(call, select(keys.id).where(where), keys.id, default=100)
    return {
        "Keys": [
            {"KeyId": row.id, "KeyArn": key_arn(call.region, call.account, row.id)} for row in found
        ]
    } | rest


def enable_key(call: Call) -> dict[str, Any]:
    """Switch a key on."""
    call.require_customer_managed(call.key)
    call.keyring.update(call.connection, call.key, enabled=True)
    return {}


def disable_key(call: Call) -> dict[str, Any]:
    """Switch a key off: nothing that needs it works, at once."""
    call.require_customer_managed(call.key)
    call.keyring.update(call.connection, call.key, enabled=False)
    return {}


def schedule_key_deletion(call: Call) -> dict[str, Any]:
    """Have a key deleted after a waiting period in which it cannot be used.

    A primary key waits for its replicas first: its period begins when the last of them is gone.
    """
    call.require_customer_managed(call.key)
    least, most = _WINDOW_DAYS
    days = call.parameters.get("PendingWindowInDays", most)
    if not least <= days <= most:
        raise invalid(f"PendingWindowInDays must be between {least} and {most}")
    related = call.keyring.related(call.connection, call.key)
    waits = call.key.is_primary and len(related) > 1
    deletion = None if waits else call.now + days * DAY
    key = call.keyring.update(call.connection, call.key, pending_window=days, deletion=deletion)
    answer = {"KeyId": key.arn, "KeyState": key.state.value, "PendingWindowInDays": days}
    return answer if deletion is None else answer | {"DeletionDate": moment(deletion)}


def cancel_key_deletion(call: Call) -> dict[str, Any]:
    """Keep a key after all. It is disabled afterwards."""
    key = call.keyring.update(
        call.connection, call.key, pending_window=None, deletion=None, enabled=False
    )
    return {"KeyId": key.arn}


def update_key_description(call: Call) -> dict[str, Any]:
    """Change a key's description."""
    call.require_customer_managed(call.key)
    description = call.parameters["Description"]
    call.keyring.update(call.connection, call.key, description=description)
    return {}


def get_key_last_usage(call: Call) -> dict[str, Any]:
    """The last cryptographic operation the key served."""
    usage = tables.usage.c
    where = and_(usage.region == call.key.region, usage.key == call.key.id)
    row = call.connection.execute(select(tables.usage).where(where)).one_or_none()
    created = moment(call.key.created)
    answer: dict[str, Any] = {
        "KeyId": call.key.arn,
        "KeyLastUsage": {},
        "TrackingStartDate": created,
        "KeyCreationDate": created,
    }
    if row is not None:
        answer["KeyLastUsage"] = {
            "Operation": row.operation,
            "Timestamp": moment(row.time),
            "CloudTrailEventId": row.event_id,
            "KmsRequestId": row.request_id,
        }
    return answer


def refuse_custom_key_stores(call: Call) -> dict[str, Any]:
    """Answer, for all operations on custom key stores, that there are none."""
    raise KMSError("UnsupportedOperationException", "Custom key stores are not supported.")
