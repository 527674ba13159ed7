"""Where an HTTP/1.1 body ends, found without changing or holding a byte of it (RFC 9112 6, 7).

A body is fed as it arrives; each says how many of the bytes are its own. Chunked bodies are read
as strictly as heads are, for the same reason. No I/O happens here; errors carry a status.
"""

from __future__ import annotations

import re
from typing import Protocol

from tlslab.http import ExchangeError
from tlslab.proxy.heads import RequestHead, ResponseHead, declared_length, values

MAX_CHUNK_LINE = 4096
"""A chunk's size and extensions. Nobody sends extensions; what is longer than this is an attack."""

MAX_TRAILER = 16 * 1024
"""All trailer fields together; checksums are what they are used for."""

_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[\t\x20-\x7e\x80-\xff]*)?")
_CHUNK_LINE_START = re.compile(rb"[0-9A-Fa-f]{0,15}(?:;[\t\x20-\x7e\x80-\xff]*)?\r?")
_TRAILER = re.compile(rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*")
_TRAILER_START = re.compile(rb"[-!#$%&'*+.^_`|~0-9A-Za-z]*(?::[\t\x20-\x7e\x80-\xff]*)?\r?")


class Body(Protocol):
    """A body in progress."""

    complete: bool  # nothing of it is missing
    ends_with_connection: bool  # only the end of the connection completes it

    def feed(self, data: bytes) -> int:
        """How many bytes at the start of `data` belong to it. Raises ExchangeError."""


class LengthBody:
    """A body of a known length, or none."""

    ends_with_connection = False

    def __init__(self, length: int) -> None:
        self._left = length
        self.complete = length == 0

    def feed(self, data: bytes) -> int:
        """Take what is still missing."""
        taken = min(len(data), self._left)
        self._left -= taken
        self.complete = self._left == 0
        return taken


class ClosedBody:
    """A response's body that lasts as long as the connection (RFC 9112 6.3, the last case)."""

    complete = False
    ends_with_connection = True

    def feed(self, data: bytes) -> int:
        """Take everything."""
        return len(data)


class ChunkedBody:
    """A chunked body (RFC 9112 7.1), its framing included. `status` is that of its errors."""

    ends_with_connection = False

    def __init__(self, status: int) -> None:
        self.complete = False
        self._status = status
        self._left = 0  # of the current chunk's data
        self._line = b""  # begun but not ended
        self._expect = self._chunk_line
        self._trailer = 0

    def feed(self, data: bytes) -> int:
        """Take chunks up to the last one's end."""
        position = 0
        while position < len(data) and not self.complete:
            if self._left:
                step = min(self._left, len(data) - position)
                self._left -= step
                position += step
            else:
                position = self._feed_line(data, position)
        return position

    def _feed_line(self, data: bytes, position: int) -> int:
        end = data.find(b"\n", position, position + MAX_CHUNK_LINE + 1)
        stop = end + 1 if end >= 0 else min(len(data), position + MAX_CHUNK_LINE + 1)
        self._line += data[position:stop]
        if len(self._line) > MAX_CHUNK_LINE:
            raise self._malformed()
        if end < 0:
            # What is passed on now cannot be taken back, so it must be right as far as it goes.
            self._expect(self._line, ended=False)
        else:
            line, self._line = self._line, b""
            if not line.endswith(b"\r\n"):
                raise self._malformed()
            self._expect(line[:-2], ended=True)
        return stop

    def _chunk_line(self, line: bytes, *, ended: bool) -> None:
        match = (_CHUNK_LINE if ended else _CHUNK_LINE_START).fullmatch(line)
        if match is None:
            raise self._malformed()
        if ended:
            self._left = int(match[1], 16)
            self._expect = self._chunk_end if self._left else self._trailer_line

    def _chunk_end(self, line: bytes, *, ended: bool) -> None:
        if line not in ((b"",) if ended else (b"", b"\r")):
            raise self._malformed()
        if ended:
            self._expect = self._chunk_line

    def _trailer_line(self, line: bytes, *, ended: bool) -> None:
        if ended and not line:
            self.complete = True
            return
        if (_TRAILER if ended else _TRAILER_START).fullmatch(line) is None:
            raise self._malformed()
        self._trailer += len(line) if ended else 0
        if self._trailer > MAX_TRAILER:
            raise self._malformed()

    def _malformed(self) -> ExchangeError:
        return ExchangeError("the chunked body is malformed", status=self._status)


def request_body(head: RequestHead) -> Body:
    """The body that follows a request's head. Raises ExchangeError: 400, 501 for its coding."""
    length = declared_length(head.fields, 400)
    if not _chunked(head, length, malformed=400, unsupported=501):
        return LengthBody(length or 0)
    return ChunkedBody(400)


def response_body(head: ResponseHead, method: bytes) -> Body:
    """The body that follows a response's head to a request by `method`. Raises ExchangeError."""
    length = declared_length(head.fields, 502)
    chunked = _chunked(head, length, malformed=502, unsupported=502)
    if method == b"HEAD" or head.status < 200 or head.status in (204, 304):
        return LengthBody(0)
    if chunked:
        return ChunkedBody(502)
    return ClosedBody() if length is None else LengthBody(length)


def _chunked(
    head: RequestHead | ResponseHead, length: int | None, *, malformed: int, unsupported: int
) -> bool:
    codings = values(head.fields, b"transfer-encoding")
    if not codings:
        return False
    if length is not None or head.version == (1, 0):
        # RFC 9112 6.1 and 6.3: request smuggling until proven otherwise.
        raise ExchangeError("where the message ends is ambiguous", status=malformed)
    if [coding.lower() for coding in codings] != [b"chunked"]:
        raise ExchangeError("the transfer coding is not supported", status=unsupported)
    return True
