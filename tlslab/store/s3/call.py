"""One request, understood and authenticated: what every operation works with.

It reads what operations have in common out of the request (numbers, versions, small bodies), and
knows none of the operations.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from tlslab.http import Request
from tlslab.iam import Caller, Identities
from tlslab.iam.payload import Upload, open_payload
from tlslab.iam.signatures import Authentication
from tlslab.store.engine import ObjectStore
from tlslab.store.model import Bucket
from tlslab.store.refusals import Refused
from tlslab.store.s3 import digests
from tlslab.store.s3.fields import Fields
from tlslab.store.s3.operations import Operation
from tlslab.store.s3.target import Target

MAX_DOCUMENT_BYTES = 4 * 1024 * 1024
"""The largest XML body: DeleteObjects with 1,000 keys of 1,024 bytes, each byte written as a
reference of three; CompleteMultipartUpload with 10,000 parts and their checksums is 2 MB."""

MAX_COUNT = 2**31 - 1
"""What S3 takes for a number of keys or parts; pages are shorter anyway."""

_NUMBER = re.compile(r"[0-9]{1,10}")


@dataclass(frozen=True, slots=True)
class Setting:
    """What is the same for all requests to one face: `region` is for buckets that name none."""

    store: ObjectStore
    region: str
    regions: frozenset[str]
    compat: Literal["ceph"] | None
    now: Callable[[], datetime]
    identities: Identities


@dataclass(frozen=True, slots=True)
class Call:
    """A request for an operation. `resource` is the bucket, None where there is none (yet)."""

    setting: Setting
    request: Request = field(repr=False)
    operation: Operation
    target: Target
    fields: Fields
    caller: Caller
    authentication: Authentication
    request_id: str
    resource: Bucket | None = None

    @property
    def store(self) -> ObjectStore:
        """The engine behind the face."""
        return self.setting.store

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return self.target.bucket

    @property
    def key(self) -> str:
        """The object's key."""
        return self.target.key

    @property
    def secure(self) -> bool:
        """Whether nobody on the way could read the request."""
        return self.caller.secure

    @property
    def version_id(self) -> str | None:
        """The version asked for, None for the current one. Raises Refused (InvalidArgument)."""
        version = self.target.query.get("versionId")
        if version == "":
            message = "Version id cannot be the empty string"
            details = {"ArgumentName": "versionId", "ArgumentValue": ""}
            raise Refused("InvalidArgument", message, details=details)
        return version

    @property
    def versioned(self) -> bool:
        """Whether the bucket has, or once had, versions, so that answers name them."""
        return self.resource is not None and self.resource.versioning is not None

    def parameter(self, name: str, default: str = "") -> str:
        """A parameter of the query."""
        return self.target.query.get(name, default)

    def number(self, name: str, default: int, *, at_most: int = MAX_COUNT) -> int:
        """A parameter that is a number from 0; more than `at_most` is taken for that.

        Raises Refused (InvalidArgument).
        """
        value = self.target.query.get(name, "")
        return read_number(name, value, at_most) if value else default

    def payload(self) -> Upload:
        """The body, decoded and verified while it is read."""
        return open_payload(self.request, self.authentication)

    async def document(self, *, checksum_of_body: bool = True) -> bytes:
        """A small body whole, verified against the checksums that came with it.

        Without `checksum_of_body`, the `x-amz-checksum-*` fields are about something else.

        Raises Refused: MaxMessageLengthExceeded, BadDigest, InvalidDigest; InvalidRequest if the
        operation must have a checksum and there is none.
        """
        md5 = digests.check_md5(self.fields.get("content-md5"))
        upload = self.payload()
        promise = digests.promised(self.fields, upload) if checksum_of_body else None
        if self.operation.checksum and md5 is None and promise is None:
            name = "Content-MD5 OR x-amz-checksum-*"
            raise Refused("InvalidRequest", f"Missing required header for this request: {name}")
        parts: list[bytes] = []
        size = 0
        async for part in upload:
            size += len(part)
            if size > MAX_DOCUMENT_BYTES:
                raise Refused("MaxMessageLengthExceeded")
            parts.append(part)
        data = b"".join(parts)
        digests.verify_md5(md5, data)
        if promise is not None:
            digests.verify(promise, data)
        return data


def read_number(name: str, value: str, at_most: int = MAX_COUNT) -> int:
    """A number from 0, `at_most` if it is more. Raises Refused (InvalidArgument)."""
    if not _NUMBER.fullmatch(value) or int(value) > MAX_COUNT:
        message = f"Argument {name} must be an integer between 0 and {MAX_COUNT}"
        details = {"ArgumentName": name, "ArgumentValue": value}
        raise Refused("InvalidArgument", message, details=details)
    return min(int(value), at_most)
