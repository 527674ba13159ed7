"""Signature Version 4: from a request to the bytes that are signed, and their signature.

    canonical request   method, path, query, signed headers, payload hash: one encoding of a request
    string to sign      algorithm, time, scope, hash of the canonical request
    signing key         derived from the secret for one day, region and service
    chunk chain         signatures of a body's chunks, each over the one before it

Pure functions of bytes, the same for those who sign and those who verify. They know no request
types, no access keys, and refuse nothing.

Source: "AWS Signature Version 4 for API requests", IAM User Guide; for S3, "Authenticating requests
(AWS Signature Version 4)" and "Signature calculations for trailing headers", API Reference.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import Final
from urllib.parse import quote, unquote_to_bytes

ALGORITHM: Final = "AWS4-HMAC-SHA256"
TERMINATOR: Final = "aws4_request"
UNSIGNED_PAYLOAD: Final = "UNSIGNED-PAYLOAD"
EMPTY_SHA256: Final = sha256(b"").hexdigest()
TIME_FORMAT: Final = "%Y%m%dT%H%M%SZ"

CACHED_KEYS = 1024
"""Derived keys kept: each saves four HMACs. A day's keys of a thousand users in one region."""

_QUERY_SAFE: Final = "-_.~"
_PATH_SAFE: Final = "/-_.~"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a signing key is for. `date` is `YYYYMMDD`."""

    date: str
    region: str
    service: str

    def __str__(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/{TERMINATOR}"


@lru_cache(CACHED_KEYS)
def signing_key(secret: str, scope: Scope) -> bytes:
    """The key derived from a secret for one scope."""
    key = b"AWS4" + secret.encode()
    for part in (scope.date, scope.region, scope.service, TERMINATOR):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def canonical_path(path: str, service: str) -> str:
    """The path as it is signed. S3 takes it as it came; others normalise it and encode it again."""
    if service == "s3":
        return path or "/"
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment not in ("", "."):
            segments.append(segment)
    slash = "/" if segments and path.endswith("/") else ""
    return quote(f"/{'/'.join(segments)}{slash}", safe=_PATH_SAFE)


def recoded_path(path: str) -> str:
    """S3's path decoded and encoded by the book, for who signs that and sends something lighter."""
    return quote(unquote_to_bytes(path), safe=_PATH_SAFE)


def canonical_query(parameters: Iterable[tuple[str, str]]) -> str:
    """The parameters, already encoded, in order of their names and then values."""
    return "&".join([f"{name}={value}" for name, value in sorted(parameters)])


def recoded_query(parameters: Iterable[tuple[str, str]]) -> str:
    """... decoded and encoded by the book; `+` is a space, as it is for whoever reads the query."""
    return canonical_query((_recoded(name), _recoded(value)) for name, value in parameters)


def _recoded(text: str) -> str:
    return quote(unquote_to_bytes(text.replace("+", " ")), safe=_QUERY_SAFE)


def canonical_request(
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, bytes],
    signed: Iterable[str],
    payload: str,
) -> bytes:
    """Path and query are canonical, `signed` are the names of signed headers (in order).

    `payload` is the body's SHA-256 in hex, or what `x-amz-content-sha256` says instead. A signed
    header that the request does not have counts as empty.
    """
    names = list(signed)
    lines = [
        b"%s:%s\n" % (name.encode(), b" ".join(headers.get(name, b"").split())) for name in names
    ]
    head = f"{method}\n{path}\n{query}\n".encode()
    return b"%s%s\n%s" % (head, b"".join(lines), f"{';'.join(names)}\n{payload}".encode())


def string_to_sign(time: str, scope: Scope, canonical: bytes) -> bytes:
    """`time` is `YYYYMMDDTHHMMSSZ`."""
    return f"{ALGORITHM}\n{time}\n{scope}\n{sha256(canonical).hexdigest()}".encode()


def sign(key: bytes, message: bytes) -> str:
    """The signature: 64 hex digits."""
    return hmac.digest(key, message, "sha256").hex()


@dataclass(slots=True)
class ChunkChain:
    """The signatures of a body's chunks; each covers the one before, the first the request's.

    So no chunk can be dropped, swapped or repeated, nor come from another request.
    """

    key: bytes = field(repr=False)
    time: str
    scope: Scope
    signature: str

    def chunk(self, digest: str) -> str:
        """The signature of the next chunk, whose SHA-256 is `digest` in hex."""
        return self._next(f"{ALGORITHM}-PAYLOAD", f"{EMPTY_SHA256}\n{digest}")

    def trailer(self, lines: bytes) -> str:
        """The signature of the trailer: `name:value` and a line feed for each field."""
        return self._next(f"{ALGORITHM}-TRAILER", sha256(lines).hexdigest())

    def _next(self, kind: str, last: str) -> str:
        message = f"{kind}\n{self.time}\n{self.scope}\n{self.signature}\n{last}"
        self.signature = sign(self.key, message.encode())
        return self.signature
