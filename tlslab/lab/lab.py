"""The lab: parties and adversaries put on a network, for one run.

A `Lab` makes things and lets them meet. What they do is theirs (`parties`, `adversaries`), what is
expected is `expect`, what it means is `verdict`. It opens with `open_lab`, which owns the nursery
in which every server runs and collects the evidence at the end.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias, TypedDict, TypeVar

import trio

from tlslab.capture import Canary
from tlslab.lab.adversaries import (
    Adversary,
    DiskThief,
    Insider,
    Interceptor,
    LogReader,
    Sniffer,
    file_name,
)
from tlslab.lab.evidence import Check, PartyRecord
from tlslab.lab.expect import Expectation, Later
from tlslab.lab.journal import Journal
from tlslab.lab.parties import Client, Party, Server, Service, Store, TerminatingEdge
from tlslab.net import Connection, Host, LoopbackNetwork, Network
from tlslab.pki import Authority, Credential
from tlslab.store import open_store
from tlslab.tls import ClientPolicy, KeyLog, ServerPolicy, Version

DRAIN = 2.0
"""Seconds that open connections get to end by themselves once the script is through."""

INTERCEPT_PORT = 8443
"""The port, in the lab's network, at which interceptors wait for diverted connections."""


ClientCertificate: TypeAlias = Literal["none", "optional", "required"]
"""Whether a server asks its clients for a certificate, and insists."""

ALONG_THE_PATH = ("client", "proxy", "server", "store")
"""Kinds of parties in the order in which a request passes them."""


