"""HTTP in front of the store. It translates, and decides nothing about objects.

    PUT    /bucket              create a bucket                  201, 409 if it exists
    GET    /                    the names of all buckets         200, JSON
    GET    /bucket              its objects, in pages            200, JSON; ?prefix= &after= &limit=
    PUT    /bucket/key          store an object                  201, ETag
    GET    /bucket/key          the object                       200
    HEAD   /bucket/key          its facts                        200
    DELETE /bucket/key          delete it                        204, also if there was none

A key is everything after the bucket's slash, percent-decoded once and otherwise untouched: `..` and
`//` are part of it. User metadata travels as `x-amz-meta-*`.

What is not understood is never guessed at: an unknown query parameter, or a header that would
change what a write means (a copy, a condition, a range, an encoding, another encryption), is 501
before anything is read or written. Stores that overlook these destroy the object that the client
meant to copy, tag or keep.

Errors are JSON: {"error": ..., "hint": ...}. Stored bytes that do not authenticate are 500 if that
shows in the first MiB; later the response breaks off short of its Content-Length.

There is no authentication: whoever reaches this face reads and writes. So it belongs behind the
terminating proxy, on loopback.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from email.utils import format_datetime
from typing import TypeVar
from urllib.parse import quote, unquote_to_bytes

from tlslab.errors import NotFound, StoreError
from tlslab.http import Handler, Headers, Request, Response
from tlslab.store.errors import BucketExists, InvalidName, StorageFull, TooLarge
from tlslab.store.record import ObjectInfo
from tlslab.store.service import DEFAULT_CONTENT_TYPE, ObjectStore

PAGE = 1000
"""Most objects in one page of a listing; the limit of S3."""

_STATUS: list[tuple[type[StoreError], int]] = [
    (InvalidName, 400),
    (NotFound, 404),
    (BucketExists, 409),
    (TooLarge, 413),
    (StorageFull, 507),
    (StoreError, 500),
]

_META = "x-amz-meta-"
_SSE = "x-amz-server-side-encryption"
_SSE_VALUES = {"SSE-S3": "AES256"}

_HARMLESS_AMZ = {"x-amz-date", "x-amz-user-agent"}
"""Nothing is decided by them here. Checksums are not among them: a client that sends one relies on
its being verified."""

_WRITE_MEANING = {
    "content-encoding",  # `aws-chunked` frames would be stored as if they were the object
    "content-md5",
    "content-range",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
}

_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_LIMIT = re.compile(r"[0-9]{1,4}")

_T = TypeVar("_T")


def handler(store: ObjectStore) -> Handler:
    """The store as a handler for `tlslab.http.serve_http`."""

    async def handle(request: Request) -> Response:
        try:
            return await _route(store, request)
        except _Refusal as refusal:
            return refusal.response
        except StoreError as error:
            status = next(status for kind, status in _STATUS if isinstance(error, kind))
            return _refused(status, error.message, error.hint).response

    return handle


class _Refusal(Exception):
    """A request answered without asking the store."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


def _refused(
    status: int, error: str, hint: str | None = None, *headers: tuple[bytes, bytes]
) -> _Refusal:
    return _Refusal(_json(status, {"error": error, "hint": hint}, *headers))


def _json(status: int, value: Mapping[str, object], *headers: tuple[bytes, bytes]) -> Response:
    text = json.dumps(value, ensure_ascii=False, indent=1) + "\n"
    return Response(status, [(b"Content-Type", b"application/json"), *headers], text.encode())


_ObjectMethod = Callable[[ObjectStore, Request, str, str], Awaitable[Response]]


async def _route(store: ObjectStore, request: Request) -> Response:
    if not request.target.startswith("/"):
        raise _refused(400, "the request target should begin with a slash")
    bucket, slash, key = request.path[1:].partition("/")
    if not bucket and slash:
        raise _refused(400, "the bucket's name is missing")
    if key:
        methods: Mapping[str, _ObjectMethod] = _OBJECT_METHODS
        method = _choose(methods, request.method)
        _query(request, ())
        _only_understood(store, request)
        return await method(store, request, _decode(bucket), _decode(key))
    if bucket:
        method = _choose({"PUT": _create_bucket, "GET": _list}, request.method)
        _only_understood(store, request)
        return await method(store, request, _decode(bucket), "")
    _choose({"GET": None}, request.method)
    _query(request, ())
    return _json(200, {"buckets": await store.buckets()})


def _choose(methods: Mapping[str, _T], method: str) -> _T:
    if method not in methods:
        allow = ", ".join(methods).encode()
        raise _refused(405, "that method means nothing here", None, (b"Allow", allow))
    return methods[method]


async def _create_bucket(store: ObjectStore, request: Request, bucket: str, _: str) -> Response:
    _query(request, ())
    async for _part in request.body:  # a configuration in XML, say, that would be ignored
        raise _refused(501, "a body has no meaning for a new bucket")
    await store.create_bucket(bucket)
    return Response(201, [(b"Location", b"/" + bucket.encode())])


