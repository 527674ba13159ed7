"""The adversaries of a lab: each takes all that its position allows, and nothing else.

An adversary has a position (on a path, at a disk, at the logs) and never sees a key or a canary
beforehand. When the run is over it takes what it can reach into a folder of its own; then, and only
then, those files are searched for the canaries. What it holds is what lies in its files.
"""

from __future__ import annotations

import abc
import itertools
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path

import trio

from tlslab.capture import Canary, facts, read_capture, search_capture, search_file, write_pcapng
from tlslab.errors import ScenarioError, TlslabError
from tlslab.lab.evidence import Holding, PartyRecord, Sighting
from tlslab.lab.parties import Party, Service
from tlslab.net import Chunk, Connection, Direction, Endpoint, Flow, Kind
from tlslab.pki import Authority, Credential
from tlslab.proxy import InterceptingProxy
from tlslab.proxy.leaves import Disguise
from tlslab.tls import ClientPolicy, HandshakeFailure, TLSFacts
from tlslab.tls.hello import ClientHello

SAMPLE = 256
"""Bytes of a holding that a report shows."""

EXCERPT_BEFORE, EXCERPT_AFTER = 48, 48
"""Bytes shown around a canary that was found."""

DECRYPTED_PORT = 80
"""Port under which an interceptor's decrypted traffic is written down: what it is, plain HTTP."""


class Adversary(abc.ABC):
    """Somebody who observes or interferes. `name` is unique in a lab.

    `behind` is the party next to which it sits, seen from the client (None: on no path).
    """

    kind = "adversary"
    behind: str | None = None

    def __init__(self, name: str, description: str) -> None:
        self.name = name
        self.description = description
        self.record: PartyRecord | None = None

    @property
    def taken(self) -> PartyRecord:
        """What it turned out to hold; ScenarioError before the evidence is collected."""
        if self.record is None:
            raise ScenarioError(f"what {self.name} holds is not known before the run is over")
        return self.record

    @abc.abstractmethod
    async def take(self, folder: Path) -> list[Path]:
        """Write everything within reach to files in `folder` (which exists); return them."""

    async def examine(self, run: Path, folder: Path, canaries: Sequence[Canary]) -> PartyRecord:
        """Take everything, then search it for the canaries. Paths are told relative to `run`."""
        record = PartyRecord(self.name, self.kind, adversary=True, description=self.description)
        for path in await self.take(folder):
            label = path.relative_to(run).as_posix()
            if path.suffix == ".pcapng":
                _examine_capture(record, path, label, canaries)
            else:
                _examine_file(record, path, label, canaries)
        self.record = record
        return record


def _examine_capture(
    record: PartyRecord, path: Path, label: str, canaries: Sequence[Canary]
) -> None:
    capture = read_capture(path)
    streams = [flow.stream(way) for flow in capture.flows for way in Direction]
    largest = max(streams, key=lambda stream: stream.size, default=None)
    sample = largest.head(SAMPLE)[:SAMPLE] if largest is not None else b""
    size = sum(stream.size for stream in streams)
    flows = "1 flow" if len(capture.flows) == 1 else f"{len(capture.flows)} flows"
    record.holdings.append(Holding(flows, label, size, sample))
    for flow in capture.flows:
        for name, value in facts(flow).learned.items():
            record.learned.setdefault(name, value)
    by_flow = {flow.flow: flow for flow in capture.flows}
    for hit in search_capture(capture, canaries, notes=record.unsearched):
        excerpt, start = b"", 0
        if hit.flow is not None and hit.direction is not None:
            stream = by_flow[hit.flow].stream(hit.direction)
            begin = max(0, hit.stream_offset - EXCERPT_BEFORE)
            start = hit.stream_offset - begin
            end = hit.stream_offset + min(hit.length, SAMPLE) + EXCERPT_AFTER
            excerpt = stream.read(begin, end)
        record.sightings.append(
            Sighting(
                canary=hit.canary.label,
                holder=record.name,
                file=label,
                packet=hit.packet,
                offset=hit.offset,
                encoding=hit.encoding,
                excerpt=excerpt,
                excerpt_start=start,
                length=hit.length,
            )
        )


def _examine_file(record: PartyRecord, path: Path, label: str, canaries: Sequence[Canary]) -> None:
    data = path.read_bytes()
    hits = search_file(path, canaries, notes=record.unsearched)
    first = hits[0].offset if hits else 0
    start = max(0, first - EXCERPT_BEFORE)
    sample = data[start : start + SAMPLE]
    record.holdings.append(Holding(path.name, label, len(data), sample, start))
    for hit in hits:
        begin = max(0, hit.offset - EXCERPT_BEFORE)
        excerpt = data[begin : hit.offset + hit.length + EXCERPT_AFTER]
        record.sightings.append(
            Sighting(
                canary=hit.canary.label,
                holder=record.name,
                file=label,
                packet=None,
                offset=hit.offset,
                encoding=hit.encoding,
                excerpt=excerpt,
                excerpt_start=hit.offset - begin,
                length=hit.length,
            )
        )


