"""Is an HTML form signed, and by whom? Its signature covers its policy, and nothing else.

Source: "Browser-based uploads using POST (AWS Signature Version 4)", Amazon S3 API Reference, and
"(AWS Signature Version 2)".
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from tlslab.iam import sigv2, sigv4
from tlslab.iam.signature_error import SignatureError, mismatch
from tlslab.iam.verifier import (
    MAX_EXPIRY_SECONDS,
    MAX_SKEW,
    QUERY_CODE,
    Authentication,
    KeyFinder,
    Verifier,
    parse_time,
    refuse_ecdsa,
)
from tlslab.iam.verify_v4 import PARAMETERS


def authenticate_form(
    fields: Mapping[str, str], identities: KeyFinder, *, now: datetime, regions: Collection[str]
) -> Authentication:
    """Verify the signature of an HTML form, whose fields have lower-case names.

    A form with neither policy nor credentials is anonymous. What the policy says is not looked at:
    see `post_policy`. Raises SignatureError.
    """
    verifier = Verifier(identities, now, ("s3",), regions)
    if "x-amz-signature" in fields or "x-amz-credential" in fields or "x-amz-algorithm" in fields:
        return _v4_form(verifier, fields)
    if "signature" in fields or "awsaccesskeyid" in fields:
        return _v2_form(verifier, fields)
    if "policy" in fields:
        raise SignatureError("AccessDenied", "Access Denied")
    return Authentication(None, "anonymous")


def _v4_form(verifier: Verifier, fields: Mapping[str, str]) -> Authentication:
    _demand(fields, "policy", *PARAMETERS[:4])
    algorithm = fields["x-amz-algorithm"]
    refuse_ecdsa(algorithm)
    time = fields["x-amz-date"]
    signed_at = parse_time(time)
    if algorithm != sigv4.ALGORITHM or signed_at is None:
        name = "X-Amz-Date" if algorithm == sigv4.ALGORITHM else "X-Amz-Algorithm"
        details = {"ArgumentName": name, "ArgumentValue": fields[name.lower()]}
        raise SignatureError("InvalidArgument", f"The value of {name} is not valid.", details)
    prefix = "Error parsing the X-Amz-Credential parameter;"
    key_id, scope = verifier.credential(fields["x-amz-credential"], time, QUERY_CODE, prefix)
    key = verifier.key(key_id, fields.get("x-amz-security-token"))
    if signed_at > verifier.now + MAX_SKEW:
        raise SignatureError("AccessDenied", "Request is not valid yet")
    verifier.check_expiry(signed_at + timedelta(seconds=MAX_EXPIRY_SECONDS), {})
    message = fields["policy"].encode()
    expected = sigv4.sign(sigv4.signing_key(key.secret, scope), message)
    provided = fields["x-amz-signature"]
    if not hmac.compare_digest(expected.encode(), provided.encode()):
        raise mismatch(key.id, message, provided)
    return Authentication(key, "v4-form", scope.region, "s3", signed_at)


def _v2_form(verifier: Verifier, fields: Mapping[str, str]) -> Authentication:
    _demand(fields, "policy", "AWSAccessKeyId", "Signature")
    key = verifier.key(fields["awsaccesskeyid"], fields.get("x-amz-security-token"))
    message = fields["policy"].encode()
    provided = fields["signature"]
    if not hmac.compare_digest(sigv2.sign(key.secret, message).encode(), provided.encode()):
        raise mismatch(key.id, message, provided)
    return Authentication(key, "v2-form", None, "s3")


def _demand(fields: Mapping[str, str], *names: str) -> None:
    for name in names:
        if not fields.get(name.lower()):
            raise SignatureError(
                "InvalidArgument",
                f"Bucket POST must contain a field named '{name}'.  If it is specified, please "
                "check the order of the fields.",
                {"ArgumentName": name},
            )
