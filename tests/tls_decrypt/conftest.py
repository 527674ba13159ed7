"""Real OpenSSL connections, recorded as a sniffer would."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import pytest
import trio
import trio.testing

from tlslab.net import Direction
from tlslab.pki import Authority, Credential, KeyType, TrustStore
from tlslab.tls import ClientPolicy, KeyLog, ServerPolicy, Session, TLSStream
from tlslab.tls.context import context_for

NAME = "shop.test"


class Recorder(trio.abc.Stream):
    """A transport that keeps what is sent through it, and notes in `order` when."""

    def __init__(self, inner: trio.abc.Stream, order: list[tuple[Recorder, bytes]]) -> None:
        self.inner = inner
        self.order = order

    @property
    def sent(self) -> bytes:
        return b"".join(data for sender, data in self.order if sender is self)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self.order.append((self, bytes(data)))
        await self.inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self.inner.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self.inner.aclose()


@dataclass
class Recorded:
    """A connection that is over: its bytes (also in the order of sending), and its key log."""

    to_server: bytes
    to_client: bytes
    order: list[tuple[Direction, bytes]]
    key_log: str = field(repr=False)
    facts: Any = None
    session: Session | None = None


Talk: TypeAlias = Callable[[TLSStream, TLSStream], Awaitable[None]]


class Record(Protocol):
    """Has two ends talk, and returns the recording."""

    async def __call__(
        self,
        talk: Talk,
        *,
        server: ServerPolicy | None = None,
        session: Session | None = None,
        client: ClientPolicy | None = None,
        options: int = 0,
        **client_changes: Any,
    ) -> Recorded: ...


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority.create("tests/tls_decrypt")


@pytest.fixture(scope="session")
def trust(authority: Authority) -> TrustStore:
    return TrustStore((authority.root,))


@pytest.fixture(scope="session")
def rsa(authority: Authority) -> Credential:
    return authority.issue(NAME, key_type=KeyType.RSA_2048)


@pytest.fixture(scope="session")
def ecdsa(authority: Authority) -> Credential:
    return authority.issue(NAME)


@pytest.fixture
def record(trust: TrustStore, ecdsa: Credential) -> Record:
    """By default a careful client and a server with an ECDSA certificate.

    `options` are of OpenSSL (SSL_OP_…), for both ends.
    """

    async def run(
        talk: Talk,
        *,
        server: ServerPolicy | None = None,
        session: Session | None = None,
        client: ClientPolicy | None = None,
        options: int = 0,
        **client_changes: Any,
    ) -> Recorded:
        policy = dataclasses.replace(client or ClientPolicy(trust=trust), **client_changes)
        serving = server or ServerPolicy(ecdsa)
        for one in (policy, serving) if options else ():
            context_for(one).set_options(options)
        left, right = trio.testing.memory_stream_pair()
        seen: list[tuple[Recorder, bytes]] = []
        ours, theirs, keylog = Recorder(left, seen), Recorder(right, seen), KeyLog()
        near = TLSStream.client(ours, policy, NAME, keylog=keylog, session=session)
        far = TLSStream.server(theirs, serving)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(near.do_handshake)
            nursery.start_soon(far.do_handshake)
        await talk(near, far)
        facts, kept = near.facts, near.session
        await near.aclose()
        await far.aclose()
        order = [
            (Direction.TO_SERVER if sender is ours else Direction.TO_CLIENT, data)
            for sender, data in seen
        ]
        return Recorded(ours.sent, theirs.sent, order, keylog.text, facts, kept)

    return run


QUESTION, ANSWER = b"GET /secret?pin=4711 HTTP/1.1\r\n\r\n", b"the answer is 42" * 3000


@pytest.fixture
def talk() -> Talk:
    """A question, a long answer, and a second question."""

    async def both(client: TLSStream, server: TLSStream) -> None:
        await client.send_all(QUESTION)
        assert await server.receive_some() == QUESTION
        got = bytearray()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.send_all, ANSWER)
            while len(got) < len(ANSWER):
                got += await client.receive_some()
        await client.send_all(b"thanks")
        assert await server.receive_some() == b"thanks"

    return both


@pytest.fixture(scope="session")
def recorder() -> type[Recorder]:
    """A transport that keeps what is sent through it, and notes when in a list to be given."""
    return Recorder
