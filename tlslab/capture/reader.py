"""Captures read: a pcap or pcapng file becomes its TCP connections, reassembled.

Any file that tcpdump, Wireshark, editcap or tlslab wrote. The file is mapped, not copied: memory
grows with the number of packets (about 0.3 KiB each), not with their size. Do not truncate a file
in place while its `Capture` is in use.
"""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final, NamedTuple

from tlslab.capture.formats import Buffer, Contents, MalformedCapture, Packet, read_packets
from tlslab.capture.headers import Segment, tcp_segment
from tlslab.capture.segments import ACK, FIN, RST, SYN
from tlslab.capture.streams import Reassembler, Stream
from tlslab.errors import CaptureError
from tlslab.net import Direction, Endpoint, Flow

# What cannot be mapped (a pipe) is read into memory, up to this size.
MAX_UNMAPPED: Final = 1 << 30


@dataclass(frozen=True)
class FlowRecord:
    """One TCP connection of a capture.

    `flow.number` counts from 1 in the order of first packets; `flow.leg` is the interface's name.
    `opened` tells whether the SYN was captured, `closed` holds the directions that ended with FIN.
    Times are Unix nanoseconds.
    """

    flow: Flow
    to_server: Stream
    to_client: Stream
    opened: bool
    closed: frozenset[Direction]
    reset: bool
    first_ns: int
    last_ns: int
    packets: int

    def stream(self, direction: Direction) -> Stream:
        """The bytes of one direction."""
        return self.to_server if direction is Direction.TO_SERVER else self.to_client


class OtherBytes(NamedTuple):
    """Bytes of a packet that are in no stream: another protocol, a fragment, a conflicting segment.

    They lie at `at` in the file. Offsets count from there: from the start of the packet, or of a
    segment's payload.
    """

    packet: int
    at: int
    length: int


@dataclass(frozen=True)
class Capture:
    """All that was read from one file. `others` are bytes outside every flow.

    `truncated_at` is None for a whole file. Else the file ends in the middle of the block that
    begins at this byte: nothing of that block was read, and what followed it is not known.
    """

    flows: list[FlowRecord]
    packets: int
    interfaces: tuple[str, ...]
    names: dict[str, str]
    has_secrets: bool
    others: list[OtherBytes] = field(repr=False)
    source: Buffer = field(repr=False)
    truncated_at: int | None = None


