"""Multipart uploads: create, parts sent and copied, list, complete, abort.

SSE-S3 and SSE-KMS are said once, when the upload is created; a customer's key comes with each part
(Amazon S3 User Guide, "Uploading and copying objects using multipart upload").
"""

from __future__ import annotations

from tlslab.http import Headers, Response
from tlslab.store.model import Checksum, CompletedPart, PartInfo, Upload
from tlslab.store.refusals import Refused
from tlslab.store.s3 import attributes, digests, sse
from tlslab.store.s3.answers import empty, etag_header, owner, quoted, xml, xml_time
from tlslab.store.s3.call import Call, read_number
from tlslab.store.s3.copying import check_owner, checker, unlock
from tlslab.store.s3.listing import PAGE, Names
from tlslab.store.s3.objects import MAX_PARTS, version_header
from tlslab.store.s3.ranges import read_copy_range
from tlslab.store.s3.settings import require_bucket
from tlslab.store.s3.source import read_source
from tlslab.store.s3.tags import from_header
from tlslab.store.s3.writing import body, check_acl, check_storage_class, conditions, encryption
from tlslab.store.s3.xml import Child, Element, parse


async def create_upload(call: Call) -> Response:
    """CreateMultipartUpload."""
    check_acl(call.fields)
    check_storage_class(call.fields)
    upload = await call.store.create_upload(
        call.caller,
        call.bucket,
        call.key,
        attributes=attributes.read_attributes(call.fields),
        encryption=encryption(call),
        tags=from_header(call.fields.get("x-amz-tagging")),
        checksum_algorithm=digests.supported(call.fields.get("x-amz-checksum-algorithm")),
        checksum_type=digests.checksum_type(call.fields),
    )
    headers = sse.told(upload.encryption, with_context=True)
    if upload.checksum_algorithm and upload.checksum_type:
        headers += [
            (b"x-amz-checksum-algorithm", upload.checksum_algorithm.encode()),
            (b"x-amz-checksum-type", upload.checksum_type.encode()),
        ]
    found: list[Child] = [("Bucket", call.bucket), ("Key", call.key), ("UploadId", upload.id)]
    return xml("InitiateMultipartUploadResult", found, headers)


async def upload_part(call: Call) -> Response:
    """UploadPart."""
    number = read_number("partNumber", call.parameter("partNumber"))
    key = sse.customer_key(call.fields, secure=call.secure, writing=True)
    content, promise = body(call)
    part = await call.store.put_part(
        call.caller,
        call.bucket,
        call.key,
        call.parameter("uploadId"),
        number,
        content,
        unlock=key,
        checksum=promise,
        content_md5=digests.check_md5(call.fields.get("content-md5")),
    )
    headers: Headers = etag_header(part.etag)
    if promise is not None:
        headers += digests.told(part.checksum)[:1]
    return empty(200, [*headers, *_encryption(part)])


async def upload_part_copy(call: Call) -> Response:
    """UploadPartCopy: a part from an object or a range of it."""
    number = read_number("partNumber", call.parameter("partNumber"))
    source = read_source(call.fields)
    await check_owner(call, source)
    part = await call.store.copy_part(
        call.caller,
        source,
        call.bucket,
        call.key,
        call.parameter("uploadId"),
        number,
        byte_range=read_copy_range(call.fields.get("x-amz-copy-source-range")),
        source_unlock=unlock(call),
        unlock=sse.customer_key(call.fields, secure=call.secure, writing=True),
        check_source=checker(call),
    )
    headers: Headers = _encryption(part)
    if source.version_id is not None:
        headers.append((b"x-amz-copy-source-version-id", source.version_id.encode()))
    found: list[Child] = [
        ("LastModified", xml_time(part.modified)),
        ("ETag", quoted(part.etag)),
        *digests.elements(part.checksum, with_type=False),
    ]
    return xml("CopyPartResult", found, headers)


async def list_parts(call: Call) -> Response:
    """ListParts, by number."""
    limit = call.number("max-parts", PAGE, at_most=PAGE)
    after = call.number("part-number-marker", 0)
    page = await call.store.list_parts(
        call.bucket, call.key, call.parameter("uploadId"), after=after, limit=limit
    )
    account = require_bucket(call).owner
    found: list[Child] = [
        ("Bucket", call.bucket),
        ("Key", call.key),
        ("UploadId", page.upload.id),
        ("Initiator", owner(page.upload.initiator or account)),
        ("Owner", owner(account)),
        ("StorageClass", "STANDARD"),
        ("PartNumberMarker", after),
        ("NextPartNumberMarker", page.parts[-1].number if page.parts else 0),
        ("MaxParts", limit),
        ("IsTruncated", page.next is not None),
        ("ChecksumAlgorithm", page.upload.checksum_algorithm),
        ("ChecksumType", page.upload.checksum_type),
        *(("Part", _part(part)) for part in page.parts),
    ]
    return xml("ListPartsResult", found)


