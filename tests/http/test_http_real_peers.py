"""curl and Python's http.client and http.server as peers, over loopback sockets."""

from __future__ import annotations

import hashlib
import http.client
import http.server
import os
import shutil
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio

from tlslab.http import Handler, HTTPClient, Request, Response, serve_http


@asynccontextmanager
async def listening(handler: Handler) -> AsyncIterator[int]:
    """The port on which `handler` is served."""
    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, partial(serve_http, handler=handler), 0, host="127.0.0.1")
        listeners: list[trio.SocketListener] = await nursery.start(serve)
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def digest(request: Request) -> Response:
    """Answers with the size and digest of a body it never holds whole."""
    sha, size = hashlib.sha256(), 0
    async for part in request.body:
        sha.update(part)
        size += len(part)
    return Response(
        200, [(b"X-Method", request.method.encode())], f"{size} {sha.hexdigest()}".encode()
    )


async def curl(*arguments: str) -> tuple[str, str]:
    """What curl prints, and what it says with -v."""
    executable = shutil.which("curl")
    if executable is None:
        pytest.skip("curl is not installed")
    command = [executable, "-sv", "--noproxy", "*", "--max-time", "20", *arguments]
    done = await trio.run_process(command, capture_stdout=True, capture_stderr=True)
    return done.stdout.decode(), done.stderr.decode()


@pytest.mark.parametrize("chunked", [False, True])
async def test_curl_uploads_after_a_continue(tmp_path: Path, chunked: bool) -> None:
    body = os.urandom(3 * 1024 * 1024 + 1)
    file = tmp_path / "body"
    file.write_bytes(body)
    options = ["-H", "Transfer-Encoding: chunked"] if chunked else []
    async with listening(digest) as port:
        out, err = await curl("-T", str(file), *options, f"http://127.0.0.1:{port}/up")
    assert out == f"{len(body)} {hashlib.sha256(body).hexdigest()}"
    assert "HTTP/1.1 100 Continue" in err


async def test_curl_reuses_the_connection_and_asks_for_heads() -> None:
    async with listening(digest) as port:
        url = f"http://127.0.0.1:{port}/"
        _, err = await curl("-I", url, "--next", "-sv", "--noproxy", "*", "-d", "x", url)
    assert err.count("< HTTP/1.1 200 OK") == 2
    assert "Re-using existing" in err or "Reusing existing" in err


async def test_curl_gets_the_refusal_of_a_body_it_was_still_sending(tmp_path: Path) -> None:
    async def refuse(_: Request) -> Response:
        return Response(403, [], b"no")

    file = tmp_path / "body"
    file.write_bytes(bytes(5 * 1024 * 1024))
    async with listening(refuse) as port:
        out, err = await curl("-H", "Expect:", "-T", str(file), f"http://127.0.0.1:{port}/up")
    assert out == "no"
    assert "HTTP/1.1 403 Forbidden" in err


async def test_curl_follows_a_streamed_download() -> None:
    async def count() -> AsyncIterator[bytes]:
        for number in range(2000):
            yield b"%d\n" % number

    async def handler(_: Request) -> Response:
        return Response(200, [], count())

    async with listening(handler) as port:
        out, _ = await curl(f"http://127.0.0.1:{port}/")
    assert out.split() == [str(number) for number in range(2000)]


async def test_http_client_of_the_standard_library() -> None:
    def talk(port: int) -> list[bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        answers = []
        for body in (b"one", iter([b"t", b"wo"]), None):
            connection.request("PUT", "/", body=body, encode_chunked=not isinstance(body, bytes))
            answers.append(connection.getresponse().read())
        connection.close()
        return answers

    async with listening(digest) as port:
        answers = await trio.to_thread.run_sync(talk, port)
    expected = [
        b"%d %s" % (len(b), hashlib.sha256(b).hexdigest().encode()) for b in (b"one", b"two", b"")
    ]
    assert answers == expected


class _StandardHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[::-1])

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def standard_server() -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _StandardHandler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


async def test_our_client_and_the_standard_librarys_server(standard_server: int) -> None:
    stream = await trio.open_tcp_stream("127.0.0.1", standard_server)
    async with HTTPClient(stream, host=f"127.0.0.1:{standard_server}") as client:
        for _ in range(2):
            expect = [(b"Expect", b"100-continue")]
            response = await client.request("PUT", "/", headers=expect, body=b"abc")
            assert response.status == 200
            assert await response.read() == b"cba"


async def test_our_server_bounds_its_memory_to_a_slow_reader() -> None:
    """A client that does not read stops the handler's body, through the socket's buffers."""
    produced = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal produced
        while True:
            yield bytes(65536)
            produced += 65536

    async def handler(_: Request) -> Response:
        return Response(200, [], endless())

    async with listening(handler) as port:
        client = await trio.open_tcp_stream("127.0.0.1", port)
        await client.send_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        stalled_at = -1
        while produced != stalled_at:
            stalled_at = produced
            await trio.sleep(0.05)
        assert 0 < stalled_at < 16 * 1024 * 1024
        await client.aclose()
