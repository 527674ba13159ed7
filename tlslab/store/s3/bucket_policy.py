"""Bucket policies: what S3 asks of a policy beyond its grammar, and whether one is public.

S3 refuses a policy that could not do what its author thinks: about another bucket, about actions or
condition keys that do not exist, for principals that nobody knows, or with an action that applies
to none of the resources beside it.

Source: Amazon S3 User Guide, "Bucket policies for Amazon S3" and "The meaning of public"; Service
Authorization Reference, "Actions, resources, and condition keys for Amazon S3".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

from tlslab.iam.policy import MalformedPolicy, Policy, Statement, matches
from tlslab.iam.policy.condition import Condition, Presence
from tlslab.store.refusals import Refused
from tlslab.store.s3.permissions import BUCKET_ACTIONS, OBJECT_ACTIONS, ON_VERSIONS

MAX_POLICY_BYTES: Final = 20 * 1024
"""Of the document without white space (Amazon S3 User Guide, "Bucket policies")."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ON_OBJECTS: Final = frozenset(
    action for actions in OBJECT_ACTIONS.values() for action in actions
) | frozenset(ON_VERSIONS.values())
_ON_BUCKETS: Final = frozenset(BUCKET_ACTIONS.values()) - {"s3:CreateBucket"}

_CONDITION_KEYS: Final = _words(
    """accessgrantsinstancearn accesspointnetworkorigin authtype dataaccesspointaccount
    dataaccesspointarn if-match if-none-match inventoryaccessibleoptionalfields jobsuspendedcause
    locationconstraint max-keys object-lock-legal-hold object-lock-mode
    object-lock-remaining-retention-days object-lock-retain-until-date objectcreationoperation
    prefix delimiter requestobjecttagkeys resourceaccount signatureage signatureversion tlsversion
    versionid x-amz-acl x-amz-content-sha256 x-amz-copy-source x-amz-grant-full-control
    x-amz-grant-read x-amz-grant-read-acp x-amz-grant-write x-amz-grant-write-acp
    x-amz-metadata-directive x-amz-object-ownership x-amz-server-side-encryption
    x-amz-server-side-encryption-aws-kms-key-id x-amz-server-side-encryption-customer-algorithm
    x-amz-storage-class x-amz-website-redirect-location"""
)
_TAG_KEYS: Final = ("existingobjecttag/", "requestobjecttag/", "buckettag/")
"""Condition keys of S3 itself, without their prefix and in lower case."""

_ACTION: Final = re.compile(r"\*|s3:.+")
_FOLDER: Final = re.compile(r"arn:aws:s3:::([^/]*)(/.*)?", re.DOTALL)

_NARROWING: Final = _words(
    """aws:sourceip aws:sourcearn aws:sourcevpc aws:sourcevpce aws:sourceowner aws:sourceaccount
    aws:userid aws:principalarn aws:principalaccount aws:principalorgid aws:principalorgpaths
    s3:dataaccesspointarn s3:dataaccesspointaccount
    s3:x-amz-server-side-encryption-aws-kms-key-id"""
)
"""Condition keys that make a grant to everybody one to somebody."""


def check_bucket_policy(data: bytes, bucket: str, *, exists: Callable[[str], bool]) -> Policy:
    """The policy of a bucket as a client puts it; `exists` tells whether a principal does.

    Raises Refused: MalformedPolicy, PolicyTooLarge (both 400).
    """
    try:
        policy = Policy.parse(data, resource_based=True)
    except MalformedPolicy as error:
        raise _malformed(error.message) from error
    if len(policy.text.encode()) > MAX_POLICY_BYTES:
        raise Refused(
            "PolicyTooLarge",
            f"Normalized policy document exceeds the maximum allowed size of {MAX_POLICY_BYTES} "
            "bytes.",
            status=400,
        )
    for statement in policy.statements:
        _check_statement(statement, bucket, exists)
    if not all(_is_known(key) for key in policy.condition_keys):
        raise _malformed("Policy has an invalid condition key")
    return policy


def is_public(policy: Policy) -> bool:
    """Whether it grants anything to everybody, without a condition that narrows that down."""
    return any(
        statement.allows
        and statement.principals is not None
        and (statement.principals.everybody or statement.principals.negated)
        and not any(_narrows(condition) for condition in statement.conditions)
        for statement in policy.statements
    )


def _narrows(condition: Condition | Presence) -> bool:
    return (
        isinstance(condition, Condition)
        and condition.key in _NARROWING
        and not (condition.negated or condition.when_absent)
    )


def _malformed(message: str) -> Refused:
    return Refused("MalformedPolicy", message)


def _check_statement(statement: Statement, bucket: str, exists: Callable[[str], bool]) -> None:
    assert statement.principals is not None
    for name in statement.principals.identities:
        if not exists(name):
            raise _malformed("Invalid principal in policy")
    actions, resources = statement.actions, statement.resources
    if not all(_ACTION.fullmatch(action) for action in actions.patterns):
        raise _malformed("Policy has invalid action")
    if not all(_is_within(resource, bucket) for resource in resources.patterns):
        raise _malformed("Policy has invalid resource")
    if actions.negated or resources.negated:
        return
    if not all(_applies(action, resources.patterns) for action in actions.patterns):
        raise _malformed("Action does not apply to any resource(s) in statement")


def _is_within(resource: str, bucket: str) -> bool:
    """Whether a pattern can mean the bucket or something in it."""
    match = _FOLDER.fullmatch(resource)
    return resource == "*" or (match is not None and matches(match[1], bucket))


def _applies(action: str, resources: Iterable[str]) -> bool:
    """Whether an action is one on objects or on buckets where there is such a resource.

    Actions that no operation here needs are not judged.
    """
    on_objects = any(matches(action.lower(), known.lower()) for known in _ON_OBJECTS)
    on_buckets = any(matches(action.lower(), known.lower()) for known in _ON_BUCKETS)
    if on_objects == on_buckets:
        return True
    if on_objects:  # a final star goes on past the bucket's name
        return any("/" in resource or resource.endswith("*") for resource in resources)
    return any("/" not in resource for resource in resources)


def _is_known(key: str) -> bool:
    service, _, name = key.partition(":")
    if service == "s3":
        return name in _CONDITION_KEYS or name.startswith(_TAG_KEYS)
    return service == "aws"
