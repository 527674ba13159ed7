"""Which operation a request asks for: a table, and everything outside it is 501 NotImplemented.

An operation is chosen by method, by what it is aimed at, by the subresource in the query and, for
copies, by a header. Then every query parameter and every header that could change its meaning must
be one that it knows. Stores that let an unknown subresource fall through to a plain PUT destroy the
object; here nothing is touched before the whole request is understood.

The names are those of the Amazon S3 API Reference. The module knows nothing of how they are done.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from tlslab.store.refusals import Refused
from tlslab.store.s3.fields import Fields, is_authentication
from tlslab.store.s3.target import Target

Scope: TypeAlias = Literal["service", "bucket", "object"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the API.

    `selector` are the parameters that must be there, with the value in `selecting` where one is
    given; `copies` says whether `x-amz-copy-source` must be. `query` and `headers` are what it
    understands besides. `checksum` says whether a body must come with a checksum.
    """

    name: str
    method: str
    scope: Scope
    selector: frozenset[str] = frozenset()
    copies: bool = False
    query: frozenset[str] = frozenset()
    headers: frozenset[str] = frozenset()
    checksum: bool = False
    metadata: bool = False


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SSE: Final = _words(
    """x-amz-server-side-encryption x-amz-server-side-encryption-aws-kms-key-id
    x-amz-server-side-encryption-context x-amz-server-side-encryption-bucket-key-enabled"""
)
_SSE_C: Final = _words(
    """x-amz-server-side-encryption-customer-algorithm x-amz-server-side-encryption-customer-key
    x-amz-server-side-encryption-customer-key-md5"""
)
_SOURCE: Final = _words(
    """x-amz-copy-source x-amz-copy-source-if-match x-amz-copy-source-if-none-match
    x-amz-copy-source-if-modified-since x-amz-copy-source-if-unmodified-since
    x-amz-copy-source-server-side-encryption-customer-algorithm
    x-amz-copy-source-server-side-encryption-customer-key
    x-amz-copy-source-server-side-encryption-customer-key-md5 x-amz-source-expected-bucket-owner"""
)
_CHECKSUM: Final = _words(
    """x-amz-sdk-checksum-algorithm x-amz-checksum-crc32 x-amz-checksum-crc32c
    x-amz-checksum-crc64nvme x-amz-checksum-sha1 x-amz-checksum-sha256 x-amz-trailer
    x-amz-decoded-content-length"""
)
_OWNED: Final = _words("x-amz-acl x-amz-storage-class x-amz-tagging")
"""What new objects come with. The face takes those values that mean what the store does anyway."""

_BYPASS: Final = _words("x-amz-bypass-governance-retention")
"""Of object locks, which no bucket here has: there is nothing to bypass."""

_WRITE_IF: Final = _words("if-match if-none-match")
_READ_IF: Final = _words("if-match if-none-match if-modified-since if-unmodified-since range")
_LIST: Final = _words("prefix delimiter encoding-type")
_OVERRIDES: Final = _words(
    """response-cache-control response-content-disposition response-content-encoding
    response-content-language response-content-type response-expires"""
)

FORM_HEADERS: Final = _SSE | _SSE_C | _CHECKSUM | _OWNED
"""What a form may have among its fields that would be a header elsewhere, besides metadata."""

_ALWAYS: Final = _words(
    """x-amz-content-sha256 x-amz-date x-amz-security-token x-amz-user-agent
    x-amz-expected-bucket-owner x-amz-request-payer"""
)
"""Headers of any request: of its signature and its client; the expected owner is checked for all.
Requester Pays is charged to nobody here."""

_MEANINGFUL: Final = _words(
    """range content-range if-match if-none-match if-modified-since if-unmodified-since"""
)
"""Headers without the prefix that would change what a request means: 501 unless known. (If-Range
means nothing without Range.)"""


def _object(name: str, method: str, selector: str = "", **more: object) -> Operation:
    return _operation(name, method, "object", selector, more)


def _bucket(name: str, method: str, selector: str = "", **more: object) -> Operation:
    return _operation(name, method, "bucket", selector, more)


def _operation(
    name: str, method: str, scope: Scope, selector: str, more: dict[str, object]
) -> Operation:
    return Operation(name, method, scope, _words(selector), **more)  # type: ignore[arg-type]


