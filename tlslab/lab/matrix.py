"""The exposure matrix: every protection is run, every adversary takes what it can.

For each protection the same secret is put into a store through a proxy, three times: once with
everybody who merely listens, steals or reads, once with a man in the middle whose CA nobody trusts,
and once with one whose CA the client trusts. Nothing here knows what a cell should say.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import trio

from tlslab.clientside import ApplicationKey, decrypt, encrypt
from tlslab.errors import HTTPError, ScenarioError, TlslabError
from tlslab.http import Headers
from tlslab.lab import verdict
from tlslab.lab.adversaries import Adversary
from tlslab.lab.client import Client
from tlslab.lab.evidence import Cell, Matrix
from tlslab.lab.lab import Lab, open_lab
from tlslab.lab.object_store import Store
from tlslab.lab.s3_client import CustomerKey
from tlslab.lab.services import TerminatingEdge
from tlslab.pki import Authority

PAYLOAD = 4096
"""Bytes of the secret that is sent: more than any log line or header, so that who holds this many
bytes holds the secret itself, readable or not."""

SNIFFER_BEFORE = "sniffer before the proxy"
SNIFFER_BEHIND = "sniffer behind the proxy"
MITM_UNKNOWN = "MITM without a trusted CA"
MITM_TRUSTED = "MITM whose CA the client trusts"
DISK = "thief of the disk"
DISK_AND_KEY = "thief of disk and key file"
INSIDER = "insider without the key"
LOGS = "reader of the logs"

COLUMNS = (
    SNIFFER_BEFORE,
    SNIFFER_BEHIND,
    MITM_UNKNOWN,
    MITM_TRUSTED,
    DISK,
    DISK_AND_KEY,
    INSIDER,
    LOGS,
)


AtRest: TypeAlias = Literal["plain", "SSE-S3", "SSE-KMS", "SSE-C"]
"""What the store does with what it is given."""


@dataclass(frozen=True)
class Protection:
    """A row: which defences are up."""

    name: str
    tls: bool = True
    verified: bool = True
    rogue_root: bool = False
    mutual: bool = False
    at_rest: AtRest = "plain"
    clientside: bool = False

    @property
    def slug(self) -> str:
        """The name as a folder's name."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")


PROTECTIONS = (
    Protection("none (HTTP, plain disk)", tls=False),
    Protection("TLS without verification", verified=False),
    Protection("TLS verified"),
    Protection("TLS verified, rogue root installed", rogue_root=True),
    Protection("mutual TLS", mutual=True),
    Protection("TLS + SSE-S3", at_rest="SSE-S3"),
    Protection("TLS + SSE-KMS", at_rest="SSE-KMS"),
    Protection("TLS + SSE-C", at_rest="SSE-C"),
    Protection("TLS + client-side encryption", clientside=True),
)

BUCKET = "records"
OBJECT = f"/{BUCKET}/customer.txt"
CONTEXT = {"object": OBJECT}

OnCell = Callable[[Cell], None]


async def measure(
    run: Path,
    *,
    protections: tuple[Protection, ...] = PROTECTIONS,
    on_cell: OnCell = lambda cell: None,
) -> Matrix:
    """Measure the whole matrix; artefacts go to `run/matrix/<row>/…`."""
    started = trio.current_time()
    cells: dict[tuple[str, str], Cell] = {}

    def found(cell: Cell) -> None:
        cells[cell.row, cell.column] = cell
        on_cell(cell)

    async with trio.open_nursery() as nursery:
        for protection in protections:
            nursery.start_soon(_measure_row, protection, run, found)
    rows = [protection.name for protection in protections]
    ordered = [cells[name, column] for name in rows for column in COLUMNS]
    return Matrix(rows, list(COLUMNS), ordered, trio.current_time() - started)


async def _measure_row(protection: Protection, run: Path, on_cell: OnCell) -> None:
    await _watched(protection, run, on_cell)
    await _intercepted(protection, run, on_cell, MITM_UNKNOWN)
    await _intercepted(protection, run, on_cell, MITM_TRUSTED)


