"""Protocols without TLS, split into what somebody on the path would tamper with: their messages.

An HTTP/1.1 message with its body (RFC 9112), a WebSocket frame (RFC 6455 section 5.2), or else
whatever came at once. Nothing is judged here: what is not understood passes as it is.
"""

from __future__ import annotations

import enum
import os
from dataclasses import dataclass
from typing import Final

MAX_HEAD: Final = 64 * 1024
"""Bytes in which a head must end; more is no HTTP that anybody serves."""

_HEAD_END: Final = b"\r\n\r\n"
_METHODS: Final = (b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"OPTIONS ", b"HTTP/1.")
_MASKED: Final = 0x80
_MASK_SIZE: Final = 4


@dataclass(frozen=True, slots=True)
class Piece:
    """One message: `raw` as it came, its content from `payload_at`; `frame`: a WebSocket frame."""

    raw: bytes
    payload_at: int
    frame: bool = False


class _Mode(enum.Enum):
    HTTP = "http"
    FRAMES = "websocket frames"
    BYTES = "anything"


class PlainSplitter:
    """Splits one direction of a connection."""

    def __init__(self) -> None:
        self.rest = b""
        self._mode = _Mode.HTTP

    def feed(self, data: bytes) -> list[Piece]:
        """The pieces that are complete with `data`."""
        self.rest += data
        pieces = []
        while self.rest and (piece := self._next()) is not None:
            pieces.append(piece)
            self.rest = self.rest[len(piece.raw) :]
        return pieces

    def _next(self) -> Piece | None:
        if self._mode is _Mode.HTTP:
            return self._message()
        return _frame(self.rest) if self._mode is _Mode.FRAMES else Piece(self.rest, 0)

    def _message(self) -> Piece | None:
        end = self.rest.find(_HEAD_END)
        if not _may_be_http(self.rest) or (end < 0 and len(self.rest) > MAX_HEAD):
            self._mode = _Mode.BYTES
            return Piece(self.rest, 0)
        if end < 0:
            return None
        head, start = self.rest[:end], end + len(_HEAD_END)
        fields = _fields(head)
        if fields.get(b"upgrade", b"").lower() == b"websocket":
            self._mode = _Mode.FRAMES
            return Piece(self.rest[:start], start)
        length = fields.get(b"content-length")
        if length is not None and length.isdigit():
            end = start + int(length)
            return Piece(self.rest[:end], start) if len(self.rest) >= end else None
        if head.startswith(b"HTTP/") or b"transfer-encoding" in fields:
            self._mode = _Mode.BYTES  # chunks, or a body that lasts until the connection ends
        return Piece(self.rest[:start], start)


def turned(frame: bytes, payload_at: int) -> bytes:
    """A WebSocket frame as the other end would send it: unmasked if it was masked, or masked."""
    payload = frame[payload_at:]
    if frame[1] & _MASKED:
        mask = frame[payload_at - _MASK_SIZE : payload_at]
        head = frame[:1] + bytes((frame[1] & ~_MASKED,)) + frame[2 : payload_at - _MASK_SIZE]
        return head + _masked(payload, mask)
    mask = os.urandom(_MASK_SIZE)
    head = frame[:1] + bytes((frame[1] | _MASKED,)) + frame[2:payload_at]
    return head + mask + _masked(payload, mask)


def _masked(payload: bytes, mask: bytes) -> bytes:
    return bytes(byte ^ mask[i % _MASK_SIZE] for i, byte in enumerate(payload))


def _frame(data: bytes) -> Piece | None:
    if len(data) < 2:
        return None
    size, at = data[1] & ~_MASKED, 2
    if size >= 126:
        width = 2 if size == 126 else 8
        size, at = int.from_bytes(data[at : at + width]), at + width
    if data[1] & _MASKED:
        at += _MASK_SIZE
    return Piece(data[: at + size], at, frame=True) if len(data) >= at + size else None


def _may_be_http(data: bytes) -> bool:
    return any(data[: len(start)] == start[: len(data)] for start in _METHODS)


def _fields(head: bytes) -> dict[bytes, bytes]:
    lines = (line.partition(b":") for line in head.split(b"\r\n")[1:])
    return {name.strip().lower(): value.strip() for name, _, value in lines}
