"""The network on loopback sockets: real TCP, addresses of the lab's own.

Theory of operation
    Every connection is a real TCP connection on the loopback interface. A host's port is a
    listening socket on some free port of the machine; the backend keeps the map. The client's
    socket is bound before it connects, so that the accepting side, which sees the peer's port, can
    look up which wire the connection belongs to: which host it came from and whom it meant.

    Taps see each chunk where it is put on the wire, at its sender. A sender outside the lab (curl,
    a browser) has no end of ours; its chunks are seen where they are received. Either way every
    byte passes a tap once, and a request is always seen before its answer.

    What this cannot show: packet sizes, retransmissions, timing below a system call. Captures made
    from it are well-formed, but their packets are synthetic.
"""

from __future__ import annotations

import errno
import ipaddress
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from tlslab.errors import AddressInUse, NetworkError
from tlslab.net.network import Connection, Host, Network
from tlslab.net.observation import Chunk, Direction, Endpoint, Flow, Kind, Tap

CONNECT_TIMEOUT = 10.0
"""Seconds until a connection attempt is given up. Loopback answers at once or not at all."""

BACKLOG = 128
"""Connections the kernel holds for us until we accept them; its own usual upper bound."""

EXTERNAL = "external client"
"""The name of a host that is not of the lab: some process on this machine."""


@dataclass
class _Wire:
    """One connection between two ends, and who listens in."""

    flow: Flow
    reached: str
    taps: tuple[Tap, ...]
    clock: Callable[[], int]
    ended: set[Direction] = field(default_factory=set)

    def carry(self, direction: Direction, data: bytes = b"", kind: Kind = Kind.DATA) -> None:
        if kind is Kind.CLOSED:
            if direction in self.ended:
                return
            self.ended.add(direction)
        if self.taps:
            chunk = Chunk(self.clock(), self.flow, direction, data, kind)
            for tap in self.taps:
                tap(chunk)


class LoopbackConnection(Connection):
    """One end of a connection over a loopback socket."""

    def __init__(
        self, transport: trio.SocketStream, wire: _Wire, sends: Direction, peer_is_ours: bool
    ) -> None:
        self._transport = transport
        self._wire = wire
        self._sends = sends
        self._peer_is_ours = peer_is_ours
        self._peer_address = str(transport.socket.getpeername()[0])
        self.flow = wire.flow
        self.reached = wire.reached

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Put bytes on the wire."""
        if len(data):
            self._wire.carry(self._sends, bytes(data) if self._wire.taps else b"")
        await self._transport.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the peer has room."""
        await self._transport.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Take bytes off the wire; `b""` once the peer has ended its direction."""
        data = bytes(await self._transport.receive_some(max_bytes))
        if not self._peer_is_ours:
            kind = Kind.DATA if data else Kind.CLOSED
            self._wire.carry(self._sends.opposite, data, kind)
        return data

    @property
    def source(self) -> str:
        """The client's IP address: in the lab, or the real one of a process outside of it."""
        return super().source if self._peer_is_ours else self._peer_address

    async def send_eof(self) -> None:
        """End this direction; the other goes on."""
        self._wire.carry(self._sends, kind=Kind.CLOSED)
        await self._transport.send_eof()

    async def aclose(self) -> None:
        """Close both directions."""
        self._wire.carry(self._sends, kind=Kind.CLOSED)
        if not self._peer_is_ours:
            self._wire.carry(self._sends.opposite, kind=Kind.CLOSED)
        await self._transport.aclose()


class LoopbackListener(trio.abc.Listener[LoopbackConnection]):
    """Accepts connections to one port of one host.

    `address` is the real `(ip, port)` at which processes outside the lab reach it.
    """

    def __init__(
        self, network: LoopbackNetwork, listener: trio.SocketListener, endpoint: Endpoint
    ) -> None:
        self._network = network
        self._listener = listener
        self._endpoint = endpoint
        ip, port, *_ = listener.socket.getsockname()
        self.address: tuple[str, int] = (ip, port)

    async def accept(self) -> LoopbackConnection:
        """The next connection."""
        stream = await self._listener.accept()
        return self._network._accepted(stream, self._endpoint)

    async def aclose(self) -> None:
        """Stop listening."""
        self._network._forget(self._endpoint)
        await self._listener.aclose()


