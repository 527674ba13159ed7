"""How much of a peer's bytes and time one exchange may take, each with its reason.

It knows no protocol state; the connection code enforces what is declared here.
"""

from __future__ import annotations

from dataclasses import dataclass

READ_BYTES = 64 * 1024
"""One read. TLS records are 16 KiB; larger reads gain little under h11's own cost."""

WRITE_BYTES = 256 * 1024
"""The largest single write, so that a slow reader is judged by progress, not by the whole body."""

TOGETHER_BYTES = 64 * 1024
"""The first part of a streamed body up to which it is sent in one write with the head; beyond,
copying it behind the head costs more than a write of its own."""

BUFFERED_BODY_BYTES = 1024 * 1024
"""What `read()` buffers unless told otherwise: forms and JSON fit, objects must be streamed."""

DRAIN_BYTES = 256 * 1024
"""An unread request body up to this size is read away to keep the connection (as Go's net/http)."""

LINGER_SECONDS = 1.0
"""How long a refused client may go on sending before the connection is torn down. A close with
unread input makes TCP send a reset, which can destroy the answer on its way (RFC 9112 9.6)."""

CLOSE_SECONDS = 5.0
"""How long a graceful close (close_notify, WebSocket close) may take."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a peer may ask of one exchange. Sizes in bytes, times in seconds."""

    head_bytes: int = 32 * 1024
    """Request or status line with all header fields: 431. nginx: 4 × 8 KiB, node: 16 KiB."""

    header_count: int = 100
    """Header fields: 431. Apache's LimitRequestFields."""

    target_bytes: int = 8000
    """The request target: 414. RFC 9110 4.1 asks for at least 8000."""

    body_bytes: int = 5 * 1024**3
    """A body, which is streamed and never held: 413. S3's largest single PUT."""

    idle_seconds: float = 60.0
    """Without one byte of progress, in either direction: 408, or a silent close between requests.
    nginx: 60 for bodies and writes."""

    total_seconds: float = 3600.0
    """For a whole exchange, so that a peer that drips bytes cannot hold on forever: 408, or 503
    when it is the handler that has not answered. The largest body takes an hour at 1.5 MB/s."""
