"""Bytes carried between two streams, both ways at once.

One read is in memory per direction, and nothing more is read before it was written, so a slow
reader slows the writer. The end of one direction is passed on and leaves the other open. The module
knows nothing of what the bytes mean.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

import trio

from tlslab.errors import TlslabError
from tlslab.net import Direction
from tlslab.proxy.errors import RelayBroken

OnData: TypeAlias = Callable[[Direction, bytes], None]
"""Sees each piece before it is passed on; must not block."""

CHUNK_BYTES = 64 * 1024
"""One read, and so the memory that one direction of a relay takes."""

RELAY_IDLE_SECONDS = 600.0
"""Without a byte either way a relayed connection is given up (nginx's proxy_timeout)."""


@dataclass(slots=True)
class Relayed:
    """How many bytes went each way."""

    to_server: int = 0
    to_client: int = 0


async def relay(
    client: trio.abc.HalfCloseableStream,
    server: trio.abc.HalfCloseableStream,
    *,
    on_data: OnData | None = None,
    idle_seconds: float = RELAY_IDLE_SECONDS,
) -> Relayed:
    """Carry bytes between `client` and `server` until both have ended; neither is closed.

    Raises RelayBroken as soon as one side breaks or both are silent for too long: then both should
    be closed forcefully, so that neither takes the cut for an end. Other errors of tlslab that the
    streams raise, such as a handshake refused only now, are raised as they are.
    """
    relayed = Relayed()
    broken: list[Exception] = []

    async def carry(
        source: trio.abc.ReceiveStream, target: trio.abc.HalfCloseableStream, direction: Direction
    ) -> None:
        try:
            while data := bytes(await source.receive_some(CHUNK_BYTES)):
                scope.deadline = trio.current_time() + idle_seconds
                if on_data is not None:
                    on_data(direction, data)
                await target.send_all(data)
                scope.deadline = trio.current_time() + idle_seconds
                if direction is Direction.TO_SERVER:
                    relayed.to_server += len(data)
                else:
                    relayed.to_client += len(data)
            with suppress(trio.BrokenResourceError):  # if it is gone, no byte is lost on it
                await target.send_eof()
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            cut = RelayBroken("a relayed connection was cut", direction=direction)
            cut.__cause__ = error
            broken.append(cut)
            scope.cancel()
        except TlslabError as error:
            broken.append(error)
            scope.cancel()

    with trio.CancelScope(deadline=trio.current_time() + idle_seconds) as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(carry, client, server, Direction.TO_SERVER)
            nursery.start_soon(carry, server, client, Direction.TO_CLIENT)
    if broken:
        raise broken[0]
    if scope.cancelled_caught:
        raise RelayBroken(f"nothing was relayed for {idle_seconds:g} s")
    return relayed
