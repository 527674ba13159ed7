"""Which permissions each operation takes: a table of IAM actions.

    on the bucket    arn:aws:s3:::BUCKET
    on the object    arn:aws:s3:::BUCKET/KEY

An operation on one version of an object takes the action for versions instead. Copies read their
source besides; DeleteObjects and PostObject name their objects in the body, so theirs are asked for
one by one. An operation that is not in the table is not permitted to anybody.

Source: Amazon S3 User Guide, "Required permissions for Amazon S3 API operations"; Service
Authorization Reference, "Actions, resources, and condition keys for Amazon S3".
"""

from __future__ import annotations

from typing import Final

LIST_BUCKETS: Final = "s3:ListAllMyBuckets"
LIST: Final = "s3:ListBucket"
READ: Final = "s3:GetObject"
WRITE: Final = "s3:PutObject"
DELETE: Final = "s3:DeleteObject"
READ_TAGS: Final = "s3:GetObjectTagging"
WRITE_TAGS: Final = "s3:PutObjectTagging"

BUCKET_ACTIONS: Final[dict[str, str]] = {
    "CreateBucket": "s3:CreateBucket",
    "DeleteBucket": "s3:DeleteBucket",
    "DeleteBucketCors": "s3:PutBucketCORS",
    "DeleteBucketEncryption": "s3:PutEncryptionConfiguration",
    "DeleteBucketPolicy": "s3:DeleteBucketPolicy",
    "DeleteBucketTagging": "s3:PutBucketTagging",
    "GetBucketAccelerateConfiguration": "s3:GetAccelerateConfiguration",
    "GetBucketAcl": "s3:GetBucketAcl",
    "GetBucketCors": "s3:GetBucketCORS",
    "GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "GetBucketLocation": "s3:GetBucketLocation",
    "GetBucketLogging": "s3:GetBucketLogging",
    "GetBucketNotificationConfiguration": "s3:GetBucketNotification",
    "GetBucketOwnershipControls": "s3:GetBucketOwnershipControls",
    "GetBucketPolicy": "s3:GetBucketPolicy",
    "GetBucketPolicyStatus": "s3:GetBucketPolicyStatus",
    "GetBucketReplication": "s3:GetReplicationConfiguration",
    "GetBucketRequestPayment": "s3:GetBucketRequestPayment",
    "GetBucketTagging": "s3:GetBucketTagging",
    "GetBucketVersioning": "s3:GetBucketVersioning",
    "GetBucketWebsite": "s3:GetBucketWebsite",
    "GetObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration",
    "GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "HeadBucket": LIST,
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "ListObjects": LIST,
    "ListObjectsV2": LIST,
    "ListObjectVersions": "s3:ListBucketVersions",
    "PutBucketCors": "s3:PutBucketCORS",
    "PutBucketEncryption": "s3:PutEncryptionConfiguration",
    "PutBucketPolicy": "s3:PutBucketPolicy",
    "PutBucketTagging": "s3:PutBucketTagging",
    "PutBucketVersioning": "s3:PutBucketVersioning",
}
"""By operation: the action on its bucket."""

OBJECT_ACTIONS: Final[dict[str, tuple[str, ...]]] = {
    "AbortMultipartUpload": ("s3:AbortMultipartUpload",),
    "CompleteMultipartUpload": (WRITE,),
    "CopyObject": (WRITE,),
    "CreateMultipartUpload": (WRITE,),
    "DeleteObject": (DELETE,),
    "DeleteObjectTagging": ("s3:DeleteObjectTagging",),
    "GetObject": (READ,),
    "GetObjectAcl": ("s3:GetObjectAcl",),
    "GetObjectAttributes": (READ, "s3:GetObjectAttributes"),
    "GetObjectTagging": (READ_TAGS,),
    "HeadObject": (READ,),
    "ListParts": ("s3:ListMultipartUploadParts",),
    "PutObject": (WRITE,),
    "PutObjectTagging": (WRITE_TAGS,),
    "UpdateObjectEncryption": ("s3:UpdateObjectEncryption",),
    "UploadPart": (WRITE,),
    "UploadPartCopy": (WRITE,),
}
"""By operation: the actions on its object, all of which are needed."""

ON_VERSIONS: Final[dict[str, str]] = {
    DELETE: "s3:DeleteObjectVersion",
    "s3:DeleteObjectTagging": "s3:DeleteObjectVersionTagging",
    READ: "s3:GetObjectVersion",
    "s3:GetObjectAcl": "s3:GetObjectVersionAcl",
    "s3:GetObjectAttributes": "s3:GetObjectVersionAttributes",
    READ_TAGS: "s3:GetObjectVersionTagging",
    WRITE_TAGS: "s3:PutObjectVersionTagging",
}
"""The action that takes the place of another if the request names a version."""

POLICY_OPERATIONS: Final = frozenset({"GetBucketPolicy", "PutBucketPolicy", "DeleteBucketPolicy"})
"""Open to the owner's root whatever the policy says, and to nobody from another account."""

COPIES: Final = frozenset({"CopyObject", "UploadPartCopy"})

CONDITIONAL: Final = frozenset(
    {"CompleteMultipartUpload", "CopyObject", "DeleteObject", "PutObject"}
)
"""Operations whose If-Match compares the ETag of the object they replace or remove: whoever may not
read it may not guess at it either (User Guide, "Enforce conditional deletes")."""

BY_KEY: Final = frozenset({"DeleteObjects", "PostObject"})
"""Operations whose objects are in the body."""


def for_version(action: str, version_id: str | None) -> str:
    """The action that is needed if the request names a version."""
    return action if version_id is None else ON_VERSIONS.get(action, action)


def bucket_arn(bucket: str) -> str:
    """The ARN of a bucket."""
    return f"arn:aws:s3:::{bucket}"


def object_arn(bucket: str, key: str) -> str:
    """The ARN of an object."""
    return f"arn:aws:s3:::{bucket}/{key}"
