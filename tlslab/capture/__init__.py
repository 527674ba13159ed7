"""Captures: written while a tap watches, read from any pcap or pcapng file, searched and compared.

    pcapng        the blocks of the format, as bytes
    segments      synthetic Ethernet, IP and TCP around bytes that passed a tap
    writer        chunks -> a pcapng file, streaming, atomic
    formats       a pcap or pcapng file -> its packets
    headers       a captured frame -> its TCP segment
    streams       segments -> the bytes of one direction, with gaps and packet numbers
    reader        a file -> its flows
    proxy_header, http_heads, tls_facts, facts    what an eavesdropper learns from a flow
    encodings, layers, canary       the search for canaries
    compare       two captures side by side

It knows what bytes look like and nothing of who sent them: parties and verdicts are the lab's.
"""

from __future__ import annotations

from tlslab.capture.canary import (
    Canary,
    CaptureHit,
    Hit,
    search,
    search_capture,
    search_file,
)
from tlslab.capture.compare import Comparison, Pair, compare
from tlslab.capture.facts import FACT_NAMES, FlowFacts, Readability, facts
from tlslab.capture.formats import MalformedCapture
from tlslab.capture.http_heads import HTTPHead
from tlslab.capture.reader import Capture, FlowRecord, parse_capture, read_capture
from tlslab.capture.streams import Location, Stream
from tlslab.capture.tls_facts import AlertSeen, CertificateSeen, TLSFacts
from tlslab.capture.writer import PcapngWriter, open_pcapng, write_pcapng

__all__ = [
    "FACT_NAMES",
    "AlertSeen",
    "Canary",
    "Capture",
    "CaptureHit",
    "CertificateSeen",
    "Comparison",
    "FlowFacts",
    "FlowRecord",
    "HTTPHead",
    "Hit",
    "Location",
    "MalformedCapture",
    "Pair",
    "PcapngWriter",
    "Readability",
    "Stream",
    "TLSFacts",
    "compare",
    "facts",
    "open_pcapng",
    "parse_capture",
    "read_capture",
    "search",
    "search_capture",
    "search_file",
    "write_pcapng",
]
