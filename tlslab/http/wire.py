"""An h11 connection on a trio stream: bytes in and out, within the limits, with typed errors.

Client and server share it. h11 frames and validates; what it lets through although RFC 9112 calls
it faulty (Content-Length beside Transfer-Encoding, Transfer-Encoding in HTTP/1.0) is refused here,
because two parsers that disagree on where a message ends are request smuggling. The module knows
nothing of handlers, methods or meaning.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import h11
import trio

from tlslab.http.channel import Channel
from tlslab.http.errors import BodyTruncated, ExchangeError, PeerGone
from tlslab.http.headers import header
from tlslab.http.limits import Limits

Head: TypeAlias = h11.Request | h11.InformationalResponse | h11.Response


class Wire:
    """One connection's h11 state, its stream, and the bytes of the head being read."""

    def __init__(self, stream: trio.abc.Stream, *, server: bool, limits: Limits) -> None:
        self.channel = Channel(stream, server=server, limits=limits)
        self.limits = limits
        self.verdicts = self.channel.verdicts
        self.state = h11.Connection(
            h11.SERVER if server else h11.CLIENT, max_incomplete_event_size=limits.head_bytes
        )
        self.head = b""  # the raw bytes of the last head, as received
        self.begun_at: float | None = None  # when the first byte of that head arrived
        self._unparsed = bytearray()  # of the head being read
        self._in_body = False

    async def receive_head(self) -> Head | None:
        """The next request or response head; None if the peer closed between messages.

        Raises ExchangeError, ExchangeTimeout or PeerGone, and TLSError if a TLS handshake failed.
        """
        self.head = b""
        self.begun_at = None
        self._unparsed = bytearray(self.state.trailing_data[0])
        until = math.inf
        while True:
            if self._unparsed and self.begun_at is None:
                self.begun_at = trio.current_time()
                until = self.begun_at + self.limits.idle_seconds  # not even if it keeps dripping
            event = self._parse()
            if isinstance(event, Head):
                rest = len(self.state.trailing_data[0])
                self.head = bytes(self._unparsed[: len(self._unparsed) - rest])
                self._check_head(event)
                self._in_body = not isinstance(event, h11.InformationalResponse)
                return event
            if isinstance(event, h11.ConnectionClosed):
                return None
            self._unparsed += await self._receive(until)

    async def receive_body(self) -> bytes | None:
        """The next part of the body; None at its end. Raises as `receive_head`."""
        while True:
            event = self._parse()
            if isinstance(event, h11.Data):
                return bytes(event.data)
            if isinstance(event, h11.EndOfMessage):
                self._in_body = False
                return None
            try:
                await self._receive()
            except PeerGone as error:
                raise BodyTruncated(error.message, status=error.status) from error

    async def send(self, *events: h11.Event) -> None:
        """Send the events, together in one write if they are small.

        Raises PeerGone or ExchangeTimeout, and h11.LocalProtocolError where the caller errs.
        """
        pending = b""
        for event in events:
            pending += self.state.send(event) or b""
        await self.channel.send(pending)

    def _parse(self) -> object:
        try:
            return self.state.next_event()
        except h11.RemoteProtocolError as error:
            raise self._refusal(error) from error

    async def _receive(self, until: float = math.inf) -> bytes:
        data = await self.channel.receive(until)
        self.state.receive_data(data)
        return data

    def _check_head(self, head: Head) -> None:
        verdicts, limits = self.verdicts, self.limits
        if isinstance(head, h11.Request) and len(head.target) > limits.target_bytes:
            raise ExchangeError("the target is too long", status=verdicts.target_too_long)
        if len(self.head) > limits.head_bytes or len(head.headers) > limits.header_count:
            raise ExchangeError("the head is too long", status=verdicts.head_too_large)
        if not head.http_version.startswith(b"1."):
            raise ExchangeError(
                "the HTTP version is not supported", status=verdicts.unsupported_version
            )
        length = header(head.headers, b"content-length")
        if header(head.headers, b"transfer-encoding") is not None:
            # RFC 9112 6.1 and 6.3: both are attempts at request smuggling until proven otherwise.
            if length is not None or head.http_version == b"1.0":
                message = "where the message ends is ambiguous"
                raise ExchangeError(message, status=verdicts.malformed)
        elif length is not None and self._declares_too_much(head, int(length)):
            raise ExchangeError("the body is too long", status=verdicts.body_too_large)

    def _declares_too_much(self, head: Head, length: int) -> bool:
        # A response to HEAD declares a length it does not send; the client counts what arrives.
        return isinstance(head, h11.Request) and length > self.limits.body_bytes

    def _refusal(self, error: h11.RemoteProtocolError) -> ExchangeError:
        """What h11 objects to, in our terms; its texts may quote the peer and are not repeated."""
        verdicts = self.verdicts
        if self.state.their_state is h11.ERROR and self.state.trailing_data[1]:
            in_body = self._in_body
            gone = BodyTruncated if in_body else PeerGone
            where = "body" if in_body else "head"
            return gone(f"the connection ended inside a {where}", status=verdicts.malformed)
        if error.error_status_hint == 431 and not self._in_body:
            if b"\n" not in self._unparsed:
                return ExchangeError("the first line is too long", status=verdicts.target_too_long)
            return ExchangeError("the head is too long", status=verdicts.head_too_large)
        if error.error_status_hint == 501:
            message = "the transfer coding is not supported"
            return ExchangeError(message, status=verdicts.unsupported_coding)
        return ExchangeError("the message is malformed", status=verdicts.malformed)
