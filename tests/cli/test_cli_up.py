"""`tlslab up` with real clients: curl and openssl, a clean end, and a state that comes back."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


@contextmanager
def running(*arguments: str) -> Iterator[tuple[dict[str, Any], subprocess.Popen[str]]]:
    """A lab that is up; ended with SIGTERM if the test did not end it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tlslab", "up", "--json", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            yield json.loads(line), process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.communicate(timeout=10)


def curl(*arguments: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    return subprocess.run(
        ["curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", "10", *arguments],
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip


def test_curl_stores_and_gets_and_the_disk_shows_nothing(tmp_path: Path) -> None:
    body = tmp_path / "body.txt"
    body.write_text("a letter nobody else should read\n" * 1000)
    with running() as (up, _):
        url = f"{up['https_url']}demo/letter.txt"
        stored = curl("--cacert", up["ca"], "--fail", "-T", str(body), url)
        assert stored.returncode == 0, stored.stderr
        got = curl("--cacert", up["ca"], "--fail", url)
        assert got.stdout == body.read_text()
        files = [path for path in Path(up["state_dir"]).rglob("*") if path.is_file()]
        assert sum(path.stat().st_size for path in files) > len(body.read_text())
        assert not any(b"nobody else" in path.read_bytes() for path in files)


def test_curl_without_the_ca_refuses_and_the_lab_says_why(tmp_path: Path) -> None:
    with running() as (up, process):
        refused = curl(up["https_url"])
        assert refused.returncode == 60  # peer certificate cannot be authenticated
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=10)
    assert "unknown_ca" in told


def test_openssl_verifies_the_chain_and_the_name() -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    with running() as (up, _):
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{up['port']}", "-CAfile", up["ca"],
             "-verify_return_error", "-verify_hostname", "localhost", "-x509_strict"],
            input="", capture_output=True, text=True, timeout=20, check=False,
        )  # fmt: skip
    assert "Verify return code: 0 (ok)" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(number: signal.Signals) -> None:
    with running() as (up, process):
        assert Path(up["state_dir"]).is_dir()
        process.send_signal(number)
        rest, told = process.communicate(timeout=10)
    assert process.returncode == 0
    assert rest == ""  # one line was all
    assert "Traceback" not in told
    assert not Path(up["state_dir"]).exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", up["port"]), timeout=5)


def test_state_is_kept_and_used_again(tmp_path: Path) -> None:
    state = tmp_path / "state with spaces"
    with running("--state", str(state)) as (up, _):
        root = Path(up["ca"]).read_bytes()
        curl("--cacert", up["ca"], "--data-binary", "kept", "-X", "PUT", f"{up['bucket_url']}x")
    with running("--state", str(state)) as (up, _):
        assert Path(up["ca"]).read_bytes() == root
        assert curl("--cacert", up["ca"], f"{up['bucket_url']}x").stdout == "kept"
    for name in ("root-of-trust.key", "passphrase", "identities.toml", "proxy.key"):
        assert (state / name).stat().st_mode & 0o777 == 0o600
    assert state.stat().st_mode & 0o777 == 0o700


def test_it_listens_on_loopback_and_on_the_port_asked_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with running("--port", str(port)) as (up, _):
        assert (up["host"], up["port"]) == ("127.0.0.1", port)


def test_a_port_in_use_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = subprocess.run(
            [sys.executable, "-m", "tlslab", "up", "--port", str(taken.getsockname()[1])],
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert "in use" in done.stderr
    assert "hint:" in done.stderr


def test_garbage_and_hasty_clients_do_not_disturb_it() -> None:
    with running() as (up, _):
        where = ("127.0.0.1", up["port"])
        for first in (b"", b"GET / HTTP/1.1\r\n\r\n", bytes(range(256)), b"\x16\x03\x01\x02\x00"):
            with socket.create_connection(where, timeout=5) as client:
                client.sendall(first)
        listed = curl("--cacert", up["ca"], "--fail", up["bucket_url"])
        assert "<Name>demo</Name>" in listed.stdout


def test_a_client_that_leaves_mid_body_leaves_no_half_object() -> None:
    with running() as (up, _):
        context = ssl.create_default_context(cafile=up["ca"])
        head = b"PUT /demo/half HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
        with (
            socket.create_connection(("127.0.0.1", up["port"]), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as client,
        ):
            client.sendall(head + b"x" * 500_000)
        listed = curl("--cacert", up["ca"], "--fail", up["bucket_url"])
        assert "<Name>demo</Name>" in listed.stdout
        assert "<Contents>" not in listed.stdout
        assert curl("--cacert", up["ca"], "--fail", f"{up['bucket_url']}half").returncode == 22
