"""Who signed a request? Every way of signing that S3 and the JSON services take, behind one door.

    authenticate          a request by its header or its query, Signature Version 4 or 2
    authenticate_form     an HTML form's fields, which sign their policy
    claimed_service       which service a request says it is signed for, before anything is verified

What the payload claims to be never decides whether a signature is verified, nor where the
credentials stand: that was the hole in GHSA-hv4r-mvr4-25vw and GHSA-9c4q-hq6p-c237. Whoever signed
is known afterwards; whether they may, other modules decide.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

from tlslab.http import Request
from tlslab.iam import sigv4, verify_v2, verify_v4
from tlslab.iam.payload import payload_rule
from tlslab.iam.signature_error import SignatureError
from tlslab.iam.signed_request import Parameters, read_fields
from tlslab.iam.verifier import Authentication, KeyFinder, Verifier, refuse_ecdsa
from tlslab.iam.verify_form import authenticate_form

__all__ = ["Authentication", "KeyFinder", "authenticate", "authenticate_form", "claimed_service"]

_V4_MARKS: Final = frozenset(verify_v4.PARAMETERS[:3])
_V2_MARKS: Final = frozenset(verify_v2.PARAMETERS[:2])


def authenticate(
    request: Request,
    identities: KeyFinder,
    *,
    now: datetime,
    services: Collection[str] = ("s3",),
    regions: Collection[str],
    body: bytes | None = None,
    bucket: str | None = None,
) -> Authentication:
    """Verify a request's signature; without credentials it is anonymous.

    `services` and `regions` are those accepted (messages name the first). For services other than
    S3 `body` must be given, since their signatures cover its hash. `bucket` is the one that a
    virtual host names: Version 2 signs it with the path. The payload is not read; what it must be
    is in the result, for `open_payload`.

    Raises SignatureError.
    """
    verifier = Verifier(identities, now, services, regions)
    fields = read_fields(request.headers)
    parameters = Parameters(request.query)
    header = fields.get("authorization")
    names = parameters.named.keys()
    v4_query, v2_query = not names.isdisjoint(_V4_MARKS), not names.isdisjoint(_V2_MARKS)
    if (header is not None) + v4_query + v2_query > 1:
        raise SignatureError(
            "InvalidArgument",
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature "
            "query string parameter or the Authorization header should be specified",
            {"ArgumentName": "Authorization"},
        )
    if v4_query:
        return verify_v4.by_query(verifier, request, fields, parameters, body)
    if v2_query:
        return verify_v2.by_query(verifier, request, fields, parameters, bucket)
    if header is None:
        return Authentication(None, "anonymous", payload=payload_rule(fields))
    text = header.decode("latin-1")
    algorithm, _, rest = text.partition(" ")
    if algorithm == sigv4.ALGORITHM:
        return verify_v4.by_header(verifier, request, fields, parameters, rest, body)
    if algorithm == "AWS" and "s3" in services:
        return verify_v2.by_header(verifier, request, fields, parameters, rest.strip(), bucket)
    refuse_ecdsa(algorithm)
    details = {"ArgumentName": "Authorization", "ArgumentValue": algorithm}
    raise SignatureError("InvalidArgument", "Unsupported Authorization Type", details)


def claimed_service(request: Request) -> str | None:
    """The service that a Version 4 signature says it is for, unverified; None if there is none."""
    for text in (request.header("authorization") or "", request.query.replace("%2F", "/")):
        _, found, rest = text.partition("Credential=")
        parts = rest.partition("&")[0].partition(",")[0].strip().rsplit("/", 4)
        if found and len(parts) == 5:
            return parts[3]
    return None
