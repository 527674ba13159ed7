"""What travels with an object in header fields: content headers and user metadata.

Amazon S3 User Guide, "Working with object metadata". Text that is not ASCII leaves as RFC 2047
encoded words, as AWS sends it. The module knows neither bodies nor encryption.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from email.header import decode_header, make_header
from typing import Final

from tlslab.http import Headers
from tlslab.store.model import Attributes
from tlslab.store.refusals import Refused

META: Final = "x-amz-meta-"

MAX_METADATA_BYTES = 2048
"""Names and values of user metadata together, in UTF-8; S3's limit."""

DEFAULT_TYPE = "binary/octet-stream"
"""What S3 says of an object whose type was not given."""

_FIELDS: Final = {
    "content-type": "content_type",
    "cache-control": "cache_control",
    "content-disposition": "content_disposition",
    "content-encoding": "content_encoding",
    "content-language": "content_language",
    "expires": "expires",
}
_ENCODED_WORD = re.compile(r"=\?[A-Za-z0-9-]+\?[BbQq]\?[^?]*\?=")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_UNSENDABLE = re.compile("[\x00-\x08\x0a-\x1f\x7f]")


def read_attributes(fields: Mapping[str, str]) -> Attributes:
    """The attributes that a new object gets.

    Raises Refused: MetadataTooLarge; InvalidArgument for what no header field can hold, which forms
    and presigned queries can bring.
    """
    values = {name: fields.get(field) for field, name in _FIELDS.items()}
    values["content_encoding"] = _without_chunking(fields.get("content-encoding"))
    values["content_type"] = values["content_type"] or DEFAULT_TYPE
    for field, name in _FIELDS.items():
        if _UNSENDABLE.search(values[name] or ""):
            raise Refused("InvalidArgument", details={"ArgumentName": field})
    metadata = {
        _field_name(name): _decoded(value)
        for name, value in fields.items()
        if name.startswith(META)
    }
    size = sum(len(name.encode()) + len(value.encode()) for name, value in metadata.items())
    if size > MAX_METADATA_BYTES:
        details = {"Size": str(size), "MaxSizeAllowed": str(MAX_METADATA_BYTES)}
        raise Refused("MetadataTooLarge", details=details)
    return Attributes(**values, metadata=metadata)


def told(attributes: Attributes, overrides: Mapping[str, str] | None = None) -> Headers:
    """The fields of a response; `overrides` are the query's `response-*`.

    Raises Refused (InvalidArgument) for an override that no field can hold.
    """
    headers: Headers = []
    for field, name in _FIELDS.items():
        override = (overrides or {}).get(f"response-{field}")
        if override is not None:
            headers.append((field.title().encode(), _sendable(field, override)))
        elif value := getattr(attributes, name):
            headers.append((field.title().encode(), value.encode()))
    for name, value in attributes.metadata.items():
        headers.append((f"{META}{name}".encode(), _encoded(value)))
    return headers


def _field_name(name: str) -> str:
    """The name of one item of metadata, if it can be part of a field's name (RFC 9110 5.6.2)."""
    if not _TOKEN.fullmatch(name):
        raise Refused("InvalidArgument", details={"ArgumentName": name})
    return name.removeprefix(META)


def _without_chunking(encoding: str | None) -> str | None:
    """Content-Encoding without `aws-chunked`, which is a matter of the transfer only."""
    members = (encoding or "").split(",")
    kept = [member for member in members if member.strip().lower() not in {"", "aws-chunked"}]
    return ",".join(kept).strip() or None


def _decoded(value: str) -> str:
    if not _ENCODED_WORD.search(value):
        return value
    try:
        return str(make_header(decode_header(value)))
    except (ValueError, LookupError):
        return value


def _encoded(value: str) -> bytes:
    if value.isascii() and not _UNSENDABLE.search(value):
        return value.encode()
    return b"=?UTF-8?B?" + base64.b64encode(value.encode()) + b"?="


def _sendable(field: str, value: str) -> bytes:
    if _UNSENDABLE.search(value) or not all(ord(character) < 256 for character in value):
        raise Refused(
            "InvalidArgument",
            "Header value cannot be represented using ISO-8859-1.",
            details={"ArgumentName": f"response-{field}", "ArgumentValue": value},
        )
    return value.encode("latin-1")
