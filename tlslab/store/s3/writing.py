"""What every way of making an object reads from the request: PUT, copy, multipart, form.

Access control lists and storage classes are taken where they ask for what the store does anyway,
and refused where they ask for more. The module knows no bodies.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping
from typing import Final

from tlslab.store.model import Encryption, ExpectedChecksum
from tlslab.store.refusals import Refused
from tlslab.store.s3 import digests, sse
from tlslab.store.s3.call import Call

MAX_PUT_BYTES = 5 * 1024**3
"""Largest object of a single PUT, and largest part: 5 GiB (Amazon S3 User Guide)."""

_ACLS: Final = {"private", "bucket-owner-full-control"}
"""Both mean what holds here for every object: it is its bucket's owner's alone. That is S3's
BucketOwnerEnforced, under which all other ACLs are refused."""

_STORAGE_CLASSES: Final = {
    "DEEP_ARCHIVE",
    "EXPRESS_ONEZONE",
    "GLACIER",
    "GLACIER_IR",
    "INTELLIGENT_TIERING",
    "ONEZONE_IA",
    "OUTPOSTS",
    "REDUCED_REDUNDANCY",
    "SNOW",
    "STANDARD_IA",
}


def check_acl(fields: Mapping[str, str], name: str = "x-amz-acl") -> None:
    """Raise Refused unless the canned ACL, if any, is what the store does anyway."""
    if fields.get(name, "private") not in _ACLS:
        raise Refused("AccessControlListNotSupported", "The bucket does not allow ACLs", status=400)


def check_storage_class(fields: Mapping[str, str]) -> None:
    """Raise Refused unless the storage class, if any, is STANDARD."""
    value = fields.get("x-amz-storage-class", "STANDARD")
    if value in _STORAGE_CLASSES:
        raise Refused("NotImplemented", f"The storage class {value} is not implemented")
    if value != "STANDARD":
        raise Refused("InvalidStorageClass", details={"StorageClassRequested": value})


def conditions(fields: Mapping[str, str]) -> dict[str, str | None]:
    """If-Match and If-None-Match of a write, as the engine takes them.

    Raises Refused: NotImplemented for an If-None-Match other than `*`, as S3.
    """
    if_match, if_none_match = fields.get("if-match"), fields.get("if-none-match")
    if if_none_match not in {None, "*"}:
        raise Refused("NotImplemented", details={"Header": "If-None-Match"})
    return {
        "if_match": None if if_match is None else if_match.strip().strip('"'),
        "if_none_match": if_none_match,
    }


def check_length(call: Call) -> None:
    """Refuse, before anything is read, a body of unknown or of impossible length.

    S3 takes chunked transfer only for aws-chunked bodies, which declare their decoded length.
    """
    length = call.fields.get("x-amz-decoded-content-length") or call.fields.get("content-length")
    if length is None:
        if "transfer-encoding" in call.fields:
            raise Refused("NotImplemented", details={"Header": "Transfer-Encoding"})
        raise Refused("MissingContentLength")
    if length.isdecimal() and int(length) > MAX_PUT_BYTES:
        details = {"ProposedSize": length, "MaxSizeAllowed": str(MAX_PUT_BYTES)}
        raise Refused("EntityTooLarge", details=details)


def encryption(call: Call, fields: Mapping[str, str] | None = None) -> Encryption | None:
    """What a write asks for; `fields` are a form's, otherwise the request's. Raises Refused."""
    default = None if call.resource is None else call.resource.encryption
    return sse.wanted(
        call.fields if fields is None else fields, secure=call.secure, default=default
    )


def body(call: Call) -> tuple[AsyncIterable[bytes], ExpectedChecksum | None]:
    """A request's body and the checksum it is to have, None if none was promised."""
    check_length(call)
    upload = call.payload()
    return upload, digests.promised(call.fields, upload)
