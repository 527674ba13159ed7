"""Copies: CopyObject, and what UploadPartCopy has in common with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tlslab.http import Headers, Response
from tlslab.store.model import CopySource, CustomerKey, ObjectInfo
from tlslab.store.refusals import Refused
from tlslab.store.s3 import attributes, digests, sse
from tlslab.store.s3.answers import quoted, xml, xml_time
from tlslab.store.s3.call import Call
from tlslab.store.s3.conditions import SOURCE, Conditions
from tlslab.store.s3.objects import version_header
from tlslab.store.s3.source import read_source
from tlslab.store.s3.tags import from_header
from tlslab.store.s3.writing import check_acl, check_storage_class, conditions, encryption


async def check_owner(call: Call, source: CopySource) -> None:
    """Raise Refused (AccessDenied) unless the source's bucket is owned as the client expects."""
    expected = call.fields.get("x-amz-source-expected-bucket-owner")
    if expected is not None and expected != (await call.store.bucket(source.bucket)).owner:
        raise Refused("AccessDenied")


def unlock(call: Call) -> CustomerKey | None:
    """The customer's key for the source."""
    return sse.customer_key(call.fields, secure=call.secure, prefix=sse.SOURCE_CUSTOMER)


def checker(call: Call) -> Callable[[ObjectInfo], None]:
    """What stops a copy whose conditions do not hold for its source."""
    conditions = Conditions.read(call.fields, SOURCE)
    return lambda info: conditions.check(info.etag, info.modified, copying=True)


async def copy_object(call: Call) -> Response:
    """CopyObject, between any two kinds of encryption."""
    check_acl(call.fields)
    check_storage_class(call.fields)
    source = read_source(call.fields)
    await check_owner(call, source)
    wanted = encryption(call)
    replaces = _replaces(call.fields, "x-amz-metadata-directive")
    new_tags = _replaces(call.fields, "x-amz-tagging-directive")
    info = await call.store.copy(
        call.caller,
        source,
        call.bucket,
        call.key,
        source_unlock=unlock(call),
        attributes=attributes.read_attributes(call.fields) if replaces else None,
        tags=from_header(call.fields.get("x-amz-tagging")) if new_tags else None,
        encryption=wanted,
        checksum_algorithm=digests.supported(call.fields.get("x-amz-checksum-algorithm")),
        check_source=checker(call),
        **conditions(call.fields),
    )
    headers: Headers = [
        *version_header(call, info),
        *sse.told(info.encryption, with_context=True),
    ]
    if source.version_id is not None:
        headers.append((b"x-amz-copy-source-version-id", source.version_id.encode()))
    return xml(
        "CopyObjectResult",
        [
            ("LastModified", xml_time(info.modified)),
            ("ETag", quoted(info.etag)),
            *digests.elements(info.checksum),
        ],
        headers,
    )


def _replaces(fields: Mapping[str, str], name: str) -> bool:
    directive = fields.get(name, "COPY")
    if directive not in {"COPY", "REPLACE"}:
        message = "Unknown metadata directive." if "metadata" in name else "Unknown directive."
        details = {"ArgumentName": name, "ArgumentValue": directive}
        raise Refused("InvalidArgument", message, details=details)
    return directive == "REPLACE"
