"""A stream read and written within limits of time, with typed errors when the peer fails.

Servers, clients and proxies all stand on it. It moves bytes and knows nothing of what they mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import trio

from tlslab.errors import TLSError
from tlslab.http.errors import ExchangeTimeout, PeerGone
from tlslab.http.limits import (
    CLOSE_SECONDS,
    DRAIN_BYTES,
    LINGER_SECONDS,
    READ_BYTES,
    WRITE_BYTES,
    Limits,
)


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The status that stands for each kind of failure; which one depends on the role."""

    malformed: int
    timeout: int
    head_too_large: int
    target_too_long: int
    body_too_large: int
    unsupported_coding: int
    unsupported_version: int


AS_SERVER = Verdicts(400, 408, 431, 414, 413, 501, 505)
AS_CLIENT = Verdicts(502, 504, 502, 502, 502, 502, 502)


class Channel:
    """One connection. `deadline` (trio's clock) bounds all I/O, in addition to the idle limit.

    One task may send while another receives; progress of either counts for both. With `server`,
    the peer is a client, and errors have the status that a server answers with.
    """

    def __init__(self, stream: trio.abc.Stream, *, server: bool, limits: Limits) -> None:
        self.stream = stream
        self.limits = limits
        self.verdicts = AS_SERVER if server else AS_CLIENT
        self.deadline = math.inf
        self._waiting: dict[trio.CancelScope, float] = {}  # reads and writes, and when at latest

    async def receive(self, until: float = math.inf) -> bytes:
        """The next bytes, at `until` (trio's clock) at latest; empty at their end.

        Raises ExchangeTimeout or PeerGone, and TLSError if a TLS handshake failed.
        """
        with self._guard("sending", until):
            data = await self.stream.receive_some(READ_BYTES)
        return bytes(data)

    async def send(self, data: bytes) -> None:
        """Send all of `data`. Raises as `receive`."""
        with memoryview(data) as view:
            for start in range(0, len(view), WRITE_BYTES):
                with self._guard("taking what is sent to it"):
                    await self.stream.send_all(view[start : start + WRITE_BYTES])

    async def close(self) -> None:
        """Close the stream, gracefully for a bounded time; a peer that is gone is no error."""
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError, TLSError):
            with trio.move_on_after(CLOSE_SECONDS):
                await self.stream.aclose()

    async def linger(self) -> None:
        """Let the peer finish sending, within bounds, so that no reset destroys the last answer."""
        discarded = 0
        with (
            suppress(trio.BrokenResourceError, trio.ClosedResourceError, TLSError),
            trio.move_on_after(LINGER_SECONDS),
        ):
            if isinstance(self.stream, trio.abc.HalfCloseableStream):
                await self.stream.send_eof()
            while discarded < DRAIN_BYTES:
                data = await self.stream.receive_some(READ_BYTES)
                if not data:
                    return
                discarded += len(data)

    @contextmanager
    def _guard(self, activity: str, until: float = math.inf) -> Iterator[None]:
        """Bound one read or write; progress in either direction gives both more idle time."""
        latest = min(until, self.deadline)
        idle = trio.current_time() + self.limits.idle_seconds
        scope = trio.CancelScope(deadline=min(idle, latest))
        self._waiting[scope] = latest
        try:
            with scope:
                yield
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            # TLS streams fail so too, but for a handshake that failed: that is raised as it is,
            # since it says more than "gone" could.
            message = f"the connection broke while the peer was {activity}"
            raise PeerGone(message, status=self.verdicts.malformed) from error
        finally:
            del self._waiting[scope]
        if scope.cancelled_caught:
            message = f"the peer took too long {activity}"
            raise ExchangeTimeout(message, status=self.verdicts.timeout)
        self._note_progress()

    def _note_progress(self) -> None:
        idle = trio.current_time() + self.limits.idle_seconds
        for scope, latest in self._waiting.items():
            scope.deadline = min(idle, latest)