async def _list(store: ObjectStore, request: Request, bucket: str, _: str) -> Response:
    query = _query(request, ("prefix", "after", "limit"))
    limit = query.get("limit", str(PAGE))
    if not _LIMIT.fullmatch(limit) or not 1 <= int(limit) <= PAGE:
        raise _refused(400, f"the limit is a number from 1 to {PAGE}")
    prefix, after = query.get("prefix", ""), query.get("after", "")
    objects = await store.list(bucket, prefix, after=after, limit=int(limit) + 1)
    page = objects[: int(limit)]
    return _json(
        200,
        {
            "bucket": bucket,
            "prefix": prefix,
            "objects": [_summary(info) for info in page],
            "next": page[-1].key if len(objects) > len(page) else None,
        },
    )


async def _put(store: ObjectStore, request: Request, bucket: str, key: str) -> Response:
    length = request.header("content-length")
    if length is not None and int(length) > store.max_object_bytes:
        raise TooLarge(f"an object has at most {store.max_object_bytes} bytes")
    info = await store.put(
        bucket,
        key,
        request.body,
        content_type=request.header("content-type") or DEFAULT_CONTENT_TYPE,
        metadata=_metadata(request),
    )
    return Response(201, [(b"ETag", _etag(info)), *_encryption(info)])


async def _get(store: ObjectStore, request: Request, bucket: str, key: str) -> Response:
    info, body = await store.get(bucket, key)
    return Response(200, _facts(info), body)


async def _head(store: ObjectStore, request: Request, bucket: str, key: str) -> Response:
    return Response(200, _facts(await store.head(bucket, key)))


async def _delete(store: ObjectStore, request: Request, bucket: str, key: str) -> Response:
    await store.delete(bucket, key)
    return Response(204)


_OBJECT_METHODS: Mapping[str, _ObjectMethod] = {
    "GET": _get,
    "HEAD": _head,
    "PUT": _put,
    "DELETE": _delete,
}


def _only_understood(store: ObjectStore, request: Request) -> None:
    """Refuse headers that would change the meaning of the request and are not implemented."""
    writes = request.method not in {"GET", "HEAD"}
    for raw_name, _ in request.headers:
        name = raw_name.decode("ascii").lower()
        known_amz = name in _HARMLESS_AMZ or name.startswith(_META) or name == _SSE
        if (name.startswith("x-amz-") and not known_amz) or (writes and name in _WRITE_MEANING):
            raise _refused(501, f"the header {name} is not implemented", "nothing was touched")
    wanted = request.header(_SSE)
    scheme = None if store.encryption is None else store.encryption.scheme
    if wanted is not None and wanted != _SSE_VALUES.get(scheme or ""):
        raise _refused(501, "this store does not encrypt that way", "nothing was touched")


def _query(request: Request, known: tuple[str, ...]) -> dict[str, str]:
    """The query's parameters, each at most once and none but the known ones."""
    parameters: dict[str, str] = {}
    for part in filter(None, request.query.split("&")):
        raw_name, _, value = part.partition("=")
        name = _decode(raw_name)
        if name not in known:
            raise _refused(501, "that query parameter is not implemented", "nothing was touched")
        if name in parameters:
            raise _refused(400, f"{name} is given twice")
        parameters[name] = _decode(value)
    return parameters


def _decode(text: str) -> str:
    """Percent-decoding, strict: one step, to valid UTF-8."""
    if _PERCENT.search(text):
        raise _refused(400, "a percent sign is not followed by two hex digits")
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise _refused(400, "the target is not UTF-8 once percent-decoded") from None


def _metadata(request: Request) -> dict[str, str]:
    metadata: dict[str, str] = {}
    for raw_name, value in request.headers:
        name = raw_name.decode("ascii").lower()
        if name.startswith(_META):
            if name in metadata:
                raise _refused(400, "a metadata name is given twice")
            metadata[name.removeprefix(_META)] = value.decode("latin-1")
    return metadata


def _etag(info: ObjectInfo) -> bytes:
    return f'"{info.etag}"'.encode()


def _encryption(info: ObjectInfo) -> Headers:
    value = _SSE_VALUES.get(info.encryption or "")
    return [] if value is None else [(_SSE.encode(), value.encode())]


def _facts(info: ObjectInfo) -> Headers:
    return [
        (b"Content-Length", str(info.size).encode()),
        (b"Content-Type", info.content_type.encode()),
        (b"ETag", _etag(info)),
        (b"Last-Modified", format_datetime(info.modified, usegmt=True).encode()),
        *_encryption(info),
        *(
            (_META.encode() + name.encode(), value.encode())
            for name, value in info.metadata.items()
        ),
    ]


def _summary(info: ObjectInfo) -> dict[str, object]:
    return {
        "key": info.key,
        "href": f"/{info.bucket}/{quote(info.key, safe='/')}",
        "size": info.size,
        "modified": info.modified.isoformat(),
        "etag": info.etag,
        "content_type": info.content_type,
        "encryption": info.encryption,
    }
