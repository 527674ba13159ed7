"""A lab that keeps running for clients from outside: CA, TLS-terminating proxy, encrypting store.

It is made of the same parties as a scenario's lab, with real ports that stay, and a state folder
that may be used again. What happens is told as it happens and not kept.
"""

from __future__ import annotations

import ipaddress
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tlslab.lab.journal import Journal
from tlslab.lab.lab import open_lab
from tlslab.lab.services import Store, TerminatingEdge
from tlslab.pki import CADirectory
from tlslab.store import open_store
from tlslab.tls import ServerPolicy

BUCKET = "demo"
"""A bucket that is there from the start, so that the first upload works."""

EDGE, STORE = "edge.test", "store.test"

NAMES = ("localhost", "127.0.0.1", "::1", EDGE)
"""What the proxy's certificate is always for: how clients on this machine reach it."""

KEPT_LOG_LINES = 1000
"""Lines of the access log held in memory; older ones are forgotten."""


@dataclass(frozen=True)
class StandingLab:
    """A running lab. `ca` is the root's PEM file; `address` where the proxy really listens."""

    ca: Path
    address: tuple[str, int]
    state: Path

    @property
    def https_url(self) -> str:
        """The proxy's URL for clients on this machine, by a name in its certificate."""
        ip, port = self.address
        host = {"127.0.0.1": "localhost", "0.0.0.0": "localhost", "::": "::1"}.get(ip, ip)  # noqa: S104
        return f"https://{f'[{host}]' if ':' in host else host}:{port}/"


@asynccontextmanager
async def standing_lab(
    state: Path,
    *,
    bind_address: str = "127.0.0.1",
    bind_port: int = 0,
    names: tuple[str, ...] = (),
    journal: Callable[[Callable[[], float]], Journal] = Journal,
) -> AsyncIterator[StandingLab]:
    """A lab with its state in `state`, running inside the block.

    A CA, a store and its key found there are used again. `names` are further ones for the proxy's
    certificate. `journal` makes the journal that is told what happens. Raises UsageError for a
    state that cannot be used, NetworkError for an address that cannot.
    """
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = state / "ca"
    ca = CADirectory(folder) if folder.exists() else CADirectory.init(folder)
    authority = ca.authority()
    disk = state / "disk"
    disk.mkdir(exist_ok=True)
    objects = open_store(disk, root_key_file=state / "root.key")
    if BUCKET not in await objects.buckets():
        await objects.create_bucket(BUCKET)

    async with open_lab(state, ".", ca=authority) as lab:
        told = journal(lab.journal.clock)
        store = Store(
            host=lab.network.host(STORE),
            journal=told,
            keylog=None,
            port=80,
            policy=None,
            access_log=deque(maxlen=KEPT_LOG_LINES),
            objects=objects,
            disk=disk,
            key_file=state / "root.key",
        )
        await lab.start(store)
        wanted = (*NAMES, *names)
        if not ipaddress.ip_address(bind_address).is_unspecified:
            wanted += (bind_address,)
        edge = TerminatingEdge(
            host=lab.network.host(EDGE),
            journal=told,
            keylog=None,
            port=443,
            policy=ServerPolicy(credential=authority.issue(*dict.fromkeys(wanted))),
            access_log=deque(maxlen=KEPT_LOG_LINES),
            upstream=store,
        )
        await lab.start(edge, bind_port=bind_port, bind_address=bind_address)
        assert edge.address is not None
        yield StandingLab(ca=folder / "root.pem", address=edge.address, state=state)
