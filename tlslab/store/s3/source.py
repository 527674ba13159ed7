"""The source of a copy, read in one way for authorising and for copying.

It is `bucket/key`, percent-encoded, perhaps with `?versionId=` (API Reference, CopyObject).
"""

from __future__ import annotations

from collections.abc import Mapping

from tlslab.store.model import CopySource
from tlslab.store.refusals import Refused
from tlslab.store.s3.target import decode


def read_source(fields: Mapping[str, str]) -> CopySource:
    """The source of a copy. Raises Refused (InvalidArgument)."""
    path, mark, version = fields["x-amz-copy-source"].partition("?versionId=")
    bucket, slash, key = decode(path).removeprefix("/").partition("/")
    if not (bucket and slash and key) or bucket.startswith("arn:"):
        raise Refused(
            "InvalidArgument",
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
            details={"ArgumentName": "x-amz-copy-source"},
        )
    return CopySource(bucket, key, decode(version) if mark else None)
