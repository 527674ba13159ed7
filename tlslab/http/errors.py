"""What can go wrong in an HTTP/1.1 exchange, as types with data.

It knows the taxonomy and nothing of sockets or parsing.
"""

from __future__ import annotations

import enum

from tlslab.errors import HTTPError


class Fault(enum.Enum):
    """Whose fault an error is."""

    PEER = "peer"  # the other side broke the protocol, a limit or the connection
    LOCAL = "local"  # this side used the connection wrongly, or its handler failed


class ExchangeError(HTTPError):
    """An exchange that cannot go on.

    `status` is the code a server answers with; on the client's side it is the code a gateway in
    its place would pass on (502 or 504). `fault` says whose mistake it is.
    """

    def __init__(
        self, message: str, *, status: int, fault: Fault = Fault.PEER, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.fault = fault


class ExchangeTimeout(ExchangeError):
    """The peer took longer than the limits allow."""


class PeerGone(ExchangeError):
    """The connection ended or broke before the exchange was over."""


class BodyTruncated(PeerGone):
    """... in the middle of a body: what was received is not the whole."""
