"""A TLS 1.2 client that begins another handshake: refused, or served as often as it likes.

The client is pyOpenSSL's, or `openssl s_client`: ours does not renegotiate.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from functools import partial
from subprocess import PIPE

import pytest
import trio
import trio.testing
from OpenSSL import SSL

from tlslab.errors import TLSError
from tlslab.tls import BrokenConnection, ClientPolicy, KeyLog, ServerPolicy, TLSStream, Version

WARNING, FATAL = 1, 2
HANDSHAKE_FAILURE, NO_RENEGOTIATION = 40, 100
SECONDS = 20  # for a subprocess on a busy machine


@pytest.fixture
def refusing(serving: ServerPolicy) -> ServerPolicy:
    """What a server does by itself, with nothing better than TLS 1.2."""
    return replace(serving, maximum=Version.TLS_1_2)


@pytest.fixture
def allowing(refusing: ServerPolicy) -> ServerPolicy:
    return replace(refusing, allow_renegotiation=True)


@dataclass
class Server:
    """Keeps what it reads, and answers nothing but `answer`, once it has read anything."""

    policy: ServerPolicy
    answer: bytes = b""
    keylog: KeyLog = field(default_factory=KeyLog)
    took: bytes = b""
    error: TLSError | None = None

    @property
    def handshakes(self) -> int:
        """How many handshakes it has keys of."""
        return sum(line.startswith("CLIENT_RANDOM ") for line in self.keylog.lines)

    async def serve(self, transport: trio.abc.Stream) -> None:
        stream = TLSStream.server(transport, self.policy, keylog=self.keylog)
        try:
            async with trio.open_nursery() as nursery:
                while data := await stream.receive_some():
                    if self.answer and not self.took:
                        nursery.start_soon(stream.send_all, self.answer)
                    self.took += data
            await stream.aclose()
        except* TLSError as group:
            (self.error,) = group.exceptions  # type: ignore[assignment]
            await trio.aclose_forcefully(stream)


class RawClient:
    """pyOpenSSL's client over a trio stream; it notes the alerts that it sends and receives."""

    def __init__(self, transport: trio.abc.Stream) -> None:
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_info_callback(self._on_info)
        self.alerts: list[tuple[str, int, int]] = []
        self.tls = SSL.Connection(context)
        self.tls.set_connect_state()
        self._transport = transport

    async def do(self, call: partial[bytes] | partial[None] | partial[int]) -> bytes:
        """Call until it wants to read no more, or has failed."""
        while True:
            try:
                result = call()
            except SSL.WantReadError:
                await self._flush()
                self.tls.bio_write(await self._transport.receive_some())
            except SSL.Error:
                await self._flush()
                raise
            else:
                await self._flush()
                return result if isinstance(result, bytes) else b""

    async def shake_hands(self) -> None:
        await self.do(partial(self.tls.do_handshake))

    async def renegotiate(self) -> None:
        assert self.tls.renegotiate()
        await self.shake_hands()

    async def close(self) -> None:
        self.tls.shutdown()
        await self._flush()

    async def _flush(self) -> None:
        try:
            while True:
                await self._transport.send_all(self.tls.bio_read(1 << 16))
        except SSL.WantReadError:
            pass

    def _on_info(self, connection: SSL.Connection, where: int, value: int) -> None:
        if where & SSL.SSL_CB_ALERT:
            way = "received" if where & SSL.SSL_CB_READ else "sent"
            self.alerts.append((way, value >> 8, value & 0xFF))


async def test_a_client_that_renegotiates_is_refused(refusing: ServerPolicy) -> None:
    """At once, though the server has nothing to say; the client is who breaks off."""
    near, far = trio.testing.memory_stream_pair()
    server, client = Server(refusing), RawClient(near)
    with trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.serve, far)
            await client.shake_hands()
            with pytest.raises(SSL.Error):
                await client.renegotiate()
    assert client.alerts == [
        ("received", WARNING, NO_RENEGOTIATION),
        ("sent", FATAL, HANDSHAKE_FAILURE),
    ]
    assert server.handshakes == 1
    assert isinstance(server.error, BrokenConnection)
    assert server.error.alert is not None
    assert server.error.alert.number == HANDSHAKE_FAILURE


