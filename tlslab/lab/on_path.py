"""An adversary on the path who has no key, and tampers with what passes.

It carries bytes between a client and whom it wants to reach, with one attack of `tlslab.attack` at
work. The ends speak TLS with each other, not with it. What it did to them is measured at the ends
(`harm`); what it could read lies in its files, as with every adversary.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import trio

from tlslab.attack import Attack, Passed, Unit, tamper
from tlslab.capture import Canary, write_pcapng
from tlslab.errors import NetworkError, TlslabError
from tlslab.lab import harm
from tlslab.lab.adversaries import Adversary, file_name
from tlslab.lab.client import Client
from tlslab.lab.evidence import Achievement, PartyRecord
from tlslab.lab.harm import Route
from tlslab.lab.parties import Party, Service
from tlslab.net import Chunk, Connection, Direction, Flow, Kind
from tlslab.tls import ClientPolicy, ServerPolicy, TLSFacts, TLSStream


class Tamperer(Adversary):
    """Carries bytes both ways, except for what its attack does. `party` finds a party by name."""

    kind = "tamperer"

    def __init__(self, own: Party, attack: Attack, party: Callable[[str], Party | None]) -> None:
        super().__init__(own.name, f"is on the path without a key: {attack.title}")
        self.attack = attack
        self._own = own
        self._party = party
        self._routes: dict[Route, None] = {}  # a set that keeps its order
        self._chunks: list[Chunk] = []
        self._numbers = itertools.count(1)
        own.journal.carriers.add(own.name)

    async def serve_connection(self, connection: Connection) -> None:
        """Carry one connection to its end."""
        client, meant = connection.flow.client, connection.intended
        name, port = self.attack.destination(meant.name, meant.port)
        self._routes[Route(client.name, meant.name, name)] = None
        self._own.journal.relays[client.name, self.name] = name
        self._own.journal.relays[name, self.name] = client.name
        try:
            server = await self._own.host.connect(name, port)
        except NetworkError:
            await trio.aclose_forcefully(connection)
            return
        near, far = self._leg(connection.flow), self._leg(server.flow)
        for leg in (near, far):
            self._write_down(leg, Direction.TO_SERVER, kind=Kind.OPENED)
        await tamper(
            connection,
            server,
            self.attack,
            on_passed=partial(self._passed, near, far),
            on_tampered=partial(self._tampered, client.name, meant.name),
        )
        for leg in (near, far):
            for way in Direction:
                self._write_down(leg, way, kind=Kind.CLOSED)

    async def take(self, folder: Path) -> list[Path]:
        """Write down what passed on both sides: what came, and what went."""
        path = folder / f"{file_name(self.name)}.pcapng"
        write_pcapng(path, self._chunks, names=self._own.host.network.names)
        return [path]

    async def examine(self, run: Path, folder: Path, canaries: Sequence[Canary]) -> PartyRecord:
        """Take and search what passed; and measure at the ends what else was done to them."""
        record = await super().examine(run, folder, canaries)
        journal = self._own.journal
        for route in self._routes:
            found = [
                *harm.messages(journal, route),
                *harm.downgrades(journal, route, await self._undisturbed(route)),
                *harm.forged_alerts(journal, route),
            ]
            record.achievements += [Achievement(self.name, what, how) for what, how in found]
        return record

    async def _undisturbed(self, route: Route) -> TLSFacts | None:
        client, server = self._party(route.client), self._party(route.server)
        if not isinstance(client, Client) or not isinstance(server, Service):
            return None
        if server.policy is None or route.reached != route.server:
            return None
        return await undisturbed(client.policy, server.policy, route.server)

    def _leg(self, seen: Flow) -> Flow:
        return Flow(next(self._numbers), seen.leg, seen.client, seen.server)

    def _write_down(
        self, leg: Flow, way: Direction, data: bytes = b"", kind: Kind = Kind.DATA
    ) -> None:
        self._chunks.append(Chunk(time.time_ns(), leg, way, data, kind))

    def _passed(self, near: Flow, far: Flow, passed: Passed) -> None:
        from_client = passed.way is Direction.TO_SERVER
        self._write_down(near if passed.arrived is from_client else far, passed.way, passed.data)

    def _tampered(self, client: str, server: str, unit: Unit) -> None:
        source, target = (client, server) if unit.way is Direction.TO_SERVER else (server, client)
        what = "a record" if unit.record else "bytes"
        note = f"{self.attack.title}: {what} from {source} to {target}, {len(unit.raw)} bytes"
        self._own.journal.message(self.name, self.name, note, "note")


async def undisturbed(client: ClientPolicy, server: ServerPolicy, name: str) -> TLSFacts | None:
    """What two ends agree on when nobody is between them: a handshake of their own, to compare.

    None if they agree on nothing.
    """
    ours, theirs = (trio.SocketStream(end) for end in trio.socket.socketpair())
    near, far = TLSStream.client(ours, client, name), TLSStream.server(theirs, server)
    facts: list[TLSFacts] = []

    async def shake_hands(stream: TLSStream) -> None:
        try:
            await stream.do_handshake()
            facts.append(stream.facts)
        except TlslabError:
            pass
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(shake_hands, near)
        nursery.start_soon(shake_hands, far)
    return facts[0] if len(facts) == 2 else None
