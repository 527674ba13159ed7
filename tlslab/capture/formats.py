"""The packets of a pcap or pcapng file: where each lies, when it was seen, on which interface.

Takes bytes (or a mapped file) and copies no packet. Knows the two file formats
(draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng) and nothing of what packets hold. A file that
breaks its format raises `MalformedCapture`; whatever came before was still handed out. A file that
ends in the middle of a block, cut off or still being written, is read up to there and says where.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final, NamedTuple, TypeAlias

from tlslab.capture import pcapng
from tlslab.errors import CaptureError

Buffer: TypeAlias = bytes | mmap.mmap

_NS: Final = 1_000_000_000
# magic number -> nanoseconds per unit of the second half of a timestamp
_PCAP_MAGICS: Final = {0xA1B2C3D4: 1000, 0xA1B23C4D: 1}
_PCAP_HEADER: Final = 24
_PCAP_PACKET: Final = 16
# A block that does not fit into the file was cut off, unless it is larger than what anybody writes:
# then its length is garbage. Wireshark takes blocks of 16 MiB, and packets of 128 MiB over USB.
MAX_CUT: Final = 128 * 1024 * 1024
_LINK_TYPE_MASK: Final = 0xFFFF  # above it: the length of the frame check sequence

# Blocks that hold no packet of a network but which Wireshark numbers as one, so that our packet
# numbers stay the ones that Wireshark shows: systemd journal entries, custom blocks, Sysdig events.
_NUMBERED_BLOCKS: Final = frozenset(
    (0x9, 0xBAD, 0x40000BAD, 0x204, 0x208, 0x210, 0x216, 0x217, 0x221)
)


class MalformedCapture(CaptureError):
    """A file that breaks its format; `offset` is the byte at which it does, `reason` how."""

    def __init__(
        self, reason: str, *, offset: int, hint: str | None = None, file: str | None = None
    ) -> None:
        where = "" if file is None else f"{file}: "
        super().__init__(f"{where}{reason} at byte {offset}", hint=hint or _DAMAGED)
        self.reason = reason
        self.offset = offset


_DAMAGED: Final = "the file is damaged there; capinfos and tshark may say more"


@dataclass
class Interface:
    """Where packets were captured: its name (empty if the file has none) and its link type."""

    link_type: int
    name: str = ""
    ticks_per_second: int = 1_000_000
    offset_seconds: int = 0


@dataclass
class Contents:
    """What a file says besides packets; filled while its packets are read.

    `names` maps addresses to the first name given; `key_logs` are embedded TLS secrets, unread.
    `truncated_at` is the byte at which a block begins in whose middle the file ends, if it does.
    """

    interfaces: list[Interface] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    key_logs: list[bytes] = field(default_factory=list, repr=False)
    truncated_at: int | None = None


class Packet(NamedTuple):
    """One packet. `number` counts from 1, as Wireshark does; `interface` indexes the contents'.

    `start` and `end` enclose its captured bytes in the file; `size` was its size on the wire.
    """

    number: int
    time_ns: int
    interface: int
    start: int
    end: int
    size: int


def read_packets(data: Buffer, contents: Contents) -> Iterator[Packet]:
    """The packets of a whole file, in order. Raises `MalformedCapture`."""
    magic = data[:4]
    if len(magic) < 4:
        raise MalformedCapture(
            "the file is too short for a capture and ends",
            offset=len(magic),
            hint="if it is still being written, wait for its first packets",
        )
    if magic == pcapng.SECTION_HEADER.to_bytes(4):
        return _Sections(data, contents).packets()
    for order in "<>":
        if (unit := _PCAP_MAGICS.get(struct.unpack(f"{order}I", magic)[0])) is not None:
            return _pcap_packets(data, contents, order, unit)
    raise MalformedCapture(
        "this is neither pcap nor pcapng", offset=0, hint="tshark -F pcapng converts other formats"
    )


def _pcap_packets(data: Buffer, contents: Contents, order: str, unit: int) -> Iterator[Packet]:
    size = len(data)
    if size < _PCAP_HEADER:
        contents.truncated_at = 0
        return
    link_type = struct.unpack_from(f"{order}I", data, 20)[0] & _LINK_TYPE_MASK
    contents.interfaces.append(Interface(link_type))
    unpack = struct.Struct(f"{order}IIII").unpack_from
    at, number = _PCAP_HEADER, 0
    while at < size:
        if at + _PCAP_PACKET > size:
            contents.truncated_at = at
            return
        seconds, fraction, captured, original = unpack(data, at)
        start = at + _PCAP_PACKET
        if start + captured > size:
            _cut_off(contents, at, captured)
            return
        at = start + captured
        number += 1
        yield Packet(number, seconds * _NS + fraction * unit, 0, start, at, original)


def _cut_off(contents: Contents, at: int, length: int) -> None:
    """Notes that what begins at `at` is cut off by the file's end, if its length can be true."""
    if length > MAX_CUT:
        raise MalformedCapture(f"a length of {length} bytes cannot be", offset=at)
    contents.truncated_at = at


