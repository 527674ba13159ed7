"""What the store takes and gives: values without behaviour, in S3's terms.

The engine and its wire face share them. Keys and metadata are text, ETags come without quotes,
times are UTC. Nothing here knows how anything is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

NULL_VERSION = "null"
"""The version id of objects written while their bucket was not versioned."""

ChecksumType: TypeAlias = Literal["FULL_OBJECT", "COMPOSITE"]
Algorithm: TypeAlias = Literal["AES256", "aws:kms", "aws:kms:dsse", "SSE-C"]
Versioning: TypeAlias = Literal["Enabled", "Suspended"]


@dataclass(frozen=True, slots=True)
class Attributes:
    """The header fields that an object is stored and served with, and the user's metadata.

    `metadata` has names without `x-amz-meta-`, in lower case.
    """

    content_type: str | None = None
    cache_control: str | None = None
    content_disposition: str | None = None
    content_encoding: str | None = None
    content_language: str | None = None
    expires: str | None = None
    website_redirect: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Checksum:
    """A checksum of an object or a part: `value` is base64, with `-N` after it if composite."""

    algorithm: str
    value: str
    type: ChecksumType = "FULL_OBJECT"


@dataclass(frozen=True, slots=True)
class ExpectedChecksum:
    """What a body's checksum is to be.

    `value` is base64, a function that gives it once the body was read to its end (from a trailer),
    or None to compute and keep it without comparing.
    """

    algorithm: str
    value: str | Callable[[], str | None] | None = None


@dataclass(frozen=True, slots=True)
class EncryptionFacts:
    """How an object is encrypted, as its responses tell it; `algorithm` is None for not at all.

    `customer_key_md5` is base64 and there only if the key came with the request: the store does not
    keep it. `context` is the caller's own part of the encryption context.
    """

    algorithm: Algorithm | None
    kms_key_arn: str | None = None
    bucket_key: bool = False
    customer_key_md5: str | None = None
    context: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class SSES3:
    """Encrypt with keys that the store manages."""


@dataclass(frozen=True, slots=True)
class SSEKMS:
    """Encrypt with a key of the KMS.

    `key_id` is an id, ARN or alias, None for `alias/aws/s3`; `context` is bound to the data key in
    addition to the object's ARN; `bucket_key` None is the bucket's default; `dsse` adds a second
    layer of encryption under another key.
    """

    key_id: str | None = None
    context: Mapping[str, str] = field(default_factory=dict)
    bucket_key: bool | None = None
    dsse: bool = False


@dataclass(frozen=True, slots=True)
class SSEC:
    """Encrypt with a key of 32 bytes that the caller provides, and that the store does not keep."""

    key: bytes = field(repr=False)


Encryption: TypeAlias = SSES3 | SSEKMS | SSEC


@dataclass(frozen=True, slots=True)
class CustomerKey:
    """The key of 32 bytes that unlocks an object under SSE-C."""

    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class DefaultEncryption:
    """How a bucket encrypts what comes without instructions, and which kinds it takes.

    `blocked` holds the encryption types that writes may not ask for: `SSE-C`, or none.
    """

    algorithm: Literal["AES256", "aws:kms", "aws:kms:dsse"] = "AES256"
    kms_key_id: str | None = None
    bucket_key: bool = False
    blocked: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket and its settings.

    `owner` is an account. `versioning` is None until it was first enabled; `encryption` None means
    that none was ever configured (AES256 then). `policy` and `cors` are documents as they were put,
    checked by whoever puts them.
    """

    name: str
    region: str
    owner: str
    created: datetime
    versioning: Versioning | None = None
    encryption: DefaultEncryption | None = None
    policy: str | None = None
    cors: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PartInfo:
    """A part of a multipart upload, or of the object it became.

    `encryption` is there where one was just written.
    """

    number: int
    size: int
    etag: str
    modified: datetime
    checksum: Checksum | None = None
    encryption: EncryptionFacts | None = None


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """The facts of one version of an object.

    `part_count` is None unless it was uploaded in parts. `parts` holds them only where they were
    asked for; if one was, `part_range` is where it starts and stops in the object. A delete marker
    has size 0 and an empty ETag.
    """

    bucket: str
    key: str
    version_id: str
    is_latest: bool
    delete_marker: bool
    size: int
    modified: datetime
    etag: str
    attributes: Attributes = field(default_factory=Attributes)
    tag_count: int = 0
    checksum: Checksum | None = None
    encryption: EncryptionFacts = field(default_factory=lambda: EncryptionFacts(None))
    part_count: int | None = None
    parts: tuple[PartInfo, ...] = ()
    part_range: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """A multipart upload under way. `checksum_algorithm` is None if none was asked for."""

    id: str
    bucket: str
    key: str
    initiated: datetime
    encryption: EncryptionFacts
    checksum_algorithm: str | None = None
    checksum_type: ChecksumType | None = None
    initiator: str | None = None


@dataclass(frozen=True, slots=True)
class CopySource:
    """What a copy is made of: the newest version, unless one is named."""

    bucket: str
    key: str
    version_id: str | None = None


@dataclass(frozen=True, slots=True)
class CompletedPart:
    """A part as the completion of an upload names it."""

    number: int
    etag: str
    checksum: Checksum | None = None


@dataclass(frozen=True, slots=True)
class Deleted:
    """What a deletion came to; both ids are None where the bucket is not versioned.

    `version_id` is the version that went or the delete marker that came; `delete_marker` says that
    it is a marker.
    """

    version_id: str | None = None
    delete_marker: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a listing of objects: `next` is where the following one starts (`after`)."""

    objects: tuple[ObjectInfo, ...]
    prefixes: tuple[str, ...]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class VersionPage:
    """A page of a listing of versions, delete markers among them, the newest of a key first."""

    versions: tuple[ObjectInfo, ...]
    prefixes: tuple[str, ...]
    next_key: str | None = None
    next_version: str | None = None


@dataclass(frozen=True, slots=True)
class UploadPage:
    """A page of a listing of uploads, by key and then by age."""

    uploads: tuple[Upload, ...]
    prefixes: tuple[str, ...]
    next_key: str | None = None
    next_upload: str | None = None


@dataclass(frozen=True, slots=True)
class PartPage:
    """A page of the parts of an upload; `next` is the number to continue after."""

    upload: Upload
    parts: tuple[PartInfo, ...]
    next: int | None = None
