"""The condition keys of a request, for policies: `kms:...`, tags, and those all services have.

Source: AWS KMS Developer Guide, "Condition keys for AWS KMS".
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tlslab.iam import global_context
from tlslab.kms.model import Key

if TYPE_CHECKING:
    from tlslab.kms.call import Call
    from tlslab.kms.naming import Found

_OF_PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "BypassPolicyLockoutSafetyCheck": ("kms:BypassPolicyLockoutSafetyCheck",),
    "CustomerMasterKeySpec": ("kms:KeySpec", "kms:CustomerMasterKeySpec"),
    "EncryptionAlgorithm": ("kms:EncryptionAlgorithm",),
    "ExpirationModel": ("kms:ExpirationModel",),
    "GranteePrincipal": ("kms:GranteePrincipal",),
    "GranteeServicePrincipal": ("kms:GranteeServicePrincipal",),
    "KeyAgreementAlgorithm": ("kms:KeyAgreementAlgorithm",),
    "KeyPairSpec": ("kms:DataKeyPairSpec",),
    "KeySpec": ("kms:KeySpec", "kms:CustomerMasterKeySpec"),
    "KeyUsage": ("kms:KeyUsage", "kms:CustomerMasterKeyUsage"),
    "MacAlgorithm": ("kms:MacAlgorithm",),
    "MessageType": ("kms:MessageType",),
    "MultiRegion": ("kms:MultiRegion",),
    "Operations": ("kms:GrantOperations",),
    "Origin": ("kms:KeyOrigin",),
    "PendingWindowInDays": ("kms:ScheduleKeyDeletionPendingWindowInDays",),
    "PrimaryRegion": ("kms:PrimaryRegion",),
    "ReplicaRegion": ("kms:ReplicaRegion",),
    "RetiringPrincipal": ("kms:RetiringPrincipal",),
    "RetiringServicePrincipal": ("kms:RetiringServicePrincipal",),
    "RotationPeriodInDays": ("kms:RotationPeriodInDays",),
    "SigningAlgorithm": ("kms:SigningAlgorithm",),
    "ValidTo": ("kms:ValidTo",),
    "WrappingAlgorithm": ("kms:WrappingAlgorithm",),
    "WrappingKeySpec": ("kms:WrappingKeySpec",),
}
"""Member of a request -> condition keys that hold its value."""

_CONSTRAINTS = {
    "EncryptionContextEquals": "EncryptionContextEquals",
    "EncryptionContextSubset": "EncryptionContextSubset",
    "SourceArn": "SourceArn",
}

Values = dict[str, "str | Sequence[str]"]


def conditions(call: Call, found: Found | None, encryption_context: Mapping[str, str]) -> Values:
    """All condition keys of a request about `found`, or about no key."""
    values: Values = dict(global_context(call.caller, call.time))
    values["aws:RequestedRegion"] = call.region
    for member, names in _OF_PARAMETERS.items():
        if member in call.parameters:
            value = _text(call.parameters[member])
            values |= dict.fromkeys(names, value)
    if call.caller.account is not None:
        values["kms:CallerAccount"] = call.caller.account
    if call.caller.via is not None:
        values["kms:ViaService"] = call.caller.via
    values |= _tags_of_request(call.parameters)
    values |= {f"kms:EncryptionContext:{name}": each for name, each in encryption_context.items()}
    if encryption_context:
        values["kms:EncryptionContextKeys"] = tuple(encryption_context)
    if call.operation.name == "CreateGrant":
        values |= _grant(call)
    if found is not None:
        values |= _of_key(found.key, call.keyring.aliases(call.connection, found.key))
        if found.alias is not None:
            values["kms:RequestAlias"] = found.alias
    return values


def _of_key(key: Key, aliases: Sequence[str]) -> Values:
    values: Values = {
        "kms:KeySpec": key.spec,
        "kms:CustomerMasterKeySpec": key.spec,
        "kms:KeyUsage": key.usage,
        "kms:CustomerMasterKeyUsage": key.usage,
        "kms:KeyOrigin": key.origin,
        "kms:MultiRegion": "true" if key.primary_region else "false",
        "aws:ResourceAccount": key.account,
    }
    if key.multi_region_type is not None:
        values["kms:MultiRegionKeyType"] = key.multi_region_type
    if aliases:
        values["kms:ResourceAliases"] = tuple(aliases)
    return values | {f"aws:ResourceTag/{name}": value for name, value in key.tags.items()}


def _tags_of_request(parameters: Mapping[str, Any]) -> Values:
    tags = {each["TagKey"]: each["TagValue"] for each in parameters.get("Tags", ())}
    names = [*tags, *parameters.get("TagKeys", ())]
    values: Values = {f"aws:RequestTag/{name}": value for name, value in tags.items()}
    return values | {"aws:TagKeys": tuple(names)} if names else values


def _grant(call: Call) -> Values:
    kinds = [
        kind
        for name, kind in _CONSTRAINTS.items()
        if call.parameters.get("Constraints", {}).get(name)
    ]
    values: Values = {"kms:GrantIsForAWSResource": "true" if call.caller.via else "false"}
    return values | {"kms:GrantConstraintType": tuple(kinds)} if kinds else values


def _text(value: Any) -> str | Sequence[str]:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(value)
