"""The store beside its peers: rates of GET and PUT, growth, memory. Prints ratios of one run.

Usage: python -m tests.bench.store [rates] [growth] [memory] [--seconds S] [--rounds N]
                                   [--objects N] [--gib N] [--json]

Absolute figures drift with the machine, so all servers take turns in every round, and each figure
is the median of its rounds. Peers store in plain and in memory; ours is durable. Sizes: 4 KiB, 1
and 8 MiB; in plain, SSE-S3 and SSE-KMS.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from urllib.parse import quote

from tests.bench.load import Client, Figure, Prepared, compare, kms_request, median, presigned, wrk
from tests.bench.servers import Server, peer, tlslab

SIZES = {"4 KiB": 4096, "1 MiB": 2**20, "8 MiB": 8 * 2**20}
KEYS = 16
BUCKET = "/bench"

GOALS = {
    "GET 4 KiB: SSE-S3 / moto": 3.0,
    "PUT 4 KiB: SSE-S3 / moto": 3.0,
    "GET 4 KiB: SSE-S3 / ministack": 1.0,
    "PUT 4 KiB: SSE-S3 / ministack": 1.0,
    "GET 1 MiB: SSE-S3 / plain": 0.95,
    "PUT 1 MiB: SSE-S3 / plain": 0.95,
    "GET 8 MiB: SSE-S3 / plain": 0.95,
    "PUT 8 MiB: SSE-S3 / plain": 0.95,
}
"""Ratio of one run -> what it must reach."""

MEMORY_GOAL = 150 * 2**20
PART_BYTES = 64 * 2**20
GROWTH_SAMPLE = 400


# ---- Rates ----


def rates(folder: Path, seconds: float, rounds: int) -> dict[str, Figure]:
    """Figures, by "GET 4 KiB: SSE-S3"."""
    results: dict[str, list[Figure]] = {}
    with ExitStack() as stack:
        variants = _variants(stack, folder)
        for number in range(rounds):
            for label, size in SIZES.items():
                body = os.urandom(size)
                for name in list(variants)[:: -1 if number % 2 else 1]:
                    server, headers = variants[name]
                    path = f"{BUCKET}/{name.replace(' ', '-')}-{size}"
                    puts = [
                        presigned(server, "PUT", f"{path}-{index}", headers, body)
                        for index in range(KEYS)
                    ]
                    gets = [presigned(server, "GET", f"{path}-{index}") for index in range(KEYS)]
                    _check(server, puts, gets, body)
                    for verb, requests in (("PUT", puts), ("GET", gets)):
                        figure = wrk(server, requests, seconds)
                        results.setdefault(f"{verb} {label}: {name}", []).append(figure)
                        print(f"{verb} {label}: {name} {figure}", file=sys.stderr)
    return {name: median(values) for name, values in results.items()}


def _variants(stack: ExitStack, folder: Path) -> dict[str, tuple[Server, Mapping[str, str]]]:
    ours = stack.enter_context(tlslab(folder / "tlslab"))
    variants: dict[str, tuple[Server, Mapping[str, str]]] = {
        "plain": (stack.enter_context(tlslab(folder / "plain", plain=True)), {}),
        "SSE-S3": (ours, {}),
        "SSE-KMS": (ours, _sse_kms(ours)),
    }
    for name in ("moto", "ministack"):
        server = stack.enter_context(peer(name, folder / name))
        if server is not None:
            variants[name] = (server, {})
    for server in {server.port: server for server, _ in variants.values()}.values():
        _send(server, presigned(server, "PUT", BUCKET))
    return variants


def _sse_kms(server: Server) -> Mapping[str, str]:
    answer = json.loads(_send(server, kms_request(server, "CreateKey", {})))
    return {
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id": answer["KeyMetadata"]["Arn"],
        "x-amz-server-side-encryption-bucket-key-enabled": "true",
    }


def _send(server: Server, request: Prepared) -> bytes:
    client = Client(server)
    try:
        return client.send(request)
    finally:
        client.close()


def _check(server: Server, puts: list[Prepared], gets: list[Prepared], body: bytes) -> None:
    """Everything is there before it is read under load, and comes back as it went in."""
    client = Client(server)
    for put in puts:
        client.send(put)
    if client.send(gets[-1]) != body:
        raise SystemExit(f"{server.name} gave back something else")
    client.close()


def ratios(found: Mapping[str, Figure]) -> Iterator[str]:
    """Every variant of ours against plain and against each peer, a line each."""
    for name, figure in found.items():
        what, _, variant = name.partition(": ")
        for other in ("plain", "moto", "ministack"):
            base = found.get(f"{what}: {other}")
            if variant in {"SSE-S3", "SSE-KMS", "plain"} and base and other != variant:
                label = f"{what}: {variant} / {other}"
                goal = f"  (goal {GOALS[label]})" if label in GOALS else ""
                yield f"{label:32} {compare(figure, base)}{goal}"


# ---- Growth ----


def growth(folder: Path, objects: int) -> dict[int, dict[str, float]]:
    """What an operation costs with so many objects in the bucket: milliseconds each."""
    marks = [10**power for power in range(1, 7) if 10**power <= objects]
    found = {}
    with tlslab(folder / "growth") as server:
        _send(server, presigned(server, "PUT", BUCKET))
        done = 0
        for mark in marks:
            sample = min(GROWTH_SAMPLE, mark - done)
            _fill(server, range(done, mark - sample))
            client = Client(server)
            found[mark] = _cost(server, client, mark, sample)
            client.close()
            done = mark
            print(f"{mark} objects: {_line(found[mark])}", file=sys.stderr)
    return found


def _cost(server: Server, client: Client, count: int, sample: int) -> dict[str, float]:
    body = os.urandom(4096)
    puts = [
        presigned(server, "PUT", f"{BUCKET}/{_key(n)}", body=body)
        for n in range(count - sample, count)
    ]
    gets = [
        presigned(server, "GET", f"{BUCKET}/{_key(random.randrange(count))}") for _ in range(sample)
    ]
    cost = {"put": _each(client, puts), "get": _each(client, gets)}
    page = f"{BUCKET}?list-type=2&max-keys=1000&start-after="
    middle = quote(_key(count // 2), safe="")
    lists = [presigned(server, "GET", page + middle)] * 10
    entries = len(re.findall(b"<Contents>", client.send(lists[0])))
    cost["list entry"] = _each(client, lists) / max(1, entries)
    first = presigned(server, "GET", f"{BUCKET}?list-type=2&max-keys=1000&delimiter=%2F")
    cost["list of folders"] = _each(client, [first] * 5)
    return cost


def _each(client: Client, requests: list[Prepared]) -> float:
    times = []
    for request in requests:
        begun = time.perf_counter()
        client.send(request)
        times.append(time.perf_counter() - begun)
    return statistics.median(times) * 1000


def _fill(server: Server, numbers: range) -> None:
    """Put objects over several connections."""

    def work(part: range) -> None:
        client = Client(server)
        body = os.urandom(4096)
        for number in part:
            client.send(presigned(server, "PUT", f"{BUCKET}/{_key(number)}", body=body))
        client.close()

    threads = [threading.Thread(target=work, args=(numbers[start::8],)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _key(number: int) -> str:
    """A key in one of a hundred folders."""
    return f"{number % 100:02}/{number:08}"


# ---- Memory ----


def memory(folder: Path, gib: float) -> dict[str, float]:
    """Peak of resident memory of an upload in parts and of its download, and their speed."""
    parts = round(gib * 2**30 / PART_BYTES)
    part = os.urandom(PART_BYTES)
    with tlslab(folder / "memory") as server:
        _send(server, presigned(server, "PUT", BUCKET))
        path = f"{BUCKET}/large"
        answer = _send(server, presigned(server, "POST", f"{path}?uploads="))
        upload = re.search(rb"<UploadId>([^<]+)</UploadId>", answer)
        assert upload is not None
        idle = server.resident_peak()
        begun = time.perf_counter()
        etags = _upload(server, f"{path}?uploadId={upload[1].decode()}", part, parts)
        uploaded = time.perf_counter() - begun
        body = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{etags[number]}</ETag></Part>"
            for number in range(1, parts + 1)
        )
        complete = f"<CompleteMultipartUpload>{body}</CompleteMultipartUpload>".encode()
        target = f"{path}?uploadId={upload[1].decode()}"
        _send(server, presigned(server, "POST", target, body=complete))
        after_upload = server.resident_peak()
        client = Client(server)
        begun = time.perf_counter()
        size = client.drain(presigned(server, "GET", path))
        downloaded = time.perf_counter() - begun
        client.close()
        if size != parts * PART_BYTES:
            raise SystemExit(f"{size} bytes came back of {parts * PART_BYTES}")
        return {
            "GiB": size / 2**30,
            "idle MiB": idle / 2**20,
            "peak of upload MiB": after_upload / 2**20,
            "peak MiB": server.resident_peak() / 2**20,
            "upload MiB/s": size / 2**20 / uploaded,
            "download MiB/s": size / 2**20 / downloaded,
        }


def _upload(server: Server, target: str, part: bytes, parts: int) -> dict[int, str]:
    """The parts, over two connections."""
    etag = f'"{hashlib.md5(part, usedforsecurity=False).hexdigest()}"'

    def work(numbers: range) -> None:
        client = Client(server)
        for number in numbers:
            client.send(presigned(server, "PUT", f"{target}&partNumber={number}", body=part))
        client.close()

    threads = [
        threading.Thread(target=work, args=(range(1 + start, parts + 1, 2),)) for start in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return dict.fromkeys(range(1, parts + 1), etag)


# ---- The program ----


def _line(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in values.items())


def main() -> None:
    """Run what is asked for and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("what", nargs="*", default=["rates", "growth", "memory"])
    parser.add_argument("--seconds", type=float, default=3, help="per figure and round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--gib", type=float, default=5)
    parser.add_argument("--folder", type=Path, help="where state lies (default: temporary)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    arguments = parser.parse_args()
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        parts: dict[str, Callable[[], object]] = {
            "rates": lambda: rates(folder, arguments.seconds, arguments.rounds),
            "growth": lambda: growth(folder, arguments.objects),
            "memory": lambda: memory(folder, arguments.gib),
        }
        for what in arguments.what:
            found[what] = parts[what]()
    if arguments.json:
        print(json.dumps(found, default=asdict))
        return
    if "rates" in found:
        assert isinstance(found["rates"], dict)
        print("\n".join(ratios(found["rates"])))
    if "growth" in found:
        assert isinstance(found["growth"], dict)
        for count, cost in found["growth"].items():
            print(f"{count:>8} objects, ms each: {_line(cost)}")
    if "memory" in found:
        assert isinstance(found["memory"], dict)
        print(f"{_line(found['memory'])}  (goal: peak below {MEMORY_GOAL >> 20} MiB)")


if __name__ == "__main__":
    main()
