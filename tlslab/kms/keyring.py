"""Keys, their material and their names in the database, through the cache.

The one module that writes the tables of keys, materials and aliases. It decides nothing: who may do
what, and in which state, is settled before it is called. Everything here runs inside a write of the
database.

Key material rests sealed, bound to its region, key and id. Erased means overwritten: see
`database.erasing` for what that is worth on which database.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Row, and_, func, select

from tlslab.database import erasing
from tlslab.kms import tables
from tlslab.kms.cache import Cache
from tlslab.kms.errors import KMSError
from tlslab.kms.model import DAY, Key, Material
from tlslab.seal import Seal

_PURPOSE = "kms material"

_keys = tables.keys
_materials = tables.materials
_aliases = tables.aliases


class Keyring:
    """The keys of all accounts and regions. Use it only inside writes of the database."""

    def __init__(self, seal: Seal) -> None:
        self.cache = Cache()
        self.last_used: dict[tuple[str, str], int] = {}  # see usage.py
        self._seal = seal
        self._id_key = seal.derive("kms material id")

    # What there is

    def find(self, connection: Connection, region: str, key_id: str) -> Key | None:
        """The key of that id in that region, or None."""

        def load() -> Key | None:
            found = self._select(connection, _keys.c.region == region, _keys.c.id == key_id)
            return found[0] if found else None

        return self.cache.get(connection, ("key", region, key_id), load)

    def related(self, connection: Connection, key: Key) -> tuple[Key, ...]:
        """The key in all of its regions, in order of their names; just itself if it has one."""
        if key.primary_region is None:
            return (key,)
        return self.cache.get(
            connection,
            ("related", key.id),
            lambda: self._select(connection, _keys.c.id == key.id),
        )

    def alias(self, connection: Connection, region: str, account: str, name: str) -> str | None:
        """The id of the key that an alias (`alias/...`) stands for, or None."""

        def load() -> str | None:
            where = and_(
                _aliases.c.region == region, _aliases.c.account == account, _aliases.c.name == name
            )
            return connection.execute(select(_aliases.c.key).where(where)).scalar()

        return self.cache.get(connection, ("alias", region, account, name), load)

    def aliases(self, connection: Connection, key: Key) -> tuple[str, ...]:
        """The names of all aliases of a key."""

        def load() -> tuple[str, ...]:
            where = and_(_aliases.c.region == key.region, _aliases.c.key == key.id)
            names = select(_aliases.c.name).where(where).order_by(_aliases.c.name)
            return tuple(connection.execute(names).scalars())

        return self.cache.get(connection, ("aliases", key.region, key.id), load)

    def secret(self, connection: Connection, key: Key, material: Material) -> bytes:
        """The key material itself. Raises IntegrityError if what is kept does not authenticate."""

        def load() -> bytes:
            if material.sealed is None:
                raise KMSError("KMSInvalidStateException", f"{key.arn} is pending import.")
            return self._seal.unwrap(
                material.sealed, purpose=_PURPOSE, context=_context(key.region, key.id, material.id)
            )

        return self.cache.get(connection, ("secret", key.region, key.id, material.id), load)

    def current_secret(self, connection: Connection, key: Key) -> tuple[Material, bytes]:
        """The material that encrypts, and its bytes."""
        material = key.current
        if material is None:
            raise KMSError("KMSInvalidStateException", f"{key.arn} is pending import.")
        return material, self.secret(connection, key, material)

    def material_id(self, key_id: str, secret: bytes) -> str:
        """The id of key material: the same for the same bytes in the same key, and for no other.

        A keyed hash: it outlives the material, and must not help anyone to guess it.
        """
        message = len(key_id).to_bytes(2, "big") + key_id.encode() + secret
        return hmac.digest(self._id_key, message, hashlib.sha256).hex()

    # Changes

    def add(self, connection: Connection, key: Key, secret: bytes | None) -> Key:
        """Add a key, with its first material unless that is to be imported."""
        row = {
            "region": key.region,
            "id": key.id,
            "account": key.account,
            "created": key.created,
            "description": key.description,
            "usage": key.usage,
            "spec": key.spec,
            "origin": key.origin,
            "manager": key.manager,
            "enabled": key.enabled,
            "policy": key.policy_text,
            "tags": json.dumps(dict(key.tags)),
            "primary_region": key.primary_region,
            "rotation_days": key.rotation_days,
            "next_rotation": key.next_rotation,
        }
        connection.execute(_keys.insert().values(**row))
        if secret is not None:
            self.add_material(connection, key, secret, state="CURRENT")
        return self.reload(connection, key)

    def update(self, connection: Connection, key: Key, **columns: Any) -> Key:
        """Change columns of a key."""
        if "tags" in columns:
            columns["tags"] = json.dumps(columns["tags"])
        connection.execute(_keys.update().where(_is(key)).values(**columns))
        return self.reload(connection, key)

    def add_material(
        self, connection: Connection, key: Key, secret: bytes, *, state: str, **columns: Any
    ) -> str:
        """Add key material to a key; its id."""
        material_id = self.material_id(key.id, secret)
        number = select(func.count()).select_from(_materials).where(_of(key)).scalar_subquery()
        sealed = self._sealed(key, material_id, secret)
        connection.execute(
            _materials.insert().values(
                region=key.region,
                key=key.id,
                id=material_id,
                number=number,
                state=state,
                sealed=sealed,
                **columns,
            )
        )
        self.cache.changed(connection)
        return material_id

    def copy_material(
        self, connection: Connection, key: Key, material: Material, replica: Key, *, empty: bool
    ) -> None:
        """Add a key's material to its replica; with `empty` only what identifies it."""
        sealed = None
        if not empty and material.sealed is not None:
            secret = self.secret(connection, key, material)
            sealed = self._sealed(replica, material.id, secret)
        row = vars(material) | {"sealed": sealed, "expires": None}
        connection.execute(_materials.insert().values(region=replica.region, key=replica.id, **row))
        self.cache.changed(connection)

    def restore_material(
        self, connection: Connection, key: Key, secret: bytes, **columns: Any
    ) -> None:
        """Put imported material back that had been deleted or had expired."""
        material_id = self.material_id(key.id, secret)
        self.update_material(
            connection,
            key,
            material_id,
            sealed=self._sealed(key, material_id, secret),
            **columns,
        )

    def update_material(
        self, connection: Connection, key: Key, material_id: str, **columns: Any
    ) -> None:
        """Change columns of a key material; `sealed=None` erases it."""
        if columns.get("sealed", b"") is None:
            erasing(connection)
        where = and_(_of(key), _materials.c.id == material_id)
        connection.execute(_materials.update().where(where).values(**columns))
        self.cache.changed(connection)

    def erase(self, connection: Connection, key: Key) -> None:
        """Remove a key with everything that belongs to it. Its ciphertexts are lost for ever."""
        erasing(connection)
        connection.execute(_materials.delete().where(_of(key)))
        connection.execute(_keys.delete().where(_is(key)))
        for table in (tables.aliases, tables.grants, tables.usage):
            where = and_(table.c.region == key.region, table.c.key == key.id)
            connection.execute(table.delete().where(where))
        self.cache.changed(connection)

    def reload(self, connection: Connection, key: Key) -> Key:
        """The key as it is after a change."""
        self.cache.changed(connection)
        found = self.find(connection, key.region, key.id)
        assert found is not None
        return found

    # Time

    def next_due(self, connection: Connection) -> int | None:
        """When time will next change something: a deletion, a rotation, an expiry."""

        def load() -> int | None:
            times = (
                select(func.min(_keys.c.deletion)),
                select(func.min(_keys.c.next_rotation)).where(_rotating()),
                select(func.min(_materials.c.expires)).where(_materials.c.sealed.is_not(None)),
            )
            found = connection.execute(select(*(each.scalar_subquery() for each in times))).one()
            return min((time for time in found if time is not None), default=None)

        return self.cache.get(connection, "due", load)

    def due(self, connection: Connection, now: int) -> tuple[list[Key], list[Key], list[Key]]:
        """The keys whose deletion, rotation, or expiry of material is due."""
        expired = and_(
            _materials.c.region == _keys.c.region,
            _materials.c.key == _keys.c.id,
            _materials.c.sealed.is_not(None),
            _materials.c.expires <= now,
        )
        return (
            list(self._select(connection, _keys.c.deletion <= now)),
            list(self._select(connection, _rotating(), _keys.c.next_rotation <= now)),
            list(self._select(connection, select(_materials.c.id).where(expired).exists())),
        )

    # Inside

    def _sealed(self, key: Key, material_id: str, secret: bytes) -> bytes:
        context = _context(key.region, key.id, material_id)
        return self._seal.wrap(secret, purpose=_PURPOSE, context=context)

    def _select(self, connection: Connection, *where: Any) -> tuple[Key, ...]:
        rows = connection.execute(select(_keys).where(*where).order_by(_keys.c.region)).all()
        return tuple(_key(row, self._materials(connection, row)) for row in rows)

    def _materials(self, connection: Connection, key: Row[Any]) -> Iterable[Row[Any]]:
        where = and_(_materials.c.region == key.region, _materials.c.key == key.id)
        return connection.execute(select(_materials).where(where).order_by(_materials.c.number))


