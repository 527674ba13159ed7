"""Captures written while they happen: chunks that taps saw become packets of a pcapng file.

One interface per leg, names of hosts, and on request the TLS secrets that let Wireshark decrypt.
Memory does not grow with the traffic: only open flows are remembered. A file appears under its
name when it is whole, or not at all.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Final

from tlslab import __version__
from tlslab.capture import pcapng
from tlslab.capture.segments import ACK, FIN, PSH, RST, SYN, Side, parse_address
from tlslab.errors import CaptureError
from tlslab.net import Chunk, Direction, Flow, Kind

# A receiver acknowledges at the latest after so many bytes, well within its window of 8 MiB, so
# that Wireshark does not report a full window.
ACKNOWLEDGE_EVERY: Final = 256 * 1024

# Flows that ended are remembered a little, for data that was under way when the RST was sent.
MAX_ENDED_FLOWS: Final = 1024

_BUFFER: Final = 1 << 20
_DESCRIPTION: Final = "a leg of the lab's network; packets made from the bytes that passed a tap"


class _Connection:
    """The two sides of a flow, and what is not acknowledged yet in each direction."""

    def __init__(self, flow: Flow) -> None:
        client = parse_address(flow.client.address), flow.client.port
        server = parse_address(flow.server.address), flow.server.port
        # Initial sequence numbers are spread over the range (Fibonacci hashing), not random: the
        # same chunks give the same file.
        start = flow.number * 0x9E3779B1
        self.sides = {
            Direction.TO_SERVER: Side(client, server, start),
            Direction.TO_CLIENT: Side(server, client, start + 0x80000000),
        }
        self.unacknowledged = {Direction.TO_SERVER: 0, Direction.TO_CLIENT: 0}
        self.closed: set[Direction] = set()
        self.reset = False


class PcapngWriter:
    """Writes chunks to a binary file as they come; `observe` is a tap.

    `names` maps addresses to names (those of the flows' endpoints are added by themselves);
    `secrets` is the text of an NSS key log. Raises `CaptureError`, also when the disk is full; the
    file is then not whole (`open_pcapng` removes it).
    """

    def __init__(
        self,
        file: IO[bytes],
        *,
        names: Mapping[str, str] | None = None,
        secrets: str | None = None,
        comment: str | None = None,
    ) -> None:
        self._file = file
        self._interfaces: dict[str, int] = {}
        self._named: set[tuple[str, str]] = set()
        self._connections: dict[tuple[int, str], _Connection] = {}
        self._ended: deque[tuple[int, str]] = deque()
        self._write(pcapng.section_header(f"tlslab {__version__}", comment))
        if secrets:
            self.add_secrets(secrets)
        self._add_names((names or {}).items())

    def add_secrets(self, key_log: str) -> None:
        """Embed TLS secrets. Wireshark uses them for the packets that come after."""
        self._write(pcapng.decryption_secrets(key_log))

    def observe(self, chunk: Chunk) -> None:
        """Write what a tap saw. Raises `CaptureError`."""
        flow, key = chunk.flow, (chunk.flow.number, chunk.flow.leg)
        connection = self._connections.get(key)
        if connection is None:
            if chunk.kind in (Kind.CLOSED, Kind.RESET):
                return  # of a flow that is over, or was never seen: nothing to tell
            connection = self._connections[key] = _Connection(flow)
            self._begin(flow)
            if chunk.kind is Kind.OPENED:
                self._handshake(chunk, connection)
        # Data of a flow whose opening nobody saw starts in the middle, as in any late capture.
        if chunk.kind is Kind.DATA:
            self._data(chunk, connection)
        elif chunk.kind is Kind.CLOSED:
            self._close(chunk, connection)
        elif chunk.kind is Kind.RESET and not connection.reset:
            self._packet(chunk, connection, chunk.direction, RST | ACK)
            connection.reset = True
            self._forget_later(key)

    def flush(self) -> None:
        """Hand what is buffered to the system. Raises `CaptureError`."""
        with _as_capture_error():
            self._file.flush()

    def _begin(self, flow: Flow) -> None:
        if flow.leg not in self._interfaces:
            self._interfaces[flow.leg] = len(self._interfaces)
            self._write(pcapng.interface_description(flow.leg, _DESCRIPTION))
        self._add_names((end.address, end.name) for end in (flow.client, flow.server))

    def _add_names(self, names: Iterable[tuple[str, str]]) -> None:
        new = [pair for pair in dict.fromkeys(names) if pair not in self._named]
        new = [(address, name) for address, name in new if name and name != address]
        if new:
            self._named.update(new)
            resolved = [(parse_address(address), name) for address, name in new]
            self._write(pcapng.name_resolution(resolved))

    def _handshake(self, chunk: Chunk, connection: _Connection) -> None:
        self._packet(chunk, connection, Direction.TO_SERVER, SYN)
        self._packet(chunk, connection, Direction.TO_CLIENT, SYN | ACK)
        self._packet(chunk, connection, Direction.TO_SERVER, ACK)

    def _data(self, chunk: Chunk, connection: _Connection) -> None:
        direction, data = chunk.direction, chunk.data
        if direction in connection.closed:
            raise CaptureError(f"flow {chunk.flow.number} carries data {direction.value} after FIN")
        size = connection.sides[direction].maximum_segment
        for start in range(0, len(data), size):
            end = start + size
            flags = ACK | PSH if end >= len(data) else ACK
            self._packet(chunk, connection, direction, flags, data[start:end])
            connection.unacknowledged[direction] += size
            if connection.unacknowledged[direction] >= ACKNOWLEDGE_EVERY:
                self._packet(chunk, connection, direction.opposite, ACK)

    def _close(self, chunk: Chunk, connection: _Connection) -> None:
        if chunk.direction in connection.closed or connection.reset:
            return
        self._packet(chunk, connection, chunk.direction, FIN | ACK)
        self._packet(chunk, connection, chunk.direction.opposite, ACK)
        connection.closed.add(chunk.direction)
        if len(connection.closed) == 2:
            self._forget_later((chunk.flow.number, chunk.flow.leg))

    def _forget_later(self, key: tuple[int, str]) -> None:
        self._ended.append(key)
        if len(self._ended) > MAX_ENDED_FLOWS:
            self._connections.pop(self._ended.popleft(), None)

    def _packet(
        self,
        chunk: Chunk,
        connection: _Connection,
        direction: Direction,
        flags: int,
        payload: bytes = b"",
    ) -> None:
        peer = connection.sides[direction.opposite]
        parts = connection.sides[direction].packet(
            flags, peer.sequence if flags & ACK else 0, payload
        )
        connection.unacknowledged[direction.opposite] = 0
        interface = self._interfaces[chunk.flow.leg]
        self._write(pcapng.enhanced_packet(interface, chunk.time_ns, parts))

    def _write(self, block: bytes) -> None:
        with _as_capture_error():
            self._file.write(block)


@contextlib.contextmanager
def open_pcapng(
    path: str | os.PathLike[str],
    *,
    names: Mapping[str, str] | None = None,
    secrets: str | None = None,
    comment: str | None = None,
) -> Iterator[PcapngWriter]:
    """A writer whose file appears at `path` when the block ends without an error.

    Until then the bytes are in a temporary file beside it, which is removed on any error (also a
    cancellation). Only the owner may read the file: captures hold secrets.
    """
    target = Path(path)
    with _as_capture_error():
        # Not a `with` of its own: the file must be closed, and so whole, before it is renamed.
        file = tempfile.NamedTemporaryFile(  # noqa: SIM115
            dir=target.parent, prefix=f".{target.name}.", buffering=_BUFFER, delete=False
        )
    try:
        writer = PcapngWriter(file, names=names, secrets=secrets, comment=comment)
        yield writer
        writer.flush()
        with _as_capture_error():
            file.close()
            Path(file.name).replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            file.close()
        Path(file.name).unlink(missing_ok=True)
        raise


def write_pcapng(
    target: str | os.PathLike[str] | IO[bytes],
    chunks: Iterable[Chunk],
    *,
    names: Mapping[str, str] | None = None,
    secrets: str | None = None,
    comment: str | None = None,
) -> None:
    """Write chunks to a path (atomically, see `open_pcapng`) or to an open binary file.

    Raises `CaptureError`; then nothing is at the path that was not there before.
    """
    if isinstance(target, (str, os.PathLike)):
        with open_pcapng(target, names=names, secrets=secrets, comment=comment) as writer:
            for chunk in chunks:
                writer.observe(chunk)
        return
    writer = PcapngWriter(target, names=names, secrets=secrets, comment=comment)
    for chunk in chunks:
        writer.observe(chunk)
    writer.flush()


@contextlib.contextmanager
def _as_capture_error() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CaptureError(f"the capture cannot be written: {reason}") from error
