"""May this caller do that? Every operation is asked about here before anything is read or changed.

What is needed comes from `permissions`, the circumstances from `condition_keys`, the decision from
`tlslab.iam`. A refusal says why only within the owner's account; to others it says nothing.

An object that is missing is `AccessDenied` to whoever may not list the bucket, because otherwise
reading would be a way of listing.

Source: Amazon S3 User Guide, "How Amazon S3 authorizes a request", "Access denied error messages".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from tlslab.iam.policy import Access, MalformedPolicy, Policy, decide_resource, evaluate
from tlslab.store.model import Bucket, CopySource
from tlslab.store.refusals import Refused
from tlslab.store.s3 import permissions
from tlslab.store.s3.call import Call
from tlslab.store.s3.condition_keys import (
    Keys,
    encryption_keys,
    existing_tag_keys,
    request_keys,
    tag_keys,
)
from tlslab.store.s3.source import read_source

_TAGGED: Final = frozenset(
    {
        permissions.READ,
        permissions.READ_TAGS,
        permissions.WRITE_TAGS,
        "s3:DeleteObjectTagging",
        "s3:GetObjectAcl",
        "s3:GetObjectAttributes",
        "s3:UpdateObjectEncryption",
    }
)
"""Actions (and their twins for versions) that may depend on the tags an object has."""

_EXISTING_TAG: Final = "s3:existingobjecttag/"
_REQUEST_TAG: Final = "s3:requestobjecttag"
_ENCRYPTION: Final = "s3:x-amz-server-side-encryption"

_KMS_KEY: Final = f"{_ENCRYPTION}-aws-kms-key-id"
_CONTINUE_UPLOADS: Final = frozenset({"UploadPart", "UploadPartCopy", "CompleteMultipartUpload"})

_MISSING: Final = frozenset({"NoSuchKey", "NoSuchVersion"})


@dataclass(frozen=True, slots=True)
class _Need:
    """One action on one resource; `bucket` is None for what has none, or not yet."""

    action: str
    bucket: Bucket | None
    resource: str
    keys: Keys = field(repr=False)


async def authorise(call: Call) -> None:
    """Return if the caller may do what the call asks for.

    Raises Refused: AccessDenied, NoSuchBucket, MethodNotAllowed (a bucket's policy is nothing for
    other accounts). DeleteObjects, PostObject and PutObjectTagging have more to be asked, once
    their body is known: `refusal_to_delete`, `authorise_form`, `authorise_tags`.
    """
    name = call.operation.name
    if name == "ListBuckets":
        _require(call, _Need(permissions.LIST_BUCKETS, None, "arn:aws:s3:::*", request_keys(call)))
        return
    arn = permissions.bucket_arn(call.bucket)
    if name == "CreateBucket":
        _require(call, _Need(permissions.BUCKET_ACTIONS[name], None, arn, request_keys(call)))
        return
    bucket = call.resource
    if bucket is None:
        raise Refused("NoSuchBucket", details={"BucketName": call.bucket})
    if name in permissions.BY_KEY:
        return
    if name in permissions.BUCKET_ACTIONS:
        _authorise_on_bucket(call, bucket, arn)
        return
    await _authorise_on_object(call, bucket)


async def authorise_form(
    call: Call, key: str, fields: Mapping[str, str], tags: Mapping[str, str]
) -> None:
    """Return if the caller may create `key` by PostObject with these tags.

    `fields` are the form's, as headers. Raises Refused (AccessDenied).
    """
    assert call.resource is not None
    keys = request_keys(call) | {
        f"s3:{name}": value for name, value in fields.items() if name.startswith("x-amz-")
    }
    if "acl" in fields:
        keys["s3:x-amz-acl"] = fields["acl"]
    if tags:
        keys |= tag_keys(tags)
    keys |= await _of_kms_key(call, call.resource, keys)
    for action in (permissions.WRITE, permissions.WRITE_TAGS) if tags else (permissions.WRITE,):
        await _require_on_object(call, call.resource, action, key, None, keys)


async def authorise_tags(call: Call, tags: Mapping[str, str]) -> None:
    """Return if the caller may give an object these tags (PutObjectTagging).

    Raises Refused (AccessDenied).
    """
    assert call.resource is not None
    keys = request_keys(call) | tag_keys(tags)
    action = permissions.for_version(permissions.WRITE_TAGS, call.version_id)
    await _require_on_object(call, call.resource, action, call.key, call.version_id, keys)


async def refusal_to_delete(
    call: Call, key: str, version_id: str | None, if_match: str | None
) -> Refused | None:
    """Why the caller may not delete one of DeleteObjects' keys, or None if he may."""
    assert call.resource is not None
    keys = request_keys(call)
    if version_id is not None:
        keys["s3:VersionId"] = version_id
    if if_match is not None:
        keys["s3:if-match"] = if_match
    try:
        for action in _with_condition((permissions.DELETE,), if_match):
            needed = permissions.for_version(action, version_id)
            await _require_on_object(call, call.resource, needed, key, version_id, keys)
    except Refused as refused:
        return refused
    return None


