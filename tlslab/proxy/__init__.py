"""Proxies as tools of their own: they know nothing of the lab.

errors.py     how a proxied connection fails, and on which side
relay.py      bytes both ways, with half-close, bounded memory and backpressure
heads.py      HTTP/1.1 heads as raw bytes and what they mean, strictly
framing.py    where an HTTP/1.1 body ends, without changing a byte of it
leg.py        one of a proxy's two HTTP connections
upstream.py   reaching the upstream, and telling its failures from the client's
forward.py    HTTP/1.1 passed on byte for byte
terminate.py  the TLS-terminating proxy
leaves.py     leaf certificates made on demand, each with a key of its own
intercept.py  the intercepting proxy
"""

from __future__ import annotations

from tlslab.proxy.errors import RelayBroken, UpstreamFailure
from tlslab.proxy.intercept import InterceptingProxy
from tlslab.proxy.relay import Relayed, relay
from tlslab.proxy.terminate import TerminatingProxy

__all__ = [
    "InterceptingProxy",
    "RelayBroken",
    "Relayed",
    "TerminatingProxy",
    "UpstreamFailure",
    "relay",
]
