"""One request to an external root of trust: HTTP over TLS, verified, within limits.

Plain HTTP is refused except on the loopback interface, where nobody is in between: what travels
here is the master key of everything.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import trio

from tlslab.errors import HTTPError, TLSError, UsageError
from tlslab.http import Headers, HTTPClient
from tlslab.pki import TrustStore
from tlslab.tls import ClientPolicy, TLSStream

TIMEOUT_SECONDS = 10.0
"""For connecting, the handshake and the answer together; it is asked once, at a start."""

ANSWER_BYTES = 64 * 1024
"""Ten times what a wrapped key and its envelope of JSON need."""


@dataclass(frozen=True)
class Answer:
    """A status, and the object in the body (empty if it was no JSON object)."""

    status: int
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Service:
    """Where an external root of trust is, and whom to trust for it.

    `url` is `https://host[:port]`; `trust` the roots of its certificate, None for the system's.
    """

    url: str
    trust: TrustStore | None = None
    timeout: float = TIMEOUT_SECONDS

    def __post_init__(self) -> None:
        """Raise UsageError for a URL that cannot be used."""
        try:
            parts = urlsplit(self.url)
            port = parts.port
        except ValueError:
            raise _bad_url() from None
        rest = parts.path.strip("/") or parts.query or parts.fragment or parts.username
        if parts.scheme not in {"https", "http"} or not parts.hostname or rest or port == 0:
            raise _bad_url()
        if parts.scheme == "http" and not _is_loopback(parts.hostname):
            raise UsageError(
                "a root of trust is not asked over plain HTTP",
                hint="the master key would be read on the way; name its https:// URL",
            )

    @property
    def host(self) -> str:
        """What the Host field says: the name, and a port that is not the scheme's own."""
        return urlsplit(self.url).netloc

    async def post(
        self, target: str, value: Mapping[str, Any], headers: Callable[[bytes], Headers]
    ) -> Answer:
        """Send a JSON object; `headers` makes the header fields of its bytes.

        Raises UsageError if there is no answer, in time and from whom it was asked.
        """
        body = json.dumps(value).encode()
        try:
            with trio.fail_after(self.timeout):
                return await self._exchange(target, headers(body), body)
        except trio.TooSlowError:
            raise self._unreachable("no answer in time") from None
        except TLSError as error:
            raise self._unreachable(error.message) from error
        except HTTPError as error:
            raise self._unreachable(error.message) from error
        except OSError as error:
            raise self._unreachable((error.strerror or "cannot connect").lower()) from error

    async def _exchange(self, target: str, headers: Headers, body: bytes) -> Answer:
        async with HTTPClient(await self._connect(), host=self.host) as client:
            response = await client.request("POST", target, headers=headers, body=body)
            answer = await response.read(ANSWER_BYTES)
        try:
            decoded = json.loads(answer)
        except ValueError:  # also what is not UTF-8
            decoded = None
        return Answer(response.status, decoded if isinstance(decoded, dict) else {})

    async def _connect(self) -> trio.abc.Stream:
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        port = parts.port or {"https": 443, "http": 80}[parts.scheme]
        stream = await trio.open_tcp_stream(parts.hostname, port)
        if parts.scheme == "http":
            return stream
        return TLSStream.client(stream, ClientPolicy(trust=self.trust), parts.hostname)

    def _unreachable(self, reason: str) -> UsageError:
        return UsageError(
            f"the root of trust at {self.url} cannot be asked: {reason}",
            hint="nothing starts without it; there is no copy of its key here",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bad_url() -> UsageError:
    return UsageError("not the URL of a root of trust", hint="https://host or https://host:port")
