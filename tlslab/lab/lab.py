"""The lab: parties and adversaries put on a network, for one run.

A `Lab` makes things and lets them meet. What they do is theirs (`parties`, `adversaries`), what is
expected is `expect`, what it means is `verdict`. It opens with `open_lab`, which owns the nursery
in which every server runs and collects the evidence at the end.
"""

from __future__ import annotations

import os
import time
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar, Unpack

import trio

from tlslab.attack import Attack
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
from tlslab.lab.ca_services import CAService, CAServices, services_for
from tlslab.lab.cast import Basics, Cast, ClientCertificate
from tlslab.lab.early_data import (
    EARLY_DATA_SIZE,
    EarlyClient,
    EarlyServer,
    Replayer,
    Replays,
)
from tlslab.lab.evidence import Check, PartyRecord
from tlslab.lab.expect import Expectation, Later
from tlslab.lab.journal import Journal
from tlslab.lab.judge import Checks, FirstUse, judged
from tlslab.lab.key_holders import KeyLogReader, QuantumComputer, ServerKeyThief, SessionThief
from tlslab.lab.on_path import Tamperer
from tlslab.lab.onlookers import Onlooker, Subject
from tlslab.lab.parties import (
    Client,
    Party,
    Resumption,
    Server,
    Service,
    Store,
    TerminatingEdge,
)
from tlslab.net import Connection, LoopbackNetwork, Network
from tlslab.pki import Authority, Credential, KeyType, TrustStore
from tlslab.pki.faults import Fault, FaultyServer, build
from tlslab.pki.revocation import Revocations, issue_must_staple
from tlslab.store import open_store
from tlslab.tls import AnyVersion, ClientPolicy, KeyLog, ServerPolicy, Version
from tlslab.tls.context import context_for

DRAIN = 2.0
"""Seconds that open connections get to end by themselves once the script is through."""

INTERCEPT_PORT = 8443
"""The port, in the lab's network, at which interceptors wait for diverted connections."""


ALONG_THE_PATH = ("client", "proxy", "server", "store", "ca")
"""Kinds of parties in the order in which a request passes them."""