async def may_know_tags(call: Call) -> bool:
    """Whether the caller may read the object's tags, and so may know how many there are."""
    assert call.resource is not None
    version_id = call.version_id
    action = permissions.for_version(permissions.READ_TAGS, version_id)
    try:
        await _require_on_object(
            call, call.resource, action, call.key, version_id, request_keys(call)
        )
    except Refused:
        return False
    return True


async def concealed(call: Call, refused: Refused) -> Refused:
    """The refusal to answer with: whether an object exists is told only to whoever may list."""
    if refused.code not in _MISSING:
        return refused
    bucket = call.resource
    if call.operation.name in permissions.COPIES:
        source = read_source(call.fields)
        bucket = await _bucket(call, source.bucket)
    if bucket is None:
        return refused
    resource = permissions.bucket_arn(bucket.name)
    need = _Need(permissions.LIST, bucket, resource, request_keys(call))
    access = _decide(call, need)
    return refused if access is Access.ALLOW else _refused(call, need, access)


def _authorise_on_bucket(call: Call, bucket: Bucket, arn: str) -> None:
    name = call.operation.name
    on_policy = name in permissions.POLICY_OPERATIONS
    principal = call.caller.principal
    is_root = principal is not None and principal.kind == "root"
    if on_policy and is_root and call.caller.account == bucket.owner:
        return  # or a policy that denies everybody everything could never be removed
    _require(call, _Need(permissions.BUCKET_ACTIONS[name], bucket, arn, request_keys(call)))
    if on_policy and call.caller.account != bucket.owner:
        raise Refused("MethodNotAllowed", details={"ResourceType": "BUCKETPOLICY"})


async def _authorise_on_object(call: Call, bucket: Bucket) -> None:
    name, version_id = call.operation.name, call.version_id
    if name == "PutObjectTagging" and _mentions(call, bucket, _REQUEST_TAG):
        return  # the body decides as well: `authorise_tags`
    keys = request_keys(call)
    keys |= await _of_upload(call, bucket)
    keys |= await _of_kms_key(call, bucket, keys)
    actions = permissions.OBJECT_ACTIONS[name]
    if name in permissions.CONDITIONAL:
        actions = _with_condition(actions, call.fields.get("if-match"))
    for action in actions:
        needed = permissions.for_version(action, version_id)
        await _require_on_object(call, bucket, needed, call.key, version_id, keys)
    if "x-amz-tagging" in call.fields:
        await _require_on_object(call, bucket, permissions.WRITE_TAGS, call.key, None, keys)
    if name in permissions.COPIES:
        source = read_source(call.fields)
        found = await _authorise_source(call, bucket, source, keys)
        if name == "CopyObject" and call.fields.get("x-amz-tagging-directive") != "REPLACE":
            await _authorise_copied_tags(call, found, source, keys)


def _with_condition(actions: tuple[str, ...], if_match: str | None) -> tuple[str, ...]:
    """The actions, and reading as well if the object's ETag is compared with a guess at it."""
    if if_match is None or if_match.strip() == "*":
        return actions
    return (*actions, permissions.READ)


async def _authorise_source(call: Call, target: Bucket, source: CopySource, keys: Keys) -> Bucket:
    """The bucket of the source, if the caller may read that. Raises Refused."""
    bucket = target if source.bucket == target.name else await _bucket(call, source.bucket)
    if bucket is None:
        raise Refused("NoSuchBucket", details={"BucketName": source.bucket})
    keys = {name: value for name, value in keys.items() if name != "s3:VersionId"}
    if source.version_id is not None:
        keys["s3:VersionId"] = source.version_id
    action = permissions.for_version(permissions.READ, source.version_id)
    await _require_on_object(call, bucket, action, source.key, source.version_id, keys)
    return bucket


async def _authorise_copied_tags(
    call: Call, bucket: Bucket, source: CopySource, keys: Keys
) -> None:
    """Tags that come along with a copy are read and written too; most objects have none."""
    assert call.resource is not None
    action = permissions.for_version(permissions.READ_TAGS, source.version_id)
    try:
        await _require_on_object(call, bucket, action, source.key, source.version_id, keys)
        await _require_on_object(call, call.resource, permissions.WRITE_TAGS, call.key, None, keys)
    except Refused:
        if await _tags(call, bucket, source.key, source.version_id):
            raise


