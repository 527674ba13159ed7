"""GetKeyPolicy, PutKeyPolicy, ListKeyPolicies, and what a policy must be to be accepted.

Source: AWS KMS Developer Guide, "Key policies in AWS KMS" and "Default key policy".
"""

from __future__ import annotations

import json
from typing import Any

from tlslab.iam import MalformedPolicy, Policy, root_arn
from tlslab.kms.call import Call
from tlslab.kms.errors import KMSError
from tlslab.kms.model import Key
from tlslab.kms.naming import Found
from tlslab.kms.paging import slice_page

DEFAULT = "default"
"""The one name that a key policy can have."""

MAX_BYTES = 32 * 1024
"""The quota of a key policy document; the API's model takes four times as much."""


def default_policy(account: str) -> str:
    """The policy of a key made without one: it leaves everything to the account's own policies."""
    statement = {
        "Sid": "Enable IAM User Permissions",
        "Effect": "Allow",
        "Principal": {"AWS": root_arn(account)},
        "Action": "kms:*",
        "Resource": "*",
    }
    return json.dumps(
        {"Version": "2012-10-17", "Id": "key-default-1", "Statement": [statement]}, indent=2
    )


def safe_policy(call: Call, key: Key, text: str) -> None:
    """Raise KMSError unless `text` can become the policy of `key`.

    Unless the request waives it, the caller must be able to change the policy again afterwards.
    """
    if len(text.encode()) > MAX_BYTES:
        raise KMSError("LimitExceededException", "The key policy is longer than 32768 bytes.")
    try:
        policy = Policy.parse(text)
    except MalformedPolicy as error:
        raise KMSError("MalformedPolicyDocumentException", error.message) from None
    _check_principals(call, policy)
    if call.parameters.get("BypassPolicyLockoutSafetyCheck"):
        return
    try:
        call.authorise(Found(key), "PutKeyPolicy", policy=policy, grants=False)
    except KMSError:
        raise KMSError(
            "MalformedPolicyDocumentException",
            "The new key policy will not allow you to update the key policy in the future.",
        ) from None


def _check_principals(call: Call, policy: Policy) -> None:
    """Refuse principals that do not exist, as AWS does: nobody may become one by being named so."""
    exists = call.services.principal_exists
    for statement in policy.statements:
        if statement.principals is None:
            raise KMSError(
                "MalformedPolicyDocumentException",
                "Policy contains a statement with no principal.",
            )
        for name in statement.principals.named:
            if exists is not None and name.startswith("arn:") and not exists(name):
                raise KMSError(
                    "MalformedPolicyDocumentException",
                    "Policy contains a statement with one or more invalid principals.",
                )


def get_key_policy(call: Call) -> dict[str, Any]:
    """The policy of a key."""
    _check_name(call)
    return {"Policy": call.key.policy_text, "PolicyName": DEFAULT}


def put_key_policy(call: Call) -> dict[str, Any]:
    """Replace the policy of a key."""
    _check_name(call)
    call.require_customer_managed(call.key)
    safe_policy(call, call.key, call.parameters["Policy"])
    call.keyring.update(call.connection, call.key, policy=call.parameters["Policy"])
    return {}


def list_key_policies(call: Call) -> dict[str, Any]:
    """The names of a key's policies: always the one."""
    names, rest = slice_page(call, [DEFAULT], default=100)
    return {"PolicyNames": list(names)} | rest


def _check_name(call: Call) -> None:
    name = call.parameters.get("PolicyName", DEFAULT)
    if name != DEFAULT:
        raise KMSError("NotFoundException", f"No such policy exists: {name}")
