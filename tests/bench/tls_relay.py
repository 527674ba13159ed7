"""CPU per GiB of a relay that ends TLS: `TLSStream` beside `trio.SSLStream`, in the same run.

Usage: python tests/bench/tls_relay.py [--mib N] [--rounds N] [--json]

Each relay is a process of its own that takes TLS from a client, and sends what it decrypts over
plain TCP to a sink. The client (OpenSSL in this process) pushes N MiB through one connection. The
relay's CPU time is what counts, user and system, from connection to end; absolute figures drift
with the machine, so the two alternate and the median of each round's ratio is the result.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import trio

from tlslab.pki import Authority, Credential
from tlslab.tls import ServerPolicy, TLSStream

GOAL = 0.75  # of trio.SSLStream's CPU per GiB
READ = 256 * 1024
NAME = "relay.test"


# ---- The relay, in its own process ----


def relay(kind: str, credential_file: Path, sink_port: int) -> None:
    """Serve one connection and print the CPU seconds and the peak RSS (KiB) that it took."""
    pem = credential_file.read_bytes()
    trio.run(_serve_one, kind, pem, credential_file, sink_port)


async def _serve_one(kind: str, pem: bytes, credential_file: Path, sink_port: int) -> None:
    if kind == "tlslab":
        policy = ServerPolicy(Credential.from_pem(pem, pem))
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(credential_file)
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    print(listener.socket.getsockname()[1], flush=True)
    transport = await listener.accept()
    before = resource.getrusage(resource.RUSAGE_SELF)
    async with await trio.open_tcp_stream("127.0.0.1", sink_port) as sink:
        stream: trio.abc.Stream
        if kind == "tlslab":
            stream = TLSStream.server(transport, policy)
        else:
            stream = trio.SSLStream(transport, context, server_side=True)
        async with stream:
            while data := await stream.receive_some():  # each with its own default size
                await sink.send_all(data)
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    print(cpu, after.ru_maxrss, flush=True)
    await listener.aclose()


# ---- The two ends, in this process ----


def measure(kind: str, credential_file: Path, mib: int) -> tuple[float, int]:
    """CPU seconds per GiB and peak RSS in KiB of one run."""
    with socket.create_server(("127.0.0.1", 0)) as sink:
        got: list[int] = []
        thread = threading.Thread(target=_swallow, args=(sink, got))
        thread.start()
        command = [sys.executable, __file__, "--relay", kind]
        command += [str(credential_file), str(sink.getsockname()[1])]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            _push(int(process.stdout.readline()), mib)
            cpu, rss = process.stdout.readline().split()
        thread.join()
    if got != [mib * 2**20]:
        raise SystemExit(f"{kind}: {got} bytes arrived, not {mib * 2**20}")
    return float(cpu) * 1024 / mib, int(rss)


def _push(port: int, mib: int) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    block = os.urandom(2**20)
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        context.wrap_socket(plain, server_hostname=NAME) as tls,
    ):
        for _ in range(mib):
            tls.sendall(block)
        tls.unwrap()


def _swallow(server: socket.socket, got: list[int]) -> None:
    connection, _ = server.accept()
    buffer, total = bytearray(READ), 0
    with connection:
        while size := connection.recv_into(buffer):
            total += size
    got.append(total)


def main() -> None:
    """Run the rounds and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--mib", type=int, default=1024, help="MiB per run (default: 1024)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--relay", nargs=3, metavar=("KIND", "PEM", "PORT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.relay:
        kind, pem, port = arguments.relay
        relay(kind, Path(pem), int(port))
        return
    credential = Authority.create().issue(NAME)
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "credential.pem")
        file.touch(mode=0o600)
        file.write_bytes(credential.key_pem + credential.chain_pem)
        for number in range(arguments.rounds):
            # Whoever is first in one round is second in the next.
            kinds = ["tlslab", "trio.SSLStream"][:: -1 if number % 2 else 1]
            run = {kind: measure(kind, file, arguments.mib) for kind in kinds}
            rounds.append(run)
            (cpu, rss), (peer_cpu, peer_rss) = run["tlslab"], run["trio.SSLStream"]
            print(
                f"round {number + 1}: tlslab {cpu:.2f} CPU s/GiB, {rss / 1024:.0f} MiB;"
                f" trio.SSLStream {peer_cpu:.2f} CPU s/GiB, {peer_rss / 1024:.0f} MiB;"
                f" ratio {cpu / peer_cpu:.2f}",
                file=sys.stderr,
            )
    ratio = statistics.median(run["tlslab"][0] / run["trio.SSLStream"][0] for run in rounds)
    ours = statistics.median(run["tlslab"][0] for run in rounds)
    theirs = statistics.median(run["trio.SSLStream"][0] for run in rounds)
    if arguments.json:
        print(json.dumps({"ratio": ratio, "goal": GOAL, "tlslab": ours, "trio": theirs}))
    else:
        print(f"median: {ours:.2f} against {theirs:.2f} CPU s/GiB; ratio {ratio:.2f} (goal {GOAL})")


if __name__ == "__main__":
    main()
