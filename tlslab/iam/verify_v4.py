"""Is a request signed with Signature Version 4, in its header or its query?

Everything that the signature covers is taken from the request as it came. Source: "Authenticating
requests: using the Authorization header" and "... using query parameters", S3 API Reference.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha256
from typing import Final

from tlslab.http import Request
from tlslab.iam import sigv4
from tlslab.iam.caller import AccessKey
from tlslab.iam.payload import PayloadRule, payload_rule
from tlslab.iam.signature_error import SignatureError, mismatch, timestamp
from tlslab.iam.signed_request import Parameters
from tlslab.iam.verifier import (
    HEADER_CODE,
    MAX_EXPIRY_SECONDS,
    MAX_SKEW,
    QUERY_CODE,
    Authentication,
    Verifier,
    parse_time,
    refuse_ecdsa,
    request_time,
)

PARAMETERS: Final = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Signature",
    "X-Amz-Date",
    "X-Amz-SignedHeaders",
    "X-Amz-Expires",
)
"""What a presigned URL has; the first three mark one."""

_SENSITIVE: Final = ("x-amz-security-token", "customer-key")  # not to be quoted in an error


def by_header(
    verifier: Verifier,
    request: Request,
    fields: dict[str, bytes],
    parameters: Parameters,
    header: str,
    body: bytes | None,
) -> Authentication:
    """Verify a signature of Version 4 whose parts are in `header`."""
    code, prefix = HEADER_CODE, "The authorization header is malformed;"
    members = [member.strip().partition("=") for member in header.split(",")]
    given = {name: value for name, _, value in members}
    if len(members) != 3 or given.keys() != {"Credential", "SignedHeaders", "Signature"}:
        message = f"{prefix} it holds Credential, SignedHeaders and Signature, each once."
        raise SignatureError(code, message)
    signed_at, time = request_time(fields)
    key_id, scope = verifier.credential(given["Credential"], time, code, prefix)
    token = fields.get("x-amz-security-token")
    key = verifier.key(key_id, None if token is None else token.decode("latin-1"))
    verifier.check_clock(signed_at)
    payload = _payload_hash(fields, scope.service, body)
    seed = _verify_v4(
        key, scope, time, request, fields, parameters, given["SignedHeaders"], payload,
        given["Signature"],
    )  # fmt: skip
    rule = payload_rule(fields, seed) if scope.service == "s3" else PayloadRule()
    return Authentication(key, "v4-header", scope.region, scope.service, signed_at, rule)


def by_query(
    verifier: Verifier,
    request: Request,
    fields: dict[str, bytes],
    parameters: Parameters,
    body: bytes | None,
) -> Authentication:
    """Verify a presigned URL of Version 4."""
    code, prefix = QUERY_CODE, "Error parsing the X-Amz-Credential parameter;"
    given = {name: parameters.get(name) or "" for name in PARAMETERS}
    refuse_ecdsa(given["X-Amz-Algorithm"])
    if not all(given.values()):
        raise SignatureError(
            code,
            "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, "
            "X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
        )
    if given["X-Amz-Algorithm"] != sigv4.ALGORITHM:
        message = f'X-Amz-Algorithm only supports "{sigv4.ALGORITHM}"'
        raise SignatureError(code, message)
    time = given["X-Amz-Date"]
    signed_at = parse_time(time)
    if signed_at is None:
        message = "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""
        raise SignatureError(code, message)
    expiry = _expiry(given["X-Amz-Expires"])
    key_id, scope = verifier.credential(given["X-Amz-Credential"], time, code, prefix)
    key = verifier.key(key_id, parameters.get("X-Amz-Security-Token"))
    if signed_at > verifier.now + MAX_SKEW:
        details = {"X-Amz-Date": time, "ServerTime": timestamp(verifier.now)}
        raise SignatureError("AccessDenied", "Request is not valid yet", details)
    verifier.check_expiry(signed_at + expiry, {"X-Amz-Expires": given["X-Amz-Expires"]})
    signed = given["X-Amz-SignedHeaders"]
    if scope.service == "s3":
        payload = parameters.get("X-Amz-Content-Sha256")
        if payload is None and "x-amz-content-sha256" in signed.split(";"):
            payload = fields.get("x-amz-content-sha256", b"").decode("latin-1")
        payload = payload or sigv4.UNSIGNED_PAYLOAD
    else:
        payload = _payload_hash(fields, scope.service, body)
    seed = _verify_v4(
        key, scope, time, request, fields, parameters, signed, payload, given["X-Amz-Signature"]
    )
    if scope.service != "s3":
        rule = PayloadRule()
    elif payload == sigv4.UNSIGNED_PAYLOAD:
        rule = payload_rule(fields)  # without a seed: chunks can be signed only if that is signed
    else:
        rule = payload_rule({**fields, "x-amz-content-sha256": payload.encode("latin-1")}, seed)
    return Authentication(key, "v4-query", scope.region, scope.service, signed_at, rule)


def _verify_v4(
    key: AccessKey,
    scope: sigv4.Scope,
    time: str,
    request: Request,
    fields: Mapping[str, bytes],
    parameters: Parameters,
    signed_headers: str,
    payload: str,
    provided: str,
) -> sigv4.ChunkChain:
    """Verify a signature; what the signatures of a body's chunks follow on.

    S3's clients sign the path and query as they send them, or as the book encodes them; either
    says the same of what is asked for, and both are taken, in this order.
    """
    signed = _signed_headers(signed_headers, fields)
    derived = sigv4.signing_key(key.secret, scope)
    pairs = parameters.pairs(without="X-Amz-Signature")
    path, query = sigv4.canonical_path(request.path, scope.service), sigv4.canonical_query(pairs)

    def attempt(path: str, query: str) -> tuple[bytes, bytes, bool]:
        canonical = sigv4.canonical_request(request.method, path, query, fields, signed, payload)
        message = sigv4.string_to_sign(time, scope, canonical)
        expected = sigv4.sign(derived, message)
        return canonical, message, hmac.compare_digest(expected.encode(), provided.encode())

    canonical, message, good = attempt(path, query)
    if not good and scope.service == "s3":
        by_the_book = sigv4.recoded_path(path), sigv4.recoded_query(pairs)
        if by_the_book != (path, query):
            canonical, message, good = attempt(*by_the_book)
    if not good:
        secretive = any(word in name for name in signed for word in _SENSITIVE)
        raise mismatch(key.id, message, provided, None if secretive else canonical)
    return sigv4.ChunkChain(derived, time, scope, provided)


def _signed_headers(text: str, fields: Mapping[str, bytes]) -> list[str]:
    """The names of the signed headers, if they are all that must be.

    They stay in the order in which they were signed: curl before 8 puts `key-md5` before `key`.
    """
    signed = text.split(";")
    names = set(signed)
    if len(names) != len(signed) or text != text.lower():
        message = "SignedHeaders must be lower-case names, each once."
        raise SignatureError(HEADER_CODE, message)
    unsigned = [
        name
        for name in fields
        if name not in names
        and (name == "host" or name.startswith("x-amz-"))
        and name != "x-amz-content-sha256"  # its value is signed anyway, or has no say
    ]
    if unsigned or "host" not in names:
        raise SignatureError(
            "AccessDenied",
            "There were headers present in the request which were not signed",
            {"HeadersNotSigned": ", ".join(unsigned or ["host"])},
        )
    return signed


def _payload_hash(fields: Mapping[str, bytes], service: str, body: bytes | None) -> str:
    """What a signature in a header says of the payload."""
    declared = fields.get("x-amz-content-sha256")
    if service == "s3":
        if declared is None:
            message = "Missing required header for this request: x-amz-content-sha256"
            raise SignatureError("InvalidRequest", message)
        return declared.decode("latin-1")
    if body is None:
        raise ValueError(f"to verify a signature for {service} takes the body")
    return sha256(body).hexdigest()  # whatever the header says, if there is one


def _expiry(text: str) -> timedelta:
    """How long a URL is good, from its parameter."""
    code = QUERY_CODE
    number = text.removeprefix("-")
    if not (number.isascii() and number.isdigit()):
        raise SignatureError(code, "X-Amz-Expires should be a number")
    if text.startswith("-"):
        raise SignatureError(code, "X-Amz-Expires must be non-negative")
    if len(number) > 6 or not 1 <= int(number) <= MAX_EXPIRY_SECONDS:
        message = "X-Amz-Expires must be less than a week (in seconds); that is, the given "
        message += f"X-Amz-Expires must be less than {MAX_EXPIRY_SECONDS} seconds"
        raise SignatureError(code, message)
    return timedelta(seconds=int(number))
