"""The stage of a lab: where its parties and adversaries meet, and what they are made with.

It has the network, the CA, the journal and the folder of one run, lets services listen, and knows
who is there. Who that can be, and how each is made, is none of its business: see `main_cast`,
`supporting_cast` and `antagonists`, which build on it.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias, TypedDict, TypeVar

import trio

from tlslab.capture import Canary
from tlslab.lab.adversaries import Adversary
from tlslab.lab.journal import Journal
from tlslab.lab.parties import Party, Service
from tlslab.net import Connection, Host, Network
from tlslab.pki import Authority, KeyType
from tlslab.pki.revocation import issue_must_staple
from tlslab.tls import AnyVersion, KeyLog, ServerPolicy, Version

ClientCertificate: TypeAlias = Literal["none", "optional", "required"]
"""Whether a server asks its clients for a certificate, and insists."""

P = TypeVar("P", bound=Party)


class Basics(TypedDict):
    """What every party has."""

    host: Host
    journal: Journal
    keylog: KeyLog | None


@dataclass(eq=False, repr=False)
class Stage:
    """The part of a lab on which the others stand.

    `ca` is the certificate authority that clients trust unless told otherwise. `folder` is where
    this lab's artefacts go.
    """

    _listeners: trio.Nursery
    _connections: trio.Nursery
    _kept_open: AsyncExitStack
    _run: Path
    folder: Path
    network: Network
    ca: Authority
    journal: Journal = field(init=False, default_factory=lambda: Journal(_stopwatch()))
    keylog: KeyLog = field(init=False, default_factory=KeyLog)
    adversaries: list[Adversary] = field(init=False, default_factory=list)
    parties: list[Party] = field(init=False, default_factory=list)
    canaries: list[Canary] = field(init=False, default_factory=list)

    def canary(self, label: str) -> Canary:
        """A fresh unique secret, called `label`, that will be searched for everywhere."""
        canary = Canary.fresh(label)
        self.canaries.append(canary)
        return canary

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
        """Accept until the lab closes; a connection may outlive that by `lab.DRAIN` seconds."""
        self._listeners.start_soon(
            partial(trio.serve_listeners, handler, [listener], handler_nursery=self._connections)
        )

    def _find(self, name: str) -> Party | None:
        return next((party for party in self.parties if party.name == name), None)

    def _join(self, party: P) -> P:
        self.parties.append(party)
        return party

    def _basics(self, name: str) -> Basics:
        keylog = KeyLog(lambda line: self.keylog.append(line.encode()))  # its own, and all in one
        return Basics(host=self.network.host(name), journal=self.journal, keylog=keylog)


def _stopwatch() -> Callable[[], float]:
    start = time.monotonic()
    return lambda: time.monotonic() - start
