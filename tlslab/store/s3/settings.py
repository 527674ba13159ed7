"""A bucket's subresources: encryption, versioning, policy, CORS, tags; and those it lacks.

What the store does not have is answered as AWS answers for a bucket on which it was never
configured, so that clients which only look are told the truth. Setting it is 501.
"""

from __future__ import annotations

from typing import Final

from tlslab.http import Response
from tlslab.iam import Policy
from tlslab.store.model import Bucket, DefaultEncryption
from tlslab.store.refusals import Refused
from tlslab.store.s3 import cors, tags
from tlslab.store.s3.answers import XML, empty, owner, xml
from tlslab.store.s3.bucket_policy import check_bucket_policy, is_public
from tlslab.store.s3.call import Call
from tlslab.store.s3.xml import Child, Element, parse

_ALGORITHMS: Final = ("AES256", "aws:kms", "aws:kms:dsse")
_BLOCKABLE: Final = ("NONE", "SSE-C")

_NEVER_CONFIGURED: Final = {
    "GetPublicAccessBlock": (
        "NoSuchPublicAccessBlockConfiguration",
        "The public access block configuration was not found",
    ),
    "GetObjectLockConfiguration": (
        "ObjectLockConfigurationNotFoundError",
        "Object Lock configuration does not exist for this bucket",
    ),
    "GetBucketLifecycleConfiguration": (
        "NoSuchLifecycleConfiguration",
        "The lifecycle configuration does not exist",
    ),
    "GetBucketReplication": (
        "ReplicationConfigurationNotFoundError",
        "The replication configuration was not found",
    ),
    "GetBucketWebsite": (
        "NoSuchWebsiteConfiguration",
        "The specified bucket does not have a website configuration",
    ),
}
_EMPTY_DOCUMENTS: Final[dict[str, tuple[str, list[Child]]]] = {
    "GetBucketLogging": ("BucketLoggingStatus", []),
    "GetBucketNotificationConfiguration": ("NotificationConfiguration", []),
    "GetBucketAccelerateConfiguration": ("AccelerateConfiguration", []),
    "GetBucketRequestPayment": ("RequestPaymentConfiguration", [("Payer", "BucketOwner")]),
    "GetBucketOwnershipControls": (
        "OwnershipControls",
        [("Rule", [("ObjectOwnership", "BucketOwnerEnforced")])],
    ),
}


def require_bucket(call: Call) -> Bucket:
    """The bucket of a request that is for one. Raises Refused (NoSuchBucket)."""
    if call.resource is None:
        raise Refused("NoSuchBucket", details={"BucketName": call.bucket})
    return call.resource


async def get_never_configured(call: Call) -> Response:
    """A subresource that no bucket here has: AWS's own words for that."""
    require_bucket(call)
    known = _EMPTY_DOCUMENTS.get(call.operation.name)
    if known is not None:
        return xml(*known)
    code, message = _NEVER_CONFIGURED[call.operation.name]
    raise Refused(code, message, status=404, details={"BucketName": call.bucket})


async def get_encryption(call: Call) -> Response:
    """GetBucketEncryption: what was put, or the default that every bucket has."""
    default = require_bucket(call).encryption
    if default is None and call.setting.compat == "ceph":
        raise Refused(
            "ServerSideEncryptionConfigurationNotFoundError", details={"BucketName": call.bucket}
        )
    default = default or DefaultEncryption()
    blocked: list[Child] = [("EncryptionType", name) for name in sorted(default.blocked)]
    rule: list[Child] = [
        (
            "ApplyServerSideEncryptionByDefault",
            [("SSEAlgorithm", default.algorithm), ("KMSMasterKeyID", default.kms_key_id)],
        ),
        ("BucketKeyEnabled", default.bucket_key),
        ("BlockedEncryptionTypes", blocked or None),
    ]
    return xml("ServerSideEncryptionConfiguration", [("Rule", rule)])


async def put_encryption(call: Call) -> Response:
    """PutBucketEncryption. The key is not looked up, as AWS does not."""
    configuration = read_default_encryption(await call.document())
    await call.store.configure_bucket(call.bucket, encryption=configuration)
    return empty()


async def delete_encryption(call: Call) -> Response:
    """DeleteBucketEncryption: back to AES256."""
    await call.store.configure_bucket(call.bucket, encryption=None)
    return empty(204)


def read_default_encryption(data: bytes) -> DefaultEncryption:
    """A ServerSideEncryptionConfiguration. Raises Refused: MalformedXML, InvalidArgument."""
    root = parse(data, "ServerSideEncryptionConfiguration").knows("Rule")
    rule = root.one("Rule").knows(
        "ApplyServerSideEncryptionByDefault", "BucketKeyEnabled", "BlockedEncryptionTypes"
    )
    algorithm, key = _by_default(rule.find("ApplyServerSideEncryptionByDefault"))
    bucket_key = rule.value("BucketKeyEnabled") or "false"
    if algorithm not in _ALGORITHMS or bucket_key not in {"true", "false"}:
        raise Refused("MalformedXML")
    if key is not None and algorithm == "AES256":
        raise Refused(
            "InvalidArgument",
            "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or "
            "aws:kms:dsse",
            details={"ArgumentName": "ApplyServerSideEncryptionByDefault"},
        )
    blocked = _blocked(rule.find("BlockedEncryptionTypes"))
    return DefaultEncryption(algorithm, key, bucket_key == "true", blocked)  # type: ignore[arg-type]


