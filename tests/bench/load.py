"""Load: wrk with requests made before, and a plain client for what wrk cannot do.

Every request is signed before the clock runs: presigned URLs for S3, one signed request again and
again for KMS. So what is measured is the server, not a client's signing.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from tests.bench.servers import REGION, Server
from tlslab.iam.signing import presign_v4, sign_v4

CONNECTIONS = 8
_EXPIRES = 24 * 3600


@dataclass(frozen=True)
class Prepared:
    """A request as it will be sent. `target` is the path with its query."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)


def presigned(
    server: Server,
    method: str,
    path: str,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> Prepared:
    """A request to S3."""
    signed = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    url = presign_v4(
        server.credentials, method, server.url + path,
        region=REGION, now=datetime.now(UTC), expires_in=_EXPIRES, headers=signed,
    )  # fmt: skip
    parts = urlsplit(url)
    return Prepared(method, f"{parts.path}?{parts.query}", headers or {}, body)


def kms_request(server: Server, operation: str, parameters: Mapping[str, object]) -> Prepared:
    """A request to KMS."""
    body = json.dumps(parameters).encode()
    headers = [
        (b"X-Amz-Target", f"TrentService.{operation}".encode()),
        (b"Content-Type", b"application/x-amz-json-1.1"),
    ]
    signed = sign_v4(
        server.credentials, "POST", "/", headers,
        host=f"127.0.0.1:{server.port}", service="kms", region=REGION, now=datetime.now(UTC),
        payload_hash=hashlib.sha256(body).hexdigest(),
    )  # fmt: skip
    return Prepared("POST", "/", {n.decode(): v.decode() for n, v in signed}, body)


@dataclass(frozen=True)
class Figure:
    """Answers per second, and what the server worked for each (CPU microseconds, all threads).

    Others who use the machine at the same time disturb the second much less.
    """

    rate: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.rate:.0f}/s, {self.cpu:.0f} us of CPU each"


def median(figures: Sequence[Figure]) -> Figure:
    """The median of each."""
    rates, cpus = [figure.rate for figure in figures], [figure.cpu for figure in figures]
    return Figure(statistics.median(rates), statistics.median(cpus))


def compare(ours: Figure, other: Figure) -> str:
    """How many times as much we do: by rate, and by CPU."""
    return f"{ours.rate / other.rate:6.2f} by rate {other.cpu / ours.cpu:6.2f} by CPU"


class Client:
    """One connection, one request after the other; a new one where a server closes each (moto)."""

    def __init__(self, server: Server) -> None:
        self._port = server.port
        self._connect()

    def _connect(self) -> None:
        self._socket = socket.create_connection(("127.0.0.1", self._port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = io.BufferedReader(self._socket.makefile("rb", buffering=0), 256 * 1024)
        self._closes = False

    def close(self) -> None:
        """Give the connection back."""
        self._file.close()
        self._socket.close()

    def send(self, request: Prepared) -> bytes:
        """The body of the answer. Raises SystemExit for anything but success."""
        status, headers = self._head(request)
        body = self._file.read(int(headers.get("content-length", "0")))
        if headers.get("transfer-encoding") == "chunked":
            body = b"".join(self._chunks())
        if status >= 300:
            raise SystemExit(f"{request.method} {request.target[:60]}: {status} {body[:500]!r}")
        return body

    def drain(self, request: Prepared) -> int:
        """How many bytes the answer's body has; it is read and thrown away."""
        status, headers = self._head(request)
        if status >= 300:
            raise SystemExit(f"{request.method} {request.target[:60]}: {status}")
        size = left = int(headers["content-length"])
        buffer = memoryview(bytearray(256 * 1024))
        while left:
            left -= self._file.readinto(buffer[: min(left, len(buffer))]) or _cut_short()
        return size

    def _head(self, request: Prepared) -> tuple[int, dict[str, str]]:
        if self._closes:
            self.close()
            self._connect()
        lines = [f"{request.method} {request.target} HTTP/1.1", f"Host: 127.0.0.1:{self._port}"]
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
        if request.body or request.method in {"PUT", "POST"}:
            lines.append(f"Content-Length: {len(request.body)}")
        head = "\r\n".join([*lines, "", ""]).encode()
        self._socket.sendall(head + request.body[:65536])
        self._socket.sendall(memoryview(request.body)[65536:])
        status = int(self._file.readline().split()[1])
        headers = {}
        while line := self._file.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        self._closes = headers.get("connection", "").lower() == "close"
        return status, headers

    def _chunks(self) -> list[bytes]:
        chunks = []
        while size := int(self._file.readline(), 16):
            chunks.append(self._file.read(size))
            self._file.readline()
        self._file.readline()
        return chunks


def _cut_short() -> int:
    raise SystemExit("an answer was cut short")


def wrk(server: Server, requests: Sequence[Prepared], seconds: float) -> Figure:
    """Answers to these requests, in turns, over CONNECTIONS connections.

    All of them share method, headers and body. A peer's errors do not count as answers (moto fails
    when several clients overwrite one object). Raises SystemExit for an error of ours.
    """
    program = shutil.which("wrk")
    if program is None:
        raise SystemExit("wrk is not installed")
    first = requests[0]
    with tempfile.TemporaryDirectory() as folder:
        script, body = Path(folder, "script.lua"), Path(folder, "body")
        body.write_bytes(first.body)
        headers = {**first.headers, "Host": f"127.0.0.1:{server.port}"}
        script.write_text(_SCRIPT % {
            "method": first.method,
            "headers": ", ".join(f"[{_lua(n)}] = {_lua(v)}" for n, v in headers.items()),
            "targets": ", ".join(_lua(request.target) for request in requests),
            "body": _lua(str(body)),
        })  # fmt: skip
        command = [program, "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s"]
        command += ["--timeout", "30s", "-s", str(script), server.url]
        before = server.cpu_seconds()
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        used = server.cpu_seconds() - before
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    total = re.search(r"(\d+) requests in", said)
    errors = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    if rate is None or total is None or "Socket errors" in said:
        raise SystemExit(f"{server.name}: wrk did not get through\n{said}")
    if errors and server.ours:
        raise SystemExit(f"{server.name}: errors under load\n{said}")
    good = int(total[1]) - (int(errors[1]) if errors else 0)
    if not good:
        raise SystemExit(f"{server.name}: nothing but errors under load\n{said}")
    return Figure(float(rate[1]) * good / int(total[1]), used / good * 1e6)


_SCRIPT = """
local targets = { %(targets)s }
local file = io.open(%(body)s, "rb")
local body = file:read("*a")
file:close()
if #body == 0 then body = nil end
local headers = { %(headers)s }
local made = {}
local turn = 0
init = function()
  for index, target in ipairs(targets) do
    made[index] = wrk.format("%(method)s", target, headers, body)
  end
end
request = function()
  turn = turn %% #made + 1
  return made[turn]
end
"""


def _lua(text: str) -> str:
    return json.dumps(text)