async def test_where_it_is_allowed_a_client_has_any_number_of_handshakes(
    allowing: ServerPolicy,
) -> None:
    near, far = trio.testing.memory_stream_pair()
    server, client = Server(allowing), RawClient(near)
    with trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.serve, far)
            await client.shake_hands()
            for number in range(100):
                await client.renegotiate()
                await client.do(partial(client.tls.send, b"%d " % number))
            await client.close()
    assert server.error is None
    assert server.handshakes == 101
    assert server.took == b"".join(b"%d " % number for number in range(100))
    assert client.alerts == [("sent", WARNING, 0)]


async def test_a_handshake_may_come_in_the_middle_of_a_long_answer(allowing: ServerPolicy) -> None:
    """Where the server's write has to wait for a read, and its reader for the writer."""
    near, far = trio.testing.memory_stream_pair()
    server, client = Server(allowing, answer=bytes(range(256)) * 4096), RawClient(near)
    got = b""
    with trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.serve, far)
            await client.shake_hands()
            await client.do(partial(client.tls.send, b"go on"))
            while len(got) < len(server.answer):
                if len(got) < 100_000:
                    client.tls.renegotiate()
                got += await client.do(partial(client.tls.recv, 1 << 15))
            await client.close()
    assert got == server.answer
    assert server.error is None
    assert server.handshakes > 1


async def test_tls13_has_no_renegotiation_to_allow(serving: ServerPolicy) -> None:
    near, far = trio.testing.memory_stream_pair()
    server, client = Server(replace(serving, allow_renegotiation=True)), RawClient(near)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.serve, far)
        await client.shake_hands()
        with pytest.raises(SSL.Error):
            client.tls.renegotiate()
        await client.close()
    assert server.handshakes == 0  # of TLS 1.2
    assert server.error is None


async def test_our_client_does_not_mind_a_server_that_allows_it(
    careful: ClientPolicy, allowing: ServerPolicy
) -> None:
    near, far = trio.testing.memory_stream_pair()
    server, client = Server(allowing), TLSStream.client(near, careful, "shop.test")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.serve, far)
        await client.send_all(b"hello")
        await client.aclose()
    assert (server.took, server.handshakes, server.error) == (b"hello", 1, None)


@pytest.mark.parametrize("allowed", [False, True])
async def test_s_client_renegotiates(
    allowed: bool, refusing: ServerPolicy, allowing: ServerPolicy
) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    renegotiated = trio.Event()
    server = Server(allowing if allowed else refusing)
    server.keylog = KeyLog(lambda _: renegotiated.set() if server.handshakes == 2 else None)
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    command = (openssl, "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_2")
    with trio.fail_after(SECONDS):
        async with trio.open_nursery() as nursery:
            process = await nursery.start(
                partial(
                    trio.run_process, command, stdin=PIPE, stdout=PIPE, stderr=PIPE, check=False
                )
            )
            said: list[bytes] = []
            nursery.start_soon(_collect, process.stderr, said)
            nursery.start_soon(_collect, process.stdout, [])
            async with listener:
                transport = await listener.accept()
            nursery.start_soon(server.serve, transport)
            await process.stdin.send_all(b"R\n")
            if allowed:
                await renegotiated.wait()
                await process.stdin.send_all(b"again\n")
            await process.stdin.aclose()
    output = b"".join(said)
    if allowed:
        assert (server.handshakes, server.took, server.error) == (2, b"again\n", None)
    else:
        assert process.returncode == 1
        assert b"no renegotiation" in output
        assert server.handshakes == 1


async def _collect(stream: trio.abc.ReceiveStream, parts: list[bytes]) -> None:
    async for part in stream:
        parts.append(bytes(part))
