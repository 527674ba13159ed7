"""Fingerprints of a client's TLS stack, taken from its ClientHello: JA3 and JA4.

They depend on the software, not on the user, and are visible to whoever sees the first packet.
Nothing here is secret or security relevant: MD5 and truncated SHA-256 are only short names.
"""

from __future__ import annotations

import hashlib
from typing import Final

from tlslab.tls.hello import ALPN, SERVER_NAME, ClientHello
from tlslab.tls.registry import is_grease, without_grease

_EMPTY: Final = "0" * 12
_JA4_VERSIONS: Final = {0x0304: "13", 0x0303: "12", 0x0302: "11", 0x0301: "10", 0x0300: "s3"}
_MAX_COUNT: Final = 99  # counts have two digits


def ja3_text(hello: ClientHello) -> str:
    """The string that JA3 hashes: version, suites, extensions, groups, point formats; no GREASE."""
    lists = (
        hello.cipher_suites,
        tuple(extension.type for extension in hello.extensions),
        hello.groups,
        hello.point_formats,
    )
    fields = ["-".join(str(value) for value in without_grease(values)) for values in lists]
    return ",".join([str(hello.legacy_version), *fields])


def ja3(hello: ClientHello) -> str:
    """The JA3 fingerprint: 32 hexadecimal digits (Althouse, Atkinson, Atkins, 2017)."""
    return hashlib.md5(ja3_text(hello).encode(), usedforsecurity=False).hexdigest()


def ja4(hello: ClientHello) -> str:
    """The JA4 fingerprint over TCP, such as `"t13d1516h2_8daaf6152771_e5627efa2ab1"` (FoxIO)."""
    suites = without_grease(hello.cipher_suites)
    types = without_grease(tuple(extension.type for extension in hello.extensions))
    head = (
        "t"
        + _JA4_VERSIONS.get(hello.highest_version, "00")
        + ("d" if SERVER_NAME in types else "i")
        + f"{min(len(suites), _MAX_COUNT):02d}{min(len(types), _MAX_COUNT):02d}"
        + _alpn_letters(hello.alpn)
    )
    rest = _hex_list(sorted(kind for kind in types if kind not in (SERVER_NAME, ALPN)))
    signatures = _hex_list([value for value in hello.signature_algorithms if not is_grease(value)])
    tail = f"{rest}_{signatures}" if signatures else rest
    return f"{head}_{_short_hash(_hex_list(sorted(suites)))}_{_short_hash(tail)}"


def _alpn_letters(protocols: tuple[str, ...]) -> str:
    """First and last character of the first protocol; of its hexadecimal form if not both ASCII
    letters or digits; `00` without ALPN."""
    if not protocols or not protocols[0]:
        return "00"
    first, last = protocols[0][0], protocols[0][-1]
    if (first + last).isascii() and first.isalnum() and last.isalnum():
        return first + last
    digits = protocols[0].encode("latin-1").hex()
    return digits[0] + digits[-1]


def _hex_list(values: list[int]) -> str:
    return ",".join(f"{value:04x}" for value in values)


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12] if text else _EMPTY
