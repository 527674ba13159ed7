"""Who am I: the one operation of STS that clients use to check their credentials.

GetCallerIdentity needs no permission. Any other action is answered by 501: sessions of roles are
declared with the identities, they are not handed out here. Source: AWS STS API Reference.
"""

from __future__ import annotations

from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from tlslab.http import Response
from tlslab.iam import Caller

MAX_FORM_BYTES = 4096
"""The action and the version have 45 bytes."""

_NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"


def answer(caller: Caller, form: bytes, request_id: str) -> Response:
    """The response to a form that a signature of `caller` came with."""
    actions = parse_qs(form.decode("ascii", "replace")).get("Action", [""])
    principal = caller.principal
    if actions != ["GetCallerIdentity"] or principal is None:
        return refuse(501, "NotImplemented", "only GetCallerIdentity is answered here", request_id)
    return _xml(
        200,
        f'<GetCallerIdentityResponse xmlns="{_NAMESPACE}"><GetCallerIdentityResult>'
        f"<Arn>{escape(principal.arn)}</Arn><UserId>{escape(principal.user_id)}</UserId>"
        f"<Account>{escape(principal.account)}</Account></GetCallerIdentityResult>"
        f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
        "</GetCallerIdentityResponse>",
    )


def refuse(status: int, code: str, message: str, request_id: str) -> Response:
    """An error in the query protocol's XML."""
    return _xml(
        status,
        f'<ErrorResponse xmlns="{_NAMESPACE}"><Error><Type>Sender</Type><Code>{escape(code)}</Code>'
        f"<Message>{escape(message)}</Message></Error><RequestId>{request_id}</RequestId>"
        "</ErrorResponse>",
    )


def _xml(status: int, text: str) -> Response:
    return Response(status, [(b"Content-Type", b"text/xml")], text.encode())
