"""Blocks of the pcapng format, as bytes: the numbers of the format, and one encoder per block.

Source: draft-ietf-opsawg-pcapng. Knows nothing of files, flows or TCP. Everything is written in
little-endian order with timestamps in nanoseconds; the reader takes both orders.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from tlslab.errors import CaptureError

SECTION_HEADER: Final = 0x0A0D0D0A
INTERFACE_DESCRIPTION: Final = 1
OBSOLETE_PACKET: Final = 2
SIMPLE_PACKET: Final = 3
NAME_RESOLUTION: Final = 4
ENHANCED_PACKET: Final = 6
DECRYPTION_SECRETS: Final = 10

BYTE_ORDER_MAGIC: Final = 0x1A2B3C4D
LINKTYPE_ETHERNET: Final = 1
TLS_KEY_LOG: Final = 0x544C534B

OPTION_END: Final = 0
OPTION_COMMENT: Final = 1
SHB_USERAPPL: Final = 4
IF_NAME: Final = 2
IF_DESCRIPTION: Final = 3
IF_TSRESOL: Final = 9
IF_TSOFFSET: Final = 14

NRB_END: Final = 0
NRB_IPV4: Final = 1
NRB_IPV6: Final = 2

# An option's length has 16 bits. Longer texts are cut at a character, since a comment that is
# almost whole serves its reader better than a capture that cannot be written.
MAX_OPTION: Final = 2**16 - 1
MAX_NAME: Final = 255  # RFC 1035 section 2.3.4

# One line of an NSS key log: label, client random, secret.
_KEY_LOG_LINE: Final = re.compile(r"#.*|[A-Z0-9_]+ [0-9A-Fa-f]{2,} [0-9A-Fa-f]{2,}")

_NANOSECONDS: Final = bytes([9])  # if_tsresol: 10^-9
_UNKNOWN_LENGTH: Final = 2**64 - 1

_EPB_HEAD: Final = struct.Struct("<IIIIIII")
_LENGTH: Final = struct.Struct("<I")


def section_header(application: str, comment: str | None) -> bytes:
    """A Section Header Block that names the writing program."""
    options = [(SHB_USERAPPL, _text(application))]
    if comment is not None:
        options.insert(0, (OPTION_COMMENT, _text(comment)))
    body = struct.pack("<IHHQ", BYTE_ORDER_MAGIC, 1, 0, _UNKNOWN_LENGTH)
    return _block(SECTION_HEADER, body + _options(options))


def interface_description(name: str, description: str) -> bytes:
    """An Interface Description Block: Ethernet, no snap length, timestamps in nanoseconds."""
    options = [
        (IF_NAME, _text(name)),
        (IF_DESCRIPTION, _text(description)),
        (IF_TSRESOL, _NANOSECONDS),
    ]
    body = struct.pack("<HHI", LINKTYPE_ETHERNET, 0, 0)
    return _block(INTERFACE_DESCRIPTION, body + _options(options))


def name_resolution(names: Iterable[tuple[IPv4Address | IPv6Address, str]]) -> bytes:
    """A Name Resolution Block of addresses and names.

    A name that cannot be one (empty, longer than `MAX_NAME`, with a NUL) raises `CaptureError`.
    """
    body = b""
    for address, name in names:
        text = name.encode()
        if not 0 < len(text) <= MAX_NAME or b"\0" in text:
            raise CaptureError(f"{name[:40]!r} is no name for {address}")
        kind = NRB_IPV4 if address.version == 4 else NRB_IPV6
        body += _tlv(kind, address.packed + text + b"\0")
    return _block(NAME_RESOLUTION, body + struct.pack("<HH", NRB_END, 0))


def decryption_secrets(key_log: str) -> bytes:
    """A Decryption Secrets Block with TLS secrets in the format of NSS key logs.

    Lines in any other form raise `CaptureError`, so that no private key lands in a capture.
    """
    for number, line in enumerate(key_log.splitlines(), 1):
        if line.strip() and not _KEY_LOG_LINE.fullmatch(line.rstrip()):
            raise CaptureError(
                f"line {number} of the TLS secrets is no line of a key log",
                hint="expected: LABEL CLIENT_RANDOM SECRET, the latter two in hexadecimal",
            )
    text = key_log.encode()
    return _block(DECRYPTION_SECRETS, struct.pack("<II", TLS_KEY_LOG, len(text)) + _padded(text))


def enhanced_packet(interface: int, time_ns: int, parts: Sequence[bytes]) -> bytes:
    """An Enhanced Packet Block; the packet is the concatenation of `parts`."""
    size = sum(map(len, parts))
    padding = -size % 4
    total = 32 + size + padding
    head = _EPB_HEAD.pack(
        ENHANCED_PACKET, total, interface, time_ns >> 32, time_ns & 0xFFFFFFFF, size, size
    )
    return b"".join((head, *parts, bytes(padding), _LENGTH.pack(total)))


def _block(kind: int, body: bytes) -> bytes:
    total = len(body) + 12
    return struct.pack("<II", kind, total) + body + _LENGTH.pack(total)


def _options(options: Iterable[tuple[int, bytes]]) -> bytes:
    encoded = b"".join(_tlv(code, value) for code, value in options)
    return encoded + struct.pack("<HH", OPTION_END, 0)


def _tlv(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _padded(value: bytes) -> bytes:
    return value + bytes(-len(value) % 4)


def _text(text: str) -> bytes:
    return text.encode(errors="replace")[:MAX_OPTION].decode(errors="ignore").encode()
