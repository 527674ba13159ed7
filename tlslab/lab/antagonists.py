"""The antagonists: how a lab makes the adversaries that most lessons need.

Each is described in the module of its concept; here it gets its position: on a path of the lab's
network, at a disk, at a log, or at a key.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import partial
from typing import TypeVar

from tlslab.attack import Attack
from tlslab.lab.adversaries import Interceptor, LogReader, Sniffer
from tlslab.lab.client import Client
from tlslab.lab.early_data import Replayer
from tlslab.lab.key_holders import KeyLogReader, QuantumComputer, ServerKeyThief, SessionThief
from tlslab.lab.on_path import Tamperer
from tlslab.lab.onlookers import Onlooker, Subject
from tlslab.lab.parties import Party, Service
from tlslab.lab.stage import Stage
from tlslab.pki import Authority, Credential
from tlslab.pki.faults import FaultyServer
from tlslab.tls import ClientPolicy, ServerPolicy, Version

INTERCEPT_PORT = 8443
"""The port, in the lab's network, at which interceptors wait for diverted connections."""

S = TypeVar("S", bound=Sniffer)


class Antagonists(Stage):
    """The part of a lab that makes who listens, interferes or steals."""

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

    def log_reader(self, name: str = "log reader") -> LogReader:
        """Somebody who reads the access logs of every service."""
        reader = LogReader(name, self._services)
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

    def _listening(self, sniffer: S, between: tuple[Party, Party] | None = None) -> S:
        """Put a sniffer, of whatever kind, on the path between two parties, or on every path."""
        pair = (between[0].name, between[1].name) if between else None
        sniffer.behind = pair[0] if pair else self._clients_name()
        self.network.tap(sniffer.tap, between=pair)
        self.adversaries.append(sniffer)
        return sniffer

    def _services(self) -> list[Service]:
        return [party for party in self.parties if isinstance(party, Service)]

    def _clients_name(self) -> str:
        clients = [party.name for party in self.parties if isinstance(party, Client)]
        return clients[0] if clients else "client"


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
