"""The lab's network: hosts, names, paths, taps and interceptors.

It carries bytes and lets others watch or stand in the way; it knows nothing of what they mean.
"""

from __future__ import annotations

from tlslab.net.loopback import EXTERNAL, LoopbackListener, LoopbackNetwork
from tlslab.net.network import Connection, Host, Network
from tlslab.net.observation import Chunk, Direction, Endpoint, Flow, Kind, Tap

__all__ = [
    "EXTERNAL",
    "Chunk",
    "Connection",
    "Direction",
    "Endpoint",
    "Flow",
    "Host",
    "Kind",
    "LoopbackListener",
    "LoopbackNetwork",
    "Network",
    "Tap",
]