class Lab:
    """One lab, for one run. Made by `open_lab`; scripts get it as their argument.

    `ca` is the certificate authority that clients trust unless told otherwise. `folder` is where
    this lab's artefacts go.
    """

    def __init__(
        self,
        listeners: trio.Nursery,
        connections: trio.Nursery,
        run: Path,
        folder: Path,
        network: Network,
        ca: Authority,
    ) -> None:
        self.network = network
        self.ca = ca
        self.folder = folder
        self.journal = Journal(_stopwatch())
        self.keylog = KeyLog()
        self.adversaries: list[Adversary] = []
        self.parties: list[Party] = []
        self.canaries: list[Canary] = []
        self._run = run
        self._listeners = listeners
        self._connections = connections
        self._checks: list[Later] = []

    # -- secrets -------------------------------------------------------------------------------

    def canary(self, label: str) -> Canary:
        """A fresh unique secret, called `label`, that will be searched for everywhere."""
        canary = Canary.fresh(label)
        self.canaries.append(canary)
        return canary

    # -- parties -------------------------------------------------------------------------------

    def client(
        self,
        name: str = "client",
        *,
        verify_chain: bool = True,
        verify_name: bool = True,
        certificate: bool = False,
        minimum: Version = Version.TLS_1_2,
        maximum: Version = Version.TLS_1_3,
    ) -> Client:
        """A client that trusts the lab's CA and verifies chain and name, unless told not to.

        `certificate` gives it a client certificate of the lab's CA.
        """
        policy = ClientPolicy(
            trust=self.ca.trust,
            verify_chain=verify_chain,
            verify_name=verify_name,
            minimum=minimum,
            maximum=maximum,
            credential=self.ca.issue(f"{name}.test", profile="client") if certificate else None,
        )
        return self._join(Client(policy=policy, **self._basics(name)))

    async def server(
        self,
        name: str,
        *,
        tls: bool = True,
        also: Sequence[str] = (),
        reply: bytes | Canary = b"thank you\n",
        client_certificate: ClientCertificate = "none",
        minimum: Version = Version.TLS_1_2,
        maximum: Version = Version.TLS_1_3,
        port: int | None = None,
    ) -> Server:
        """A web server (and WebSocket chat) called `name`, which is listening when this returns.

        `also` are further names in its certificate. `client_certificate` is `"none"`,
        `"optional"` or `"required"`. Without `tls` it speaks plain HTTP.
        """
        policy = (
            self.server_policy(name, *also, client_certificate=client_certificate,
                               minimum=minimum, maximum=maximum)
            if tls
            else None
        )  # fmt: skip
        body = reply.token if isinstance(reply, Canary) else reply
        server = Server(policy=policy, port=_port(port, policy), reply=body, **self._basics(name))
        await self.start(server)
        return server

    async def store(
        self, name: str = "store.test", *, encrypted: bool = True, tls: bool = False
    ) -> Store:
        """An object store with its disk in the lab's folder, listening when this returns.

        `encrypted` is server-side encryption with a key that the store manages (SSE-S3).
        """
        disk = self.folder / name / "disk"
        disk.mkdir(parents=True)
        key_file = self.folder / name / "root.key" if encrypted else None
        objects = open_store(disk, root_key_file=key_file)
        policy = self.server_policy(name) if tls else None
        store = Store(
            policy=policy,
            port=_port(None, policy),
            objects=objects,
            disk=disk,
            key_file=key_file,
            **self._basics(name),
        )
        await self.start(store)
        return store

    async def terminating_proxy(
        self,
        name: str,
        upstream: Service,
        *,
        tls: bool = True,
        client_certificate: ClientCertificate = "none",
        port: int | None = None,
    ) -> TerminatingEdge:
        """A TLS-terminating proxy called `name` in front of `upstream`.

        It speaks TLS to the upstream where the upstream does. Without `tls` it passes plain HTTP.
        """
        policy = self.server_policy(name, client_certificate=client_certificate) if tls else None
        upstream_policy = ClientPolicy(trust=self.ca.trust) if upstream.policy else None
        edge = TerminatingEdge(
            policy=policy,
            port=_port(port, policy),
            upstream=upstream,
            upstream_policy=upstream_policy,
            **self._basics(name),
        )
        await self.start(edge)
        return edge

    def server_policy(
        self,
        *names: str,
        client_certificate: ClientCertificate = "none",
        minimum: Version = Version.TLS_1_2,
        maximum: Version = Version.TLS_1_3,
    ) -> ServerPolicy:
        """The TLS policy of a server with a certificate of the lab's CA for `names`."""
        return ServerPolicy(
            credential=self.ca.issue(*names),
            client_trust=self.ca.trust if client_certificate != "none" else None,
            client_certificate=client_certificate,
            minimum=minimum,
            maximum=maximum,
        )

    # -- adversaries ---------------------------------------------------------------------------

    def sniffer(
        self, name: str = "sniffer", *, between: tuple[Party, Party] | None = None
    ) -> Sniffer:
        """A passive sniffer on the path between two parties (None: on every path)."""
        where = f"between {between[0].name} and {between[1].name}" if between else "everywhere"
        sniffer = Sniffer(name, f"listens {where}", lambda: self.network.names)
        pair = (between[0].name, between[1].name) if between else None
        sniffer.behind = pair[0] if pair else self._clients_name()
        self.network.tap(sniffer.tap, between=pair)
        self.adversaries.append(sniffer)
        return sniffer

    async def interceptor(
        self,
        name: str = "mallory",
        *,
        victim: Client | None = None,
        authority: Authority | None = None,
        genuine: Credential | None = None,
        upstream: Service | None = None,
    ) -> Interceptor:
        """A man in the middle between `victim` (None: everybody) and whom it wants to reach.

        It forges certificates with a CA of its own, or with `authority` where it got hold of one;
        `genuine` is a certificate that it shows everybody instead of forging any. `upstream` is
        the real server for clients from outside, who ask for the interceptor itself.
        """
        own = authority or Authority.create(f"{name}'s CA")
        interceptor = Interceptor(
            Party(**self._basics(name)),
            authority=own,
            issue=own.issue if genuine is None else lambda asked: genuine,
            upstream_policy=ClientPolicy(trust=self.ca.trust),
            upstream=upstream,
        )
        host = self.network.host(name)
        listener = await host.listen(INTERCEPT_PORT)
        interceptor.address = getattr(listener, "address", None)
        self._accept(interceptor.serve_connection, listener)
        self.network.divert(host, INTERCEPT_PORT, victim=victim.name if victim else None)
        interceptor.behind = victim.name if victim else self._clients_name()
        self.adversaries.append(interceptor)
        return interceptor

    def disk_thief(
        self, store: Store, *, key_file: bool = False, name: str | None = None
    ) -> DiskThief:
        """A thief of the store's disk, and of its key file if so."""
        default = "thief of disk and key" if key_file else "disk thief"
        thief = DiskThief(name or default, store, key_file=key_file)
        self.adversaries.append(thief)
        return thief

    def insider(self, store: Store, name: str = "insider") -> Insider:
        """Somebody who may read every object through the store's front door."""
        insider = Insider(name, store)
        self.adversaries.append(insider)
        return insider

    def log_reader(self, name: str = "log reader") -> LogReader:
        """Somebody who reads the access logs of every service."""
        reader = LogReader(
            name, lambda: [party for party in self.parties if isinstance(party, Service)]
        )
        self.adversaries.append(reader)
        return reader

    # -- evidence ------------------------------------------------------------------------------

    def expect(self, who: Party | Adversary) -> Expectation:
        """Say what is expected of somebody; it is checked when the run is over."""
        return Expectation(who, self.journal, self._checks)

    def checks(self) -> list[Check]:
        """Every expectation, held against the evidence."""
        return [check() for check in self._checks]

    async def collect(self) -> list[PartyRecord]:
        """Let every adversary take what it can, search it, and tell who was there.

        In the order of the path: clients first, and who listens or interferes in between.
        """
        records = [
            PartyRecord(party.name, party.kind, adversary=False)
            for party in sorted(self.parties, key=lambda party: ALONG_THE_PATH.index(party.kind))
        ]
        for adversary in self.adversaries:
            folder = self.folder / file_name(adversary.name)
            folder.mkdir()
            record = await adversary.examine(self._run, folder, self.canaries)
            names = [known.name for known in records]
            at = names.index(adversary.behind) + 1 if adversary.behind in names else len(names)
            records.insert(at, record)
        if self.keylog.lines:
            path = self.folder / "tls-keys.log"
            path.touch(0o600)
            path.write_text(self.keylog.text)
        return records

    # -- plumbing ------------------------------------------------------------------------------

    async def start(
        self, service: Service, *, bind_port: int = 0, bind_address: str = "127.0.0.1"
    ) -> None:
        """Let a service listen; it serves until the lab closes."""
        listener = await service.host.listen(
            service.port, bind_port=bind_port, bind_address=bind_address
        )
        service.address = getattr(listener, "address", None)
        self._accept(service.serve_connection, listener)
        self._join(service)

    def _accept(
        self,
        handler: Callable[[Connection], Awaitable[None]],
        listener: trio.abc.Listener[Connection],
    ) -> None:
        """Accept until the lab closes; a connection may outlive that by `DRAIN` seconds."""
        self._listeners.start_soon(
            partial(trio.serve_listeners, handler, [listener], handler_nursery=self._connections)
        )

    def _clients_name(self) -> str:
        clients = [party.name for party in self.parties if isinstance(party, Client)]
        return clients[0] if clients else "client"

    def _join(self, party: P) -> P:
        self.parties.append(party)
        return party

    def _basics(self, name: str) -> _Basics:
        return _Basics(host=self.network.host(name), journal=self.journal, keylog=self.keylog)


P = TypeVar("P", bound=Party)


class _Basics(TypedDict):
    """What every party has."""

    host: Host
    journal: Journal
    keylog: KeyLog | None


@asynccontextmanager
async def open_lab(
    run: Path, name: str, *, network: Network | None = None, ca: Authority | None = None
) -> AsyncIterator[Lab]:
    """A lab whose artefacts go to the folder `run/name`, with its servers running inside.

    When the block ends nobody is accepted any more, and connections still open get `DRAIN` seconds
    to end by themselves. The lab's evidence is collected after that (`Lab.collect`).
    """
    folder = run / name
    folder.mkdir(parents=True, exist_ok=True)
    network, ca = network or LoopbackNetwork(), ca or Authority.create("tlslab")
    async with trio.open_nursery() as connections:
        async with trio.open_nursery() as listeners:
            yield Lab(listeners, connections, run, folder, network, ca)
            listeners.cancel_scope.cancel()
        connections.cancel_scope.deadline = trio.current_time() + DRAIN


def _stopwatch() -> Callable[[], float]:
    start = time.monotonic()
    return lambda: time.monotonic() - start


def _port(port: int | None, policy: ServerPolicy | None) -> int:
    return port if port is not None else (80 if policy is None else 443)
