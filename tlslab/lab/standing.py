"""A lab that keeps running for clients from outside: CA, TLS-terminating proxy, encrypting store.

It is made of the same parties as a scenario's lab, with real ports that stay, and a state folder
that may be used again. What happens is told as it happens and not kept.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tlslab.endpoint import StateFolder, open_backend
from tlslab.iam import AccessKey
from tlslab.lab.journal import Journal
from tlslab.lab.lab import open_lab
from tlslab.lab.object_store import Store
from tlslab.lab.services import TerminatingEdge
from tlslab.pki import CADirectory
from tlslab.store.refusals import Refused
from tlslab.tls import ServerPolicy

BUCKET = "demo"
"""A bucket that is there from the start, so that the first upload works."""

EDGE, STORE = "edge.test", "store.test"

DOMAINS = ("s3.localhost", EDGE)
"""Whose subdomains are buckets: `demo.s3.localhost`, in S3's virtual-host style. (A wildcard for
all of `localhost` would cover a top-level domain, which clients refuse.)"""

NAMES = ("localhost", "127.0.0.1", "::1", *DOMAINS, *(f"*.{domain}" for domain in DOMAINS))
"""What the proxy's certificate is always for: how clients on this machine reach it."""

OPEN_HERE = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "WhoeverIsOnThisMachine",
            "Effect": "Allow",
            "Principal": "*",
            "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"],
            "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"],
            "Condition": {
                "IpAddress": {"aws:SourceIp": ["127.0.0.0/8", "::1/128"]},
                "Bool": {"aws:SecureTransport": "true"},
            },
        }
    ],
}
"""The first bucket's policy: a first try needs no signature. Everything else needs one."""

KEPT_LOG_LINES = 1000
"""Lines of the access log held in memory; older ones are forgotten."""


@dataclass(frozen=True)
class StandingLab:
    """A running lab. `ca` is the root's PEM file; `address` where the proxy really listens.

    `user` signs requests to S3 and KMS, for `region`.
    """

    ca: Path
    address: tuple[str, int]
    state: Path
    region: str
    user: AccessKey

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

    A CA, a store and its keys found there are used again. `names` are further ones for the proxy's
    certificate. `journal` makes the journal that is told what happens. Raises UsageError for a
    state that cannot be used, NetworkError for an address that cannot.
    """
    kept = StateFolder(state)
    kept.check_whole()
    root = await kept.open_root_of_trust()
    settings = kept.settings(root, kept.open_identities(), domains=DOMAINS)
    folder = state / "ca"
    ca = CADirectory(folder) if folder.exists() else CADirectory.init(folder)
    authority = ca.authority()

    async with (
        open_backend(settings, create=True) as backend,
        open_lab(state, ".", ca=authority) as lab,
    ):
        told = journal(lab.journal.clock)
        store = Store(
            host=lab.network.host(STORE),
            journal=told,
            keylog=None,
            port=80,
            policy=None,
            access_log=deque(maxlen=KEPT_LOG_LINES),
            state=kept,
            settings=settings,
            backend=backend,
            proxy_key=kept.open_proxy_key(),
        )
        await lab.start(store)
        await _demo_bucket(store)
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
            proxy_key=store.proxy_key,
        )
        await lab.start(edge, bind_port=bind_port, bind_address=bind_address)
        assert edge.address is not None
        yield StandingLab(
            ca=folder / "root.pem",
            address=edge.address,
            state=state,
            region=settings.regions[0],
            user=store.user("alice"),
        )


async def _demo_bucket(store: Store) -> None:
    """The first bucket. Whoever is on this machine may use it, by a policy as S3 has them."""
    with contextlib.suppress(Refused):  # it is there already
        await store.make_bucket(BUCKET)
        await store.backend.store.configure_bucket(BUCKET, policy=json.dumps(OPEN_HERE))
