"""Our plain text is Wireshark's, from the same file with the same keys."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import trio

from tlslab.capture import read_capture, write_pcapng
from tlslab.net import Chunk, Direction, Endpoint, Flow, Kind
from tlslab.pki import Credential
from tlslab.tls import ServerPolicy, Version
from tlslab.tls.decryption import Decryptor, KeyLogSecrets, Opened, Secrets

NO_ENCRYPT_THEN_MAC = 1 << 19

SUITES = [
    ("TLS_AES_256_GCM_SHA384", 0),
    ("TLS_CHACHA20_POLY1305_SHA256", 0),
    ("ECDHE-RSA-AES128-GCM-SHA256", 0),
    ("ECDHE-RSA-CHACHA20-POLY1305", 0),
    ("ECDHE-RSA-AES256-SHA384", 0),
    ("AES256-GCM-SHA384", 0),
    ("AES128-SHA256", 0),
    ("AES128-SHA", NO_ENCRYPT_THEN_MAC),
]


@pytest.fixture
def tshark() -> str:
    path = shutil.which("tshark")
    if path is None:
        pytest.skip("tshark is not installed")
    return path


def written(path: Path, recorded: Any) -> Path:
    """The recording as a capture."""
    client, server = Endpoint("c", "192.0.2.1", 40000), Endpoint("s.test", "192.0.2.2", 443)
    flow = Flow(1, "cable", client, server)
    chunks = [Chunk(0, flow, Direction.TO_SERVER, kind=Kind.OPENED)]
    chunks += [Chunk(1, flow, way, data) for way, data in recorded.order]
    chunks += [Chunk(2, flow, way, kind=Kind.CLOSED) for way in Direction]
    write_pcapng(path, chunks)
    return path


async def followed(tshark: str, path: Path, option: str) -> tuple[bytes, bytes]:
    """What tshark decrypts, to the server and to the client."""
    arguments = ["-r", str(path), "-o", option, "-q", "-z", "follow,tls,raw,0"]
    done = await trio.run_process([tshark, *arguments], capture_stdout=True, capture_stderr=True)
    sides = {"": bytearray(), "\t": bytearray()}
    output = done.stdout.decode()
    for line in output.splitlines():
        match = re.fullmatch(r"(\t?)([0-9a-f]+)", line)
        if match:
            sides[match[1]] += bytes.fromhex(match[2])
    first, second = bytes(sides[""]), bytes(sides["\t"])  # node 0 is who sent first, to tshark
    return (second, first) if "Node 0: 192.0.2.2" in output else (first, second)


@pytest.mark.parametrize(("suite", "options"), SUITES)
async def test_tshark_reads_the_same(
    tshark: str, tmp_path: Path, record: Any, rsa: Credential, suite: str, options: int
) -> None:
    async def talk(client: Any, server: Any) -> None:
        await client.send_all(b"question")
        assert await server.receive_some() == b"question"
        await server.send_all(b"answer" * 5000)
        got = 0
        while got < 30000:
            got += len(await client.receive_some())

    tls13 = suite.startswith("TLS_")
    chosen = {"ciphersuites": suite} if tls13 else {"ciphers": suite}
    server = ServerPolicy(rsa, **chosen)  # type: ignore[arg-type]
    version = Version.TLS_1_3 if tls13 else Version.TLS_1_2
    recorded = await record(talk, server=server, options=options, maximum=version, **chosen)
    path = written(tmp_path / "recorded.pcapng", recorded)
    keys = tmp_path / "keys.log"
    keys.write_text(recorded.key_log)

    opened = opened_from(path, Secrets(KeyLogSecrets.parse(recorded.key_log)))
    theirs = await followed(tshark, path, f"tls.keylog_file:{keys}")
    assert theirs == (opened.to_server.data, opened.to_client.data)
    assert theirs == (b"question", b"answer" * 5000)
    if not suite.startswith(("TLS_", "ECDHE")):
        key = tmp_path / "key.pem"
        key.write_bytes(rsa.key_pem)
        assert await followed(tshark, path, f'uat:rsa_keys:"{key}",""') == theirs
        by_key = opened_from(path, Secrets(rsa_keys=(rsa.key,)))  # type: ignore[arg-type]
        assert by_key.to_client == opened.to_client


def opened_from(path: Path, secrets: Secrets) -> Opened:
    """A capture's only flow."""
    (flow,) = read_capture(path).flows
    return Decryptor(secrets).open(flow.to_server.data, flow.to_client.data)
