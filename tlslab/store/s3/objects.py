"""Objects: PutObject, GetObject, HeadObject, DeleteObject, GetObjectAttributes, encryption."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Final

from tlslab.http import Headers, Response
from tlslab.store.model import SSEKMS, Checksum, ObjectInfo
from tlslab.store.refusals import Refused
from tlslab.store.s3 import attributes, digests, sse
from tlslab.store.s3.access import may_know_tags
from tlslab.store.s3.answers import empty, etag_header, http_time, quoted, xml
from tlslab.store.s3.call import MAX_COUNT, Call, read_number
from tlslab.store.s3.conditions import Conditions
from tlslab.store.s3.ranges import ByteRange, read_range
from tlslab.store.s3.tags import from_header
from tlslab.store.s3.writing import (
    body,
    check_acl,
    check_storage_class,
    conditions,
    encryption,
)
from tlslab.store.s3.xml import Child, Element, parse
from tlslab.store.stored import StoredObject

MAX_PARTS = 10_000
"""Parts of an object, and so the largest part number."""

PAGE_PARTS = 1000
"""Parts in one answer (ListParts, GetObjectAttributes)."""

_ATTRIBUTES: Final = ("ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize")


async def put_object(call: Call) -> Response:
    """PutObject."""
    check_acl(call.fields)
    check_storage_class(call.fields)
    wanted = encryption(call)
    upload, promise = body(call)
    info = await call.store.put(
        call.caller,
        call.bucket,
        call.key,
        upload,
        attributes=attributes.read_attributes(call.fields),
        encryption=wanted,
        checksum=promise,
        content_md5=digests.check_md5(call.fields.get("content-md5")),
        tags=from_header(call.fields.get("x-amz-tagging")),
        **conditions(call.fields),
        settings=call.resource,
    )
    return empty(200, written(call, info))


def written(call: Call, info: ObjectInfo) -> Headers:
    """What an answer tells of an object that was just made."""
    return [
        *etag_header(info.etag),
        *version_header(call, info),
        *sse.told(info.encryption, with_context=True),
        *digests.told(info.checksum),
    ]


def version_header(call: Call, info: ObjectInfo) -> Headers:
    """The version's id, if the bucket has or had versions."""
    return [(b"x-amz-version-id", info.version_id.encode())] if call.versioned else []


async def get_object(call: Call) -> Response:
    """GetObject: the whole, a range or a part; conditions first, as RFC 9110 13.2.2 orders."""
    stored = await call.store.get(
        call.caller,
        call.bucket,
        call.key,
        version_id=call.version_id,
        part=_part_number(call),
        unlock=sse.customer_key(call.fields, secure=call.secure),
    )
    try:
        response, chosen = await _read(call, stored.info)
    except BaseException:
        await stored.aclose()
        raise
    return replace(response, body=_Content(stored, chosen))


async def head_object(call: Call) -> Response:
    """HeadObject: what GetObject would answer, without the body."""
    info = await call.store.head(
        call.caller,
        call.bucket,
        call.key,
        version_id=call.version_id,
        part=_part_number(call),
        unlock=sse.customer_key(call.fields, secure=call.secure),
    )
    return (await _read(call, info))[0]


async def _read(call: Call, info: ObjectInfo) -> tuple[Response, ByteRange | None]:
    """The answer to a read, without the body, and which bytes that is (None: all)."""
    _check_conditions(call, info)
    chosen = _chosen(call, info)
    size = info.size if chosen is None else chosen.stop - chosen.start
    headers: Headers = [
        (b"Content-Length", str(size).encode()),
        (b"Accept-Ranges", b"bytes"),
        _last_modified(info),
        *etag_header(info.etag),
        *version_header(call, info),
        *attributes.told(info.attributes, _overrides(call)),
        *sse.told(info.encryption),
    ]
    if chosen is not None and size:  # a part may be empty, and then has no range
        headers.append((b"Content-Range", chosen.content_range.encode()))
    if info.tag_count and await may_know_tags(call):
        headers.append((b"x-amz-tagging-count", str(info.tag_count).encode()))
    if info.part_range is not None and info.part_count is not None:
        headers.append((b"x-amz-mp-parts-count", str(info.part_count).encode()))
    if call.fields.get("x-amz-checksum-mode", "").upper() == "ENABLED":
        headers += digests.told(_checksum(info, chosen))
    return Response(200 if chosen is None else 206, headers), chosen


