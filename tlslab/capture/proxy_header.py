"""What a proxy says before a connection that it passes on, as an eavesdropper reads it.

The PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt, sections 2.1 and 2.2): who the
proxy's own client is. Nobody without the key knows whether it is true. It checks nothing beyond
what it needs; who must believe such headers uses `tlslab.net.forwarded`.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

_V1: Final = re.compile(rb"PROXY TCP[46] ([0-9a-fA-F.:]{2,39}) [0-9a-fA-F.:]{2,39} ([0-9]{1,5}) ")
_V1_BYTES: Final = 107
_V2: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_WIDTHS: Final = {1: 4, 2: 16}  # address families: IPv4, IPv6


def proxy_header(data: bytes) -> tuple[int, str | None]:
    """How many bytes such a header has at the start of `data` (0: none is there), and the client.

    The client is "192.0.2.7 port 51234", or None if the header does not say.
    """
    if data.startswith(b"PROXY "):
        end = data.find(b"\r\n", 0, _V1_BYTES) + 2
        said = _V1.match(data)
        client = f"{said[1].decode()} port {said[2].decode()}" if said else None
        return (end, client) if end >= 2 else (0, None)
    if not data.startswith(_V2) or len(data) < 16:
        return 0, None
    end = 16 + int.from_bytes(data[14:16], "big")
    width = _WIDTHS.get(data[13] >> 4)
    if width is None or end < 16 + 2 * width + 4 or len(data) < end:
        return min(end, len(data)), None
    address = ipaddress.ip_address(data[16 : 16 + width])
    port = int.from_bytes(data[16 + 2 * width : 18 + 2 * width], "big")
    return end, f"{address} port {port}"
