"""HTTP/1.1 messages in one direction of a plain connection, as an eavesdropper reads them.

Reads heads and steps over bodies; it checks nothing, and stops where it does not understand. This
is no HTTP implementation: peers that must be right about framing use `tlslab.http`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

# More would tell a reader nothing new, and each costs memory.
MAX_MESSAGES: Final = 1000
MAX_HEAD: Final = 64 * 1024
_MAX_CHUNK_LINE: Final = 4096

_REQUEST_LINE: Final = re.compile(rb"[A-Z][A-Z-]{1,30} [!-~]+ HTTP/1\.[01]$")
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: [^\r\n]*)?$")
_CHUNK_SIZE: Final = re.compile(rb"[0-9A-Fa-f]{1,15}(?=[ \t;\r])")
_CREDENTIALS: Final = frozenset(
    (b"authorization", b"proxy-authorization", b"cookie", b"set-cookie")
)


@dataclass(frozen=True)
class HTTPHead:
    """A request or response in plain. `start_line` and `host` are text by latin-1.

    `credentials` names the header fields seen that carry some, such as `"cookie"`. `upgrades` tells
    whether the connection speaks something else after this message.
    """

    start_line: str
    offset: int
    host: str | None = None
    status: int | None = None
    credentials: tuple[str, ...] = ()
    upgrades: str | None = None


def looks_like_http(data: bytes) -> bool:
    """Whether a direction begins with a request or status line."""
    line = data[:MAX_HEAD].split(b"\n", 1)[0].removesuffix(b"\r")
    return bool(_REQUEST_LINE.match(line) or _STATUS_LINE.match(line))


def http_heads(data: bytes) -> Iterator[HTTPHead]:
    """The heads of one direction, from its start, as far as they can be followed."""
    at = 0
    for _ in range(MAX_MESSAGES):
        end = data.find(b"\r\n\r\n", at, at + MAX_HEAD)
        if end < 0:
            return
        start_line, *lines = data[at:end].split(b"\r\n")
        status = _STATUS_LINE.match(start_line)
        if status is None and not _REQUEST_LINE.match(start_line):
            return
        fields: dict[bytes, bytes] = {}
        for line in lines:
            name, _, value = line.partition(b":")
            fields.setdefault(name.lower(), value.strip())
        code = None if status is None else int(status[1])
        upgrades = fields.get(b"upgrade") if code in (None, 101) else None
        yield HTTPHead(
            start_line.decode("latin-1"),
            at,
            host=fields[b"host"].decode("latin-1") if b"host" in fields else None,
            status=code,
            credentials=tuple(sorted(name.decode() for name in _CREDENTIALS & fields.keys())),
            upgrades=None if upgrades is None else upgrades.decode("latin-1").lower(),
        )
        following = _body_end(data, end + 4, code, fields)
        if following is None:
            return
        at = following


def _body_end(
    data: bytes, start: int, status: int | None, fields: dict[bytes, bytes]
) -> int | None:
    """Where the next message starts (RFC 9112 section 6.3); None if that cannot be told."""
    if status == 101:
        return None
    if status is not None and (status < 200 or status in (204, 304)):
        return start
    if data[start : start + 7] == b"HTTP/1.":  # the answer to HEAD has a length, but no body
        return start
    if b"chunked" in fields.get(b"transfer-encoding", b"").lower():
        return _chunks_end(data, start)
    length = fields.get(b"content-length")
    if length is not None and length.isdigit() and len(length) < 16:
        return start + int(length)
    return start if status is None and length is None else None


def _chunks_end(data: bytes, at: int) -> int | None:
    while size := _CHUNK_SIZE.match(data, at):
        line_end = data.find(b"\r\n", at, at + _MAX_CHUNK_LINE)
        if line_end < 0:
            return None
        length = int(size[0], 16)
        if length == 0:
            end = data.find(b"\r\n\r\n", line_end, line_end + MAX_HEAD)
            return None if end < 0 else end + 4
        at = line_end + 2 + length + 2
    return None
