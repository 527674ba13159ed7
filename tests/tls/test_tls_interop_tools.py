"""openssl s_client, openssl s_server and curl as peers, over real sockets."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from tlslab.pki import Authority, Credential
from tlslab.tls import ClientPolicy, HandshakeFailure, ServerPolicy, TLSStream, Version

SECONDS = 20  # for a subprocess on a busy machine; they take a tenth of one
FLAGS = {Version.TLS_1_2: "-tls1_2", Version.TLS_1_3: "-tls1_3"}
LABEL, LENGTH = "EXPORTER-tlslab", 24


@pytest.fixture
def openssl() -> str:
    return tool("openssl")


@pytest.fixture
def curl() -> str:
    return tool("curl")


def tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


@pytest.fixture
def files(tmp_path: Path, authority: Authority, credential: Any, client_credential: Any) -> Path:
    (tmp_path / "root.pem").write_bytes(authority.root_pem)
    for name, one in (("server", credential), ("client", client_credential)):
        (tmp_path / f"{name}.pem").write_bytes(one.chain_pem)
        (tmp_path / f"{name}.key").write_bytes(one.key_pem)
    return tmp_path


@asynccontextmanager
async def served(handler: Callable[[trio.SocketStream], Any]) -> AsyncIterator[int]:
    """A port of loopback on which `handler` runs for each connection."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, handler, [listener])
        with trio.fail_after(SECONDS):
            yield listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def run(*command: str, stdin: bytes = b"") -> tuple[int, str, str]:
    done = await trio.run_process(
        command, stdin=stdin, capture_stdout=True, capture_stderr=True, check=False
    )
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode()


@pytest.mark.parametrize("version", Version)
async def test_s_client_talks_to_us(
    openssl: str, files: Path, serving: ServerPolicy, version: Version
) -> None:
    """Verified, with SNI, ALPN and the same exporter at both ends."""
    seen: list[Any] = []
    policy = dataclasses.replace(serving, alpn=("http/1.1",))

    async def handler(transport: trio.SocketStream) -> None:
        async with TLSStream.server(transport, policy) as stream:
            seen.append(await stream.receive_some())
            seen.append(stream.facts)
            seen.append(stream.export_keying_material(LABEL.encode(), LENGTH).hex())
            await stream.send_all(b"hello from tlslab\n")

    async with served(handler) as port:
        arguments = ["-connect", f"127.0.0.1:{port}", "-servername", "shop.test", FLAGS[version]]
        arguments += ["-CAfile", str(files / "root.pem"), "-verify_hostname", "shop.test"]
        arguments += ["-verify_return_error", "-alpn", "http/1.1", "-ign_eof"]
        arguments += ["-keymatexport", LABEL, "-keymatexportlen", str(LENGTH)]
        code, output, errors = await run(openssl, "s_client", *arguments, stdin=b"ping\n")
    assert code == 0, errors
    data, facts, exported = seen
    assert data == b"ping\n"
    assert (facts.version, facts.server_name, facts.alpn) == (
        version.value,
        "shop.test",
        "http/1.1",
    )
    assert "hello from tlslab" in output
    assert "Verify return code: 0" in output
    material = re.search(r"Keying material: ([0-9A-F]+)", output)
    assert material is not None
    assert material[1].lower() == exported


async def test_s_client_refuses_us(openssl: str, serving: ServerPolicy) -> None:
    failures: list[HandshakeFailure] = []

    async def handler(transport: trio.SocketStream) -> None:
        async with TLSStream.server(transport, serving) as stream:
            try:
                await stream.do_handshake()
            except HandshakeFailure as failure:
                failures.append(failure)

    async with served(handler) as port:
        code, _, _ = await run(
            openssl, "s_client", "-connect", f"127.0.0.1:{port}", "-verify_return_error"
        )
    assert code != 0
    assert failures[0].alert is not None
    assert (failures[0].alert.number, failures[0].alert_direction) == (48, "received")


