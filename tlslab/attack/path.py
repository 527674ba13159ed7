"""An attack put on the path between two ends: bytes in, what the attack makes of them out.

Knows no TLS: `units` splits, the attack decides, this module waits. Whether anything was tampered
with is seen here, by comparing what came with what went.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import trio

from tlslab.attack.attack import Action, Attack, Cut, End, Send, passed_on
from tlslab.attack.units import Splitter, Unit
from tlslab.net import Direction

READ_BYTES: Final = 64 * 1024
"""One read, and so about the memory that one direction takes."""

IDLE_SECONDS: Final = 60.0
"""Without a byte either way a connection is given up: an attack may have made both ends wait."""


@dataclass(frozen=True, slots=True)
class Passed:
    """Bytes on one of the two legs: `arrived` from their sender, or left for the other end."""

    way: Direction
    data: bytes
    arrived: bool


OnPassed: TypeAlias = Callable[[Passed], None]
OnTampered: TypeAlias = Callable[[Unit], None]


async def tamper(
    client: trio.abc.HalfCloseableStream,
    server: trio.abc.HalfCloseableStream,
    attack: Attack,
    *,
    on_passed: OnPassed = lambda passed: None,
    on_tampered: OnTampered = lambda unit: None,
    idle_seconds: float = IDLE_SECONDS,
) -> None:
    """Carry bytes between two ends while `attack` tampers with them, until it is over; close both.

    `on_passed` sees all bytes that arrive and leave, `on_tampered` each unit that was not passed on
    as it was. An end that breaks off ends the connection; nothing is raised for that.
    """
    path = _Path(client, server, attack, on_passed, on_tampered, idle_seconds)
    try:
        await path.carry()
    finally:
        try:
            await trio.aclose_forcefully(client)
        finally:
            await trio.aclose_forcefully(server)


@dataclass
class _Path:
    client: trio.abc.HalfCloseableStream
    server: trio.abc.HalfCloseableStream
    attack: Attack
    on_passed: OnPassed
    on_tampered: OnTampered
    idle_seconds: float
    ended: set[Direction] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._splitter = Splitter()
        self._tampering = self.attack.begin()
        self._sending = {way: trio.Lock() for way in Direction}
        self._scope = trio.CancelScope()

    async def carry(self) -> None:
        self._busy()
        with self._scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._listen, self.client, Direction.TO_SERVER)
                nursery.start_soon(self._listen, self.server, Direction.TO_CLIENT)

    async def _listen(self, source: trio.abc.ReceiveStream, way: Direction) -> None:
        try:
            while data := bytes(await source.receive_some(READ_BYTES)):
                self._busy()
                self.on_passed(Passed(way, data, arrived=True))
                for unit in self._splitter.feed(way, data):
                    await self._do(self._decided(unit))
            if rest := self._splitter.rest(way):
                await self._do((Send(way, rest),))
            await self._do(self._tampering.on_end(way))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._scope.cancel()

    def _decided(self, unit: Unit) -> tuple[Action, ...]:
        actions = tuple(self._tampering.on_unit(unit))
        if actions != passed_on(unit):
            self.on_tampered(unit)
        return actions

    async def _do(self, actions: Iterable[Action]) -> None:
        for action in actions:
            match action:
                case Send(way, data):
                    await self._send(way, data)
                case End(way):
                    await self._end(way)
                case Cut():
                    for way in Direction:
                        await self._end(way)
                    self._scope.cancel()

    async def _send(self, way: Direction, data: bytes) -> None:
        async with self._sending[way]:  # both listeners may have something for the same end
            if way in self.ended:
                return
            self.on_passed(Passed(way, data, arrived=False))
            try:
                await self._towards(way).send_all(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self.ended.add(way)  # nobody listens there; what it said before must still arrive
            self._busy()

    async def _end(self, way: Direction) -> None:
        async with self._sending[way]:
            if way not in self.ended:
                self.ended.add(way)
                with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                    await self._towards(way).send_eof()

    def _towards(self, way: Direction) -> trio.abc.HalfCloseableStream:
        return self.server if way is Direction.TO_SERVER else self.client

    def _busy(self) -> None:
        self._scope.deadline = trio.current_time() + self.idle_seconds
