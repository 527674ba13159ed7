"""HTTP/1.1 (h11) and WebSocket (trio-websocket), client and server, over any trio stream.

    errors.py     what can go wrong in an exchange, with status and whose fault
    headers.py    header fields as on the wire, and lookup
    limits.py     how much of a peer's bytes and time an exchange may take
    messages.py   Request, Response, ExchangeLog: the values a handler works with
    channel.py    a stream read and written within limits of time
    wire.py       h11 on a channel, within the limits of size
    body.py       a body read from the wire as it is asked for
    server.py     serve_http: one connection, request after request
    client.py     HTTPClient: one connection, request after request
    websocket.py  WebSocket in both roles
    replay.py     a stream that starts with bytes already read
    nursery.py    a nursery whose single error is raised as itself

It knows nothing of TLS beyond that a stream may fail with TLSError, nor of what is served.
"""

from __future__ import annotations

from tlslab.http.client import ClientResponse, HTTPClient
from tlslab.http.errors import BodyTruncated, ExchangeError, ExchangeTimeout, Fault, PeerGone
from tlslab.http.headers import Headers, header, header_tokens
from tlslab.http.limits import Limits
from tlslab.http.messages import ExchangeLog, Handler, OnExchange, Request, Response
from tlslab.http.replay import ReplayStream
from tlslab.http.server import serve_http
from tlslab.http.websocket import (
    Upgrade,
    WebSocket,
    WebSocketClosed,
    WebSocketHandler,
    websocket_client,
)

__all__ = [
    "BodyTruncated",
    "ClientResponse",
    "ExchangeError",
    "ExchangeLog",
    "ExchangeTimeout",
    "Fault",
    "HTTPClient",
    "Handler",
    "Headers",
    "Limits",
    "OnExchange",
    "PeerGone",
    "ReplayStream",
    "Request",
    "Response",
    "Upgrade",
    "WebSocket",
    "WebSocketClosed",
    "WebSocketHandler",
    "header",
    "header_tokens",
    "serve_http",
    "websocket_client",
]
