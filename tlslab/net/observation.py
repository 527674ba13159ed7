"""What can be observed on a path: flows, and the chunks of bytes that pass.

This is the vocabulary that taps speak. It knows nothing of sockets, of files or of what the bytes
mean.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


class Direction(enum.Enum):
    """Which way a chunk travels: from the side that connected, or towards it."""

    TO_SERVER = "to-server"
    TO_CLIENT = "to-client"

    @property
    def opposite(self) -> Direction:
        """The other direction."""
        return Direction.TO_CLIENT if self is Direction.TO_SERVER else Direction.TO_SERVER


class Kind(enum.Enum):
    """What happened on the flow."""

    OPENED = "opened"  # the connection was established (TO_SERVER: the client's SYN)
    DATA = "data"
    CLOSED = "closed"  # this direction ended: a FIN
    RESET = "reset"  # the connection was torn down: an RST


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One end of a flow: a host's name, its IP address (text) and TCP port in the lab's network."""

    name: str
    address: str
    port: int

    def __str__(self) -> str:
        return f"{self.name}:{self.port}"


@dataclass(frozen=True, slots=True)
class Flow:
    """One TCP connection as seen on one leg of a path.

    `number` is unique within a network (from 1). `leg` names the stretch of cable it was seen on,
    such as `"client → shop.test"`; all flows between the same two hosts share a leg. `server` is
    the address the client asked for, also when somebody else answers.
    """

    number: int
    leg: str
    client: Endpoint
    server: Endpoint


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes (or an event without bytes) passing a tap.

    `time_ns` is Unix time in nanoseconds. `data` is empty unless `kind` is DATA.
    """

    time_ns: int
    flow: Flow
    direction: Direction
    data: bytes = b""
    kind: Kind = Kind.DATA


Tap: TypeAlias = Callable[[Chunk], None]
"""Receives every chunk in the order in which it was put on the wire; must not block."""