async def _require_on_object(
    call: Call, bucket: Bucket, action: str, key: str, version_id: str | None, keys: Keys
) -> None:
    plain = next((a for a, twin in permissions.ON_VERSIONS.items() if twin == action), action)
    if plain in _TAGGED and _mentions(call, bucket, _EXISTING_TAG):
        keys = keys | existing_tag_keys(await _tags(call, bucket, key, version_id))
    _require(call, _Need(action, bucket, permissions.object_arn(bucket.name, key), keys))


async def _of_upload(call: Call, bucket: Bucket) -> Keys:
    """The encryption that a multipart upload began with: later requests do not repeat it.

    Otherwise a policy that demands encryption would refuse every part.
    """
    if call.operation.name not in _CONTINUE_UPLOADS or not _mentions(call, bucket, _ENCRYPTION):
        return {}
    upload_id = call.parameter("uploadId")
    try:
        page = await call.store.list_parts(bucket.name, call.key, upload_id, after=0, limit=1)
    except Refused:  # there is no such upload, so nothing that it began with
        return {}
    return encryption_keys(page.upload.encryption)


async def _of_kms_key(call: Call, bucket: Bucket, keys: Keys) -> Keys:
    """The KMS key that is asked for, by its ARN: policies name it so, requests need not.

    Otherwise an alias would be a way around a policy that denies its key.
    """
    asked = keys.get(_KMS_KEY)
    if not isinstance(asked, str) or not _mentions(call, bucket, _KMS_KEY):
        return {}
    try:
        arn = await call.store.kms_key_arn(call.caller, bucket, asked)
    except Refused:  # there is no such key, so nothing will be encrypted under it
        return {}
    return {} if arn is None else {_KMS_KEY: arn}


async def _tags(call: Call, bucket: Bucket, key: str, version_id: str | None) -> Mapping[str, str]:
    try:
        found, _ = await call.store.tags(bucket.name, key, version_id=version_id)
    except Refused:  # there is no such object, so it has no tags
        return {}
    return found


async def _bucket(call: Call, name: str) -> Bucket | None:
    try:
        return await call.store.bucket(name)
    except Refused as refused:
        if refused.code == "NoSuchBucket":
            return None
        raise


def _require(call: Call, need: _Need) -> None:
    access = _decide(call, need)
    if access is not Access.ALLOW:
        raise _refused(call, need, access)


def _decide(call: Call, need: _Need) -> Access:
    owner = call.caller.account if need.bucket is None else need.bucket.owner
    if owner is None:
        return Access.NONE  # what belongs to no account is not for anybody without one
    return decide_resource(
        call.caller,
        need.action,
        need.resource,
        owner_account=owner,
        resource_policy=_policy_of(need.bucket),
        context={**need.keys, "s3:ResourceAccount": owner, "aws:ResourceAccount": owner},
    )


def _policy_of(bucket: Bucket | None) -> Policy | None:
    """The bucket's policy. One that cannot be read grants nothing and is refused to everybody."""
    if bucket is None or bucket.policy is None:
        return None
    try:
        return _parsed(bucket.policy)
    except MalformedPolicy:
        raise Refused("AccessDenied") from None


@lru_cache(maxsize=256)
def _parsed(text: str) -> Policy:
    return Policy.parse(text, resource_based=True)


def _mentions(call: Call, bucket: Bucket, key: str) -> bool:
    """Whether a policy that decides looks at a condition key, given in lower case."""
    policy = _policy_of(bucket)
    principal = call.caller.principal
    policies = () if principal is None else principal.policies
    return any(_text_mentions(each, key) for each in (*policies, policy) if each is not None)


@lru_cache(maxsize=4096)
def _text_mentions(policy: Policy, key: str) -> bool:
    return key in policy.text.lower()


def _refused(call: Call, need: _Need, access: Access) -> Refused:
    """AccessDenied, with AWS's explanation for callers of the owner's own account."""
    principal = call.caller.principal
    foreign = need.bucket is not None and call.caller.account != need.bucket.owner
    if principal is None or foreign or principal.kind == "service":
        return Refused("AccessDenied")
    who = (
        f"User: {principal.arn} is not authorized to perform: {need.action} "
        f'on resource: "{need.resource}"'
    )
    if access is not Access.DENY:
        why = f"because no identity-based policy allows the {need.action} action"
        return Refused("AccessDenied", f"{who} {why}")
    theirs = evaluate(
        principal.policies,
        principal=principal,
        action=need.action,
        resource=need.resource,
        context=need.keys,
        resource_based=False,
    )
    kind = "an identity" if theirs is Access.DENY else "a resource"
    return Refused("AccessDenied", f"{who} with an explicit deny in {kind}-based policy")
