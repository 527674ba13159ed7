"""What a request is aimed at: the service, a bucket or an object, and with which parameters.

Path style is `/bucket/key`, virtual-host style is `bucket.domain` with `/key` (Amazon S3 User
Guide, "Virtual hosting of general purpose buckets"). A key is everything after the bucket's slash,
percent-decoded once and otherwise untouched: `..`, `//` and a `%2F` that became `/` are part of it.
The module knows nothing of operations, and checks no name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from tlslab.http import Request
from tlslab.store.refusals import Refused

_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Target:
    """`bucket` is empty for the service itself, `key` for a bucket.

    `query` holds the decoded parameters; one without `=` has an empty value. `virtual` says that
    the bucket is in the host's name, not in the path.
    """

    bucket: str
    key: str
    query: Mapping[str, str]
    virtual: bool = False


def read_target(request: Request, domains: Iterable[str] = ()) -> Target:
    """Take a request's target apart; `domains` are those whose subdomains are buckets.

    Raises Refused: InvalidURI for what is not strict percent-encoding of UTF-8, InvalidArgument
    for a parameter that is given twice.
    """
    if not request.target.startswith("/"):
        raise Refused("InvalidURI")
    path = request.path[1:]
    bucket = virtual_host(request.header("host"), domains)
    virtual = bucket is not None
    if bucket is None:
        bucket, slash, path = path.partition("/")
        if not bucket and slash:
            raise Refused("InvalidBucketName")
    return Target(decode(bucket), decode(path), read_query(request.query), virtual)


def virtual_host(host: str | None, domains: Iterable[str]) -> str | None:
    """The bucket that a Host field names, None if it names none."""
    name = re.sub(r":[0-9]*$", "", host or "").lower()
    for domain in domains:
        bucket = name.removesuffix("." + domain.lower())
        if bucket and bucket != name:
            return bucket
    return None


def read_query(query: str) -> dict[str, str]:
    """The decoded parameters. A `+` is a space, as AWS reads it (and as HTML forms write it)."""
    parameters: dict[str, str] = {}
    for part in filter(None, query.split("&")):
        raw_name, _, raw_value = part.partition("=")
        name = decode(raw_name)
        if name in parameters:
            message = f"The parameter {name} is given more than once."
            raise Refused("InvalidArgument", message, details={"ArgumentName": name})
        parameters[name] = decode(raw_value.replace("+", " "))
    return parameters


def decode(text: str) -> str:
    """Percent-decoding, strict: one step, to valid UTF-8. Raises Refused (InvalidURI)."""
    if "%" not in text:
        return text
    if _BAD_PERCENT.search(text):
        raise Refused("InvalidURI")
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise Refused("InvalidURI") from None
