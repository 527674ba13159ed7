"""Is a request signed with Signature Version 2, in its header or its query?

Source: "Signing and authenticating REST requests", Amazon S3 User Guide, Appendix.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from tlslab.http import Request
from tlslab.iam import sigv2
from tlslab.iam.caller import AccessKey
from tlslab.iam.payload import payload_rule
from tlslab.iam.signature_error import SignatureError, mismatch
from tlslab.iam.signed_request import Parameters
from tlslab.iam.verifier import Authentication, Verifier, request_time

PARAMETERS: Final = ("AWSAccessKeyId", "Signature", "Expires")
"""What a presigned URL has; the first two mark one."""


def by_header(
    verifier: Verifier,
    request: Request,
    fields: Mapping[str, bytes],
    parameters: Parameters,
    credential: str,
    bucket: str | None,
) -> Authentication:
    """Verify a signature of Version 2, which is in `credential`."""
    key_id, _, provided = credential.rpartition(":")
    token = fields.get("x-amz-security-token")
    key = verifier.key(key_id, None if token is None else token.decode("latin-1"))
    signed_at, _ = request_time(fields)
    verifier.check_clock(signed_at)
    date = "" if "x-amz-date" in fields else fields["date"].decode("latin-1")
    _verify_v2(key, request, fields, parameters, date, bucket, provided)
    return Authentication(key, "v2-header", None, "s3", signed_at, payload_rule(fields))


def by_query(
    verifier: Verifier,
    request: Request,
    fields: Mapping[str, bytes],
    parameters: Parameters,
    bucket: str | None,
) -> Authentication:
    """Verify a presigned URL of Version 2."""
    given = [parameters.get(name) for name in ("AWSAccessKeyId", "Signature", "Expires")]
    key_id, provided, expires = (value or "" for value in given)
    if not (key_id and provided and expires) or "s3" not in verifier.services:
        raise SignatureError(
            "AccessDenied",
            "Query-string authentication requires the Signature, Expires and AWSAccessKeyId "
            "parameters",
        )
    if not (expires.isascii() and expires.isdigit() and len(expires) <= 11):
        message = f"Invalid date (should be seconds since epoch): {expires}"
        raise SignatureError("AccessDenied", message)
    token = _hoisted(parameters).get("x-amz-security-token")
    key = verifier.key(key_id, None if token is None else token.decode())
    verifier.check_expiry(datetime.fromtimestamp(int(expires), UTC), {})
    _verify_v2(key, request, fields, parameters, expires, bucket, provided)
    return Authentication(key, "v2-query", None, "s3", None, payload_rule(fields))


def _hoisted(parameters: Parameters) -> dict[str, bytes]:
    """What a query carries of the signed header fields, as botocore puts them there.

    S3 takes them for headers. So they are signed as such, by whatever case or encoding of the name
    another reader would find them.
    """
    return {
        name.lower(): (parameters.get(name) or "").encode()
        for name in parameters.named
        if name.lower().startswith("x-amz-")
    }


def _verify_v2(
    key: AccessKey,
    request: Request,
    fields: Mapping[str, bytes],
    parameters: Parameters,
    date: str,
    bucket: str | None,
    provided: str,
) -> None:
    paths = [request.path]
    if bucket is None and request.path.count("/") == 1 and len(request.path) > 1:
        paths.append(request.path + "/")  # a bucket, to which botocore signs a slash and sends none
    signed = {**_hoisted(parameters), **fields}
    for path in paths:
        resource = sigv2.canonical_resource(path, parameters.named, bucket)
        message = sigv2.string_to_sign(request.method, resource, signed, date)
        expected = sigv2.sign(key.secret, message)
        if hmac.compare_digest(expected.encode(), provided.encode()):
            return
    raise mismatch(key.id, message, provided)
