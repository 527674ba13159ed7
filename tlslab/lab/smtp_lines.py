"""Lines on a stream, as in SMTP: bytes in, lines out; and one stream exchanged for another.

It knows CRLF and a limit, and no command.
"""

from __future__ import annotations

from typing import Final

import trio

from tlslab.errors import NetworkError

MAX_LINE: Final = 1000
"""Bytes of a line with its CRLF (RFC 5321 section 4.5.3.1.6)."""

_CRLF: Final = b"\r\n"


class Lines:
    """Reads and writes lines on `stream`."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self._unread = bytearray()

    async def read(self) -> bytes:
        """The next line, without its CRLF.

        Raises NetworkError if the stream ends before, or the line is too long; and what the stream
        raises.
        """
        while (end := self._unread.find(_CRLF)) < 0 and len(self._unread) < MAX_LINE:
            data = await self.stream.receive_some()
            if not data:
                raise NetworkError("the connection ended in the middle of a dialogue")
            self._unread += data
        if not 0 <= end <= MAX_LINE - len(_CRLF):
            raise NetworkError(f"a line has more than {MAX_LINE} bytes")
        line = bytes(self._unread[:end])
        del self._unread[: end + len(_CRLF)]
        return line

    async def write(self, *lines: bytes) -> None:
        """Send lines, together."""
        await self.stream.send_all(b"".join(line + _CRLF for line in lines))

    def go_on(self, stream: trio.abc.Stream, *, forget: bool) -> None:
        """Read and write on `stream` from now on; `forget` what was received but not yet read."""
        self.stream = stream
        if forget:
            self._unread.clear()