def _settings() -> list[Operation]:
    """The subresources of a bucket that are read, replaced and removed as one document."""
    found = []
    for subresource, name in {
        "cors": "BucketCors",
        "encryption": "BucketEncryption",
        "policy": "BucketPolicy",
        "tagging": "BucketTagging",
    }.items():
        headers = _CHECKSUM
        if subresource == "policy":
            headers |= {"x-amz-confirm-remove-self-bucket-access"}
        put = _bucket(f"Put{name}", "PUT", subresource, headers=headers, checksum=True)
        get, delete = (_bucket(f"{verb}{name}", verb.upper(), subresource) for verb in _GET_DELETE)
        found += [put, get, delete]
    return found


_GET_DELETE: Final = ("Get", "Delete")
_VERSION: Final = _words("versionId")

_SERVICE_OPERATIONS: Final = [
    Operation(
        "ListBuckets",
        "GET",
        "service",
        query=_words("max-buckets continuation-token prefix bucket-region"),
    ),
]

_BUCKET_OPERATIONS: Final = [
    _bucket(
        "CreateBucket",
        "PUT",
        headers=_CHECKSUM
        | _words("x-amz-acl x-amz-object-ownership x-amz-bucket-object-lock-enabled"),
    ),
    _bucket("DeleteBucket", "DELETE"),
    _bucket("HeadBucket", "HEAD"),
    _bucket("GetBucketLocation", "GET", "location"),
    _bucket("GetBucketVersioning", "GET", "versioning"),
    _bucket("PutBucketVersioning", "PUT", "versioning", headers=_CHECKSUM, checksum=True),
    _bucket("GetBucketPolicyStatus", "GET", "policyStatus"),
    _bucket("GetBucketAcl", "GET", "acl"),
    _bucket("GetBucketOwnershipControls", "GET", "ownershipControls"),
    _bucket("GetPublicAccessBlock", "GET", "publicAccessBlock"),
    _bucket("GetObjectLockConfiguration", "GET", "object-lock"),
    _bucket("GetBucketLifecycleConfiguration", "GET", "lifecycle"),
    _bucket("GetBucketReplication", "GET", "replication"),
    _bucket("GetBucketWebsite", "GET", "website"),
    _bucket("GetBucketLogging", "GET", "logging"),
    _bucket("GetBucketNotificationConfiguration", "GET", "notification"),
    _bucket("GetBucketAccelerateConfiguration", "GET", "accelerate"),
    _bucket("GetBucketRequestPayment", "GET", "requestPayment"),
    *_settings(),
    _bucket(
        "ListObjects",
        "GET",
        query=_LIST | _words("marker max-keys"),
        headers=_words("x-amz-optional-object-attributes"),
    ),
    _bucket(
        "ListObjectsV2",
        "GET",
        "list-type",
        query=_LIST | _words("max-keys continuation-token fetch-owner start-after"),
        headers=_words("x-amz-optional-object-attributes"),
    ),
    _bucket(
        "ListObjectVersions",
        "GET",
        "versions",
        query=_LIST | _words("key-marker version-id-marker max-keys"),
        headers=_words("x-amz-optional-object-attributes"),
    ),
    _bucket(
        "ListMultipartUploads",
        "GET",
        "uploads",
        query=_LIST | _words("key-marker upload-id-marker max-uploads"),
    ),
    _bucket("DeleteObjects", "POST", "delete", headers=_CHECKSUM | _BYPASS, checksum=True),
    _bucket("PostObject", "POST"),
]

