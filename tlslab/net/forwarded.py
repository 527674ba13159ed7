"""What a proxy tells the next hop of a connection that it passes on, and proves.

A PROXY protocol header, version 2 (HAProxy's proxy-protocol.txt, section 2.2), as the connection's
first bytes: who the client is, whether it came over TLS, and a last TLV by which both sides of the
hop, who share a key, know that it was the proxy that said so:

    TLV 0xE0 = time (8 bytes, microseconds, big-endian) nonce (16) HMAC-SHA256(key, all before) (32)

Whoever else connects cannot say such a thing, nor repeat it: a nonce counts once, and only within
`WINDOW` of the time it names. An HTTP header in its place could be sent by any client. What the
header says holds for the connection; keeping the hop itself from being read or taken over is TLS's
business.
"""

from __future__ import annotations

import hmac
import ipaddress
import os
import struct
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tlslab.errors import NetworkError

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
"""How every header begins; no HTTP request, TLS record or SSH greeting does."""

HEAD_BYTES = 16
"""Signature, version and command, family, and the length of what follows."""

MAX_BYTES = 512
"""A header of ours has about 130 bytes; others' may carry more, but not megabytes."""

WINDOW = timedelta(seconds=30)
"""How far the clocks of proxy and next hop may be apart, and how long a nonce is remembered."""

MAX_NONCES = 1_000_000
"""Remembered at a time, 100 MB at most: 33,000 connections a second. Beyond it, none is taken."""

_VERSION_AND_PROXY = 0x21
_TCP4, _TCP6 = 0x11, 0x21
_SSL, _SSL_VERSION, _PROOF = 0x20, 0x21, 0xE0  # PP2_TYPE_SSL, PP2_SUBTYPE_SSL_VERSION, ours
_CLIENT_SSL = 0x01
_PROOF_BYTES, _MAC_BYTES = 8 + 16 + 32, 32
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class NotForwarded(NetworkError):
    """A header that does not prove what it says; nothing of the connection may be served."""


@dataclass(frozen=True)
class Forwarded:
    """A client as the proxy saw it: IP address (text), port, and its TLS version (None: none)."""

    address: str
    port: int
    tls_version: str | None


def announce(client: Forwarded, key: bytes, *, now: datetime) -> bytes:
    """The header to send before anything else. `key` is shared with the next hop."""
    address = ipaddress.ip_address(client.address)
    family = _TCP4 if address.version == 4 else _TCP6
    # Whom the client wanted is in the request it sends; the protocol only wants the field filled.
    body = address.packed + bytes(len(address.packed)) + struct.pack("!HH", client.port, 0)
    if client.tls_version is not None:
        version = _tlv(_SSL_VERSION, client.tls_version.encode("ascii"))
        body += _tlv(_SSL, struct.pack("!BI", _CLIENT_SSL, 0) + version)
    length = len(body) + 3 + _PROOF_BYTES
    header = SIGNATURE + struct.pack("!BBH", _VERSION_AND_PROXY, family, length) + body
    header += struct.pack("!BH", _PROOF, _PROOF_BYTES)
    header += struct.pack("!Q", (now - _EPOCH) // timedelta(microseconds=1)) + os.urandom(16)
    return header + hmac.digest(key, header, "sha256")


@dataclass
class Gate:
    """The next hop's side: believes only who has the key, and each header once."""

    key: bytes = field(repr=False)
    _nonces: OrderedDict[bytes, datetime] = field(default_factory=OrderedDict, repr=False)

    def size(self, head: bytes) -> int:
        """The length of a whole header whose first `HEAD_BYTES` are given. Raises NotForwarded."""
        whole = len(head) >= HEAD_BYTES and head.startswith(SIGNATURE)
        if not whole or head[12] != _VERSION_AND_PROXY:
            raise NotForwarded("not a header of the PROXY protocol, version 2")
        size = HEAD_BYTES + int.from_bytes(head[14:16], "big")
        if size > MAX_BYTES:
            raise NotForwarded(f"a header of {size} bytes; at most {MAX_BYTES} are taken")
        return size

    def check(self, header: bytes, *, now: datetime) -> Forwarded:
        """What a whole header says. Raises NotForwarded, whatever is wrong with it."""
        proof = header[-_PROOF_BYTES:]
        begins = header[-_PROOF_BYTES - 3 : -_PROOF_BYTES]
        mac = hmac.digest(self.key, header[:-_MAC_BYTES], "sha256")
        if begins != struct.pack("!BH", _PROOF, _PROOF_BYTES) or not hmac.compare_digest(
            mac, header[-_MAC_BYTES:]
        ):
            raise NotForwarded("said by somebody who is not the proxy")
        self._once(proof[8:24], int.from_bytes(proof[:8], "big"), now)
        return _parse(header[HEAD_BYTES : -_PROOF_BYTES - 3], header[13])

    def _once(self, nonce: bytes, microseconds: int, now: datetime) -> None:
        while self._nonces and next(iter(self._nonces.values())) < now - 2 * WINDOW:
            self._nonces.popitem(last=False)
        apart = abs((now - _EPOCH) - timedelta(microseconds=microseconds))
        if apart > WINDOW or nonce in self._nonces or len(self._nonces) >= MAX_NONCES:
            raise NotForwarded("a header that was said before, or at another time")
        self._nonces[nonce] = now


def _tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def _parse(body: bytes, family: int) -> Forwarded:
    """The rest is authentic, hence well-formed: with another idea of it, the proxy has a bug."""
    width = {_TCP4: 4, _TCP6: 16}[family]
    address = str(ipaddress.ip_address(body[:width]))
    port = int.from_bytes(body[2 * width : 2 * width + 2], "big")
    rest = body[2 * width + 4 :]
    version = rest[11:].decode("ascii") if rest else None  # TLV 3, client and verify 5, sub-TLV 3
    return Forwarded(address, port, version)