async def _watched(protection: Protection, run: Path, on_cell: OnCell) -> None:
    """The run in which nobody interferes. It is the control too: the secret must arrive intact."""
    async with open_lab(run, f"matrix/{protection.slug}/watched") as lab:
        stage = await Stage.set_up(lab, protection)
        watchers: dict[str, Adversary] = {
            SNIFFER_BEFORE: lab.sniffer("sniffer-before", between=(stage.client, stage.edge)),
            SNIFFER_BEHIND: lab.sniffer("sniffer-behind", between=(stage.edge, stage.store)),
            DISK: lab.disk_thief(stage.store, name="disk-thief"),
            DISK_AND_KEY: lab.disk_thief(stage.store, key_file=True, name="disk-and-key-thief"),
            INSIDER: lab.insider(stage.store),
            LOGS: lab.log_reader("log-reader"),
        }
        await stage.put_secret()
        if not await stage.get_secret():
            raise ScenarioError(f"{protection.name}: the secret did not come back from the store")
    await lab.collect()
    for column, adversary in watchers.items():
        on_cell(verdict.cell(protection.name, column, adversary.taken, PAYLOAD))


async def _intercepted(protection: Protection, run: Path, on_cell: OnCell, column: str) -> None:
    """The run with a man in the middle, who forges with a CA that is trusted, or with his own.

    Trusted is the rogue root where one is installed; otherwise the lab's CA itself mis-issues.
    """
    trusted = column == MITM_TRUSTED
    slug = "trusted-mitm" if trusted else "unknown-mitm"
    async with open_lab(run, f"matrix/{protection.slug}/{slug}") as lab:
        stage = await Stage.set_up(lab, protection)
        authority, means = Authority.create("mallory's CA"), "with a CA of its own: "
        if trusted and stage.rogue is not None:
            authority, means = stage.rogue, "with the rogue root: "
        elif trusted:
            authority, means = lab.ca, "with a certificate mis-issued by the trusted CA: "
        mallory = await lab.interceptor(victim=stage.client, authority=authority)
        with contextlib.suppress(TlslabError):  # whether it gets through is what is measured
            await stage.put_secret()
    await lab.collect()
    # The client's refusal. One by the server comes too late for what was sent already.
    refusals = [
        refusal
        for refusal in lab.journal.refusals
        if refusal.was_said and (refusal.refuser, refusal.peer) == (stage.client.name, mallory.name)
    ]
    refusal = refusals[0] if refusals else None
    on_cell(
        verdict.cell(protection.name, column, mallory.taken, PAYLOAD, refusal=refusal, means=means)
    )


@dataclass
class Stage:
    """One lab with a protection in place: client, proxy, store, and the secret to be stored."""

    client: Client
    edge: TerminatingEdge
    store: Store
    rogue: Authority | None
    key: ApplicationKey | None
    headers: Headers
    secret: bytes

    @classmethod
    async def set_up(cls, lab: Lab, protection: Protection) -> Stage:
        """Put the parties in place, with exactly the defences that `protection` names."""
        store = await lab.store(encrypted=protection.at_rest != "plain")
        kms_key = await store.kms_key("records") if protection.at_rest == "SSE-KMS" else None
        await store.make_bucket(BUCKET, encryption=kms_key)
        edge = await lab.terminating_proxy(
            "shop.test",
            store,
            tls=protection.tls,
            client_certificate="required" if protection.mutual else "none",
        )
        client = lab.client(
            verify_chain=protection.verified,
            verify_name=protection.verified,
            certificate=protection.mutual,
            user=store.user("alice"),
        )
        rogue = None
        if protection.rogue_root:
            rogue = Authority.create("rogue root")
            client.trust(rogue.root)
        key = ApplicationKey.generate() if protection.clientside else None
        customer_key = CustomerKey.generate() if protection.at_rest == "SSE-C" else None
        payload = lab.canary("customer record").token
        return cls(
            client, edge, store, rogue, key,
            [] if customer_key is None else customer_key.headers,
            payload.ljust(PAYLOAD, b"."),
        )  # fmt: skip

    async def put_secret(self) -> None:
        """The client stores the secret through the proxy."""
        body, metadata = self.secret, None
        if self.key is not None:
            metadata, body = await encrypt(body, self.key, context=CONTEXT)
        answer = await self.client.put(
            self.edge.url(OBJECT), body, headers=self.headers, metadata=metadata
        )
        if answer.status >= 300:
            raise HTTPError(f"the store answered {answer.status} to the upload")

    async def get_secret(self) -> bool:
        """Whether the client gets back what it stored."""
        answer = await self.client.get(self.edge.url(OBJECT), headers=self.headers)
        body = answer.body
        if self.key is not None:
            body = await decrypt(answer.metadata, body, self.key, context=CONTEXT)
        return body == self.secret