_OBJECT_OPERATIONS: Final = [
    _object(
        "PutObject",
        "PUT",
        headers=_SSE | _SSE_C | _CHECKSUM | _OWNED | _WRITE_IF,
        metadata=True,
    ),
    _object(
        "CopyObject",
        "PUT",
        copies=True,
        headers=_SSE
        | _SSE_C
        | _SOURCE
        | _OWNED
        | _WRITE_IF
        | _words("x-amz-checksum-algorithm x-amz-metadata-directive x-amz-tagging-directive"),
        metadata=True,
    ),
    _object(
        "GetObject",
        "GET",
        query=_VERSION | _OVERRIDES | _words("partNumber"),
        headers=_SSE_C | _READ_IF | _words("x-amz-checksum-mode"),
    ),
    _object(
        "HeadObject",
        "HEAD",
        query=_VERSION | _OVERRIDES | _words("partNumber"),
        headers=_SSE_C | _READ_IF | _words("x-amz-checksum-mode"),
    ),
    _object("DeleteObject", "DELETE", query=_VERSION, headers=_words("if-match") | _BYPASS),
    _object(
        "GetObjectAttributes",
        "GET",
        "attributes",
        query=_VERSION,
        headers=_SSE_C | _words("x-amz-max-parts x-amz-part-number-marker x-amz-object-attributes"),
    ),
    _object("GetObjectAcl", "GET", "acl", query=_VERSION),
    _object("GetObjectTagging", "GET", "tagging", query=_VERSION),
    _object("PutObjectTagging", "PUT", "tagging", query=_VERSION, headers=_CHECKSUM, checksum=True),
    _object("DeleteObjectTagging", "DELETE", "tagging", query=_VERSION),
    _object(
        "UpdateObjectEncryption",
        "PUT",
        "encryption",
        query=_VERSION,
        headers=_CHECKSUM,
        checksum=True,
    ),
    _object(
        "CreateMultipartUpload",
        "POST",
        "uploads",
        headers=_SSE
        | _SSE_C
        | _OWNED
        | _words("x-amz-checksum-algorithm x-amz-checksum-type x-amz-decoded-content-length"),
        metadata=True,
    ),
    _object("UploadPart", "PUT", "partNumber uploadId", headers=_SSE_C | _CHECKSUM),
    _object(
        "UploadPartCopy",
        "PUT",
        "partNumber uploadId",
        copies=True,
        headers=_SSE_C | _SOURCE | _words("x-amz-copy-source-range"),
    ),
    _object(
        "ListParts",
        "GET",
        "uploadId",
        query=_words("max-parts part-number-marker"),
        headers=_SSE_C,
    ),
    _object(
        "CompleteMultipartUpload",
        "POST",
        "uploadId",
        headers=_SSE_C | _CHECKSUM | _WRITE_IF | _words("x-amz-checksum-type x-amz-mp-object-size"),
    ),
    _object("AbortMultipartUpload", "DELETE", "uploadId"),
]

OPERATIONS: Final = (*_SERVICE_OPERATIONS, *_BUCKET_OPERATIONS, *_OBJECT_OPERATIONS)

_REPEATING: Final = {"UploadPart", "CompleteMultipartUpload"}
"""Where Ceph's tests repeat what the upload began with. It is not read there."""

_SELECTORS: Final = frozenset().union(*(operation.selector for operation in OPERATIONS))


def find_operation(
    method: str, target: Target, fields: Fields, compat: Literal["ceph"] | None = None
) -> Operation:
    """The operation that a request asks for, all of which is understood.

    Raises Refused: NotImplemented for anything else, MethodNotAllowed for a method that none of
    the operations on such a target has, InvalidArgument for an encryption that it cannot choose.
    """
    scope: Scope = "object" if target.key else "bucket" if target.bucket else "service"
    names = {name for name in target.query.keys() - fields.hoisted if not _is_nobodys(name)}
    selector = names & _SELECTORS
    copies = "x-amz-copy-source" in fields
    for operation in OPERATIONS:
        if (
            operation.method == method
            and operation.scope == scope
            and operation.selector == selector - operation.query
            and operation.copies == (copies and method == "PUT")
        ):
            break
    else:
        if names or copies:
            raise _not_implemented(f"{method} with {', '.join(sorted(names)) or 'a copy source'}")
        raise Refused("MethodNotAllowed", details={"Method": method})
    unknown = names - operation.selector - operation.query
    if unknown:
        raise _not_implemented(f"the parameter {min(unknown)}")
    repeated = _SSE if compat == "ceph" and operation.name in _REPEATING else frozenset[str]()
    _check_headers(operation, fields, repeated)
    return operation


def _check_headers(operation: Operation, fields: Fields, repeated: frozenset[str]) -> None:
    for name in fields:
        if name in operation.headers or name in _ALWAYS or name in repeated:
            continue
        if name in _SSE:
            raise Refused(
                "InvalidArgument",
                f"{name} header is not supported for this operation.",
                details={"ArgumentName": name, "ArgumentValue": fields[name]},
            )
        if name.startswith("x-amz-meta-") and operation.metadata:
            continue
        if name.startswith("x-amz-") or name in _MEANINGFUL:
            raise _not_implemented(None, Header=name)


def _is_nobodys(parameter: str) -> bool:
    """Whether a parameter means nothing to S3: signatures, `x-id`, and what only logs show.

    "You can include custom information ... by adding a custom query-string parameter ... Amazon S3
    ignores query-string parameters that start with x-" (User Guide, server access logging).
    botocore's SigV2 repeats two signed headers in the query, where they say nothing.
    """
    name = parameter.lower()
    if name.startswith("x-"):
        return not name.startswith("x-amz-") or is_authentication(parameter)
    return is_authentication(parameter) or parameter in {"content-type", "content-md5"}


def _not_implemented(what: str | None, **details: str) -> Refused:
    message = "A header you provided implies functionality that is not implemented"
    if not details:
        message = "The request asks for functionality that is not implemented"
    return Refused("NotImplemented", f"{message}: {what}" if what else message, details=details)
