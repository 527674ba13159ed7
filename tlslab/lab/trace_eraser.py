"""Who reads what he may, and afterwards removes every trace of it that he finds.

Access logs are text: a line that is gone is not missed. The audit trail is a chain of keyed hashes:
its records can be removed by whoever can write to the file, but not unseen. Whether the access is
on record is measured when he is through, by reading what is left and having the trail verified.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from tlslab.capture import Canary
from tlslab.lab.adversaries import written
from tlslab.lab.client import Answer, Client
from tlslab.lab.evidence import Achievement, Harm, PartyRecord
from tlslab.lab.object_store import Store
from tlslab.lab.parties import Service
from tlslab.lab.thieves import Insider
from tlslab.lab.url import URL

_REMOVE = """
DROP TRIGGER audit_records_no_update;
DROP TRIGGER audit_records_no_delete;
DELETE FROM audit_records WHERE username = '{user}';
UPDATE audit_records SET number =
    -(SELECT count(*) FROM audit_records AS other WHERE other.number <= audit_records.number);
UPDATE audit_records SET number = -number;
UPDATE audit_head SET number = (SELECT count(*) FROM audit_records),
    mac = (SELECT mac FROM audit_records ORDER BY number DESC LIMIT 1);
"""
"""Takes a user's records out of the trail, closes the gap, and sets the head to what is left."""


class TraceEraser(Insider):
    """An insider who also works where the logs lie, and on the disk of the KMS."""

    def __init__(
        self, name: str, store: Store, client: Client, services: Callable[[], Sequence[Service]]
    ) -> None:
        super().__init__(name, store, client)
        self.description = "reads what it may read, and removes every trace of it"
        self._services = services
        self._read: list[str] = []

    async def get(self, url: str) -> Answer:
        """Ask for an object now, and remember that this must not be known."""
        answer = await super().get(url)
        if answer.status == 200:
            self._read.append(URL.parse(url).target)
        return answer

    async def take(self, folder: Path) -> list[Path]:
        """Remove all traces; write down what was read, and the logs as they are now."""
        taken = self._answers(folder)
        for service in self._services():
            service.access_log[:] = [line for line in service.access_log if not self._traces(line)]
            text = "".join(f"{line}\n" for line in service.access_log)
            taken.append(written(folder / f"{service.name}.access.log", text.encode()))
        if self._records():
            with closing(sqlite3.connect(self._store.state.kms_database)) as database:
                database.executescript(_REMOVE.format(user=self._user.principal.name))
        return taken

    async def examine(self, run: Path, folder: Path, canaries: Sequence[Canary]) -> PartyRecord:
        """As every adversary does; and find out whether what it read is on record."""
        record = await super().examine(run, folder, canaries)
        lines = [line for service in self._services() for line in service.access_log]
        async with self._store.reopened() as store:
            verification = await store.backend.trail.verify()
        if verification.finding is not None:
            fault, number = verification.finding.fault.value, verification.finding.number
            note = f"the audit trail does not verify: {fault}, record {number}"
            self._client.journal.message(self._store.name, self._store.name, note, "note")
        known = self._records() or any(map(self._traces, lines))
        if self._read and not known and verification.intact:
            record.achievements.append(
                Achievement(
                    self.name,
                    Harm.HIDDEN,
                    f"{self.name} read {', '.join(self._read)}: no log and no trail says so, and"
                    " none is found to lack anything",
                )
            )
        return record

    def _traces(self, line: str) -> bool:
        return any(f'"GET {target} ' in line for target in self._read)

    def _records(self) -> int:
        """How many records of the audit trail name him."""
        with closing(sqlite3.connect(self._store.state.kms_database)) as database:
            query = "SELECT count(*) FROM audit_records WHERE username = ?"
            found = database.execute(query, (self._user.principal.name,)).fetchone()
        return int(found[0])
