"""Sign requests for our own clients: Signature Version 4, in the header or in a presigned URL.

It makes what `signatures` verifies, from the same primitives. Nothing is sent here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, urlsplit

from tlslab.http import Headers
from tlslab.iam import sigv4
from tlslab.iam.signed_request import Parameters, read_fields

_UNSIGNED: Final = frozenset({"authorization", "connection", "expect", "user-agent"})
"""Fields that transports change on the way (what SDKs leave unsigned too)."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client signs with; a role's session has a `token` as well."""

    access_key_id: str
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


def sign_v4(
    credentials: Credentials,
    method: str,
    target: str,
    headers: Iterable[tuple[bytes, bytes]],
    *,
    host: str,
    service: str,
    region: str,
    now: datetime,
    payload_hash: str,
) -> Headers:
    """The headers of a request, with what signs them; `host` is what its Host field will hold.

    `target` is encoded as it will be sent: by RFC 3986, and for S3 once. `payload_hash` is the
    body's SHA-256 in hex, or for S3 one of the words that stand for one. Host itself is not among
    the result unless it was given: HTTP clients add it.
    """
    time = now.astimezone(UTC).strftime(sigv4.TIME_FORMAT)
    added = [(b"X-Amz-Date", time.encode())]
    if service == "s3":
        added.append((b"X-Amz-Content-Sha256", payload_hash.encode()))
    if credentials.token is not None:
        added.append((b"X-Amz-Security-Token", credentials.token.encode()))
    sent = [*headers, *added]
    fields = {"host": host.encode(), **read_fields(sent)}
    signed = sorted(fields.keys() - _UNSIGNED)
    path, _, query = target.partition("?")
    scope = sigv4.Scope(time[:8], region, service)
    signature = _signature(
        credentials, method, path, query, fields, signed, payload_hash, scope, time
    )
    value = (
        f"{sigv4.ALGORITHM} Credential={credentials.access_key_id}/{scope}, "
        f"SignedHeaders={';'.join(signed)}, Signature={signature}"
    )
    return [*sent, (b"Authorization", value.encode())]


def presign_v4(
    credentials: Credentials,
    method: str,
    url: str,
    *,
    region: str,
    now: datetime,
    expires_in: int,
    service: str = "s3",
    headers: Iterable[tuple[bytes, bytes]] = (),
) -> str:
    """A URL that is good for `expires_in` seconds (at most a week) without further credentials.

    Whoever uses it must send `headers` as they are given here. `url` is encoded as it will be sent.
    """
    parts = urlsplit(url)
    time = now.astimezone(UTC).strftime(sigv4.TIME_FORMAT)
    scope = sigv4.Scope(time[:8], region, service)
    fields = {"host": parts.netloc.encode(), **read_fields(headers)}
    signed = sorted(fields)
    added = {
        "X-Amz-Algorithm": sigv4.ALGORITHM,
        "X-Amz-Credential": f"{credentials.access_key_id}/{scope}",
        "X-Amz-Date": time,
        "X-Amz-Expires": str(expires_in),
        "X-Amz-SignedHeaders": ";".join(signed),
    }
    if credentials.token is not None:
        added["X-Amz-Security-Token"] = credentials.token
    more = "&".join(f"{name}={quote(value, safe='-_.~')}" for name, value in added.items())
    query = f"{parts.query}&{more}" if parts.query else more
    path = parts.path or "/"
    payload = sigv4.UNSIGNED_PAYLOAD if service == "s3" else sigv4.EMPTY_SHA256
    signature = _signature(credentials, method, path, query, fields, signed, payload, scope, time)
    return f"{parts.scheme}://{parts.netloc}{path}?{query}&X-Amz-Signature={signature}"


def _signature(
    credentials: Credentials,
    method: str,
    path: str,
    query: str,
    fields: dict[str, bytes],
    signed: list[str],
    payload: str,
    scope: sigv4.Scope,
    time: str,
) -> str:
    canonical = sigv4.canonical_request(
        method,
        sigv4.canonical_path(path, scope.service),
        sigv4.canonical_query(Parameters(query).pairs(without="X-Amz-Signature")),
        fields,
        signed,
        payload,
    )
    key = sigv4.signing_key(credentials.secret, scope)
    return sigv4.sign(key, sigv4.string_to_sign(time, scope, canonical))
