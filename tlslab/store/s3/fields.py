"""A request's header fields as S3 reads them.

A presigned URL may carry `x-amz-*` in its query that would otherwise be headers, as far as its
signature covers them: with SigV4 all, with SigV2 those in lower case, as botocore writes them. They
are merged here, once, so that what is authorised and what is done can never read two different
values. A field given twice is joined with commas, as signatures cover it ("canonical headers").
The module knows the meaning of none of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tlslab.http import Headers
from tlslab.store.refusals import Refused

_AUTHENTICATION = {
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-signedheaders",
}
"""Parameters of a presigned URL that say who signed it; not headers in disguise."""

_V2_PARAMETERS = {"AWSAccessKeyId", "Expires", "Signature"}
_PREFIX = "x-amz-"


def is_authentication(parameter: str) -> bool:
    """Whether a query parameter belongs to the signature: SigV4's, or one of SigV2's three."""
    return parameter.lower() in _AUTHENTICATION or parameter in _V2_PARAMETERS


class Fields(Mapping[str, str]):
    """Header fields by lower-case name, their values as text (UTF-8 or else Latin-1).

    `hoisted` are the query's parameters that were merged.
    """

    def __init__(
        self, headers: Headers, query: Mapping[str, str] | None = None, scheme: str = "anonymous"
    ) -> None:
        """Merge `headers` and what a `query` carries that was signed by `scheme`.

        Raises Refused (InvalidArgument) for a parameter that differs from the header it repeats.
        """
        self._fields: dict[str, str] = {}
        for raw_name, raw_value in headers:
            name, value = raw_name.decode("ascii").lower(), _text(raw_value)
            known = self._fields.get(name)
            self._fields[name] = value if known is None else f"{known},{value}"
        self.hoisted = frozenset(name for name in query or {} if _is_signed(name, scheme))
        for parameter in self.hoisted:
            name, value = parameter.lower(), (query or {})[parameter]
            if self._fields.setdefault(name, value) != value:
                message = f"{name} is given in the query and, differently, as a header."
                raise Refused("InvalidArgument", message, details={"ArgumentName": name})

    def __getitem__(self, name: str) -> str:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"<{len(self)} fields>"  # customer keys are among the values


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _is_signed(parameter: str, scheme: str) -> bool:
    """Whether a parameter is a header in disguise that the signature covers."""
    if is_authentication(parameter):
        return False
    if scheme == "v4-query":
        return parameter.lower().startswith(_PREFIX)
    return scheme == "v2-query" and parameter.startswith(_PREFIX)