def _encryption(part: PartInfo) -> Headers:
    return [] if part.encryption is None else sse.told(part.encryption)


def _part(part: PartInfo) -> list[Child]:
    return [
        ("PartNumber", part.number),
        ("LastModified", xml_time(part.modified)),
        ("ETag", quoted(part.etag)),
        ("Size", part.size),
        *digests.elements(part.checksum, with_type=False),
    ]


async def complete_upload(call: Call) -> Response:
    """CompleteMultipartUpload."""
    parts = read_completion(await call.document(checksum_of_body=False))
    size = call.fields.get("x-amz-mp-object-size")
    info = await call.store.complete_upload(
        call.caller,
        call.bucket,
        call.key,
        call.parameter("uploadId"),
        parts,
        unlock=sse.customer_key(call.fields, secure=call.secure),
        checksum=digests.of_object(call.fields),
        checksum_type=digests.checksum_type(call.fields),
        size=None if size is None else read_number("x-amz-mp-object-size", size, 2**63),
        **conditions(call.fields),
    )
    headers: Headers = [*version_header(call, info)]
    if info.encryption.algorithm != "SSE-C" or call.setting.compat == "ceph":
        headers += sse.told(info.encryption)
    scheme = "https" if call.secure else "http"
    found: list[Child] = [
        ("Location", f"{scheme}://{call.fields.get('host', '')}{call.request.path}"),
        ("Bucket", call.bucket),
        ("Key", call.key),
        ("ETag", quoted(info.etag)),
        *digests.elements(info.checksum),
    ]
    return xml("CompleteMultipartUploadResult", found, headers)


def read_completion(data: bytes) -> tuple[CompletedPart, ...]:
    """A CompleteMultipartUpload document. Raises Refused (MalformedXML)."""
    root = parse(data, "CompleteMultipartUpload").knows("Part")
    parts = tuple(_completed(element) for element in root.children)
    if len(parts) > MAX_PARTS:
        raise Refused("MalformedXML")
    return parts


def _completed(element: Element) -> CompletedPart:
    names = {f"Checksum{algorithm}": algorithm for algorithm in digests.SIZES}
    element.knows("PartNumber", "ETag", *names)
    number = element.one("PartNumber").leaf().strip()
    if not (number.isascii() and number.isdecimal() and 1 <= int(number[:9]) <= MAX_PARTS):
        raise Refused("MalformedXML")
    checksums = [
        Checksum(algorithm, element.one(name).leaf().strip())
        for name, algorithm in names.items()
        if element.all(name)
    ]
    if len(checksums) > 1:
        raise Refused("MalformedXML")
    etag = element.one("ETag").leaf().strip().strip('"')
    return CompletedPart(int(number), etag, checksums[0] if checksums else None)


async def abort_upload(call: Call) -> Response:
    """AbortMultipartUpload."""
    await call.store.abort_upload(call.bucket, call.key, call.parameter("uploadId"))
    return empty(204)


async def list_uploads(call: Call) -> Response:
    """ListMultipartUploads: by key, then by age."""
    names, key_marker = Names(call), call.parameter("key-marker")
    upload_marker = call.parameter("upload-id-marker")
    limit = call.number("max-uploads", PAGE, at_most=PAGE)
    prefix, delimiter = call.parameter("prefix"), call.parameter("delimiter")
    page = await call.store.list_uploads(
        call.bucket,
        prefix=prefix,
        delimiter=delimiter,
        after_key=key_marker,
        after_upload=(upload_marker or None) if key_marker else None,
        limit=limit,
    )
    account = require_bucket(call).owner
    found: list[Child] = [
        ("Bucket", call.bucket),
        ("KeyMarker", names(key_marker)),
        ("UploadIdMarker", upload_marker),
        ("NextKeyMarker", None if page.next_key is None else names(page.next_key)),
        ("NextUploadIdMarker", page.next_upload),
        ("Prefix", names(prefix)),
        names.optional("Delimiter", delimiter),
        ("EncodingType", names.encoding),
        ("MaxUploads", limit),
        ("IsTruncated", page.next_key is not None),
        *(("Upload", _upload(names, upload, account)) for upload in page.uploads),
        *names.prefixes(page.prefixes),
    ]
    return xml("ListMultipartUploadsResult", found)


def _upload(names: Names, upload: Upload, account: str) -> list[Child]:
    return [
        ("Key", names(upload.key)),
        ("UploadId", upload.id),
        ("Initiator", owner(upload.initiator or account)),
        ("Owner", owner(account)),
        ("StorageClass", "STANDARD"),
        ("Initiated", xml_time(upload.initiated)),
        ("ChecksumAlgorithm", upload.checksum_algorithm),
        ("ChecksumType", upload.checksum_type),
    ]
