"""The root key of SSE-S3: what wraps the data keys of objects, in versions.

The newest version wraps; all of them unwrap, so that rotating moves no data and loses no object.
It rotates by itself once the newest is `ROTATE_AFTER` old, and whenever somebody asks.
Each is random and kept in the database, wrapped by the seal. The first is made when the store keeps
nothing yet; a store with buckets and no root key has lost it, and must not get a new one. Versions
are known by their public id. The module knows nothing of objects.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, insert, select

from tlslab.database import Database
from tlslab.envelope import key_id, new_key
from tlslab.errors import IntegrityError
from tlslab.seal import Seal
from tlslab.store import tables
from tlslab.store.times import microseconds

REFRESH = timedelta(minutes=1)
"""How long after a rotation another process may still wrap with the version before."""

ROTATE_AFTER = timedelta(days=90)
"""A version wraps no longer than this. A wrap derives its own key, so cryptography sets no limit
(see `tlslab.envelope.keys`): it bounds what one version that came into wrong hands opens."""

_PURPOSE = "store root key"


@dataclass(frozen=True, slots=True)
class RootKey:
    """One version: its public id, the key, and when it was made (microseconds since 1970)."""

    id: str
    key: bytes = field(repr=False)
    created: int


class Keyring:
    """All versions of the root key, read when first needed."""

    def __init__(self, database: Database, seal: Seal, now: Callable[[], datetime]) -> None:
        self._database = database
        self._seal = seal
        self._now = now
        self._versions: dict[str, RootKey] = {}
        self._newest: RootKey | None = None
        self._read = datetime.min.replace(tzinfo=UTC)

    async def newest(self) -> RootKey:
        """The version that wraps. Raises IntegrityError."""
        now = self._now()
        if self._newest is None or now - self._read > REFRESH:
            self._read = now
            await self._load()
        if self._newest is None:
            self._accept(await self._database.write(self._first))
        elif self._is_old(self._newest):
            self._accept(await self._database.write(self._renewed))
        assert self._newest is not None
        return self._newest

    async def version(self, version: str) -> RootKey:
        """The version with an id. Raises IntegrityError if there is none."""
        if version not in self._versions:
            await self._load()
        if version not in self._versions:
            raise IntegrityError(f"wrapped by root key {version[:16]}, which is not kept here")
        return self._versions[version]

    async def rotate(self) -> str:
        """Add a fresh version, which wraps from now on; its id."""
        await self.newest()
        added = await self._database.write(self._add)
        self._accept(added)
        return added.id

    async def _load(self) -> None:
        for version in await self._database.read(self._all):
            self._accept(version)

    def _accept(self, version: RootKey) -> None:
        self._versions[version.id] = self._newest = version

    def _all(self, connection: Connection) -> list[RootKey]:
        rows = connection.execute(select(tables.root_keys).order_by(tables.root_keys.c.number))
        return [self._open(row.id, row.sealed, row.created) for row in rows.all()]

    def _first(self, connection: Connection) -> RootKey:
        if existing := self._all(connection):
            return existing[-1]
        if connection.execute(select(tables.buckets.c.id).limit(1)).first() is not None:
            raise IntegrityError("the store has buckets and no root key", hint="it was lost")
        return self._add(connection)

    def _renewed(self, connection: Connection) -> RootKey:
        """A fresh version, unless another process has just made one."""
        newest = self._all(connection)[-1]
        return self._add(connection) if self._is_old(newest) else newest

    def _is_old(self, version: RootKey) -> bool:
        return microseconds(self._now()) - version.created >= ROTATE_AFTER // timedelta(
            microseconds=1
        )

    def _add(self, connection: Connection) -> RootKey:
        key = new_key()
        version = RootKey(key_id(key), key, microseconds(self._now()))
        sealed = self._seal.wrap(key, purpose=_PURPOSE, context={"id": version.id})
        connection.execute(
            insert(tables.root_keys).values(id=version.id, created=version.created, sealed=sealed)
        )
        return version

    def _open(self, version: str, sealed: bytes, created: int) -> RootKey:
        known = self._versions.get(version)
        if known is not None:
            return known
        key = self._seal.unwrap(sealed, purpose=_PURPOSE, context={"id": version})
        return RootKey(version, key, created)
