"""Which names and metadata objects may have, and under which file names they are kept.

A key is any Unicode text, so `..`, `/etc/passwd`, `a//b`, `%2e` and control characters are ordinary
keys. None of them reaches the file system: a record's file name is the SHA-256 of the key. So a key
can neither leave the directory nor collide with another one, also where a file system folds case
or normalises Unicode. This hides nothing: the record itself names its key in the clear.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from tlslab.store.errors import InvalidName

MAX_KEY_BYTES = 1024
"""In UTF-8; the limit of S3."""

MAX_METADATA_BYTES = 2048
"""Names and values of user metadata together; the limit of S3."""

MAX_CONTENT_TYPE_BYTES = 256
"""RFC 6838 section 4.2 allows 127 characters on each side of the slash; parameters are short."""

_BUCKET = re.compile(r"[a-z0-9](?:[a-z0-9]|[.-](?![.-]))*[a-z0-9]")
_METADATA_NAME = re.compile(r"[a-z0-9]+(?:[_.-][a-z0-9]+)*")
_HEADER_TEXT = re.compile(r"[!-~](?:[ -~]*[!-~])?")


def check_bucket(bucket: str) -> None:
    """Raise InvalidName unless S3 and DNS would take it: 3 to 63 of a-z, 0-9, single . and -."""
    if not (3 <= len(bucket) <= 63 and _BUCKET.fullmatch(bucket)):
        raise InvalidName(
            "not a bucket name",
            hint="3 to 63 lower-case letters, digits, dots and hyphens, the latter not in a row",
        )


def check_key(key: str) -> None:
    """Raise InvalidName unless the key is Unicode text of 1 to 1,024 bytes in UTF-8."""
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise InvalidName("a key is Unicode text") from None
    if not 1 <= size <= MAX_KEY_BYTES:
        raise InvalidName(f"a key has 1 to {MAX_KEY_BYTES} bytes in UTF-8, not {size}")


def check_metadata(content_type: str, metadata: Mapping[str, str]) -> None:
    """Raise InvalidName unless all of it can travel in HTTP headers as it is."""
    if len(content_type) > MAX_CONTENT_TYPE_BYTES or not _HEADER_TEXT.fullmatch(content_type):
        raise InvalidName(f"a content type is 1 to {MAX_CONTENT_TYPE_BYTES} printable characters")
    for name, value in metadata.items():
        if not _METADATA_NAME.fullmatch(name):
            raise InvalidName("a metadata name is lower-case letters and digits, joined by _ . -")
        if value and not _HEADER_TEXT.fullmatch(value):
            raise InvalidName("a metadata value is printable ASCII, without spaces around it")
    if sum(len(name) + len(value) for name, value in metadata.items()) > MAX_METADATA_BYTES:
        raise InvalidName(f"user metadata has at most {MAX_METADATA_BYTES} bytes")


def record_name(key: str) -> str:
    """The file name of a key's record: 64 hex digits."""
    return hashlib.sha256(key.encode()).hexdigest()