class Lab(Cast):
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
        certificate: bool | str = False,
        minimum: AnyVersion = Version.TLS_1_2,
        maximum: AnyVersion = Version.TLS_1_3,
        ciphers: str | None = None,
        groups: tuple[str, ...] | None = None,
        alpn: tuple[str, ...] = (),
        require_close_notify: bool = True,
        resumption: Resumption = "never",
        forgets_sessions: bool = True,
        first_use: bool = False,
        partial_chain: bool = False,
        system_store: bool = False,
        environment: Mapping[str, str] | None = None,
        trust: TrustStore | None = None,
        **checks: Unpack[Checks],
    ) -> Client:
        """A client that verifies chain and name, unless told not to, by the lab's CA or `trust`.

        `certificate` gives it one of the lab's CA, in its own name or the one given. With
        `first_use` it knows no CA and trusts whatever key it saw first; with `system_store` it goes
        by the operating system's roots, as OpenSSL finds them in the `environment` that it was
        started in. What it checks beyond
        (revocation, pins, a stricter policy) is explained at `judge.Checks`, `resumption` and
        `forgets_sessions` at `Client`, the rest at `ClientPolicy`.
        """
        subject = certificate if isinstance(certificate, str) else f"{name}.test"
        policy = ClientPolicy(
            trust=None if system_store else (trust or self.ca.trust),
            verify_chain=verify_chain and not first_use,
            verify_name=verify_name,
            minimum=minimum,
            maximum=maximum,
            judge=FirstUse() if first_use else None,
            credential=self.ca.issue(subject, profile="client") if certificate else None,
            ciphers=ciphers,
            groups=groups,
            alpn=alpn,
            require_close_notify=require_close_notify,
            partial_chain=partial_chain,
        )
        client = Client(
            policy=policy,
            resumption=resumption,
            forgets_sessions=forgets_sessions,
            **self._basics(name),
        )
        judged(client, checks)
        if environment is not None:
            with _environment(environment):
                context_for(client.policy)  # which reads the store, once
        return self._join(client)

    async def server(
        self,
        name: str,
        *,
        tls: bool = True,
        also: Sequence[str] = (),
        reply: bytes | Canary = b"thank you\n",
        pages: Mapping[str, bytes] | None = None,
        client_certificate: ClientCertificate = "none",
        minimum: AnyVersion = Version.TLS_1_2,
        maximum: AnyVersion = Version.TLS_1_3,
        ciphers: str | None = None,
        groups: tuple[str, ...] | None = None,
        alpn: tuple[str, ...] = (),
        key_type: KeyType | None = None,
        strict_name: bool = False,
        until_close: bool = False,
        must_staple: bool = False,
        port: int | None = None,
    ) -> Server:
        """A web server (and WebSocket chat) called `name`, which is listening when this returns.

        `also` are further names in its certificate, `key_type` is that of its key; with
        `must_staple` the certificate demands a stapled OCSP response (RFC 7633).
        `client_certificate` is `"none"`, `"optional"` or `"required"`. Without `tls` it speaks
        plain HTTP. `pages`, `strict_name` and `until_close` are explained at `Service` and
        `Server`.
        """
        policy = (
            self.server_policy(name, *also, client_certificate=client_certificate,
                               minimum=minimum, maximum=maximum, ciphers=ciphers,
                               groups=groups, alpn=alpn, key_type=key_type,
                               must_staple=must_staple)
            if tls
            else None
        )  # fmt: skip
        body = reply.token if isinstance(reply, Canary) else reply
        server = Server(
            policy=policy,
            port=_port(port, policy),
            reply=body,
            pages=pages or {},
            strict_name=strict_name,
            until_close=until_close,
            **self._basics(name),
        )
        await self.start(server)
        return server

    async def early_server(self, name: str, *, replays: Replays = "taken") -> EarlyServer:
        """A web server that takes early data (0-RTT), listening when this returns."""
        once = replays == "tickets used once"
        policy = replace(
            self.server_policy(name), early_data=EARLY_DATA_SIZE, single_use_tickets=once
        )
        server = EarlyServer(policy=policy, port=443, replays=replays, **self._basics(name))
        await self.start(server)
        return server

    def early_client(self, name: str = "client") -> EarlyClient:
        """A careful client that sends early data wherever it has a session to resume."""
        policy = ClientPolicy(trust=self.ca.trust)
        return self._join(
            EarlyClient(policy=policy, resumption="fresh tickets", **self._basics(name))
        )

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

    def faulty(self, fault: str) -> FaultyServer:
        """What it takes to show a fault, made anew: a certificate, and what its client believes.

        `fault` is the id of one of those that ship. Raises UsageError if there is none.
        """
        return build(Fault.named(fault), self.ca)

    async def ca_services(self) -> CAServices:
        """The CA's revocation lists and OCSP responder, listening when this returns.

        Without them the URLs in certificates lead nowhere.
        """
        services = services_for(Revocations(self.ca))
        for name, answer in services.answers.items():
            basics = self._basics(name)
            await self.start(CAService(policy=None, port=80, answer=answer, **basics))
        return services

    def server_policy(
        self,
        *names: str,
        client_certificate: ClientCertificate = "none",
        minimum: AnyVersion = Version.TLS_1_2,
        maximum: AnyVersion = Version.TLS_1_3,
        ciphers: str | None = None,
        groups: tuple[str, ...] | None = None,
        alpn: tuple[str, ...] = (),
        key_type: KeyType | None = None,
        must_staple: bool = False,
    ) -> ServerPolicy:
        """The TLS policy of a server with a certificate of the lab's CA for `names`."""
        issue = partial(issue_must_staple, self.ca) if must_staple else self.ca.issue
        return ServerPolicy(
            credential=issue(*names, key_type=key_type),
            client_trust=self.ca.trust if client_certificate != "none" else None,
            client_certificate=client_certificate,
            minimum=minimum,
            maximum=maximum,
            ciphers=ciphers,
            groups=groups,
            alpn=alpn,
        )

    # -- adversaries ---------------------------------------------------------------------------

    def sniffer(
        self, name: str = "sniffer", *, between: tuple[Party, Party] | None = None
    ) -> Sniffer:
        """A passive sniffer on the path between two parties (None: on every path)."""
        where = f"between {between[0].name} and {between[1].name}" if between else "everywhere"
        return self._listening(
            Sniffer(name, f"listens {where}", lambda: self.network.names), between
        )

    async def interceptor(
        self,
        name: str = "mallory",
        *,
        victim: Client | None = None,
        authority: Authority | None = None,
        genuine: Credential | None = None,
        staple: bytes | None = None,
        showing: FaultyServer | None = None,
        blocks: Collection[str] = (),
        upstream: Service | None = None,
    ) -> Interceptor:
        """A man in the middle between `victim` (None: everybody) and whom it wants to reach.

        It forges certificates with a CA of its own, or with `authority` where it got hold of one;
        `genuine` is a certificate that it shows everybody instead of forging any, and `staple` the
        OCSP response that goes with it; or it is `showing` a certificate with a fault. It `blocks`
        hosts by name. `upstream` is the real server for clients from outside, who ask for the
        interceptor itself.
        """
        own = authority or Authority.create(f"{name}'s CA")
        genuine = showing.credential if showing is not None else genuine
        interceptor = Interceptor(
            Party(**self._basics(name)),
            authority=own,
            issue=own.issue if genuine is None else lambda asked: genuine,
            upstream_policy=ClientPolicy(trust=self.ca.trust),
            upstream=upstream,
            disguise=partial(_disguised, staple=staple, showing=showing),
            blocked=blocks,
        )
        host = self.network.host(name)
        listener = await host.listen(INTERCEPT_PORT)
        interceptor.address = getattr(listener, "address", None)
        self._accept(interceptor.serve_connection, listener)
        self.network.divert(host, INTERCEPT_PORT, victim=victim.name if victim else None)
        interceptor.behind = victim.name if victim else self._clients_name()
        self.adversaries.append(interceptor)
        return interceptor

    async def tamperer(
        self, attack: Attack, *, victim: Client | None = None, name: str = "mallory"
    ) -> Tamperer:
        """An attacker without a key on the path between `victim` (None: everybody) and servers.

        It passes on what they say to each other, but for what `attack` does.
        """
        own = Party(**self._basics(name))
        tamperer = Tamperer(own, attack, self._find)
        self._accept(tamperer.serve_connection, await own.host.listen(INTERCEPT_PORT))
        self.network.divert(own.host, INTERCEPT_PORT, victim=victim.name if victim else None)
        tamperer.behind = victim.name if victim else self._clients_name()
        self.adversaries.append(tamperer)
        return tamperer

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

    def key_log_reader(self, party: Party, name: str = "key log reader") -> KeyLogReader:
        """Somebody who records everything and later reads the key log that `party` has written."""
        return self._listening(KeyLogReader(name, party, lambda: self.network.names))

    def server_key_thief(self, service: Service, name: str = "key thief") -> ServerKeyThief:
        """Somebody who records everything and later steals the private key of `service`."""
        return self._listening(ServerKeyThief(name, service, lambda: self.network.names))

    def session_thief(self, client: Client, name: str = "session thief") -> SessionThief:
        """Somebody who records everything and later copies the sessions that `client` keeps."""
        return self._listening(SessionThief(name, client, lambda: self.network.names))

    def quantum_computer(self, name: str = "quantum computer") -> QuantumComputer:
        """Somebody who records everything and one day owns a large quantum computer.

        That computer is simulated: see `QuantumComputer`.
        """
        return self._listening(QuantumComputer(name, self.keylog, lambda: self.network.names))

    def replayer(self, name: str = "mallory") -> Replayer:
        """Somebody who records, and can send a client's first flight again."""
        return self._listening(Replayer(Party(**self._basics(name))))

    def onlooker(self, subject: Subject, name: str = "onlooker") -> Onlooker:
        """Somebody who opens nothing, and concludes from one `subject`: see `onlookers`."""
        return self._listening(Onlooker(name, subject, lambda: self.network.names))

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

    def _listening(self, sniffer: S, between: tuple[Party, Party] | None = None) -> S:
        """Put a sniffer, of whatever kind, on the path between two parties, or on every path."""
        pair = (between[0].name, between[1].name) if between else None
        sniffer.behind = pair[0] if pair else self._clients_name()
        self.network.tap(sniffer.tap, between=pair)
        self.adversaries.append(sniffer)
        return sniffer

    def _find(self, name: str) -> Party | None:
        return next((party for party in self.parties if party.name == name), None)

    def _clients_name(self) -> str:
        clients = [party.name for party in self.parties if isinstance(party, Client)]
        return clients[0] if clients else "client"

    def _join(self, party: P) -> P:
        self.parties.append(party)
        return party

    def _basics(self, name: str) -> Basics:
        keylog = KeyLog(lambda line: self.keylog.append(line.encode()))  # its own, and all in one
        return Basics(host=self.network.host(name), journal=self.journal, keylog=keylog)


P = TypeVar("P", bound=Party)
S = TypeVar("S", bound=Sniffer)


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


def _disguised(
    policy: ServerPolicy, *, staple: bytes | None, showing: FaultyServer | None
) -> ServerPolicy:
    """An interceptor's policy with a staple, or with what it takes to show a fault at all."""
    if showing is None:
        return replace(policy, staple=staple)
    return replace(
        policy,
        staple=showing.staple,
        ciphers=showing.ciphers,
        maximum=Version(showing.maximum),
    )


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Have this process's environment hold `variables` as well, for as long as nobody waits."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _stopwatch() -> Callable[[], float]:
    start = time.monotonic()
    return lambda: time.monotonic() - start


def _port(port: int | None, policy: ServerPolicy | None) -> int:
    return port if port is not None else (80 if policy is None else 443)
