"""Listings: ListObjects, ListObjectsV2, ListObjectVersions.

With `encoding-type=url` keys and prefixes are percent-encoded, which XML has characters for. The
engine says where the next page starts; here that becomes each API's own marker or token.
"""

from __future__ import annotations

import base64
import binascii
from urllib.parse import quote

from tlslab.http import Response
from tlslab.store.model import ObjectInfo
from tlslab.store.refusals import Refused
from tlslab.store.s3.answers import owner, quoted, xml, xml_time
from tlslab.store.s3.call import Call
from tlslab.store.s3.settings import require_bucket
from tlslab.store.s3.xml import Child

PAGE = 1000
"""Most keys in one page; S3's limit."""


class Names:
    """How a listing writes keys: as they are, or percent-encoded."""

    def __init__(self, call: Call) -> None:
        encoding = call.target.query.get("encoding-type")
        if encoding not in {None, "url"}:
            message = "Invalid Encoding Method specified in Request"
            details = {"ArgumentName": "encoding-type", "ArgumentValue": encoding or ""}
            raise Refused("InvalidArgument", message, details=details)
        self.encoding = encoding

    def __call__(self, key: str) -> str:
        """A key or a prefix as the document has it."""
        return quote(key, safe="/") if self.encoding else key

    def optional(self, name: str, key: str) -> Child:
        """An element that is left out where it has nothing to say."""
        return (name, self(key) or None)

    def prefixes(self, prefixes: tuple[str, ...]) -> list[Child]:
        """CommonPrefixes."""
        return [("CommonPrefixes", [("Prefix", self(prefix))]) for prefix in prefixes]


async def list_objects(call: Call) -> Response:
    """ListObjects: pages by marker, which is a key."""
    names, marker = Names(call), call.parameter("marker")
    limit = call.number("max-keys", PAGE, at_most=PAGE)
    prefix, delimiter = call.parameter("prefix"), call.parameter("delimiter")
    page = await call.store.list_objects(
        call.bucket, prefix=prefix, delimiter=delimiter, after=marker, limit=limit
    )
    account = require_bucket(call).owner
    found: list[Child] = [
        ("Name", call.bucket),
        ("Prefix", names(prefix)),
        ("Marker", names(marker)),
        # S3 tells it only with a delimiter; without, the last key serves.
        ("NextMarker", names(page.next) if page.next is not None and delimiter else None),
        ("MaxKeys", limit),
        names.optional("Delimiter", delimiter),
        ("EncodingType", names.encoding),
        ("IsTruncated", page.next is not None),
        *(("Contents", _contents(names, info, account)) for info in page.objects),
        *names.prefixes(page.prefixes),
    ]
    return xml("ListBucketResult", found)


async def list_objects_v2(call: Call) -> Response:
    """ListObjectsV2: pages by an opaque token."""
    if call.parameter("list-type") != "2":
        details = {"ArgumentName": "list-type", "ArgumentValue": call.parameter("list-type")}
        raise Refused("InvalidArgument", "Invalid List Type specified in Request", details=details)
    names, token = Names(call), call.target.query.get("continuation-token")
    start_after = call.parameter("start-after")
    limit = call.number("max-keys", PAGE, at_most=PAGE)
    prefix, delimiter = call.parameter("prefix"), call.parameter("delimiter")
    after = start_after if token is None else _from_token(token)
    page = await call.store.list_objects(
        call.bucket, prefix=prefix, delimiter=delimiter, after=after, limit=limit
    )
    account = require_bucket(call).owner if call.parameter("fetch-owner") == "true" else None
    found: list[Child] = [
        ("Name", call.bucket),
        ("Prefix", names(prefix)),
        ("StartAfter", names(start_after) if start_after else None),
        ("ContinuationToken", token),
        ("NextContinuationToken", None if page.next is None else _to_token(page.next)),
        ("KeyCount", len(page.objects) + len(page.prefixes)),
        ("MaxKeys", limit),
        names.optional("Delimiter", delimiter),
        ("EncodingType", names.encoding),
        ("IsTruncated", page.next is not None),
        *(("Contents", _contents(names, info, account)) for info in page.objects),
        *names.prefixes(page.prefixes),
    ]
    return xml("ListBucketResult", found)


async def list_versions(call: Call) -> Response:
    """ListObjectVersions: pages by key and version."""
    names, key_marker = Names(call), call.parameter("key-marker")
    version_marker = call.parameter("version-id-marker")
    if version_marker and not key_marker:
        message = "A version-id marker cannot be specified without a key marker."
        details = {"ArgumentName": "version-id-marker", "ArgumentValue": version_marker}
        raise Refused("InvalidArgument", message, details=details)
    limit = call.number("max-keys", PAGE, at_most=PAGE)
    prefix, delimiter = call.parameter("prefix"), call.parameter("delimiter")
    page = await call.store.list_versions(
        call.bucket,
        prefix=prefix,
        delimiter=delimiter,
        after_key=key_marker,
        after_version=version_marker or None,
        limit=limit,
    )
    account = require_bucket(call).owner
    found: list[Child] = [
        ("Name", call.bucket),
        ("Prefix", names(prefix)),
        ("KeyMarker", names(key_marker)),
        ("VersionIdMarker", version_marker),
        ("NextKeyMarker", None if page.next_key is None else names(page.next_key)),
        ("NextVersionIdMarker", page.next_version),
        ("MaxKeys", limit),
        names.optional("Delimiter", delimiter),
        ("EncodingType", names.encoding),
        ("IsTruncated", page.next_key is not None),
        *(_version(names, info, account) for info in page.versions),
        *names.prefixes(page.prefixes),
    ]
    return xml("ListVersionsResult", found)


def _contents(names: Names, info: ObjectInfo, account: str | None) -> list[Child]:
    return [
        ("Key", names(info.key)),
        ("LastModified", xml_time(info.modified)),
        ("ETag", quoted(info.etag)),
        *_checksum(info),
        ("Size", info.size),
        ("Owner", None if account is None else owner(account)),
        ("StorageClass", "STANDARD"),
    ]


def _version(names: Names, info: ObjectInfo, account: str) -> Child:
    head: list[Child] = [
        ("Key", names(info.key)),
        ("VersionId", info.version_id),
        ("IsLatest", info.is_latest),
        ("LastModified", xml_time(info.modified)),
        ("Owner", owner(account)),
    ]
    if info.delete_marker:
        return ("DeleteMarker", head)
    facts: list[Child] = [
        ("ETag", quoted(info.etag)),
        *_checksum(info),
        ("Size", info.size),
        ("StorageClass", "STANDARD"),
    ]
    return ("Version", [*head, *facts])


def _checksum(info: ObjectInfo) -> list[Child]:
    if info.checksum is None:
        return []
    return [("ChecksumAlgorithm", info.checksum.algorithm), ("ChecksumType", info.checksum.type)]


def _to_token(after: str) -> str:
    return base64.urlsafe_b64encode(after.encode()).decode()


def _from_token(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        message = "The continuation token provided is incorrect"
        details = {"ArgumentName": "continuation-token"}
        raise Refused("InvalidArgument", message, details=details) from None