def read_capture(path: str | os.PathLike[str], *, partial: bool = False) -> Capture:
    """Read a capture file. Raises `CaptureError`: `MalformedCapture` with the offset, if broken.

    A file that ends in the middle of a block is broken as well, unless `partial` asks for what
    came before: then look at `truncated_at`, since no absence is proven by a part.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - also takes the number of a descriptor
            try:
                data: Buffer = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except (OSError, ValueError):  # a pipe, or an empty file
                data = file.read(MAX_UNMAPPED + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CaptureError(
            f"{os.fspath(path)} cannot be read: {reason}",
            hint="check the path and who may read it: ls -l shows it",
        ) from error
    if len(data) > MAX_UNMAPPED and isinstance(data, bytes):
        raise CaptureError(
            f"{os.fspath(path)} is too large to be read from a pipe",
            hint="write it to a file first",
        )
    try:
        return parse_capture(data, partial=partial)
    except MalformedCapture as error:
        raise MalformedCapture(
            error.reason, offset=error.offset, hint=error.hint, file=str(path)
        ) from error


def parse_capture(data: Buffer, *, partial: bool = False) -> Capture:
    """Read a capture from bytes, like `read_capture`. Raises `MalformedCapture`."""
    contents = Contents()
    table = _FlowTable(contents, data)
    number = 0
    for packet in read_packets(data, contents):
        number = packet.number
        link_type = contents.interfaces[packet.interface].link_type
        segment = tcp_segment(data, packet.start, packet.end, link_type)
        if segment is None:
            length = packet.end - packet.start
            table.others.append(OtherBytes(number, packet.start, length))
        else:
            table.add(packet, segment)
    if contents.truncated_at is not None and not partial:
        raise MalformedCapture(
            "the file ends in the middle of the block",
            offset=contents.truncated_at,
            hint="it was cut off, or is still being written: copy it again when it is complete",
        )
    return Capture(
        flows=table.records(),
        packets=number,
        interfaces=tuple(_leg(contents, index) for index in range(len(contents.interfaces))),
        names=contents.names,
        has_secrets=bool(contents.key_logs),
        others=table.others,
        source=data,
        truncated_at=contents.truncated_at,
    )


class _Connection:
    """A flow while its packets are read."""

    __slots__ = ("client_end", "first_ns", "interface", "last_ns", "packets", "reset", "sides")

    def __init__(self, interface: int, client: tuple[bytes, bytes], time_ns: int) -> None:
        self.interface = interface
        self.client_end = client  # addresses and ports as in the packets that the client sends
        self.sides = (Reassembler(), Reassembler())  # to the server, to the client
        self.first_ns = self.last_ns = time_ns
        self.packets = 0
        self.reset = False


class _FlowTable:
    """Sorts segments into connections, by interface, addresses and ports."""

    def __init__(self, contents: Contents, source: Buffer) -> None:
        self._contents = contents
        self._source = source
        self._connections: list[_Connection] = []
        # (interface, addresses, ports) as in the packet -> connection, index of the side it fills
        self._open: dict[tuple[int, bytes, bytes], tuple[_Connection, int]] = {}
        self.others: list[OtherBytes] = []

    def add(self, packet: Packet, segment: Segment) -> None:
        addresses, ports, sequence, acknowledge, flags, start, end, missing = segment
        key = (packet.interface, addresses, ports)
        found = self._open.get(key) or self._begin(packet, segment)
        connection, side = found
        if flags & SYN:
            if not connection.sides[side].synchronize(sequence):
                connection, side = self._begin(packet, segment)
                connection.sides[side].synchronize(sequence)
            sequence = (sequence + 1) & 0xFFFFFFFF  # data may come with the SYN (RFC 7413)
        connection.packets += 1
        connection.last_ns = packet.time_ns
        stream = connection.sides[side]
        if end > start or missing > 0:
            stream.add(sequence, packet.number, start, end - start, missing)
        if flags & RST:
            connection.reset = True
        elif flags & ACK:
            connection.sides[1 - side].acknowledge(acknowledge)
        if flags & FIN:
            stream.finish((sequence + end - start + missing) & 0xFFFFFFFF)

    def _begin(self, packet: Packet, segment: Segment) -> tuple[_Connection, int]:
        """Another connection. The client is who sends SYN; else who has the higher port."""
        size = len(segment.addresses) // 2
        addresses, ports = segment.addresses, segment.ports
        reverse = (addresses[size:] + addresses[:size], ports[2:] + ports[:2])
        begins, answers = segment.flags & SYN, segment.flags & ACK
        from_client = not answers if begins else ports[:2] >= ports[2:]
        client = (addresses, ports) if from_client else reverse
        connection = _Connection(packet.interface, client, packet.time_ns)
        self._connections.append(connection)
        side = 0 if from_client else 1
        self._open[packet.interface, addresses, ports] = (connection, side)
        self._open[packet.interface, *reverse] = (connection, 1 - side)
        return connection, side

    def records(self) -> list[FlowRecord]:
        return [self._record(i, found) for i, found in enumerate(self._connections, 1)]

    def _record(self, number: int, connection: _Connection) -> FlowRecord:
        to_server, to_client = (side.stream(self._source) for side in connection.sides)
        for stream in (to_server, to_client):
            self.others += [
                OtherBytes(piece.packet, piece.at, piece.length) for piece in stream.conflicts
            ]
        ends = zip(Direction, connection.sides, strict=True)
        return FlowRecord(
            flow=self._flow(number, connection),
            to_server=to_server,
            to_client=to_client,
            opened=connection.sides[0].initial is not None,
            closed=frozenset(direction for direction, side in ends if side.finished),
            reset=connection.reset,
            first_ns=connection.first_ns,
            last_ns=connection.last_ns,
            packets=connection.packets,
        )

    def _flow(self, number: int, connection: _Connection) -> Flow:
        addresses, ports = connection.client_end
        size = len(addresses) // 2
        ends = []
        for index in (0, 1):
            address = str(ip_address(addresses[index * size : (index + 1) * size]))
            port = int.from_bytes(ports[index * 2 : index * 2 + 2])
            ends.append(Endpoint(self._contents.names.get(address, address), address, port))
        return Flow(number, _leg(self._contents, connection.interface), ends[0], ends[1])


def _leg(contents: Contents, index: int) -> str:
    return contents.interfaces[index].name or f"interface {index}"
