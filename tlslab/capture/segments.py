"""Synthetic but well-formed Ethernet, IPv4 or IPv6, and TCP around bytes that passed a tap.

A `Side` is one end of one connection and makes the packets that it would have sent: addresses,
sequence numbers and checksums are right, so that Wireshark reads them as a capture from a cable.
It knows nothing of files. What is made up: MAC addresses (from the IP address), TTL, windows and
the initial sequence number; packet loss and retransmission do not occur.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from tlslab.errors import CaptureError

IPAddress = IPv4Address | IPv6Address

FIN: Final = 0x01
SYN: Final = 0x02
RST: Final = 0x04
PSH: Final = 0x08
ACK: Final = 0x10

# An Ethernet frame carries 1500 bytes, hence the segment sizes that everybody knows: 1460 over
# IPv4, 1440 over IPv6. Segments of 64 KiB (as offloading network cards show them) would be fewer,
# but the lab teaches what a cable carries, secrets cut in two by a packet boundary included.
MTU: Final = 1500
TCP_HEADER: Final = 20

_TTL: Final = 64
_WINDOW: Final = 0xFFFF
_WINDOW_SCALE: Final = 7  # Linux's usual value: a window of 8 MiB
_DONT_FRAGMENT: Final = 0x4000
_TCP: Final = 6
_ETHERTYPES: Final = {4: 0x0800, 6: 0x86DD}
_IP_HEADERS: Final = {4: 20, 6: 40}


def parse_address(text: str) -> IPAddress:
    """An IP address from its text. Raises `CaptureError`."""
    try:
        return ip_address(text)
    except ValueError:
        raise CaptureError(f"{text[:60]!r} is no IP address") from None


def ones_complement_sum(data: bytes) -> int:
    """The 16-bit one's complement sum of RFC 1071, modulo 65,535, of data padded to 16 bits.

    2^16 is 1 modulo 65,535, so the sum of the words is the whole number's remainder; that runs in
    C, at about 1 GB/s.
    """
    total = int.from_bytes(data) % 0xFFFF
    return total * 256 % 0xFFFF if len(data) % 2 else total


def checksum(total: int) -> int:
    """The Internet checksum for a sum of words (of which at least one is not zero)."""
    return 0xFFFF - (total % 0xFFFF or 0xFFFF)


class Side:
    """One end of a connection, and where it is in its sequence of bytes."""

    def __init__(
        self, source: tuple[IPAddress, int], target: tuple[IPAddress, int], sequence: int
    ) -> None:
        (source_ip, source_port), (target_ip, target_port) = source, target
        if source_ip.version != target_ip.version:
            raise CaptureError(f"{source_ip} and {target_ip} are not of one IP version")
        self._version = source_ip.version
        self._addresses = source_ip.packed + target_ip.packed
        self._ports = struct.pack(">HH", source_port, target_port)
        self._ethernet = (
            _mac(target_ip) + _mac(source_ip) + struct.pack(">H", _ETHERTYPES[self._version])
        )
        self._pseudo_sum = ones_complement_sum(self._addresses) + _TCP
        self._identification = 0
        self.maximum_segment = MTU - _IP_HEADERS[self._version] - TCP_HEADER
        self.sequence = sequence & 0xFFFFFFFF

    def packet(self, flags: int, acknowledge: int, payload: bytes = b"") -> tuple[bytes, bytes]:
        """The next packet, as headers and payload; `sequence` moves on."""
        options = b""
        if flags & SYN:
            options = struct.pack(">BBHBBBx", 2, 4, self.maximum_segment, 3, 3, _WINDOW_SCALE)
        header_size = TCP_HEADER + len(options)
        head = self._ports + struct.pack(
            ">IIBBH",
            self.sequence,
            acknowledge,
            header_size << 2,
            flags,
            0 if flags & RST else _WINDOW,
        )
        length = header_size + len(payload)
        total = ones_complement_sum(head) + ones_complement_sum(options)
        total += ones_complement_sum(payload) + self._pseudo_sum + length
        tcp = head + struct.pack(">HH", checksum(total), 0) + options
        self.sequence = (self.sequence + len(payload) + bool(flags & (SYN | FIN))) & 0xFFFFFFFF
        return self._ethernet + self._ip_header(length) + tcp, payload

    def _ip_header(self, length: int) -> bytes:
        if self._version == 6:
            return struct.pack(">IHBB", 6 << 28, length, _TCP, _TTL) + self._addresses
        self._identification = (self._identification + 1) & 0xFFFF
        head = struct.pack(
            ">BBHHHBB", 0x45, 0, 20 + length, self._identification, _DONT_FRAGMENT, _TTL, _TCP
        )
        total = ones_complement_sum(head) + ones_complement_sum(self._addresses)
        return head + struct.pack(">H", checksum(total)) + self._addresses


def _mac(address: IPAddress) -> bytes:
    """A locally administered MAC address: 02:00 and IPv4's bytes, or 02:06 and IPv6's last four."""
    return bytes([2, 0 if address.version == 4 else 6]) + address.packed[-4:]
