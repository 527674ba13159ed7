"""The terminating proxy with real TLS: HTTP and raw bytes, curl, refusals, cuts."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

from tlslab.http import (
    ExchangeLog,
    HTTPClient,
    Request,
    Response,
    Upgrade,
    serve_http,
    websocket_client,
)
from tlslab.net import Direction
from tlslab.pki import Authority, TrustStore
from tlslab.proxy import RelayBroken, TerminatingProxy, UpstreamFailure
from tlslab.tls import (
    CertificateRefused,
    ClientPolicy,
    HandshakeFailure,
    KeyLog,
    ServerPolicy,
    TLSFacts,
    TLSStream,
    TruncationError,
)


@pytest.fixture(scope="module")
def policy(authority: Authority) -> ServerPolicy:
    return ServerPolicy(authority.issue("shop.test", "localhost"), alpn=("http/1.1",))


@pytest.fixture(scope="module")
def careful(authority: Authority) -> ClientPolicy:
    return ClientPolicy(trust=TrustStore((authority.root,)), alpn=("http/1.1",))


async def digest(request: Request) -> Response:
    """Answers with the size and digest of a body it never holds whole."""
    sha, size = hashlib.sha256(), 0
    async for part in request.body:
        sha.update(part)
        size += len(part)
    return Response(200, [], f"{size} {sha.hexdigest()}".encode())


async def shout(upgrade: Upgrade) -> None:
    socket = await upgrade.accept()
    while True:
        await socket.send_message((await socket.get_message()).upper())


def upstream_of(nursery: trio.Nursery) -> trio.abc.HalfCloseableStream:
    """The near end of a connection to an HTTP server."""
    near, far = memory_stream_pair()
    nursery.start_soon(partial(serve_http, far, digest, websocket=shout))
    return near


async def test_http_over_tls_reaches_a_plain_upstream(
    policy: ServerPolicy, careful: ClientPolicy
) -> None:
    facts: list[TLSFacts] = []
    log: list[ExchangeLog] = []
    keylog = KeyLog()
    client, front = memory_stream_pair()
    async with trio.open_nursery() as nursery:

        async def connect() -> trio.abc.Stream:
            return upstream_of(nursery)

        proxy = TerminatingProxy(
            policy=policy,
            connect_upstream=connect,
            keylog=keylog,
            on_handshake=facts.append,
            on_exchange=log.append,
        )
        nursery.start_soon(proxy.serve, front)
        tls = TLSStream.client(client, careful, "shop.test")
        async with HTTPClient(tls, host="shop.test") as http:
            for body in (b"one", b"two"):
                response = await http.request("PUT", "/x", body=body)
                assert await response.read() == b"3 " + hashlib.sha256(body).hexdigest().encode()
    assert facts[0].version == "TLS 1.3"
    assert facts[0].server_name == "shop.test"
    assert facts[0].alpn == "http/1.1"
    assert [entry.status for entry in log] == [200, 200]
    assert "CLIENT_TRAFFIC_SECRET_0" in keylog.text


async def test_a_websocket_over_tls(policy: ServerPolicy, careful: ClientPolicy) -> None:
    client, front = memory_stream_pair()
    async with trio.open_nursery() as nursery:

        async def connect() -> trio.abc.Stream:
            return upstream_of(nursery)

        nursery.start_soon(TerminatingProxy(policy=policy, connect_upstream=connect).serve, front)
        tls = TLSStream.client(client, careful, "shop.test")
        async with websocket_client(tls, "shop.test", "/chat") as socket:
            await socket.send_message("hello")
            assert await socket.get_message() == "HELLO"


async def test_tcp_mode_carries_any_bytes_and_half_closes(
    policy: ServerPolicy, careful: ClientPolicy
) -> None:
    client, front = memory_stream_pair()
    near, far = memory_stream_pair()
    seen: list[tuple[Direction, bytes]] = []

    async def connect() -> trio.abc.Stream:
        return near

    proxy = TerminatingProxy(
        policy=policy,
        connect_upstream=connect,
        mode="tcp",
        on_data=lambda direction, data: seen.append((direction, data)),
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(proxy.serve, front)
        tls = TLSStream.client(client, careful, "shop.test")
        await tls.send_all(b"\x00 not http \xff")
        await tls.send_eof()
        assert b"".join([bytes(part) async for part in far]) == b"\x00 not http \xff"
        await far.send_all(b"answer after the end")
        await far.send_eof()
        assert b"".join([bytes(part) async for part in tls]) == b"answer after the end"
        await tls.aclose()
    assert seen[0] == (Direction.TO_SERVER, b"\x00 not http \xff")
    assert seen[-1] == (Direction.TO_CLIENT, b"answer after the end")


async def test_tcp_mode_turns_a_cut_into_a_cut(policy: ServerPolicy, careful: ClientPolicy) -> None:
    """The upstream breaks: the client must not see a close_notify, which says that this was all."""
    client, front = memory_stream_pair()
    near, far = memory_stream_pair()

    async def connect() -> trio.abc.Stream:
        return near

    async def serve() -> None:
        with pytest.raises(RelayBroken):
            await TerminatingProxy(policy=policy, connect_upstream=connect, mode="tcp").serve(front)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        tls = TLSStream.client(client, careful, "shop.test")
        await tls.send_all(b"x")
        assert await far.receive_some() == b"x"
        await near.aclose()  # as a reset would
        await tls.send_all(b"y")
        with pytest.raises(TruncationError):
            await tls.receive_some()
        await trio.aclose_forcefully(tls)


async def test_tcp_mode_reports_an_upstream_that_is_down(
    policy: ServerPolicy, careful: ClientPolicy
) -> None:
    client, front = memory_stream_pair()
    failures: list[UpstreamFailure] = []

    async def connect() -> trio.abc.Stream:
        raise ConnectionRefusedError

    proxy = TerminatingProxy(
        policy=policy, connect_upstream=connect, mode="tcp", on_upstream_failure=failures.append
    )

    async def serve() -> None:
        with pytest.raises(UpstreamFailure) as caught:
            await proxy.serve(front)
        assert isinstance(caught.value.error, ConnectionRefusedError)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        tls = TLSStream.client(client, careful, "shop.test")
        await tls.do_handshake()
        with pytest.raises(TruncationError):
            await tls.receive_some()
        await trio.aclose_forcefully(tls)
    assert failures[0].status == 502


async def test_the_policy_is_chosen_by_server_name(
    policy: ServerPolicy, careful: ClientPolicy, autojump_clock: MockClock
) -> None:
    async def connect() -> trio.abc.Stream:
        return upstream_of(nursery)

    proxy = TerminatingProxy(
        policy=lambda name: policy if name == "shop.test" else None, connect_upstream=connect
    )
    for name, passes in (("shop.test", True), ("other.test", False)):
        client, front = memory_stream_pair()
        refused: list[HandshakeFailure] = []

        async def serve(
            front: trio.abc.Stream = front, refused: list[HandshakeFailure] = refused
        ) -> None:
            try:
                await proxy.serve(front)
            except HandshakeFailure as error:
                refused.append(error)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            tls = TLSStream.client(client, careful, name)
            if passes:
                response = await HTTPClient(tls, host=name).request("GET", "/")
                assert response.status == 200
            else:
                with pytest.raises(HandshakeFailure) as caught:
                    await tls.do_handshake()
                assert caught.value.alert is not None
                assert caught.value.alert.number == 112
                # It is still listened to: a reset because of this could overtake the alert.
                await client.send_all(b"more of what was on its way")
            await tls.aclose()
        assert len(refused) == (0 if passes else 1)


@pytest.mark.parametrize("careless", [False, True])
async def test_an_upstream_over_tls_is_verified_unless_told_otherwise(
    policy: ServerPolicy, careful: ClientPolicy, rogue: Authority, careless: bool
) -> None:
    backend = ServerPolicy(rogue.issue("backend.test"))
    failures: list[UpstreamFailure] = []
    upstream_policy = ClientPolicy(trust=careful.trust, verify_chain=not careless)
    client, front = memory_stream_pair()
    async with trio.open_nursery() as nursery:

        async def connect() -> trio.abc.Stream:
            near, far = memory_stream_pair()
            nursery.start_soon(serve_backend, far)
            stream = TLSStream.client(near, upstream_policy, "backend.test")
            await stream.do_handshake()
            return stream

        async def serve_backend(far: trio.abc.Stream) -> None:
            if careless:
                await serve_http(TLSStream.server(far, backend), digest)
            else:
                with pytest.raises(HandshakeFailure):
                    await serve_http(TLSStream.server(far, backend), digest)

        proxy = TerminatingProxy(
            policy=policy, connect_upstream=connect, on_upstream_failure=failures.append
        )
        nursery.start_soon(proxy.serve, front)
        async with HTTPClient(
            TLSStream.client(client, careful, "shop.test"), host="shop.test"
        ) as http:
            response = await http.request("PUT", "/", body=b"x")
            await response.read()
    assert response.status == (200 if careless else 502)
    assert len(failures) == (0 if careless else 1)
    if failures:
        assert isinstance(failures[0].error, CertificateRefused)
        assert failures[0].error.x509_number in (19, 20, 21)


@asynccontextmanager
async def listening(policy: ServerPolicy) -> AsyncIterator[int]:
    """The port of a terminating proxy in front of an HTTP server, both on loopback sockets."""
    async with trio.open_nursery() as nursery:
        backend = partial(trio.serve_tcp, partial(serve_http, handler=digest), 0, host="127.0.0.1")
        backends: list[trio.SocketListener] = await nursery.start(backend)
        port = backends[0].socket.getsockname()[1]
        proxy = TerminatingProxy(
            policy=policy,
            connect_upstream=partial(trio.open_tcp_stream, "127.0.0.1", port),
        )

        async def serve(stream: trio.SocketStream) -> None:
            with suppress(HandshakeFailure):
                await proxy.serve(stream)

        fronts: list[trio.SocketListener] = await nursery.start(
            partial(trio.serve_tcp, serve, 0, host="127.0.0.1")
        )
        yield fronts[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def curl(*arguments: str) -> tuple[int, str]:
    executable = shutil.which("curl")
    if executable is None:
        pytest.skip("curl is not installed")
    command = [executable, "-s", "--noproxy", "*", "--max-time", "20", *arguments]
    done = await trio.run_process(command, capture_stdout=True, check=False)
    return done.returncode, done.stdout.decode()


async def test_curl_uploads_through_the_proxy(
    policy: ServerPolicy, authority: Authority, tmp_path: Path
) -> None:
    root, file = tmp_path / "root.pem", tmp_path / "body"
    root.write_bytes(authority.root_pem)
    body = os.urandom(3 * 1024 * 1024 + 1)
    file.write_bytes(body)
    expected = f"{len(body)} {hashlib.sha256(body).hexdigest()}"
    async with listening(policy) as port:
        url = f"https://localhost:{port}/up"
        trusting = ["--cacert", str(root), "--http1.1"]
        assert await curl(*trusting, "-T", str(file), url) == (0, expected)
        chunked = [*trusting, "-H", "Transfer-Encoding: chunked"]
        assert await curl(*chunked, "-T", str(file), url) == (0, expected)
        assert await curl(*trusting, "-T", str(file), url, "-T", str(file), url) == (
            0,
            expected * 2,
        )
        code, out = await curl("-T", str(file), url)
        assert (code, out) == (60, ""), "curl without our root refuses"
        code, _ = await curl(f"http://localhost:{port}/")
        assert code != 0, "plain HTTP on the TLS port is refused, and kills nothing"
        assert (await curl(*trusting, url))[0] == 0