def _checksum(info: ObjectInfo, chosen: ByteRange | None) -> Checksum | None:
    """The checksum of the bytes that are answered, since clients hold them against it.

    A part has its own, as the object's parts were uploaded ("Checking object integrity", S3 User
    Guide, on part-level checksums); other ranges have none.
    """
    if chosen is None or info.checksum is None:
        return info.checksum
    if info.part_range is None:
        return None
    if not info.parts:
        return info.checksum  # uploaded at once: its one part is the whole
    of_part = info.parts[0].checksum
    if of_part is None or of_part.algorithm != info.checksum.algorithm:
        return None
    return replace(of_part, type=info.checksum.type)


def _check_conditions(call: Call, info: ObjectInfo) -> None:
    try:
        Conditions.read(call.fields).check(info.etag, info.modified)
    except Refused as refusal:
        if refusal.status != 304:
            raise
        told = {"ETag": quoted(info.etag), "Last-Modified": _last_modified(info)[1].decode()}
        raise Refused("NotModified", headers=told) from None


def _chosen(call: Call, info: ObjectInfo) -> ByteRange | None:
    """The bytes that are asked for: a part, a range, or None for the whole."""
    if info.part_range is None:
        return read_range(_range(call, info), info.size)
    start, stop = info.part_range
    return ByteRange(start, stop, info.size)


def _range(call: Call, info: ObjectInfo) -> str | None:
    """The Range field, unless If-Range says that it is for another state (RFC 9110 13.1.5)."""
    condition = call.fields.get("if-range")
    if condition is None or condition in {quoted(info.etag), _last_modified(info)[1].decode()}:
        return call.fields.get("range")
    return None


def _last_modified(info: ObjectInfo) -> tuple[bytes, bytes]:
    return b"Last-Modified", http_time(info.modified)


def _overrides(call: Call) -> Mapping[str, str]:
    """The `response-*` parameters. Raises Refused (InvalidRequest) if nobody signed them."""
    found = {name: v for name, v in call.target.query.items() if name.startswith("response-")}
    if found and call.caller.principal is None:
        message = "Request specific response headers cannot be used for anonymous GET requests."
        raise Refused("InvalidRequest", message)
    return found


def _part_number(call: Call) -> int | None:
    value = call.target.query.get("partNumber")
    if value is None:
        return None
    number = read_number("partNumber", value)
    if not 1 <= number <= MAX_PARTS:
        message = f"Part number must be an integer between 1 and {MAX_PARTS}, inclusive"
        details = {"ArgumentName": "partNumber", "ArgumentValue": value}
        raise Refused("InvalidArgument", message, details=details)
    if "range" in call.fields:
        message = "Cannot specify both Range header and partNumber query parameter"
        raise Refused("InvalidRequest", message)
    return number


class _Content(AsyncIterator[bytes]):
    """A stored object's bytes as a response's body; the object is closed with it."""

    def __init__(self, stored: StoredObject, chosen: ByteRange | None) -> None:
        self._stored = stored
        if chosen is None:
            self._parts = aiter(stored.read())
        else:
            self._parts = aiter(stored.read(chosen.start, chosen.stop))

    async def __anext__(self) -> bytes:
        return await anext(self._parts)

    async def aclose(self) -> None:
        close = getattr(self._parts, "aclose", None)
        if close is not None:
            await close()
        await self._stored.aclose()


