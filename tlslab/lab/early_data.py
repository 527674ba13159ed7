"""Early data (0-RTT) in the lab: who sends it, who takes it, and who sends it again.

A client that resumes may put its request into its first flight (RFC 8446 section 2.3). Whoever
records that flight can send the same bytes to the server again, without any key. What stops the
copy is the server's memory of used tickets, or its patience.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Literal, TypeAlias

import trio

from tlslab.capture import Canary
from tlslab.errors import ScenarioError
from tlslab.http import ReplayStream
from tlslab.lab import harm
from tlslab.lab.adversaries import Sniffer
from tlslab.lab.client import Client
from tlslab.lab.evidence import Achievement, PartyRecord
from tlslab.lab.key_holders import RecordedFlow, recorded_flows
from tlslab.lab.parties import Party, Service
from tlslab.lab.services import Server
from tlslab.lab.url import URL
from tlslab.net import Connection, Direction
from tlslab.tls import HandshakeFailure, TLSStream

EARLY_DATA_SIZE: Final = 2**14
"""Bytes of early data that a server of the lab takes: one record's worth, OpenSSL's default."""

Replays: TypeAlias = Literal["taken", "tickets used once", "wait for the handshake"]
"""What a server does about copies of early data: nothing; it takes each ticket only once; or it
acts on early data only when the handshake is complete (RFC 8470 section 3)."""


@dataclass(kw_only=True)
class EarlyServer(Server):
    """A web server that takes early data. `replays` is in its policy, but for its patience."""

    replays: Replays = "taken"

    async def serve(self, connection: Connection) -> None:
        """Serve one client, beginning with what it sent early."""
        if self.policy is None:
            raise ScenarioError("early data needs TLS")
        peer = connection.flow.client.name
        tls = TLSStream.server(connection, self.policy, keylog=self.keylog)
        early = await tls.receive_early_data()
        finish = partial(self._finish, tls, peer)
        if not early or self.replays == "wait for the handshake":
            early += await finish()
            stream: trio.abc.Stream = ReplayStream(self.watched(tls, peer), early)
        else:
            text = f"{len(early)} bytes of early data"
            self.journal.message(peer, self.name, text, "tls", protected=True)
            stream = _EarlyStream(self.watched(tls, peer), early, finish)
        async with stream:
            await self.serve_stream(stream, peer)

    async def _finish(self, tls: TLSStream, peer: str) -> bytes:
        """Complete the handshake; returns what else was sent early."""
        rest = b""
        while part := await tls.receive_early_data():
            rest += part
        await self.handshake(tls, peer, began=False)
        return rest


class _EarlyStream(ReplayStream):
    """A server's stream that begins with early data; the handshake is completed when more than
    that is wanted, or something is to be sent."""

    def __init__(
        self, stream: trio.abc.Stream, early: bytes, finish: Callable[[], Awaitable[bytes]]
    ) -> None:
        super().__init__(stream, early)
        self._left = len(early)
        self._finish: Callable[[], Awaitable[bytes]] | None = finish
        self._lock = trio.Lock()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Early data, then what comes later."""
        if self._left == 0:
            rest = await self._finished()
            if rest:
                return rest
        data = await super().receive_some(max_bytes)
        self._left = max(self._left - len(data), 0)
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send, after the handshake."""
        late = await self._finished()
        if late:
            raise ScenarioError("more early data came than one record")
        await super().send_all(data)

    async def _finished(self) -> bytes:
        async with self._lock:
            finish, self._finish = self._finish, None
            try:
                return b"" if finish is None else await finish()
            except HandshakeFailure as failure:
                raise trio.BrokenResourceError("whoever sent early data left") from failure


@dataclass(kw_only=True)
class EarlyClient(Client):
    """A client that puts what it sends first into its first flight, wherever it has a session."""

    @asynccontextmanager
    async def _connection(self, to: URL) -> AsyncIterator[tuple[trio.abc.Stream, str]]:
        if to.host not in self.sessions:
            async with super()._connection(to) as (stream, peer):
                yield stream, peer
            return
        session = self._session_for(to.host)
        link = await self.reach(to)

        async def begin(data: bytes) -> TLSStream:
            assert session is not None
            stream = TLSStream.client(link, session.policy, to.host, keylog=self.keylog,
                                      session=session, early_data=data)  # fmt: skip
            await self.handshake(stream, link.reached)
            return stream

        async with _FirstFlight(link, begin) as first:
            yield first, self.journal.other_end(self.name, link.reached)


class _FirstFlight(trio.abc.Stream):
    """A stream that is begun with what is sent first."""

    def __init__(
        self, transport: trio.abc.Stream, begin: Callable[[bytes], Awaitable[trio.abc.Stream]]
    ) -> None:
        self._stream = transport
        self._begin = begin
        self._begun = trio.Event()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send; the first time, as early data."""
        if self._begun.is_set():
            await self._stream.send_all(data)
        else:
            self._stream = await self._begin(bytes(data))
            self._begun.set()

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until data might be taken."""
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Receive, once something was sent."""
        await self._begun.wait()
        return bytes(await self._stream.receive_some(max_bytes))

    async def aclose(self) -> None:
        """Close the stream, begun or not."""
        await self._stream.aclose()


class Replayer(Sniffer):
    """Records, and sends a client's first flight to the server again. It has no key."""

    kind = "replayer"

    def __init__(self, own: Party) -> None:
        super().__init__(
            own.name,
            "listens everywhere, and sends a recorded first flight again",
            lambda: own.host.network.names,
        )
        self._own = own
        self._routes: dict[harm.Route, None] = {}

    async def replay(self, service: Service, times: int = 1) -> None:
        """Send the first flight of the latest connection to `service` again, `times` times."""
        flow = next(
            (
                flow
                for flow in reversed(recorded_flows(self.chunks))
                if flow.flow.server.name == service.name and flow.flow.client.name != self.name
            ),
            None,
        )
        if flow is None:
            raise ScenarioError(f"{self.name} has recorded no connection to {service.name}")
        journal, client = self._own.journal, flow.flow.client.name
        journal.carriers.add(self.name)
        journal.relays[service.name, self.name] = client
        self._routes[harm.Route(client, service.name, service.name)] = None
        for _ in range(times):
            flight = first_flight(flow)
            note = f"sends {len(flight)} bytes of {client}'s first flight again"
            journal.message(self.name, service.name, note, "tcp")
            async with await self._own.host.connect(service.name, service.port) as connection:
                await connection.send_all(flight)
                await (
                    connection.receive_some()
                )  # its answer, which only the client could go on from

    async def examine(self, run: Path, folder: Path, canaries: Sequence[Canary]) -> PartyRecord:
        """As every adversary does; and measure at the ends what the copies did."""
        record = await super().examine(run, folder, canaries)
        for route in self._routes:
            record.achievements += [
                Achievement(self.name, what, how)
                for what, how in harm.messages(self._own.journal, route)
            ]
        return record


def first_flight(flow: RecordedFlow) -> bytes:
    """What a client sent before the server said anything."""
    flight = b""
    for chunk in flow.chunks:
        if chunk.data and chunk.direction is Direction.TO_CLIENT:
            break
        flight += chunk.data
    return flight
