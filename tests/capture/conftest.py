"""Recorded connections (plain and real TLS), and tshark as the judge of what we write."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio
import trio.testing

from tlslab.net import Chunk, Direction, Endpoint, Flow, Kind
from tlslab.pki import Authority, TrustStore
from tlslab.tls import ClientPolicy, KeyLog, ServerPolicy, TLSStream, Version

START_NS = 1_700_000_000_123_456_789
REQUEST = b"GET /pay?amount=1 HTTP/1.1\r\nHost: shop.test\r\nCookie: a=b\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello there"

FlowMaker = Callable[..., Flow]
Talk = Callable[..., list[Chunk]]
TShark = Callable[..., list[str]]


@pytest.fixture(scope="session")
def flow() -> FlowMaker:
    """Makes flows: `flow(number, leg=, client=, server=, port=)`."""

    def make(
        number: int = 1,
        *,
        leg: str = "client → shop.test",
        client: str = "10.0.0.1",
        server: str = "10.0.0.2",
        port: int = 80,
    ) -> Flow:
        return Flow(
            number,
            leg,
            Endpoint("client", client, 40000 + number),
            Endpoint("shop.test", server, port),
        )

    return make


@pytest.fixture(scope="session")
def talk() -> Talk:
    """Chunks of a conversation: `talk(flow, (direction, bytes), …)`, opened and closed."""

    def make(flow: Flow, *said: tuple[Direction, bytes], closed: bool = True) -> list[Chunk]:
        events = [(Direction.TO_SERVER, b"", Kind.OPENED)]
        events += [(direction, data, Kind.DATA) for direction, data in said]
        if closed:
            events += [(direction, b"", Kind.CLOSED) for direction in Direction]
        return [
            Chunk(START_NS + 1000 * i, flow, direction, data, kind)
            for i, (direction, data, kind) in enumerate(events)
        ]

    return make


@pytest.fixture(scope="session")
def http(flow: FlowMaker, talk: Talk) -> list[Chunk]:
    """One HTTP exchange in plain."""
    return talk(flow(), (Direction.TO_SERVER, REQUEST), (Direction.TO_CLIENT, RESPONSE))


@dataclass
class RecordedTLS:
    """Chunks of a real TLS connection, and its secrets."""

    chunks: list[Chunk] = field(default_factory=list)
    key_log: str = ""


class _Tapped(trio.abc.HalfCloseableStream):
    """Notes what is sent into a stream."""

    def __init__(
        self,
        inner: trio.abc.HalfCloseableStream,
        flow: Flow,
        direction: Direction,
        chunks: list[Chunk],
    ) -> None:
        self._inner, self._flow, self._direction, self._chunks = inner, flow, direction, chunks

    def _note(self, kind: Kind, data: bytes = b"") -> None:
        time_ns = START_NS + 1000 * len(self._chunks)
        self._chunks.append(Chunk(time_ns, self._flow, self._direction, data, kind))

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self._note(Kind.DATA, bytes(data))
        await self._inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        return bytes(await self._inner.receive_some(max_bytes))

    async def send_eof(self) -> None:
        self._note(Kind.CLOSED)
        await self._inner.send_eof()

    async def aclose(self) -> None:
        self._note(Kind.CLOSED)
        await self._inner.aclose()


@pytest.fixture(scope="session")
def record_tls(flow: FlowMaker) -> Callable[..., Awaitable[RecordedTLS]]:
    """Records a real TLS connection: `await record_tls(version, request=, response=, port=)`."""
    authority = Authority.create("tests/capture")
    credential = authority.issue("shop.test", "www.shop.test")

    async def run(
        version: Version = Version.TLS_1_3,
        *,
        request: bytes = REQUEST,
        response: bytes = RESPONSE,
        number: int = 1,
    ) -> RecordedTLS:
        recorded = RecordedTLS()
        where, key_log = flow(number, port=443), KeyLog()
        recorded.chunks.append(Chunk(START_NS, where, Direction.TO_SERVER, kind=Kind.OPENED))
        left, right = trio.testing.memory_stream_pair()
        client = TLSStream.client(
            _Tapped(left, where, Direction.TO_SERVER, recorded.chunks),
            ClientPolicy(TrustStore((authority.root,)), maximum=version, alpn=("http/1.1",)),
            "shop.test",
            keylog=key_log,
        )
        server = TLSStream.server(
            _Tapped(right, where, Direction.TO_CLIENT, recorded.chunks),
            ServerPolicy(credential, alpn=("http/1.1",)),
        )

        async def serve() -> None:
            async with server:
                await server.receive_some()
                await server.send_all(response)

        async def ask() -> None:
            async with client:
                await client.send_all(request)
                while await client.receive_some():
                    pass

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            nursery.start_soon(ask)
        recorded.key_log = key_log.text
        return recorded

    return run


@pytest.fixture(scope="session")
def tshark() -> TShark:
    """Runs tshark on a file, checksums validated: its lines of output."""
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed")

    def run(file: Path, *arguments: str) -> list[str]:
        options = ["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"]
        command = ["tshark", "-r", str(file), *options, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return run


@pytest.fixture(scope="session")
def complaints(tshark: TShark) -> Callable[[Path], list[str]]:
    """What Wireshark has to complain about in a file: wrong checksums, malformed, warnings."""
    wrong = (
        "_ws.malformed || tcp.checksum.status != 1 || (ip && ip.checksum.status != 1)"
        " || _ws.expert.severity >= 6291456"  # PI_WARN
    )

    def run(file: Path) -> list[str]:
        return tshark(file, "-Y", wrong)

    return run
