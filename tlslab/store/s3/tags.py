"""Tags of objects and buckets: from a header, from XML, and back.

The limits of objects' tags are the engine's. The module knows nothing of where tags are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import unquote_to_bytes

from tlslab.store.refusals import Refused
from tlslab.store.s3.xml import document, parse
from tlslab.store.tags import check_tags

MAX_BUCKET_TAGS = 50
"""Amazon S3 User Guide, "Using cost allocation S3 bucket tags"."""


def from_header(value: str | None) -> dict[str, str]:
    """`x-amz-tagging`: parameters as in a query. Raises Refused (InvalidArgument, InvalidTag)."""
    pairs: list[tuple[str, str]] = []
    for part in filter(None, (value or "").split("&")):
        name, _, text = part.partition("=")
        try:
            pairs.append((_unquote(name), _unquote(text)))
        except UnicodeDecodeError:
            raise Refused(
                "InvalidArgument",
                "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query "
                "parameters without tag name duplicates.",
                details={"ArgumentName": "x-amz-tagging", "ArgumentValue": value or ""},
            ) from None
    return _unique(pairs)


def from_xml(data: bytes) -> dict[str, str]:
    """A Tagging document. Raises Refused: MalformedXML, InvalidTag."""
    tag_set = parse(data, "Tagging").knows("TagSet").one("TagSet").knows("Tag")
    pairs = []
    for tag in tag_set.children:
        tag.knows("Key", "Value")
        pairs.append((tag.one("Key").leaf(), tag.one("Value").leaf()))
    return _unique(pairs)


def to_xml(tags: Mapping[str, str]) -> bytes:
    """The same as a document, in the order of keys."""
    found = [("Tag", [("Key", key), ("Value", value)]) for key, value in sorted(tags.items())]
    return document("Tagging", [("TagSet", found)])


def _unquote(text: str) -> str:
    return unquote_to_bytes(text.replace("+", " ")).decode()


def check_bucket_tags(tags: Mapping[str, str]) -> None:
    """Raise Refused (BadRequest, InvalidTag) unless a bucket may have these tags."""
    if len(tags) > MAX_BUCKET_TAGS:
        raise Refused("BadRequest", f"Bucket tags cannot be greater than {MAX_BUCKET_TAGS}")
    for name, value in tags.items():
        check_tags({name: value})


def _unique(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    tags: dict[str, str] = {}
    for name, value in pairs:
        if name in tags:
            message = "Cannot provide multiple Tags with the same key"
            raise Refused("InvalidTag", message, details={"TagKey": name})
        tags[name] = value
    return tags
