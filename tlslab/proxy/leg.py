"""One of the two HTTP connections of a proxy: raw heads, bytes that belong to what comes next.

It finds where a head ends and enforces its limits; what a head means is read elsewhere.
"""

from __future__ import annotations

import math
import re

import trio

from tlslab.http import ExchangeError, Limits, PeerGone
from tlslab.http.channel import Channel
from tlslab.proxy.heads import RequestHead, ResponseHead

_BARE_LF = re.compile(rb"(?<!\r)\n")
_END = b"\r\n\r\n"


class Leg:
    """A connection to a client (`server=True`) or to an upstream, read message by message."""

    def __init__(self, stream: trio.abc.Stream, *, server: bool, limits: Limits) -> None:
        self.channel = Channel(stream, server=server, limits=limits)
        self.buffer = b""  # received, but not yet part of anything
        self.begun_at: float | None = None  # when the first byte of the last head arrived
        self._limits = limits

    async def read_head(self) -> bytes | None:
        """The next head with its empty line, as it was sent; None if the peer has ended.

        Raises ExchangeError, ExchangeTimeout or PeerGone.
        """
        self.begun_at = None
        until = math.inf
        searched = 0
        await trio.lowlevel.checkpoint()
        while True:
            if self.buffer and self.begun_at is None:
                self.begun_at = trio.current_time()
                until = self.begun_at + self._limits.idle_seconds
            end = self.buffer.find(_END, max(0, searched - len(_END) + 1))
            if end >= 0:
                return self._take_head(end + len(_END))
            self._check_begun(searched)
            searched = len(self.buffer)
            data = await self.channel.receive(until)
            if not data and self.buffer:
                status = self.channel.verdicts.malformed
                raise PeerGone("the connection ended inside a head", status=status)
            if not data:
                return None
            self.buffer += data

    async def read(self) -> bytes:
        """What comes next, of what was received already or else of what comes; empty at the end."""
        if self.buffer:
            data, self.buffer = self.buffer, b""
            return data
        return await self.channel.receive()

    def check(self, head: RequestHead | ResponseHead) -> None:
        """Raise ExchangeError if a head is beyond the limits of number."""
        verdicts = self.channel.verdicts
        if isinstance(head, RequestHead) and len(head.target) > self._limits.target_bytes:
            raise ExchangeError("the target is too long", status=verdicts.target_too_long)
        if len(head.fields) > self._limits.header_count:
            raise ExchangeError("there are too many fields", status=verdicts.head_too_large)

    def _take_head(self, size: int) -> bytes:
        head, self.buffer = self.buffer[:size], self.buffer[size:]
        if size > self._limits.head_bytes:
            raise self._too_large(head)
        return head

    def _check_begun(self, searched: int) -> None:
        """Refuse early what can no longer become a head."""
        if len(self.buffer) > self._limits.head_bytes:
            raise self._too_large(self.buffer)
        no_text = self.buffer != b"" and self.buffer[0] <= 0x20  # such as a TLS record
        if no_text or _BARE_LF.search(self.buffer, searched):
            status = self.channel.verdicts.malformed
            raise ExchangeError("the head is malformed", status=status)

    def _too_large(self, head: bytes) -> ExchangeError:
        verdicts = self.channel.verdicts
        if b"\n" not in head[: self._limits.head_bytes]:
            return ExchangeError("the first line is too long", status=verdicts.target_too_long)
        return ExchangeError("the head is too long", status=verdicts.head_too_large)