class _Sections:
    """Walks the blocks of a pcapng file; each section has its byte order and its interfaces."""

    def __init__(self, data: Buffer, contents: Contents) -> None:
        self._data = data
        self._contents = contents
        self._order = "<"
        self._first_interface = 0  # of this section, within the file's
        self._number = 0

    def packets(self) -> Iterator[Packet]:
        data, size = self._data, len(self._data)
        at = 0
        while at < size:
            if at + 12 > size:
                self._contents.truncated_at = at
                return
            if data[at : at + 4] == b"\x0a\x0d\x0d\x0a":
                self._start_section(at)
                head, tail, enhanced = (
                    struct.Struct(f"{self._order}{form}").unpack_from for form in ("II", "I", "5I")
                )
            kind, total = head(data, at)
            end = at + total
            if total < 12 or total % 4:
                raise MalformedCapture(f"a block cannot have {total} bytes", offset=at + 4)
            if end > size:
                _cut_off(self._contents, at, total)
                return
            if tail(data, end - 4)[0] != total:
                raise MalformedCapture("a block's two lengths differ", offset=end - 4)
            if kind == pcapng.ENHANCED_PACKET and total >= 32:
                interface, high, low, captured, original = enhanced(data, at + 8)
                yield self._packet(
                    at + 28, end, interface, (high << 32) + low, (captured, original)
                )
            elif (packet := self._other_block(kind, at, end)) is not None:
                yield packet
            at = end

    def _start_section(self, at: int) -> None:
        magic = self._data[at + 8 : at + 12]
        for order in "<>":
            if magic == struct.pack(f"{order}I", pcapng.BYTE_ORDER_MAGIC):
                self._order = order
                self._first_interface = len(self._contents.interfaces)
                return
        raise MalformedCapture("a section's byte order is unknown", offset=at + 8)

    def _other_block(self, kind: int, at: int, end: int) -> Packet | None:
        """Reads a block that is no enhanced packet; unknown ones are skipped."""
        body, end = at + 8, end - 4
        if kind == pcapng.SIMPLE_PACKET:
            (original,) = self._unpack("I", body, end)
            captured = min(original, end - body - 4)
            return self._packet(body + 4, end + 4, 0, None, (captured, original))
        if kind == pcapng.OBSOLETE_PACKET:
            interface, _, high, low, captured, original = self._unpack("HHIIII", body, end)
            ticks = (high << 32) + low
            return self._packet(body + 20, end + 4, interface, ticks, (captured, original))
        if kind == pcapng.ENHANCED_PACKET:
            raise MalformedCapture("a packet block is too short", offset=at)
        if kind in _NUMBERED_BLOCKS:
            self._number += 1
        elif kind == pcapng.INTERFACE_DESCRIPTION:
            self._interface(body, end)
        elif kind == pcapng.NAME_RESOLUTION:
            self._names(body, end)
        elif kind == pcapng.DECRYPTION_SECRETS:
            secrets_type, length = self._unpack("II", body, end)
            if length > end - body - 8:
                raise MalformedCapture("the secrets are cut short", offset=body + 4)
            if secrets_type == pcapng.TLS_KEY_LOG:
                self._contents.key_logs.append(self._data[body + 8 : body + 8 + length])
        return None

    def _packet(
        self, start: int, end: int, interface: int, ticks: int | None, sizes: tuple[int, int]
    ) -> Packet:
        """The packet whose bytes begin at `start`, in a block that ends at `end`.

        `sizes` are how many bytes were captured and how many there were.
        """
        captured, original = sizes
        if start + captured > end - 4:
            raise MalformedCapture(f"a packet of {captured} bytes does not fit", offset=start)
        index = self._first_interface + interface
        if index >= len(self._contents.interfaces):
            raise MalformedCapture(f"there is no interface {interface}", offset=start)
        self._number += 1
        time_ns = 0
        if ticks is not None:
            where = self._contents.interfaces[index]
            time_ns = ticks * _NS // where.ticks_per_second + where.offset_seconds * _NS
        return Packet(self._number, time_ns, index, start, start + captured, original)

    def _interface(self, at: int, end: int) -> None:
        link_type, _, _ = self._unpack("HHI", at, end)
        interface = Interface(link_type)
        for code, value in self._options(at + 8, end):
            if code == pcapng.IF_NAME:
                interface.name = value.split(b"\0")[0].decode(errors="replace")
            elif code == pcapng.IF_TSRESOL and len(value) == 1:
                base, exponent = (2, value[0] & 0x7F) if value[0] & 0x80 else (10, value[0])
                interface.ticks_per_second = base**exponent
            elif code == pcapng.IF_TSOFFSET and len(value) == 8:
                (interface.offset_seconds,) = struct.unpack(f"{self._order}q", value)
        self._contents.interfaces.append(interface)

    def _names(self, at: int, end: int) -> None:
        for kind, value in self._options(at, end):
            size = {pcapng.NRB_IPV4: 4, pcapng.NRB_IPV6: 16}.get(kind)
            if size is None or len(value) < size:
                continue
            name = value[size:].split(b"\0")[0].decode(errors="replace")
            self._contents.names.setdefault(str(ip_address(value[:size])), name)

    def _options(self, at: int, end: int) -> Iterator[tuple[int, bytes]]:
        """Options, and records of names, which have the same form. Ends at the end mark."""
        while at + 4 <= end:
            code, length = self._unpack("HH", at, end)
            if code == pcapng.OPTION_END:
                return
            if at + 4 + length > end:
                raise MalformedCapture("an option is cut short", offset=at)
            yield code, self._data[at + 4 : at + 4 + length]
            at += 4 + length + -length % 4

    def _unpack(self, form: str, at: int, end: int) -> tuple[int, ...]:
        layout = struct.Struct(self._order + form)
        if at + layout.size > end:
            raise MalformedCapture("a block is too short", offset=at)
        return layout.unpack_from(self._data, at)
