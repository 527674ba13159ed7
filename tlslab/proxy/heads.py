"""HTTP/1.1 heads as raw bytes and what they mean, read so strictly that it cannot be two things.

A proxy passes heads on as they came, so whoever reads them behind it must see the same fields in
them. Everything on which parsers are known to differ is therefore refused, although RFC 9112
tolerates some of it: bare CR or LF, line folding, repeated or listed Content-Length. The module
does no I/O; errors carry the status to answer with.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tlslab.http import ExchangeError, header_tokens

_TOKEN = rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+"
_REQUEST_LINE = re.compile(rb"(%s) ([\x21-\x7e]+) HTTP/([0-9])\.([0-9])" % _TOKEN)
_STATUS_LINE = re.compile(rb"HTTP/([0-9])\.([0-9]) ([1-9][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?")
_FIELD = re.compile(rb"(%s):[ \t]*([\t\x20-\x7e\x80-\xff]*)" % _TOKEN)
_DIGITS = re.compile(rb"[0-9]{1,19}")

_HOP_BY_HOP = frozenset({b"connection", b"keep-alive", b"te", b"upgrade"})  # RFC 9110 7.6.1
_HOP_BY_HOP_PREFIX = b"proxy-"
_NEVER_OPTIONS = frozenset(
    {b"host", b"content-length", b"transfer-encoding", b"authorization", b"cookie", b"expect"}
)
"""A `Connection` that lists one of these would make the proxy drop what the next hop decides by."""


@dataclass(frozen=True, slots=True)
class Field:
    """One header field: its raw line without CRLF, and what is in it."""

    line: bytes
    name: bytes  # in lower case
    value: bytes


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A request's head. `version` is (major, minor)."""

    start_line: bytes
    method: bytes
    target: bytes
    version: tuple[int, int]
    fields: tuple[Field, ...]

    @property
    def wants_websocket(self) -> bool:
        """Whether it asks to upgrade to a WebSocket."""
        return (
            self.method == b"GET"
            and self.version == (1, 1)
            and b"upgrade" in tokens(self.fields, b"connection")
            and tokens(self.fields, b"upgrade") == [b"websocket"]
        )

    @property
    def keeps_alive(self) -> bool:
        """Whether the client wants to use the connection again (RFC 9112 9.3)."""
        return self.version == (1, 1) and b"close" not in tokens(self.fields, b"connection")


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """A response's head."""

    start_line: bytes
    status: int
    version: tuple[int, int]
    fields: tuple[Field, ...]

    @property
    def keeps_alive(self) -> bool:
        """Whether the server leaves the connection open."""
        return self.version == (1, 1) and b"close" not in tokens(self.fields, b"connection")


def tokens(fields: Iterable[Field], name: bytes) -> list[bytes]:
    """The lower-cased members of all comma-separated fields called `name` (in lower case)."""
    return header_tokens(((field.name, field.value) for field in fields), name)


def values(fields: Iterable[Field], name: bytes) -> list[bytes]:
    """The values of all fields called `name` (in lower case)."""
    return [field.value for field in fields if field.name == name]


def parse_request_head(raw: bytes) -> RequestHead:
    """Read a head that ends with its empty line.

    Raises ExchangeError: 400, or 505 for another HTTP version.
    """
    start_line, fields = _split(raw, 400)
    match = _REQUEST_LINE.fullmatch(start_line)
    if match is None:
        raise ExchangeError("the request line is malformed", status=400)
    version = (int(match[3]), int(match[4]))
    if version not in ((1, 0), (1, 1)):
        raise ExchangeError("the HTTP version is not supported", status=505)
    hosts = len(values(fields, b"host"))
    if hosts > 1 or (hosts == 0 and version == (1, 1)):
        raise ExchangeError("a request needs one Host field", status=400)
    if _NEVER_OPTIONS.intersection(tokens(fields, b"connection")):
        raise ExchangeError("a field that must arrive is declared hop-by-hop", status=400)
    return RequestHead(start_line, match[1], match[2], version, fields)


def parse_response_head(raw: bytes) -> ResponseHead:
    """Read a head that ends with its empty line. Raises ExchangeError (502)."""
    start_line, fields = _split(raw, 502)
    match = _STATUS_LINE.fullmatch(start_line)
    if match is None or (version := (int(match[1]), int(match[2]))) not in ((1, 0), (1, 1)):
        raise ExchangeError("the status line is malformed", status=502)
    return ResponseHead(start_line, int(match[3]), version, fields)


def declared_length(fields: Iterable[Field], status: int) -> int | None:
    """The one Content-Length, or None. Raises ExchangeError with `status` if it is not one."""
    lengths = values(fields, b"content-length")
    if not lengths:
        return None
    if len(lengths) > 1 or _DIGITS.fullmatch(lengths[0]) is None:
        raise ExchangeError("the content-length is ambiguous", status=status)
    return int(lengths[0])


def forwarded(
    head: RequestHead | ResponseHead, *, upgrade: bool = False, close: bool = False
) -> bytes:
    """The head as the next hop gets it: every line as it came, but for those of this hop alone.

    With `upgrade`, the fields that ask for or grant it pass too; `close` tells the next hop that
    the connection ends after this message.
    """
    options = frozenset(tokens(head.fields, b"connection"))
    drop: Callable[[bytes], bool] = (
        (lambda name: name.startswith(_HOP_BY_HOP_PREFIX))
        if upgrade
        else (
            lambda name: (
                name in _HOP_BY_HOP or name in options or name.startswith(_HOP_BY_HOP_PREFIX)
            )
        )
    )
    lines = [head.start_line, *(field.line for field in head.fields if not drop(field.name))]
    if close:
        lines.append(b"Connection: close")
    return b"\r\n".join([*lines, b"", b""])


def _split(raw: bytes, status: int) -> tuple[bytes, tuple[Field, ...]]:
    assert raw.endswith(b"\r\n\r\n")
    start_line, *lines = raw[:-4].split(b"\r\n")
    fields = []
    for line in lines:
        match = _FIELD.fullmatch(line)
        if match is None:
            raise ExchangeError("a header field is malformed", status=status)
        fields.append(Field(line, match[1].lower(), match[2].rstrip(b" \t")))
    return start_line, tuple(fields)
