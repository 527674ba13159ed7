"""The servers that are measured beside each other, each a process of its own on loopback.

    tlslab          the endpoint, encrypting (the default of everything)
    tlslab plain    the same with encryption switched off, which only tests can do
    moto            moto[server], in memory
    ministack       MiniStack, in memory

The peers come from a virtual environment of their own (`make peers`); one that is missing is left
out, and said to be. Usage as a program: python -m tests.bench.servers FOLDER [--plain]
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

from tlslab.endpoint import StateFolder, open_backend
from tlslab.endpoint.serving import serve
from tlslab.iam import ACCOUNT
from tlslab.iam.signing import Credentials

PEERS = Path(".venv/peers/bin")
REGION = "us-east-1"  # where a bucket needs no location
START_SECONDS = 30
STOP_SECONDS = 5


@dataclass(frozen=True)
class Server:
    """A server that answers."""

    name: str
    process: int
    port: int
    credentials: Credentials

    @property
    def ours(self) -> bool:
        """Whether it is not a peer."""
        return self.name.startswith("tlslab")

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def cpu_seconds(self) -> float:
        """User and system time of all its threads so far (Linux)."""
        fields = Path(f"/proc/{self.process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_peak(self) -> int:
        """The most memory that it ever had resident, in bytes (Linux)."""
        for line in Path(f"/proc/{self.process}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise SystemExit("no VmHWM in /proc: resident memory is measured on Linux only")


@contextmanager
def tlslab(folder: Path, *, plain: bool = False) -> Iterator[Server]:
    """Our endpoint, with its state in a folder."""
    command = [sys.executable, "-m", "tests.bench.servers", str(folder)]
    if plain:
        command.append("--plain")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = json.loads(process.stdout.readline())
            credentials = Credentials(said["access_key_id"], said["secret_access_key"])
            name = "tlslab plain" if plain else "tlslab"
            yield Server(name, process.pid, said["port"], credentials)
        finally:
            _stop(process)


@contextmanager
def peer(name: str, folder: Path) -> Iterator[Server | None]:
    """`moto` or `ministack`; None if it is not installed."""
    port = _free_port()
    command = {
        "moto": ["moto_server", "-H", "127.0.0.1", "-p", str(port)],
        "ministack": ["ministack"],
    }[name]
    program = PEERS / command[0]
    if not program.exists():
        print(f"{name} is not installed: make peers", file=sys.stderr)
        yield None
        return
    environment = os.environ | {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "SERVICES": "s3,kms",
        "LOG_LEVEL": "ERROR",
        "TMPDIR": str(folder),
    }
    folder.mkdir(parents=True, exist_ok=True)
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            [str(program.resolve()), *command[1:]], env=environment, cwd=folder,
            stdout=log, stderr=log,
        ) as process,
    ):  # fmt: skip
        try:
            _wait_for(port, process)
            yield Server(name, process.pid, port, Credentials("test", "test"))
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[Any]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:  # moto waits for connections that are open
        process.kill()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"{process.args!r} did not begin to listen")


async def _endpoint(folder: Path, *, plain: bool) -> None:
    state = StateFolder(folder)
    root = await state.open_root_of_trust()
    identities = state.open_identities()
    key = identities.root(ACCOUNT)
    assert key is not None
    async with (
        open_backend(
            state.settings(root, identities, plain=plain, regions=(REGION,)), create=True
        ) as backend,
        trio.open_nursery() as nursery,
    ):
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        await nursery.start(serve, backend.answer, listeners)
        port = listeners[0].socket.getsockname()[1]
        facts = {"port": port, "access_key_id": key.id, "secret_access_key": key.secret}
        print(json.dumps(facts), flush=True)


def main() -> None:
    """Serve until terminated."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--plain", action="store_true")
    arguments = parser.parse_args()
    trio.run(lambda: _endpoint(arguments.folder, plain=arguments.plain))


if __name__ == "__main__":
    main()
