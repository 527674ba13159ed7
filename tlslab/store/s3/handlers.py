"""What is done for each operation: the table that `operations.OPERATIONS` is the index of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from tlslab.http import Response
from tlslab.store.s3 import (
    buckets,
    copying,
    deleting,
    listing,
    multipart,
    object_tags,
    objects,
    posting,
    settings,
)
from tlslab.store.s3.call import Call

Operate: TypeAlias = Callable[[Call], Awaitable[Response]]

HANDLERS: Final[dict[str, Operate]] = {
    "AbortMultipartUpload": multipart.abort_upload,
    "CompleteMultipartUpload": multipart.complete_upload,
    "CopyObject": copying.copy_object,
    "CreateBucket": buckets.create_bucket,
    "CreateMultipartUpload": multipart.create_upload,
    "DeleteBucket": buckets.delete_bucket,
    "DeleteBucketCors": settings.delete_cors,
    "DeleteBucketEncryption": settings.delete_encryption,
    "DeleteBucketPolicy": settings.delete_policy,
    "DeleteBucketTagging": settings.delete_tagging,
    "DeleteObject": objects.delete_object,
    "DeleteObjectTagging": object_tags.delete_tags,
    "DeleteObjects": deleting.delete_objects,
    "GetBucketAccelerateConfiguration": settings.get_never_configured,
    "GetBucketAcl": settings.get_acl,
    "GetBucketCors": settings.get_cors,
    "GetBucketEncryption": settings.get_encryption,
    "GetBucketLifecycleConfiguration": settings.get_never_configured,
    "GetBucketLocation": buckets.get_bucket_location,
    "GetBucketLogging": settings.get_never_configured,
    "GetBucketNotificationConfiguration": settings.get_never_configured,
    "GetBucketOwnershipControls": settings.get_never_configured,
    "GetBucketPolicy": settings.get_policy,
    "GetBucketPolicyStatus": settings.get_policy_status,
    "GetBucketReplication": settings.get_never_configured,
    "GetBucketRequestPayment": settings.get_never_configured,
    "GetBucketTagging": settings.get_tagging,
    "GetBucketVersioning": settings.get_versioning,
    "GetBucketWebsite": settings.get_never_configured,
    "GetObject": objects.get_object,
    "GetObjectAcl": settings.get_acl,
    "GetObjectAttributes": objects.get_attributes,
    "GetObjectLockConfiguration": settings.get_never_configured,
    "GetObjectTagging": object_tags.get_tags,
    "GetPublicAccessBlock": settings.get_never_configured,
    "HeadBucket": buckets.head_bucket,
    "HeadObject": objects.head_object,
    "ListBuckets": buckets.list_buckets,
    "ListMultipartUploads": multipart.list_uploads,
    "ListObjectVersions": listing.list_versions,
    "ListObjects": listing.list_objects,
    "ListObjectsV2": listing.list_objects_v2,
    "ListParts": multipart.list_parts,
    "PostObject": posting.post_object,
    "PutBucketCors": settings.put_cors,
    "PutBucketEncryption": settings.put_encryption,
    "PutBucketPolicy": settings.put_policy,
    "PutBucketTagging": settings.put_tagging,
    "PutBucketVersioning": settings.put_versioning,
    "PutObject": objects.put_object,
    "PutObjectTagging": object_tags.put_tags,
    "UpdateObjectEncryption": objects.update_encryption,
    "UploadPart": multipart.upload_part,
    "UploadPartCopy": multipart.upload_part_copy,
}
"""By the operation's name."""