class LoopbackNetwork(Network):
    """The lab's network on this machine's loopback interface. `clock` gives Unix nanoseconds."""

    def __init__(self, *, clock: Callable[[], int] = time.time_ns) -> None:
        super().__init__()
        self._clock = clock
        self._listening: dict[tuple[str, int], tuple[str, int]] = {}
        self._expected: dict[int, _Wire] = {}
        self._flow_numbers = itertools.count(1)

    async def listen(
        self, host: Host, port: int, *, bind_port: int = 0, bind_address: str = "127.0.0.1"
    ) -> LoopbackListener:
        """Accept connections to `port` of `host`; see `Network.listen`."""
        if (host.name, port) in self._listening:
            raise AddressInUse(f"{host.name} listens on port {port} already")
        try:
            ipaddress.ip_address(bind_address)
        except ValueError:
            raise NetworkError(
                f"{bind_address!r} is not an IP address", hint="such as 127.0.0.1, ::1 or 0.0.0.0"
            ) from None
        try:
            (listener,) = await trio.open_tcp_listeners(
                bind_port, host=bind_address, backlog=BACKLOG
            )
        except OSError as error:
            raise _listening_failed(error, bind_address, bind_port) from error
        endpoint = Endpoint(host.name, host.address, port)
        ours = LoopbackListener(self, listener, endpoint)
        self._listening[host.name, port] = ours.address
        return ours

    async def connect(self, source: Host, name: str, port: int) -> LoopbackConnection:
        """Connect from `source` to `port` of the host called `name`; see `Network.connect`."""
        target = self.find(name)
        intended = Endpoint(target.name, target.address, port)
        diversion = self._diversion_of(source, name, port)
        reached = target if diversion is None else diversion.interceptor
        real = self._listening.get((reached.name, port if diversion is None else diversion.port))
        if real is None:
            raise NetworkError(f"nothing listens on {name}:{port}", hint="start a server there")

        address = _reachable(real)
        loopback = "::1" if ":" in address[0] else "127.0.0.1"
        sock = trio.socket.socket(
            trio.socket.AF_INET6 if ":" in address[0] else trio.socket.AF_INET
        )
        try:
            # Bound first: the port is what the accepting side knows this wire by.
            await sock.bind((loopback, 0))
            own_port: int = sock.getsockname()[1]
            wire = self._wire(Endpoint(source.name, source.address, own_port), intended, reached)
            self._expected[own_port] = wire
            wire.carry(Direction.TO_SERVER, kind=Kind.OPENED)
            with trio.fail_after(CONNECT_TIMEOUT):
                await sock.connect(address)
        except BaseException as error:
            self._expected.pop(sock.getsockname()[1], None)
            sock.close()
            if isinstance(error, (OSError, trio.TooSlowError)):
                raise NetworkError(f"{name}:{port} cannot be reached: {error}") from error
            raise
        stream = trio.SocketStream(sock)
        return LoopbackConnection(stream, wire, Direction.TO_SERVER, peer_is_ours=True)

    def _wire(self, client: Endpoint, intended: Endpoint, reached: Host) -> _Wire:
        flow = Flow(
            number=next(self._flow_numbers),
            leg=f"{client.name} → {reached.name}",
            client=client,
            server=intended,
        )
        taps = self._taps_between(client.name, reached.name)
        return _Wire(flow, reached.name, taps, self._clock)

    def _accepted(self, stream: trio.SocketStream, endpoint: Endpoint) -> LoopbackConnection:
        peer_port: int = stream.socket.getpeername()[1]
        wire = self._expected.pop(peer_port, None)
        peer_is_ours = wire is not None
        if wire is None:
            outside = self.host(EXTERNAL)
            client = Endpoint(outside.name, outside.address, peer_port)
            wire = self._wire(client, endpoint, self.find(endpoint.name))
            wire.carry(Direction.TO_SERVER, kind=Kind.OPENED)
        return LoopbackConnection(stream, wire, Direction.TO_CLIENT, peer_is_ours)

    def _forget(self, endpoint: Endpoint) -> None:
        self._listening.pop((endpoint.name, endpoint.port), None)


def _reachable(real: tuple[str, int]) -> tuple[str, int]:
    """Where to connect to: a wildcard address is listened on, but not connected to."""
    ip, port = real
    return ("127.0.0.1" if ipaddress.ip_address(ip).is_unspecified else ip, port)


def _listening_failed(error: OSError, address: str, port: int) -> NetworkError:
    if error.errno == errno.EADDRINUSE:
        return AddressInUse(
            f"port {port} of {address} is in use",
            hint="choose another with --port, or leave it out to take a free one",
        )
    if error.errno == errno.EACCES:
        return NetworkError(
            f"port {port} may not be used by this user", hint="choose a port above 1023"
        )
    return NetworkError(
        f"cannot listen on {address}, port {port}: {(error.strerror or str(error)).lower()}",
        hint="name an address of this machine, such as 127.0.0.1",
    )
