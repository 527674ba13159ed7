"""A request's head as signatures look at it: fields by name, parameters of the query, encoded.

What may be there once only is refused here if it comes twice, since two readers could take
different ones of them. The module knows no signature.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote

from tlslab.iam.signature_error import SignatureError

_SINGLE: Final = frozenset(
    {"authorization", "content-length", "content-md5", "content-type", "date", "host"}
)
_METADATA: Final = "x-amz-meta-"  # S3 joins the values of metadata given twice


def read_fields(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, bytes]:
    """Fields by lower-case name; repeated ones joined by commas, as they are signed.

    Raises SignatureError (InvalidRequest) for a field that may come only once.
    """
    fields: dict[str, bytes] = {}
    for raw_name, value in headers:
        name = raw_name.decode("ascii").lower()
        if name not in fields:
            fields[name] = value
        elif name in _SINGLE or (name.startswith("x-amz-") and not name.startswith(_METADATA)):
            raise SignatureError("InvalidRequest", f"The header {name} was sent more than once.")
        else:
            fields[name] = b"%s,%s" % (fields[name], value)
    return fields


class Parameters:
    """The parameters of a query: as they were sent, and by decoded name."""

    __slots__ = ("named", "sent")

    def __init__(self, query: str) -> None:
        """Raises SignatureError (AuthorizationQueryParametersError) for a name that comes twice."""
        self.sent: list[tuple[str, str | None]] = []  # None: a name without `=`
        self.named: dict[str, str | None] = {}  # names decoded, values as sent
        for part in query.split("&") if query else ():
            if not part:
                continue
            name, equals, sent = part.partition("=")
            value = sent if equals else None
            self.sent.append((name, value))
            decoded = unquote(name) if "%" in name else name
            if decoded in self.named:
                message = f"The query parameter {decoded} was sent more than once."
                raise SignatureError("AuthorizationQueryParametersError", message)
            self.named[decoded] = value

    def pairs(self, without: str) -> list[tuple[str, str]]:
        """All parameters but one, encoded as they were sent."""
        return [(name, value or "") for name, value in self.sent if name != without]

    def get(self, name: str) -> str | None:
        """The decoded value of a parameter, None if there is none of that name."""
        if name not in self.named:
            return None
        value = self.named[name] or ""
        return unquote(value) if "%" in value else value
