"""URLs as the lab's clients understand them: scheme, host, port and target, nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from tlslab.errors import UsageError

DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
"""Port by scheme (RFC 9110 section 4.2, RFC 6455 section 3)."""


@dataclass(frozen=True)
class URL:
    """A parsed URL. `target` is the request target in origin form, path and query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def secure(self) -> bool:
        """Whether TLS is asked for."""
        return self.scheme in ("https", "wss")

    @property
    def authority(self) -> str:
        """What the Host header says."""
        default = DEFAULT_PORTS[self.scheme] == self.port
        return self.host if default else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> URL:
        """Take a URL apart; UsageError when it is not an absolute http(s) or ws(s) one."""
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise UsageError(f"{text!r} is not a URL: {error}") from error
        if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
            raise UsageError(
                f"{text!r} is not a URL of the lab", hint="such as https://shop.test/pay"
            )
        target = parts.path or "/"
        if parts.query:
            target += f"?{parts.query}"
        return cls(parts.scheme, parts.hostname, port or DEFAULT_PORTS[parts.scheme], target)
