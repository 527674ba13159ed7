"""The lab: parties and adversaries put on a network, for one run.

A `Lab` makes things and lets them meet. How it makes them is in its parts (`main_cast`,
`storage_cast`, `supporting_cast`, `antagonists`, on a `stage`), what they do is theirs (`parties`,
`adversaries`), what is expected is `expect`, what it means is `verdict`. It opens with `open_lab`,
which owns the nursery in which every server runs and collects the evidence at the end.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trio

from tlslab.lab.adversaries import Adversary, file_name
from tlslab.lab.antagonists import Antagonists
from tlslab.lab.evidence import Check, PartyRecord
from tlslab.lab.expect import Expectation, Later
from tlslab.lab.main_cast import MainCast
from tlslab.lab.parties import Party
from tlslab.lab.storage_cast import StorageCast
from tlslab.lab.supporting_cast import SupportingCast
from tlslab.net import LoopbackNetwork, Network
from tlslab.pki import Authority

DRAIN = 2.0
"""Seconds that open connections get to end by themselves once the script is through."""

ALONG_THE_PATH = ("client", "proxy", "server", "store", "ca")
"""Kinds of parties in the order in which a request passes them."""


@dataclass(eq=False, repr=False)
class Lab(MainCast, Antagonists, StorageCast, SupportingCast):
    """One lab, for one run. Made by `open_lab`; scripts get it as their argument.

    Its attributes, such as `ca` and `folder`, are explained at `Stage`.
    """

    _checks: list[Later] = field(init=False, default_factory=list)

    def expect(self, who: Party | Adversary) -> Expectation:
        """Say what is expected of somebody; it is checked when the run is over."""
        return Expectation(who, self.journal, self._checks)

    def checks(self) -> list[Check]:
        """Every expectation, held against the evidence."""
        return [check() for check in self._checks]

    async def collect(self) -> list[PartyRecord]:
        """Let every adversary take what it can, search it, and tell who was there.

        In the order of the path: clients first, and who listens or interferes in between.
        """
        records = [
            PartyRecord(party.name, party.kind, adversary=False)
            for party in sorted(self.parties, key=lambda party: ALONG_THE_PATH.index(party.kind))
        ]
        for adversary in self.adversaries:
            folder = self.folder / file_name(adversary.name)
            folder.mkdir()
            record = await adversary.examine(self._run, folder, self.canaries)
            names = [known.name for known in records]
            at = names.index(adversary.behind) + 1 if adversary.behind in names else len(names)
            records.insert(at, record)
        if self.keylog.lines:
            path = self.folder / "tls-keys.log"
            path.touch(0o600)
            path.write_text(self.keylog.text)
        return records


@asynccontextmanager
async def open_lab(
    run: Path, name: str, *, network: Network | None = None, ca: Authority | None = None
) -> AsyncIterator[Lab]:
    """A lab whose artefacts go to the folder `run/name`, with its servers running inside.

    When the block ends nobody is accepted any more, and connections still open get `DRAIN` seconds
    to end by themselves. The lab's evidence is collected after that (`Lab.collect`).
    """
    folder = run / name
    folder.mkdir(parents=True, exist_ok=True)
    network, ca = network or LoopbackNetwork(), ca or Authority.create("tlslab")
    async with AsyncExitStack() as kept_open, trio.open_nursery() as connections:
        async with trio.open_nursery() as listeners:
            yield Lab(listeners, connections, kept_open, run, folder, network, ca)
            listeners.cancel_scope.cancel()
        connections.cancel_scope.deadline = trio.current_time() + DRAIN
