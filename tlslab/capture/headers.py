"""From a captured frame to its TCP segment: link, IP and TCP headers, read in place.

Knows the link types that tcpdump and Wireshark commonly write. Lenient where cables are: a frame
that is no whole TCP segment gives None and is none of our business, however broken it is.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final, NamedTuple

from tlslab.capture.formats import Buffer

_VLAN_TYPES: Final = frozenset((0x8100, 0x88A8, 0x9100))
_IP_TYPES: Final = frozenset((0x0800, 0x86DD))
_MAX_VLAN_TAGS: Final = 4  # two are met in practice (IEEE 802.1ad)
_TCP: Final = 6
# IPv6 extension headers that may stand before TCP: hop-by-hop, routing, destination options
# (RFC 8200 section 4.1 knows at most four before the payload).
_EXTENSION_HEADERS: Final = frozenset((0, 43, 60))
_MAX_EXTENSION_HEADERS: Final = 8

_U16: Final = struct.Struct(">H").unpack_from
_TCP_FIELDS: Final = struct.Struct(">IIBB").unpack_from
_IPV4_FIELDS: Final = struct.Struct(">BxHxxHxB").unpack_from


class Segment(NamedTuple):
    """One TCP segment. `addresses` are source and target (4 or 16 bytes each), `ports` likewise.

    The payload lies between `start` and `end`; `missing` bytes of it were not captured.
    """

    addresses: bytes
    ports: bytes
    sequence: int
    acknowledge: int
    flags: int
    start: int
    end: int
    missing: int


def tcp_segment(data: Buffer, start: int, end: int, link_type: int) -> Segment | None:
    """The segment in the frame between `start` and `end`, or None if there is no whole header.

    Fragments of IP packets are not put together: they give None, too.
    """
    find_ip = _LINK_LAYERS.get(link_type)
    ip = None if find_ip is None else find_ip(data, start, end)
    if ip is None or ip >= end:
        return None
    version = data[ip] >> 4
    if version == 4:
        if ip + 20 > end:
            return None
        first, total, fragment, protocol = _IPV4_FIELDS(data, ip)
        if protocol != _TCP or fragment & 0x3FFF:
            return None
        tcp = ip + ((first & 15) << 2)
        # A total of 0 stands for "as captured": large segments seen before the card cuts them.
        ip_end = ip + total if total else end
        addresses = data[ip + 12 : ip + 20]
    elif version == 6:
        if ip + 40 > end:
            return None
        found = _skip_extension_headers(data, ip, end)
        if found is None:
            return None
        tcp = found
        ip_end = ip + 40 + (_U16(data, ip + 4)[0] or end - ip - 40)
        addresses = data[ip + 8 : ip + 40]
    else:
        return None
    if tcp + 20 > end or tcp < ip + 20:
        return None
    sequence, acknowledge, offset, flags = _TCP_FIELDS(data, tcp + 4)
    payload = tcp + (offset >> 4 << 2)
    if payload < tcp + 20 or payload > ip_end:
        return None
    captured_end = min(ip_end, end)
    return Segment(
        addresses,
        data[tcp : tcp + 4],
        sequence,
        acknowledge,
        flags,
        min(payload, captured_end),
        captured_end,
        ip_end - max(captured_end, payload),
    )


def _skip_extension_headers(data: Buffer, ip: int, end: int) -> int | None:
    """Where TCP starts in an IPv6 packet, or None if it does not."""
    following, at = data[ip + 6], ip + 40
    for _ in range(_MAX_EXTENSION_HEADERS):
        if following == _TCP:
            return at
        if following not in _EXTENSION_HEADERS or at + 2 > end:
            return None
        following, at = data[at], at + 8 + (data[at + 1] << 3)
    return None


def _ethernet(data: Buffer, start: int, end: int) -> int | None:
    return _after_ethertype(data, start + 12, end)


def _linux_cooked(data: Buffer, start: int, end: int) -> int | None:
    return _after_ethertype(data, start + 14, end)


def _linux_cooked_v2(data: Buffer, start: int, end: int) -> int | None:
    if start + 20 > end or _U16(data, start)[0] not in _IP_TYPES:
        return None
    return start + 20


def _after_ethertype(data: Buffer, at: int, end: int) -> int | None:
    for _ in range(_MAX_VLAN_TAGS + 1):
        if at + 2 > end:
            return None
        (ethertype,) = _U16(data, at)
        if ethertype in _IP_TYPES:
            return at + 2
        if ethertype not in _VLAN_TYPES:
            return None
        at += 4
    return None


def _raw(_data: Buffer, start: int, _end: int) -> int:
    return start


def _loopback(_data: Buffer, start: int, _end: int) -> int:
    """An address family of four bytes in the order of the host that captured.

    Its values differ between systems, so the IP version says what follows.
    """
    return start + 4


_LINK_LAYERS: Final[dict[int, Callable[[Buffer, int, int], int | None]]] = {
    0: _loopback,
    1: _ethernet,
    12: _raw,  # LINKTYPE_RAW under the numbers of some BSDs
    14: _raw,
    101: _raw,
    108: _loopback,
    113: _linux_cooked,
    228: _raw,
    229: _raw,
    276: _linux_cooked_v2,
}
