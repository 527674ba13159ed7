"""Two captures compared, in values and on the command line; hostile names are harmless there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tlslab.capture import Canary, compare, parse_capture, read_capture, write_pcapng
from tlslab.cli.capture import capture
from tlslab.net import Chunk, Direction, Endpoint, Flow
from tlslab.tls import Version

TO_SERVER, TO_CLIENT = Direction.TO_SERVER, Direction.TO_CLIENT
CANARY = Canary("card", b"canary-card-7qk2zx5m3jd4w6tpa8fh")
REQUEST = b"POST /pay HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 32\r\n\r\n" + CANARY.token
OFFSET = REQUEST.index(CANARY.token)

FlowMaker = Callable[..., Flow]
Talk = Callable[..., list[Chunk]]
RecordTLS = Callable[..., Awaitable[Any]]


@pytest.fixture
def plain(tmp_path: Path, flow: FlowMaker, talk: Talk) -> Path:
    file = tmp_path / "plain.pcapng"
    write_pcapng(file, talk(flow(), (TO_SERVER, REQUEST), (TO_CLIENT, b"HTTP/1.1 204 OK\r\n\r\n")))
    return file


@pytest.fixture
async def encrypted(tmp_path: Path, record_tls: RecordTLS) -> Path:
    file = tmp_path / "encrypted.pcapng"
    recorded = await record_tls(Version.TLS_1_3, request=REQUEST)
    write_pcapng(file, recorded.chunks, secrets=recorded.key_log)
    return file


async def test_plain_against_tls(plain: Path, encrypted: Path) -> None:
    found = compare(read_capture(plain), read_capture(encrypted), [CANARY])
    (pair,) = found.pairs
    assert pair.a is not None
    assert pair.b is not None
    said = "\n".join(found.differences)
    assert "shop.test:80: A speaks HTTP, B speaks TLS." in said
    assert "the server name is visible in B (shop.test), not in A." in said
    assert "100% of the bytes are readable in A, 0% in B." in said
    assert f"canary card: readable in A (packet 4, byte {OFFSET}, plain), not in B." in said
    assert (len(found.hits_a), found.hits_b, found.notes) == (1, [], [])


async def test_tls12_against_tls13(tmp_path: Path, record_tls: RecordTLS) -> None:
    files = []
    for version in (Version.TLS_1_2, Version.TLS_1_3):
        files.append(tmp_path / version.value)
        write_pcapng(files[-1], (await record_tls(version)).chunks)
    said = "\n".join(compare(read_capture(files[0]), read_capture(files[1])).differences)
    assert "the TLS version is TLS 1.2 in A, TLS 1.3 in B." in said
    assert "the server's certificate is visible in A (shop.test, www.shop.test), not in B." in said
    assert "the server name" not in said


def test_a_capture_does_not_differ_from_itself(plain: Path) -> None:
    read = read_capture(plain)
    found = compare(read, read, [CANARY])
    assert found.differences == []
    assert len(found.hits_a) == len(found.hits_b) == 1


def test_flows_pair_by_leg_and_server_then_by_name_then_in_order(
    tmp_path: Path, talk: Talk
) -> None:
    def written(name: str, *ends: tuple[str, str, int]) -> Path:
        file = tmp_path / name
        chunks: list[Chunk] = []
        for number, (leg, host, port) in enumerate(ends, 1):
            client = Endpoint("client", "10.0.0.1", 40000 + number)
            address = f"10.0.1.{sum(host.encode()) % 250}"
            server = Endpoint(host, address, port)
            chunks += talk(Flow(number, leg, client, server), (TO_SERVER, b"x"))
        write_pcapng(file, chunks)
        return file

    a = written("a", ("front", "one", 80), ("front", "two", 80), ("front", "three", 80))
    b = written("b", ("back", "one", 443), ("x", "other", 9), ("front", "two", 80), ("y", "z", 1))
    found = compare(read_capture(a), read_capture(b))
    pairs = [
        tuple(side and side.record.flow.server.name for side in (pair.a, pair.b))
        for pair in found.pairs
    ]
    assert pairs == [("one", "one"), ("two", "two"), ("three", "other"), (None, "z")]
    assert found.differences[-1] == "z:1: only B has this flow."


def test_an_empty_capture_has_nothing_to_compare(tmp_path: Path) -> None:
    file = tmp_path / "empty"
    write_pcapng(file, [])
    assert compare(read_capture(file), read_capture(file)).pairs == []


def run(*arguments: str | Path) -> str:
    done = CliRunner().invoke(capture, [str(argument) for argument in arguments])
    if done.exception is not None:
        raise done.exception
    return done.output


async def test_the_command_compares(plain: Path, encrypted: Path) -> None:
    said = run("compare", plain, encrypted, "--canary", CANARY.text)
    assert "POST /pay HTTP/1.1" in said
    assert "TLS 1.3" in said
    assert f"{CANARY.text}: in A, packet 4, byte {OFFSET}, plain" in " ".join(said.split())
    assert "with TLS secrets" in " ".join(said.split())
    found = json.loads(run("compare", plain, encrypted, "--canary", CANARY.text, "--json"))
    assert found["pairs"][0]["a"]["learned"]["http_host"] == "shop.test"
    assert found["pairs"][0]["b"]["tls"]["version"] == "TLS 1.3"
    assert [hit["packet"] for hit in found["canaries"]["a"]] == [4]
    assert found["canaries"]["b"] == []
    assert found["b"]["has_secrets"]
    assert found["differences"]


async def test_the_command_shows(encrypted: Path) -> None:
    assert "server name" in run("show", encrypted)
    found = json.loads(run("show", encrypted, "--json", "--canary", "absent-canary"))
    assert found["flows"][0]["learned"]["server_name"] == "shop.test"
    assert found["canaries"] == []
    assert "No canary is readable." in run("show", encrypted, "--canary", "absent-canary")


def test_hostile_names_neither_control_the_terminal_nor_are_markup(
    tmp_path: Path, talk: Talk
) -> None:
    evil = "[red]evil\x1b]0;owned\x07\u202e[/red]"
    flow = Flow(1, evil, Endpoint(evil, "10.0.0.1", 40000), Endpoint(evil, "10.0.0.2", 80))
    request = f"GET /{evil} HTTP/1.1\r\nHost: {evil}\r\n\r\n".encode()
    response = b"HTTP/1.1 200 \x1b[2J\r\n\r\n"
    file = tmp_path / "evil.pcapng"
    write_pcapng(file, talk(flow, (TO_SERVER, request), (TO_CLIENT, response)))
    for said in (run("show", file, "--canary", "evil[/red]"), run("compare", file, file)):
        assert "\x1b" not in said
        assert "\x07" not in said
        assert "\u202e" not in said
        assert "[red]evil" in said
    found = json.loads(run("show", file, "--json"))
    assert found["flows"][0]["flow"]["leg"] == evil


@pytest.mark.parametrize("arguments", [["show", "{bad}"], ["compare", "{bad}", "{bad}"]])
def test_a_mistake_is_one_line_and_code_2(arguments: list[str], tmp_path: Path) -> None:
    bad = tmp_path / "bad.pcap"
    bad.write_bytes(b"this is no capture")
    command = [argument.format(bad=bad) for argument in arguments]
    for given in (command, [argument.replace("bad", "none") for argument in command]):
        done = subprocess.run(
            [sys.executable, "-m", "tlslab", "capture", *given],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert done.returncode == 2, done.stderr
        assert done.stdout == ""
        assert done.stderr.startswith("tlslab: ")
        assert "Traceback" not in done.stderr


def test_compare_survives_what_is_no_tcp(tmp_path: Path) -> None:
    arp = bytes(12) + b"\x08\x06" + bytes(28)
    head = bytes.fromhex("d4c3b2a1 02000400 00000000 00000000 ffff0000 01000000")
    data = head + bytes(8) + len(arp).to_bytes(4, "little") * 2 + arp
    read = parse_capture(data)
    assert compare(read, read, [CANARY]).differences == []
