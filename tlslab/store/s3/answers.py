"""Responses that many operations share: documents, errors, and dates.

An error is S3's XML with the request's id; to a HEAD it is the bare status (S3 API Reference,
"REST error responses"). What is not the client's fault says no more than that it happened.
"""

from __future__ import annotations

import hashlib
import logging
import traceback
from collections.abc import Iterable, Mapping
from datetime import datetime
from email.utils import format_datetime

from tlslab.database import DatabaseUnavailable
from tlslab.errors import IntegrityError, StoreError
from tlslab.http import Headers, Response
from tlslab.store.errors import StorageFull
from tlslab.store.refusals import Refused
from tlslab.store.s3.xml import NAMESPACE, Child, Content, document

logger = logging.getLogger(__name__)

XML = (b"Content-Type", b"application/xml")


def xml(
    name: str,
    content: Content,
    headers: Iterable[tuple[bytes, bytes]] = (),
    *,
    namespace: str | None = NAMESPACE,
) -> Response:
    """A document as a response."""
    return Response(200, [XML, *headers], document(name, content, namespace=namespace))


def empty(status: int = 200, headers: Iterable[tuple[bytes, bytes]] = ()) -> Response:
    """A response without a body."""
    return Response(status, list(headers))


def error(
    code: str,
    status: int,
    message: str,
    details: Mapping[str, str],
    request_id: str,
    headers: Headers | None = None,
) -> Response:
    """An error as S3 words it. `details` are further elements, such as the bucket's name."""
    if status == 304:
        return Response(304, headers or [])
    children: list[Child] = [
        ("Code", code),
        ("Message", message),
        *details.items(),
        ("RequestId", request_id),
        ("HostId", request_id),
    ]
    return Response(status, [XML, *(headers or [])], document("Error", children, namespace=None))


def refused(refusal: Refused, request_id: str) -> Response:
    """A refusal as a response."""
    headers = [(name.encode(), value.encode()) for name, value in refusal.headers.items()]
    details = refusal.details
    return error(refusal.code, refusal.status, refusal.message, details, request_id, headers)


def failed(failure: StoreError, request_id: str) -> Response:
    """The store's own failure as a response; what it was is in the log."""
    frames = traceback.extract_tb(failure.__traceback__)
    where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "an unknown place"
    logger.error("request %s failed: %s at %s", request_id, type(failure).__name__, where)
    if isinstance(failure, StorageFull):
        return error("InsufficientStorage", 507, "There is no space left.", {}, request_id)
    if isinstance(failure, DatabaseUnavailable):  # clients try again
        return error(
            "ServiceUnavailable", 503, "Service is unable to handle request.", {}, request_id
        )
    if isinstance(failure, IntegrityError):
        message = "We encountered an internal error: the stored bytes do not authenticate."
        return error("InternalError", 500, message, {}, request_id)
    message = "We encountered an internal error. Please try again."
    return error("InternalError", 500, message, {}, request_id)


def http_time(moment: datetime) -> bytes:
    """A time as header fields have it, in whole seconds."""
    return format_datetime(moment, usegmt=True).encode()


def xml_time(moment: datetime) -> str:
    """A time as S3's documents have it, in milliseconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


def quoted(etag: str) -> str:
    """An ETag as HTTP writes it."""
    return f'"{etag}"'


def etag_header(etag: str) -> Headers:
    """... and as a field."""
    return [(b"ETag", quoted(etag).encode())]


def owner(account: str) -> list[Child]:
    """An account as an Owner or a Grantee: a canonical user id, which is 64 hex digits."""
    return [("ID", hashlib.sha256(f"canonical user {account}".encode()).hexdigest())]
