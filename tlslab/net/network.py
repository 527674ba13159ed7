"""The interface of the lab's network: hosts with names and addresses, paths between them.

A path between two hosts is a wire on which taps listen; a diversion puts somebody in the way. What
is written here holds for every backend; the backend that runs on loopback sockets is
`tlslab.net.loopback`. Nothing here knows what the bytes mean.
"""

from __future__ import annotations

import abc
import ipaddress
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import trio

from tlslab.errors import NetworkError
from tlslab.net.observation import Endpoint, Flow, Tap

RESERVED_TLDS = ("test", "example", "invalid", "localhost")
"""Top-level names that no real host can have (RFC 6761 section 6, RFC 2606 section 2)."""

DOCUMENTATION_NETS = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
"""Addresses that no real host can have (RFC 5737 section 3): TEST-NET-1, -2 and -3."""


class Connection(trio.abc.HalfCloseableStream):
    """One end of a TCP connection in the lab.

    `flow` is the connection as an observer on this leg sees it. `intended` is whom the client
    asked for, `reached` the name of the host that accepted: another one if it was diverted. An
    honest client cannot know the latter; it is for those who write down what happened.
    """

    flow: Flow
    reached: str

    @property
    def intended(self) -> Endpoint:
        """Whom the client wanted to reach."""
        return self.flow.server

    @property
    def source(self) -> str:
        """The client's IP address: in the lab, or the real one of a process outside of it."""
        return self.flow.client.address


@dataclass(frozen=True)
class Host:
    """A host of the lab: a name, an IP address (text) and the network it is attached to."""

    name: str
    address: str
    network: Network = field(repr=False, compare=False)

    async def listen(
        self, port: int, *, bind_port: int = 0, bind_address: str = "127.0.0.1"
    ) -> trio.abc.Listener[Connection]:
        """Accept connections to `port` of this host; see `Network.listen`."""
        return await self.network.listen(self, port, bind_port=bind_port, bind_address=bind_address)

    async def connect(self, name: str, port: int) -> Connection:
        """Connect from this host to `port` of the host called `name`; see `Network.connect`."""
        return await self.network.connect(self, name, port)


@dataclass(frozen=True)
class _Tapped:
    tap: Tap
    between: frozenset[str] | None


@dataclass(frozen=True)
class _Diversion:
    interceptor: Host
    port: int
    victim: str | None
    target: str | None
    target_port: int | None


class Network(abc.ABC):
    """Hosts, names and paths. Backends say how bytes really travel."""

    def __init__(self) -> None:
        self._hosts: dict[str, Host] = {}
        self._addresses = _documentation_addresses()
        self._taps: list[_Tapped] = []
        self._diversions: list[_Diversion] = []

    @property
    def names(self) -> dict[str, str]:
        """Every host's name by its address, as a name server would know them."""
        return {host.address: host.name for host in self._hosts.values()}

    def host(self, name: str, address: str | None = None) -> Host:
        """The host called `name`, attached on first use with `address` or the next free one.

        Raises NetworkError for a name outside the reserved TLDs, or an address that is taken.
        """
        if name in self._hosts:
            return self._hosts[name]
        if "." in name and name.rsplit(".", 1)[1] not in RESERVED_TLDS:
            raise NetworkError(
                f"the name {name!r} could belong to a real host",
                hint=f"use a name under .{RESERVED_TLDS[0]}, such as shop.test",
            )
        if address is not None and address in self.names:
            raise NetworkError(f"the address {address} is taken by {self.names[address]}")
        if address is None:
            address = next((free for free in self._addresses if free not in self.names), None)
            if address is None:
                raise NetworkError("the lab's network has no free address left")
        self._hosts[name] = Host(name, address, self)
        return self._hosts[name]

    def find(self, name: str) -> Host:
        """The host called `name`, as a name server finds it; NetworkError where there is none."""
        if name not in self._hosts:
            known = ", ".join(sorted(self._hosts)) or "none"
            raise NetworkError(f"no host is called {name!r}", hint=f"hosts of this lab: {known}")
        return self._hosts[name]

    def tap(self, tap: Tap, *, between: tuple[str, str] | None = None) -> None:
        """Show `tap` every chunk on the path between two hosts (None: on every path).

        Only connections opened from now on are shown. The order of the two names is irrelevant.
        """
        self._taps.append(_Tapped(tap, None if between is None else frozenset(between)))

    def divert(
        self,
        interceptor: Host,
        port: int,
        *,
        victim: str | None = None,
        target: str | None = None,
        target_port: int | None = None,
    ) -> None:
        """Lead connections from `victim` to `target` (None: any) to `interceptor`'s `port` instead.

        Or only those to one port of it, with `target_port`.

        What ARP spoofing or a rogue gateway does on a real network. The connection that the
        interceptor accepts tells by `intended` whom the client wanted. The interceptor's own
        connections are not diverted. The latest diversion that fits counts.
        """
        self._diversions.append(_Diversion(interceptor, port, victim, target, target_port))

    def _taps_between(self, one: str, other: str) -> tuple[Tap, ...]:
        pair = frozenset((one, other))
        return tuple(t.tap for t in self._taps if t.between is None or t.between == pair)

    def _diversion_of(self, source: Host, target: str, port: int) -> _Diversion | None:
        for diversion in reversed(self._diversions):
            if (
                diversion.interceptor != source
                and diversion.victim in (None, source.name)
                and diversion.target in (None, target)
                and diversion.target_port in (None, port)
            ):
                return diversion
        return None

    @abc.abstractmethod
    async def listen(
        self, host: Host, port: int, *, bind_port: int = 0, bind_address: str = "127.0.0.1"
    ) -> trio.abc.Listener[Connection]:
        """Accept connections to `port` of `host` until the listener is closed.

        `bind_port` and `bind_address` say where processes outside the lab can reach it; 0 takes a
        free port. Raises AddressInUse when it is taken, NetworkError when it may not be used.
        """

    @abc.abstractmethod
    async def connect(self, source: Host, name: str, port: int) -> Connection:
        """Connect from `source` to `port` of the host called `name`.

        Raises NetworkError when the name is unknown, nothing listens there, or nobody answers in
        time.
        """


def _documentation_addresses() -> Iterator[str]:
    nets = (ipaddress.ip_network(net).hosts() for net in DOCUMENTATION_NETS)
    return (str(address) for address in itertools.chain.from_iterable(nets))
