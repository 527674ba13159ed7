"""Probing a client: the control first, then every case, several at a time.

A client is judged by what the server saw. Where the control fails, nothing else would mean
anything, so nothing else is run.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import trio

from tlslab.probe.case import CONTROL, Case, Finding, Verdict
from tlslab.probe.client import Ran, environment, filled_in, run_client
from tlslab.probe.names import ConnectProxy, Reach
from tlslab.probe.server import CaseServer, listen

LIMIT = 10.0
"""Seconds a client may take for one case."""

HOSTS = "hosts"
"""The hosts file's name, in the probe's folder."""

DRAIN = 0.5
"""Seconds the server goes on listening to what a client sent before it ended."""


@dataclass(frozen=True)
class Probe:
    """A client to be probed: its command with placeholders, and how it finds names.

    `folder` is where the files lie that the client is given: CA files and a hosts file.
    """

    command: Sequence[str]
    folder: Path
    reach: Reach = Reach.LOCALHOST
    limit: float = LIMIT
    at_once: int = 4

    async def run(
        self, cases: Sequence[Case], *, on_finding: Callable[[Finding], None] = lambda found: None
    ) -> list[Finding]:
        """Probe with each of `cases`, the first of which is the control; findings in their order.

        When the control fails its finding is the only one.
        """
        async with trio.open_nursery() as nursery:
            proxy = ConnectProxy()
            address = None
            if self.reach is Reach.PROXY:
                listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
                nursery.start_soon(trio.serve_listeners, proxy.serve, listeners)
                address = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
            found = await self._probe(cases, proxy, address, on_finding)
            nursery.cancel_scope.cancel()
        return found

    async def _probe(
        self,
        cases: Sequence[Case],
        proxy: ConnectProxy,
        address: str | None,
        on_finding: Callable[[Finding], None],
    ) -> list[Finding]:
        names = "".join(f"127.0.0.1 {host}\n" for host in dict.fromkeys(c.host for c in cases))
        (self.folder / HOSTS).write_text(names)
        findings: dict[str, Finding] = {}
        limiter = trio.CapacityLimiter(self.at_once)

        async def one(case: Case) -> None:
            async with limiter:
                findings[case.id] = await self._one(case, proxy, address)
                on_finding(findings[case.id])

        control = next(case for case in cases if case.id == CONTROL)
        await one(control)
        if findings[CONTROL].passed:
            async with trio.open_nursery() as nursery:
                for case in cases:
                    if case is not control:
                        nursery.start_soon(one, case)
        return [findings[case.id] for case in cases if case.id in findings]

    async def _one(self, case: Case, proxy: ConnectProxy, address: str | None) -> Finding:
        served = await trio.to_thread.run_sync(case.make)
        ca = self.folder / f"{case.id}.pem"
        ca.write_bytes(served.trust.pem)
        started = trio.current_time()
        secret = secrets.token_hex(16)
        server = CaseServer(served, secret.encode())
        async with trio.open_nursery() as connections, trio.open_nursery() as nursery:
            listeners = await listen()
            port = listeners[0].socket.getsockname()[1]
            proxy.ports.add(port)
            nursery.start_soon(
                partial(trio.serve_listeners, server.serve, listeners, handler_nursery=connections)
            )
            ran = await self._run_client(case, ca, port, secret, address)
            nursery.cancel_scope.cancel()
            connections.cancel_scope.deadline = trio.current_time() + DRAIN
        seen = server.seen
        verdict = Verdict.NO_CONTACT
        if seen.connections:
            verdict = Verdict.ACCEPTED if seen.secret else Verdict.REFUSED
            if verdict is Verdict.REFUSED and ran.exit_code is None and seen.alert is None:
                verdict = Verdict.UNDECIDED
            if served.attack is not None and not seen.tampered:
                verdict = Verdict.SPARED
        return Finding(
            case=case,
            verdict=verdict,
            handshake=seen.handshake,
            alert=seen.alert,
            exit_code=ran.exit_code,
            said=ran.said,
            seconds=trio.current_time() - started,
        )

    async def _run_client(
        self, case: Case, ca: Path, port: int, secret: str, proxy: str | None
    ) -> Ran:
        values = {
            "url": f"https://{_in_url(case.host)}:{port}/{secret}",
            "host": case.host,
            "port": str(port),
            "ca": str(ca),
            "hosts": str(self.folder / HOSTS),
        }
        request = f"GET /{secret} HTTP/1.1\r\nHost: {case.host}\r\nConnection: close\r\n\r\n"
        return await run_client(
            filled_in(self.command, values),
            environment(ca, proxy),
            stdin=request.encode(),
            limit=self.limit,
        )


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
