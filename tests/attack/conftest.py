"""An authority, and an attack on the path between two TLS streams over memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import pytest
import trio
import trio.testing

from tlslab.attack import Attack, Passed, Unit, tamper
from tlslab.errors import TLSError
from tlslab.pki import Authority
from tlslab.tls import ClientPolicy, ServerPolicy, TLSFacts, TLSStream

NAME = "shop.test"
MESSAGES = (b"pay 10 to alice", b"pay 20 to bob", b"pay 30 to carol")
"""What the client says, a record each; the server answers nothing but its close_notify."""


@dataclass
class End:
    """What one end has to tell: the messages it took, and how it failed."""

    took: list[bytes] = field(default_factory=list)
    error: TLSError | None = None
    facts: TLSFacts | None = None
    clean: bool = False

    @property
    def alert(self) -> tuple[int, str] | None:
        """The alert's number and direction."""
        alert = getattr(self.error, "alert", None)
        return None if alert is None else (alert.number, self.error.alert_direction)  # type: ignore[union-attr]


@dataclass
class Meeting:
    """A connection with an attack on it, once it is over."""

    said: tuple[bytes, ...]
    client: End
    server: End
    struck: list[Unit]
    passed: list[Passed]


Meet: TypeAlias = Callable[..., Awaitable[Meeting]]


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority.create("tests/attack")


@pytest.fixture(scope="session")
def careful(authority: Authority) -> ClientPolicy:
    return ClientPolicy(trust=authority.trust)


@pytest.fixture(scope="session")
def serving(authority: Authority) -> ServerPolicy:
    return ServerPolicy(authority.issue(NAME))


async def converse(stream: trio.abc.HalfCloseableStream, end: End, says: tuple[bytes, ...]) -> None:
    """Say everything, a record each, then listen to the end."""
    try:
        if isinstance(stream, TLSStream):
            await stream.do_handshake()
            end.facts = stream.facts
        for message in says:
            await stream.send_all(message)
            await trio.testing.wait_all_tasks_blocked()  # each arrives by itself
        if says:  # who has nothing to say listens first: after a close_notify no alert is sent
            await stream.send_eof()
        while data := bytes(await stream.receive_some()):
            end.took.append(data)
        end.clean = True
        if not says:
            await stream.send_eof()
    except TLSError as error:
        end.error = error
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass
    await trio.aclose_forcefully(stream)


async def _meet(
    attack: Attack,
    client: ClientPolicy | None,
    server: ServerPolicy | None,
    *,
    client_says: tuple[bytes, ...] = MESSAGES,
    server_says: tuple[bytes, ...] = (),
    handshake_timeout: float = 10.0,
) -> Meeting:
    """A conversation over a path that the attack is on; without policies, in plain."""
    near, path_near = trio.testing.memory_stream_pair()
    path_far, far = trio.testing.memory_stream_pair()
    meeting = Meeting(client_says, End(), End(), [], [])
    here: trio.abc.HalfCloseableStream = near
    there: trio.abc.HalfCloseableStream = far
    if client is not None and server is not None:
        here = TLSStream.client(near, client, NAME, handshake_timeout=handshake_timeout)
        there = TLSStream.server(far, server, handshake_timeout=handshake_timeout)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(converse, here, meeting.client, client_says)
        nursery.start_soon(converse, there, meeting.server, server_says)
        await tamper(
            path_near,
            path_far,
            attack,
            on_passed=meeting.passed.append,
            on_tampered=meeting.struck.append,
        )
    return meeting


@pytest.fixture(name="meet")
def meet_fixture() -> Meet:
    """Has two ends converse over a path that an attack is on; see `_meet`."""
    return _meet
