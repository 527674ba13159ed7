"""Which names buckets and objects may have.

A key is any Unicode text, so `..`, `/etc/passwd`, `a//b`, `%2e` and control characters are ordinary
keys. None of them reaches the file system, where bytes lie under random names: a key can neither
leave the directory nor collide with another one. This hides nothing: the database names keys in the
clear.
"""

from __future__ import annotations

import re

from tlslab.store.errors import InvalidName

MAX_KEY_BYTES = 1024
"""In UTF-8; the limit of S3."""

_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_BUCKET = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")


def check_bucket(bucket: str) -> None:
    """Raise InvalidName unless S3 and DNS would take it: 3 to 63 of a-z, 0-9, - and single dots.

    An IPv4 address is none ("Bucket naming rules", S3 User Guide).
    """
    named = 3 <= len(bucket) <= 63 and _BUCKET.fullmatch(bucket)
    if not named or _ADDRESS.fullmatch(bucket):
        raise InvalidName(
            "not a bucket name",
            hint="3 to 63 lower-case letters, digits and hyphens, perhaps with dots between them",
        )


def check_key(key: str) -> None:
    """Raise InvalidName unless the key is Unicode text of 1 to 1,024 bytes in UTF-8."""
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise InvalidName("a key is Unicode text") from None
    if not 1 <= size <= MAX_KEY_BYTES:
        raise InvalidName(f"a key has 1 to {MAX_KEY_BYTES} bytes in UTF-8, not {size}")