@asynccontextmanager
async def process(*command: str) -> AsyncIterator[trio.Process]:
    """A process with pipes, which ends with the block."""
    running = await trio.lowlevel.open_process(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        with trio.fail_after(SECONDS):
            yield running
    finally:
        running.kill()
        with trio.CancelScope(shield=True):
            await running.wait()
            for pipe in (running.stdin, running.stdout):
                assert pipe is not None
                await pipe.aclose()


async def wait_for(running: trio.Process, pattern: bytes) -> re.Match[bytes]:
    """Read the process's output until it matches."""
    assert running.stdout is not None
    output = b""
    while (match := re.search(pattern, output)) is None:
        data = await running.stdout.receive_some()
        assert data, f"the process ended; it said {output!r}"
        output += data
    return match


async def type_in(running: trio.Process, text: bytes) -> None:
    assert running.stdin is not None
    await running.stdin.send_all(text)


async def test_s_client_updates_its_keys(openssl: str, serving: ServerPolicy) -> None:
    """`K` makes s_client send a KeyUpdate that asks for ours."""

    async def handler(transport: trio.SocketStream) -> None:
        async with TLSStream.server(transport, serving) as stream:
            await stream.send_all(b"go\n")
            assert await stream.receive_some() == b"after\n"
            await stream.send_all(b"seen\n")  # and before it, our KeyUpdate
            assert await stream.receive_some() == b"again\n"

    async with served(handler) as port:
        command = (openssl, "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_3", "-msg")
        async with process(*command) as running:
            await wait_for(running, b"go\n")
            await type_in(running, b"K\n")
            await wait_for(running, b">>> TLS 1.3, Handshake .*KeyUpdate")
            await type_in(running, b"after\n")
            await wait_for(running, b"<<< TLS 1.3, Handshake .*KeyUpdate(?s:.*)seen\n")
            await type_in(running, b"again\n")


@asynccontextmanager
async def s_server(openssl: str, files: Path, *arguments: str) -> AsyncIterator[int]:
    """The port of an s_server that sends each line back reversed."""
    command = [openssl, "s_server", "-accept", "127.0.0.1:0", "-rev", *arguments]
    command += ["-cert", str(files / "server.pem"), "-cert_chain", str(files / "server.pem")]
    command += ["-key", str(files / "server.key")]
    async with process(*command) as running:
        yield int((await wait_for(running, rb"ACCEPT \S+:(\d+)\s"))[1])


async def dial(port: int, policy: ClientPolicy, **options: Any) -> TLSStream:
    transport = await trio.open_tcp_stream("127.0.0.1", port)
    return TLSStream.client(transport, policy, "shop.test", **options)


@pytest.mark.parametrize("version", Version)
async def test_we_talk_to_s_server_and_resume(
    openssl: str, files: Path, careful: ClientPolicy, version: Version
) -> None:
    policy = dataclasses.replace(careful, alpn=("h2", "http/1.1"))
    session = None
    async with s_server(openssl, files, FLAGS[version], "-alpn", "http/1.1") as port:
        for resumed in (False, True):
            async with await dial(port, policy, session=session) as stream:
                await stream.send_all(b"stressed\n")
                assert await stream.receive_some() == b"desserts\n"
                facts, session = stream.facts, stream.session
            assert (facts.version, facts.alpn) == (version.value, "http/1.1")
            assert facts.resumed == resumed


@pytest.mark.parametrize("version", Version)
async def test_s_server_asks_for_a_client_certificate(
    openssl: str,
    files: Path,
    careful: ClientPolicy,
    client_credential: Credential,
    version: Version,
) -> None:
    arguments = ["-Verify", "5", "-verify_return_error", "-CAfile", str(files / "root.pem")]
    policy = dataclasses.replace(careful, maximum=version)
    proving = dataclasses.replace(policy, credential=client_credential)
    async with s_server(openssl, files, *arguments) as port:
        async with await dial(port, proving) as stream:
            await stream.send_all(b"stressed\n")
            assert await stream.receive_some() == b"desserts\n"
        stream = await dial(port, policy)
        with pytest.raises(HandshakeFailure) as failure:
            await stream.receive_some()
        await stream.aclose()
    assert failure.value.alert is not None
    assert failure.value.alert.number == (116 if version is Version.TLS_1_3 else 40)
    assert failure.value.alert_direction == "received"


async def test_messages_that_s_server_splits(
    openssl: str, files: Path, careful: ClientPolicy, client_credential: Credential
) -> None:
    """Records of 512 bytes split the certificates, and the tickets that hold the client's."""
    arguments = ["-max_send_frag", "512", "-Verify", "5", "-CAfile", str(files / "root.pem")]
    policy = dataclasses.replace(careful, credential=client_credential)
    async with (
        s_server(openssl, files, *arguments) as port,
        await dial(port, policy) as stream,
    ):
        await stream.send_all(b"x" * 4000 + b"\n")
        got = b""
        while len(got) < 4001:
            got += await stream.receive_some()
        assert got == b"x" * 4000 + b"\n"
        assert stream.session is not None


async def answer_http(stream: TLSStream) -> None:
    request = b""
    while b"\r\n\r\n" not in request:
        request += await stream.receive_some()
    body = request.split(b"\r\n", 1)[0]
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    await stream.send_all(head.encode() + body)


@pytest.mark.parametrize("version", Version)
@pytest.mark.parametrize("host", ["shop.test", "127.0.0.1", "xn--bcher-kva.test"])
async def test_curl_fetches_from_us(
    curl: str, files: Path, serving: ServerPolicy, version: Version, host: str
) -> None:
    async def handler(transport: trio.SocketStream) -> None:
        async with TLSStream.server(transport, policy) as stream:
            await answer_http(stream)

    policy = dataclasses.replace(serving, alpn=("http/1.1",), maximum=version)
    async with served(handler) as port:
        code, output, errors = await run(
            *(curl, "--silent", "--show-error", "--cacert", str(files / "root.pem")),
            *("--resolve", f"{host}:{port}:127.0.0.1", f"https://{host}:{port}/cart"),
        )
    assert (code, output) == (0, "GET /cart HTTP/1.1"), errors


async def test_curl_shows_its_certificate(
    curl: str, files: Path, serving: ServerPolicy, trust: Any, client_credential: Credential
) -> None:
    names: list[str] = []
    policy = dataclasses.replace(serving, client_trust=trust, client_certificate="required")

    async def handler(transport: trio.SocketStream) -> None:
        async with TLSStream.server(transport, policy) as stream:
            await answer_http(stream)
            names.append(stream.facts.peer_chain[0].subject.rfc4514_string())

    async with served(handler) as port:
        code, _, errors = await run(
            *(curl, "--silent", "--show-error", "--cacert", str(files / "root.pem")),
            *("--cert", str(files / "client.pem"), "--key", str(files / "client.key")),
            *("--resolve", f"shop.test:{port}:127.0.0.1", f"https://shop.test:{port}/"),
        )
    assert code == 0, errors
    assert names == [client_credential.certificate.subject.rfc4514_string()]


async def test_curl_refuses_another_name(curl: str, files: Path, serving: ServerPolicy) -> None:
    """curl with OpenSSL matches names itself, after the handshake: we see it leave in order."""
    received: list[bytes] = []

    async def handler(transport: trio.SocketStream) -> None:
        async with TLSStream.server(transport, serving) as stream:
            received.append(await stream.receive_some())

    async with served(handler) as port:
        code, _, _ = await run(
            *(curl, "--silent", "--cacert", str(files / "root.pem")),
            *("--resolve", f"other.test:{port}:127.0.0.1", f"https://other.test:{port}/"),
        )
    assert code == 60  # CURLE_PEER_FAILED_VERIFICATION
    assert received == [b""]
