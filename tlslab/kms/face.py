"""The KMS on the wire: JSON 1.1 in, JSON out, errors by name.

    POST /
    X-Amz-Target: TrentService.Encrypt
    Content-Type: application/x-amz-json-1.1

It knows the encoding only: blobs are base64, times are seconds since 1970. Who the caller is was
settled before.

Source: Smithy, "AWS JSON 1.1 protocol"; the API's model.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import json
import uuid
from collections.abc import Mapping
from typing import Any

from tlslab.database import DatabaseUnavailable
from tlslab.http import Request, Response
from tlslab.iam import Caller
from tlslab.kms.errors import KMSError
from tlslab.kms.operations.table import OPERATIONS
from tlslab.kms.service import KMS
from tlslab.kms.shapes import Blob, Items, Members, Shape, Time

TARGET = "TrentService."
CONTENT_TYPE = b"application/x-amz-json-1.1"

MAX_BODY = 1024 * 1024
"""Bytes of a request: 4 times the largest that the model's limits allow, an attested Decrypt."""

MAX_NAME = 128
"""Characters of an operation's name that are looked at and recorded; the longest known has 35."""


async def handle(kms: KMS, caller: Caller, request: Request, target: str, region: str) -> Response:
    """Answer a request to `target` (`TrentService.Encrypt`). Raises ExchangeError for its body."""
    request_id = str(uuid.uuid4())
    try:
        body = await request.read(MAX_BODY)
        answer = await _answer(kms, caller, body, target, region, request_id)
    except KMSError as error:
        return _response(error.status, error_body(error), request_id)
    except DatabaseUnavailable:
        return _response(500, error_body(KMSError("KMSInternalException")), request_id)
    return _response(200, _json(answer), request_id)


def error_body(error: KMSError) -> bytes:
    """An error as clients of the JSON protocol expect it."""
    return _json({"__type": error.code, "message": error.message})


async def _answer(
    kms: KMS, caller: Caller, body: bytes, target: str, region: str, request_id: str
) -> Mapping[str, Any]:
    operation = target.removeprefix(TARGET)[:MAX_NAME]
    found = OPERATIONS.get(operation)
    try:
        if found is None or not target.startswith(TARGET):
            raise KMSError("UnknownOperationException")
        parameters = _decoded(found.members, _parsed(body))
    except KMSError as error:
        raise await kms.refuse(
            caller, operation, error, region=region, request_id=request_id
        ) from None
    return await kms.invoke(caller, operation, parameters, region=region, request_id=request_id)


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise KMSError("SerializationException") from None


def _decoded(shape: Shape, value: Any) -> Any:
    """JSON as the shapes want it: bytes and times instead of texts and numbers."""
    if isinstance(shape, Members) and isinstance(value, dict):
        return {
            name: _decoded(member, value[name])
            for name, member in shape.shapes.items()
            if value.get(name) is not None
        }
    if isinstance(shape, Items) and isinstance(value, list):
        return [_decoded(shape.of, each) for each in value]
    if isinstance(shape, Blob):
        return _bytes(value)
    return _time(value) if isinstance(shape, Time) else value


def _bytes(value: Any) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise KMSError("SerializationException") from None


def _time(value: Any) -> datetime.datetime:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise KMSError("SerializationException")
    try:
        return datetime.datetime.fromtimestamp(value, datetime.UTC)
    except (ValueError, OverflowError, OSError):
        raise KMSError("SerializationException") from None


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), default=_encoded).encode()


def _encoded(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime.datetime):
        return round(value.timestamp(), 3)
    raise TypeError(type(value).__name__)


def _response(status: int, body: bytes, request_id: str) -> Response:
    headers = ((b"Content-Type", CONTENT_TYPE), (b"x-amzn-RequestId", request_id.encode()))
    return Response(status, headers, body)