def _by_default(element: Element | None) -> tuple[str, str | None]:
    if element is None:
        return "AES256", None
    element.knows("SSEAlgorithm", "KMSMasterKeyID")
    return element.one("SSEAlgorithm").leaf(), element.value("KMSMasterKeyID") or None


def _blocked(element: Element | None) -> frozenset[str]:
    if element is None:
        return frozenset()
    names = [child.leaf() for child in element.knows("EncryptionType").children]
    if any(name not in _BLOCKABLE for name in names) or ("NONE" in names and len(names) > 1):
        raise Refused("MalformedXML")
    return frozenset(names) - {"NONE"}


async def get_versioning(call: Call) -> Response:
    """GetBucketVersioning: no status before it was first enabled."""
    return xml("VersioningConfiguration", [("Status", require_bucket(call).versioning)])


async def put_versioning(call: Call) -> Response:
    """PutBucketVersioning: Enabled or Suspended; there is no MFA delete here."""
    configuration = parse(await call.document(), "VersioningConfiguration")
    configuration.knows("Status", "MfaDelete")
    if configuration.value("MfaDelete") not in {None, "Disabled"}:
        raise Refused("NotImplemented", "MFA delete is not implemented")
    status = configuration.one("Status").leaf()
    if status not in {"Enabled", "Suspended"}:
        raise Refused("MalformedXML")
    await call.store.configure_bucket(call.bucket, versioning=status)
    return empty()


async def get_policy(call: Call) -> Response:
    """GetBucketPolicy: the document as it was put."""
    policy = require_bucket(call).policy
    if policy is None:
        raise Refused("NoSuchBucketPolicy", details={"BucketName": call.bucket})
    return Response(200, [(b"Content-Type", b"application/json")], policy.encode())


async def put_policy(call: Call) -> Response:
    """PutBucketPolicy."""
    data = await call.document()
    policy = check_bucket_policy(data, call.bucket, exists=call.setting.identities.principal_exists)
    await call.store.configure_bucket(call.bucket, policy=policy.text)
    return empty(204)


async def get_policy_status(call: Call) -> Response:
    """GetBucketPolicyStatus: whether the policy grants anything to everybody."""
    text = require_bucket(call).policy
    if text is None:
        raise Refused("NoSuchBucketPolicy", details={"BucketName": call.bucket})
    public = is_public(Policy.parse(text, resource_based=True))
    return xml("PolicyStatus", [("IsPublic", public)])


async def delete_policy(call: Call) -> Response:
    """DeleteBucketPolicy."""
    await call.store.configure_bucket(call.bucket, policy=None)
    return empty(204)


async def get_cors(call: Call) -> Response:
    """GetBucketCors."""
    rules = require_bucket(call).cors
    if rules is None:
        raise Refused("NoSuchCORSConfiguration", details={"BucketName": call.bucket})
    return Response(200, [XML], rules.encode())


async def put_cors(call: Call) -> Response:
    """PutBucketCors: what is understood is kept, in one form."""
    rules = cors.read_rules(await call.document())
    await call.store.configure_bucket(call.bucket, cors=cors.write_rules(rules).decode())
    return empty()


async def delete_cors(call: Call) -> Response:
    """DeleteBucketCors."""
    await call.store.configure_bucket(call.bucket, cors=None)
    return empty(204)


async def get_tagging(call: Call) -> Response:
    """GetBucketTagging."""
    found = require_bucket(call).tags
    if not found:
        raise Refused("NoSuchTagSet", details={"BucketName": call.bucket})
    return Response(200, [XML], tags.to_xml(found))


async def put_tagging(call: Call) -> Response:
    """PutBucketTagging."""
    found = tags.from_xml(await call.document())
    tags.check_bucket_tags(found)
    await call.store.configure_bucket(call.bucket, tags=found)
    return empty(204)


async def delete_tagging(call: Call) -> Response:
    """DeleteBucketTagging."""
    await call.store.configure_bucket(call.bucket, tags={})
    return empty(204)


async def get_acl(call: Call) -> Response:
    """GetBucketAcl and GetObjectAcl: the owner has full control; there are no other grants."""
    account = require_bucket(call).owner
    if call.key:
        await call.store.tags(call.bucket, call.key, version_id=call.version_id)  # is it there?
    kind = 'Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"'
    grant: list[Child] = [(kind, owner(account)), ("Permission", "FULL_CONTROL")]
    return xml(
        "AccessControlPolicy",
        [("Owner", owner(account)), ("AccessControlList", [("Grant", grant)])],
    )
