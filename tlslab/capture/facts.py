"""What an eavesdropper learns from one flow without any key.

`facts` names the protocol and reads what it shows. How much of a flow is readable is measured, not
concluded from the protocol: see `readable_bytes`.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import Final

from tlslab.capture.http_heads import HTTPHead, http_heads, looks_like_http
from tlslab.capture.proxy_header import proxy_header
from tlslab.capture.reader import FlowRecord
from tlslab.capture.streams import Stream
from tlslab.capture.tls_facts import TLSFacts, looks_like_tls, tls_facts

# Of random bytes 38 % are printable ASCII; 256 of them are 75 % printable with a probability under
# 10^-30. Text is over 95 %.
BLOCK: Final = 256
READABLE_SHARE: Final = 0.75
# Blocks at the end of a stretch may be shorter; under 64 bytes chance decides too often, so these
# must be text as a whole.
_SMALL_BLOCK: Final = 64
_MAX_CUT: Final = 6  # bytes of characters that a block may have lost at its two ends

_FOLLOWED: Final = 4 * 2**20  # HTTP messages are followed in this much of a direction
_SAMPLE: Final = 256 * 1024  # entropy is exact to 0.01 bits per byte with a tenth of this
_STEP: Final = 256 * 1024

FACT_NAMES: Final = frozenset(
    {
        "protocol", "forwarded_for", "http_request", "http_host", "http_credentials",
        "http_status", "tls_version", "cipher_suite", "group", "server_name", "alpn_offered",
        "alpn", "certificate", "resumed", "alerts", "ja3", "ja4",
    }
)  # fmt: skip
"""What can be in `FlowFacts.learned`."""

_PRINTABLE: Final = bytes(range(0x20, 0x7F)) + b"\t\r\n"
_HIGH: Final = bytes(range(0x80, 0x100))


@dataclass(frozen=True)
class Readability:
    """How much of one direction is readable, in bytes, and its entropy in bits per byte.

    Entropy is Shannon's, over the first 256 KiB; 8.0 is the most, English text has about 4.5.
    """

    readable: int = 0
    opaque: int = 0
    entropy: float = 0.0


@dataclass(frozen=True)
class FlowFacts:
    """What one flow shows. `protocol` is HTTP, WebSocket, TLS, unknown, or empty (no data).

    `gaps` counts bytes that the capture lacks: what is said here is said of the rest.
    `forwarded_for` is the client that a proxy says it passes on.
    """

    protocol: str
    to_server: Readability
    to_client: Readability
    requests: tuple[HTTPHead, ...] = ()
    responses: tuple[HTTPHead, ...] = ()
    tls: TLSFacts | None = None
    gaps: int = 0
    forwarded_for: str | None = None

    @property
    def readable(self) -> int:
        """Readable bytes, both ways."""
        return self.to_server.readable + self.to_client.readable

    @property
    def opaque(self) -> int:
        """Other bytes, both ways."""
        return self.to_server.opaque + self.to_client.opaque

    @property
    def readable_share(self) -> float:
        """Readable bytes among all, from 0 to 1."""
        return self.readable / max(self.readable + self.opaque, 1)

    @property
    def learned(self) -> dict[str, str]:
        """The facts by name, for records and reports; only what was really seen is in it."""
        seen: dict[str, str | None] = {
            "protocol": self.protocol if self.protocol != "empty" else None,
            "forwarded_for": self.forwarded_for,
        }
        if self.requests:
            seen["http_request"] = self.requests[0].start_line
            seen["http_host"] = self.requests[0].host
            credentials = {name for head in self.requests for name in head.credentials}
            seen["http_credentials"] = ", ".join(sorted(credentials)) or None
        if self.responses:
            seen["http_status"] = str(self.responses[0].status)
        if self.tls is not None:
            seen |= _learned_from_tls(self.tls)
        return {name: value for name, value in seen.items() if value is not None}


def facts(record: FlowRecord) -> FlowFacts:
    """Everything that a flow shows to somebody who has no key."""
    heads = (record.to_server.head(_FOLLOWED), record.to_client.head(_FOLLOWED))
    skipped, forwarded_for = proxy_header(heads[0])
    heads = (heads[0][skipped:], heads[1])
    requests: tuple[HTTPHead, ...] = ()
    responses: tuple[HTTPHead, ...] = ()
    tls = None
    if any(map(looks_like_tls, heads)):
        protocol = "TLS"
        tls = tls_facts(record.to_server, record.to_client)
    elif any(map(looks_like_http, heads)):
        requests, responses = (tuple(http_heads(head)) for head in heads)
        requests = tuple(replace(head, offset=skipped + head.offset) for head in requests)
        upgraded = any(head.status == 101 and head.upgrades == "websocket" for head in responses)
        protocol = "WebSocket" if upgraded else "HTTP"
    else:
        protocol = "unknown" if any(heads) else "empty"
    return FlowFacts(
        protocol,
        _readability(record.to_server),
        _readability(record.to_client),
        requests,
        responses,
        tls,
        sum(length for stream in (record.to_server, record.to_client) for _, length in stream.gaps),
        forwarded_for,
    )


def readable_bytes(data: bytes) -> int:
    """How many bytes lie in readable blocks of 256 bytes.

    A block is readable if at least 75 % of it are printable ASCII, or if it is valid UTF-8 without
    control characters. So compressed data counts as opaque, encrypted or not; canaries are searched
    for inside it all the same.
    """
    return sum(
        len(block)
        for start in range(0, len(data), BLOCK)
        if _is_readable(block := data[start : start + BLOCK])
    )


def _is_readable(block: bytes) -> bool:
    others = block.translate(None, _PRINTABLE)
    whole = len(block) < _SMALL_BLOCK
    if len(block) - len(others) >= (1.0 if whole else READABLE_SHARE) * len(block):
        return True
    if others.translate(None, _HIGH):
        return False  # control characters among the rest
    valid = block.decode(errors="ignore").encode()
    return len(valid) >= len(block) - (0 if whole else _MAX_CUT)


def _readability(stream: Stream) -> Readability:
    readable = 0
    counts: Counter[int] = Counter()
    for run in stream.runs(_STEP):
        readable += readable_bytes(run.data)
        if counts.total() < _SAMPLE:
            counts.update(run.data)
    return Readability(readable, stream.size - readable, _entropy(counts))


def _entropy(counts: Counter[int]) -> float:
    total = counts.total()
    return sum(-n / total * math.log2(n / total) for n in counts.values()) if total else 0.0


def _learned_from_tls(tls: TLSFacts) -> dict[str, str | None]:
    names = None
    if tls.certificate is not None:
        names = ", ".join(tls.certificate.names) or tls.certificate.subject
    return {
        "tls_version": tls.version,
        "cipher_suite": tls.cipher_suite,
        "group": tls.group,
        "server_name": tls.server_name,
        "alpn_offered": ", ".join(tls.alpn_offered) or None,
        "alpn": tls.alpn,
        "certificate": names,
        "resumed": None if tls.resumed is None else ("yes" if tls.resumed else "no"),
        "alerts": ", ".join(str(alert.number) for alert in tls.alerts) or None,
        "ja3": tls.ja3,
        "ja4": tls.ja4,
    }
