"""A message's body, read from the wire as it is asked for.

Nothing is held beyond one read. The first read of a request's body tells a client that waits for
100 Continue to go on (RFC 9110 10.1.1). The module knows nothing of requests or responses.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import h11

from tlslab.http.errors import ExchangeError, Fault
from tlslab.http.wire import Wire


class WireBody(AsyncIterator[bytes]):
    """The body whose head was the last thing read from `wire`.

    `received` counts its bytes so far, `complete` says whether the end was seen, and `failure`
    keeps the error that broke it, whatever the reader made of it.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.received = 0
        self.complete = False
        self.failure: ExchangeError | None = None
        self.awaits_continue = False  # the client sends nothing before it hears 100, or may not

    async def __anext__(self) -> bytes:
        """The next part, never empty. Raises ExchangeError, ExchangeTimeout, BodyTruncated."""
        if self.failure is not None:
            raise self.failure
        if self.complete:
            raise StopAsyncIteration
        try:
            part = await self._receive()
        except ExchangeError as error:
            self.failure = error
            raise
        if part is None:
            self.complete = True
            raise StopAsyncIteration
        return part

    async def _receive(self) -> bytes | None:
        wire = self._wire
        if self.awaits_continue:
            if wire.state.our_state is not h11.SEND_RESPONSE:
                message = "the body was asked for after the response, which made the client skip it"
                raise ExchangeError(message, status=500, fault=Fault.LOCAL)
            self.awaits_continue = False
            go_on = h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")
            await wire.send(go_on)
        part = await wire.receive_body()
        self.received += len(part or b"")
        if self.received > wire.limits.body_bytes:
            message = f"the body is longer than {wire.limits.body_bytes} bytes"
            raise ExchangeError(message, status=wire.verdicts.body_too_large)
        return part