def new_key_id(*, multi_region: bool) -> str:
    """A fresh id: a UUID, or `mrk-` and 32 hex digits for a multi-region key."""
    return "mrk-" + secrets.token_hex(16) if multi_region else str(uuid.uuid4())


def next_rotation(now: int, days: int) -> int:
    """When a key rotated or switched to rotation now is rotated next."""
    return now + days * DAY


def _context(region: str, key_id: str, material_id: str) -> Mapping[str, str]:
    return {"region": region, "key": key_id, "material": material_id}


def _is(key: Key) -> Any:
    return and_(_keys.c.region == key.region, _keys.c.id == key.id)


def _of(key: Key) -> Any:
    return and_(_materials.c.region == key.region, _materials.c.key == key.id)


def _rotating() -> Any:
    return and_(_keys.c.enabled, _keys.c.pending_window.is_(None))


def _key(row: Row[Any], materials: Iterable[Row[Any]]) -> Key:
    return Key(
        region=row.region,
        id=row.id,
        account=row.account,
        created=row.created,
        description=row.description,
        usage=row.usage,
        spec=row.spec,
        origin=row.origin,
        manager=row.manager,
        enabled=row.enabled,
        pending_window=row.pending_window,
        deletion=row.deletion,
        policy_text=row.policy,
        tags=json.loads(row.tags),
        primary_region=row.primary_region,
        rotation_days=row.rotation_days,
        next_rotation=row.next_rotation,
        materials=tuple(
            Material(
                id=each.id,
                number=each.number,
                state=each.state,
                sealed=each.sealed,
                rotated=each.rotated,
                rotation=each.rotation,
                expires=each.expires,
                description=each.description,
            )
            for each in materials
        ),
    )