async def delete_object(call: Call) -> Response:
    """DeleteObject: a version, or a marker where the bucket is versioned."""
    if "x-amz-bypass-governance-retention" in call.fields:
        raise Refused(
            "InvalidArgument",
            "x-amz-bypass-governance-retention is only applicable to Object Lock enabled buckets.",
        )
    if_match = call.fields.get("if-match")
    deleted = await call.store.delete(
        call.caller,
        call.bucket,
        call.key,
        version_id=call.version_id,
        if_match=None if if_match is None else if_match.strip().strip('"'),
    )
    headers: Headers = []
    if deleted.version_id is not None:
        headers.append((b"x-amz-version-id", deleted.version_id.encode()))
    if deleted.delete_marker:
        headers.append((b"x-amz-delete-marker", b"true"))
    return empty(204, headers)


async def get_attributes(call: Call) -> Response:
    """GetObjectAttributes: those asked for, after the key was checked like for a read."""
    asked = {name.strip() for name in call.fields.get("x-amz-object-attributes", "").split(",")}
    if not asked <= set(_ATTRIBUTES):
        raise Refused(
            "InvalidArgument",
            "Invalid attribute name specified.",
            details={"ArgumentName": "x-amz-object-attributes"},
        )
    info = await call.store.head(
        call.caller,
        call.bucket,
        call.key,
        version_id=call.version_id,
        unlock=sse.customer_key(call.fields, secure=call.secure),
        with_parts="ObjectParts" in asked,
    )
    found: list[Child] = []
    if "ETag" in asked:
        found.append(("ETag", info.etag))
    if "Checksum" in asked and info.checksum is not None:
        found.append(("Checksum", digests.elements(info.checksum)))
    if "ObjectParts" in asked and info.part_count is not None:
        found.append(("ObjectParts", _object_parts(call, info)))
    if "StorageClass" in asked:
        found.append(("StorageClass", "STANDARD"))
    if "ObjectSize" in asked:
        found.append(("ObjectSize", info.size))
    headers = [_last_modified(info), *version_header(call, info)]
    return xml("GetObjectAttributesResponse", found, headers)


def _object_parts(call: Call, info: ObjectInfo) -> list[Child]:
    limit = read_number("max-parts", call.fields.get("x-amz-max-parts", str(PAGE_PARTS)))
    after = read_number("marker", call.fields.get("x-amz-part-number-marker", "0"), MAX_COUNT)
    parts = [part for part in info.parts if part.number > after]
    page = parts[: min(limit, PAGE_PARTS)]
    found: list[Child] = [("PartsCount", info.part_count)]
    if not any(part.checksum for part in info.parts):
        return found  # S3 lists parts only of objects uploaded with a checksum
    found += [
        ("PartNumberMarker", after),
        ("NextPartNumberMarker", page[-1].number if page else 0),
        ("MaxParts", limit),
        ("IsTruncated", len(parts) > len(page)),
    ]
    for part in page:
        sizes: list[Child] = [("PartNumber", part.number), ("Size", part.size)]
        found.append(("Part", [*digests.elements(part.checksum, with_type=False), *sizes]))
    return found


async def update_encryption(call: Call) -> Response:
    """UpdateObjectEncryption: another KMS key for the data key; the object stays where it is."""
    await call.store.update_encryption(
        call.caller,
        call.bucket,
        call.key,
        version_id=call.version_id,
        encryption=_new_encryption(await call.document()),
    )
    return empty()


def _new_encryption(data: bytes) -> SSEKMS:
    kms: Element = parse(data, "ObjectEncryption").knows("SSE-KMS").one("SSE-KMS")
    kms.knows("KMSKeyArn", "BucketKeyEnabled")
    arn = kms.one("KMSKeyArn").leaf()
    bucket_key = kms.value("BucketKeyEnabled")
    if bucket_key not in {None, "true", "false"}:
        raise Refused("MalformedXML")
    if not arn.startswith("arn:"):
        raise Refused("InvalidRequest", "The KMS key must be given by its ARN.")
    return SSEKMS(arn, bucket_key=bucket_key == "true")
