"""How a proxied connection fails, and on which side.

A HandshakeFailure that a proxy raises is always the client's side of the story; what happens on
the way to the server is an UpstreamFailure with the reason in `error`.
"""

from __future__ import annotations

from tlslab.errors import NetworkError
from tlslab.net import Direction


class UpstreamFailure(NetworkError):
    """The upstream could not be reached, was refused, or broke its protocol.

    `status` is what a gateway answers: 502, or 504 if it was too slow. `error` is the reason, such
    as CertificateRefused, if there is one.
    """

    def __init__(self, message: str, *, status: int = 502, error: Exception | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.error = error


class RelayBroken(NetworkError):
    """A relayed connection was cut instead of ended; `direction` is the way that broke, if one."""

    def __init__(self, message: str, *, direction: Direction | None = None) -> None:
        super().__init__(message)
        self.direction = direction