class Sniffer(Adversary):
    """Sees every byte on its stretch of cable, and changes none."""

    kind = "sniffer"

    def __init__(self, name: str, description: str, names: Callable[[], dict[str, str]]) -> None:
        super().__init__(name, description)
        self.chunks: list[Chunk] = []
        self._names = names

    def tap(self, chunk: Chunk) -> None:
        """What the network calls for every chunk that passes."""
        self.chunks.append(chunk)

    async def take(self, folder: Path) -> list[Path]:
        """Write the capture."""
        path = folder / f"{file_name(self.name)}.pcapng"
        write_pcapng(path, self.chunks, names=self._names())
        return [path]


class Interceptor(Adversary):
    """Stands between a client and whom it wants to reach, and speaks TLS with both.

    To the client it shows what `issue` makes for the name asked for; to the real server it is a
    client with `upstream_policy`. `upstream` names the real server where that is not whom the
    client asked for. `disguise` changes the policy by which it answers; who wants to reach one of
    the hosts in `blocked` gets no answer. What it decrypts is written down as a capture of plain
    text.
    """

    kind = "interceptor"

    def __init__(
        self,
        party: Party,
        *,
        authority: Authority,
        issue: Callable[[str], Credential],
        upstream_policy: ClientPolicy,
        upstream: Service | None = None,
        disguise: Disguise | None = None,
        blocked: Collection[str] = (),
    ) -> None:
        super().__init__(party.name, "stands in the middle and speaks TLS with both sides")
        self.authority = authority
        self.address: tuple[str, int] | None = None
        self._party = party
        self._upstream = upstream
        self._blocked = blocked
        self._chunks: list[Chunk] = []
        self._numbers = itertools.count(1)
        self._proxy = InterceptingProxy(
            issue=issue,
            disguise=disguise,
            connect_upstream=self._connect_upstream,
            upstream_policy=upstream_policy,
            on_server_handshake=self._reached_server,
        )

    async def serve_connection(self, connection: Connection) -> None:
        """Intercept one connection to its end."""
        client, intended = connection.flow.client, connection.intended
        if intended.name in self._blocked:
            note = f"{self.name} keeps {intended.name} out of reach"
            self._party.journal.message(self.name, self.name, note, "note")
            await connection.aclose()
            return
        decrypted = Endpoint(intended.name, intended.address, DECRYPTED_PORT)
        flow = Flow(next(self._numbers), f"decrypted by {self.name}", client, decrypted)
        write_down = partial(self._write_down, flow)
        pass_on = partial(self._pass_on, flow)
        write_down(Direction.TO_SERVER, kind=Kind.OPENED)
        try:
            await self._proxy.serve(connection, intended, on_data=pass_on)
        except HandshakeFailure as error:
            self._party.journal.refused(self.name, client.name, error)
        except (TlslabError, trio.BrokenResourceError):
            pass  # the server's refusal, if it was one, is in the server's own words
        finally:
            for direction in Direction:
                write_down(direction, kind=Kind.CLOSED)

    def _reached_server(self, facts: TLSFacts) -> None:
        server = facts.server_name or "server"
        self._party.journal.handshake(self.name, server, facts, began=True)

    def _write_down(
        self, flow: Flow, direction: Direction, data: bytes = b"", kind: Kind = Kind.DATA
    ) -> None:
        self._chunks.append(Chunk(time.time_ns(), flow, direction, bytes(data), kind))

    def _pass_on(self, flow: Flow, direction: Direction, data: bytes) -> None:
        self._write_down(flow, direction, data)
        client, server = flow.client.name, flow.server.name
        source, target = (client, server) if direction is Direction.TO_SERVER else (server, client)
        note = f"read by {self.name}: {source} to {target}, {len(data)} bytes"
        self._party.journal.message(self.name, self.name, note, "note")

    async def _connect_upstream(self, intended: Endpoint, hello: ClientHello | None) -> Connection:
        if self._upstream is not None:
            return await self._party.host.connect(self._upstream.name, self._upstream.port)
        return await self._party.host.connect(intended.name, intended.port)

    async def take(self, folder: Path) -> list[Path]:
        """Write down what was decrypted."""
        path = folder / f"{file_name(self.name)}-decrypted.pcapng"
        write_pcapng(path, self._chunks, names=self._party.host.network.names)
        return [path]


class LogReader(Adversary):
    """Reads the access logs of the services, as everybody in operations does."""

    kind = "log reader"

    def __init__(self, name: str, services: Callable[[], Sequence[Service]]) -> None:
        super().__init__(name, "reads the access logs")
        self._services = services

    async def take(self, folder: Path) -> list[Path]:
        """Copy the logs."""
        paths = []
        for service in self._services():
            text = "".join(f"{line}\n" for line in service.access_log)
            paths.append(written(folder / f"{service.name}.access.log", text.encode()))
        return paths


def written(path: Path, data: bytes) -> Path:
    """The path, with `data` in the file."""
    path.write_bytes(data)
    return path


def file_name(name: str) -> str:
    """An adversary's name as that of a file or folder."""
    return name.replace(" ", "-").replace("/", "-")
