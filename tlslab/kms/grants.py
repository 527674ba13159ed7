"""Grants: permissions for one principal on one key, given and taken back without touching a policy.

A grant is effective with the request that made it, so grant tokens, which on AWS bridge the time
until a grant is known everywhere, have nothing to bridge. They are checked all the same, and name
the grant to retire.

Source: AWS KMS Developer Guide, "Grants in AWS KMS"; AWS KMS API Reference, GrantConstraints.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, select

from tlslab.iam import Principal
from tlslab.kms import tables
from tlslab.kms.cache import Cache
from tlslab.kms.errors import KMSError
from tlslab.kms.model import Key
from tlslab.seal import Seal

OPERATIONS = (
    "Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom",
    "ReEncryptTo", "Sign", "Verify", "GetPublicKey", "CreateGrant", "RetireGrant", "DescribeKey",
    "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext", "GenerateMac", "VerifyMac",
    "DeriveSharedSecret", "Encapsulate", "Decapsulate",
)  # fmt: skip
"""GrantOperation: what a grant can permit."""

WITH_CONTEXT = frozenset(
    {
        "Encrypt",
        "Decrypt",
        "ReEncryptFrom",
        "ReEncryptTo",
        "GenerateDataKey",
        "GenerateDataKeyWithoutPlaintext",
        "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext",
    }
)
"""The operations that have an encryption context, and so can be constrained by one."""

_ID_BYTES = 32
_TOKEN_VERSION = b"\x01"


@dataclass(frozen=True)
class Grant:
    """A grant. Principals are ARNs, or names of services such as `s3.amazonaws.com`.

    `subset` must be part of the request's encryption context, `equals` all of it; a request must
    come on behalf of the resource `source_arn`.
    """

    id: str
    region: str
    key: str
    name: str | None
    created: int
    grantee: str
    retiring: str | None
    issuer: str
    operations: frozenset[str]
    subset: Mapping[str, str] | None = None
    equals: Mapping[str, str] | None = None
    source_arn: str | None = None

    def permits(self, principal: Principal, operation: str, context: Mapping[str, str]) -> bool:
        """Whether the grant lets `principal` do it, with this encryption context.

        A grant with `source_arn` permits nothing here: no request carries aws:SourceArn.
        """
        if operation not in self.operations or not is_named(principal, self.grantee):
            return False
        if self.source_arn is not None:
            return False
        return operation not in WITH_CONTEXT or self._fits(context)

    def _fits(self, context: Mapping[str, str]) -> bool:
        if self.subset is not None and not self.subset.items() <= context.items():
            return False
        return self.equals is None or dict(self.equals) == dict(context)

    def covers(self, other: Grant) -> bool:
        """Whether `other` gives no more than this one: what a grantee may pass on."""
        if not other.operations <= self.operations:
            return False
        if self.equals is not None and other.equals != self.equals:
            return False
        if self.subset is not None:
            narrower = other.subset if other.subset is not None else other.equals
            return narrower is not None and self.subset.items() <= narrower.items()
        return True


def is_named(principal: Principal, name: str) -> bool:
    """Whether `name`, of a grant's grantee or retiring principal, means this principal."""
    return name in _names(principal)


def _names(principal: Principal) -> frozenset[str]:
    if principal.kind == "service":
        return frozenset({principal.name})
    return frozenset({principal.arn, principal.policy_arn})


def _on(key: Key) -> ColumnElement[bool]:
    return and_(tables.grants.c.region == key.region, tables.grants.c.key == key.id)


class Grants:
    """The grants of all keys. Use it only inside writes of the database."""

    def __init__(self, seal: Seal, cache: Cache) -> None:
        self._token_key = seal.derive("kms grant token")
        self._cache = cache

    def of(self, connection: Connection, key: Key, principal: Principal) -> tuple[Grant, ...]:
        """The grants of a key to a principal."""
        names = _names(principal)

        def load() -> tuple[Grant, ...]:
            query = select(tables.grants).where(_on(key), tables.grants.c.grantee.in_(names))
            return tuple(grant(row) for row in connection.execute(query))

        return self._cache.get(connection, ("grants", key.region, key.id, names), load)

    def count(self, connection: Connection, key: Key) -> int:
        """How many grants a key has."""
        query = select(func.count()).select_from(tables.grants).where(_on(key))
        return connection.execute(query).scalar_one()

    def named(self, connection: Connection, key: Key, name: str) -> tuple[Grant, ...]:
        """The grants of a key that have been given a name."""
        query = select(tables.grants).where(_on(key), tables.grants.c.name == name)
        return tuple(grant(row) for row in connection.execute(query))

    def find(self, connection: Connection, grant_id: str) -> Grant | None:
        """The grant of that id, or None."""
        query = select(tables.grants).where(tables.grants.c.id == grant_id)
        row = connection.execute(query).one_or_none()
        return None if row is None else grant(row)

    def add(self, connection: Connection, added: Grant) -> None:
        """Add a grant."""
        constraints = {
            "EncryptionContextSubset": added.subset,
            "EncryptionContextEquals": added.equals,
            "SourceArn": added.source_arn,
        }
        connection.execute(
            tables.grants.insert().values(
                id=added.id,
                region=added.region,
                key=added.key,
                name=added.name,
                created=added.created,
                grantee=added.grantee,
                retiring=added.retiring,
                issuer=added.issuer,
                operations=json.dumps(sorted(added.operations)),
                constraints=json.dumps({k: v for k, v in constraints.items() if v is not None}),
            )
        )
        self._cache.changed(connection)

    def remove(self, connection: Connection, removed: Grant) -> None:
        """Remove a grant."""
        connection.execute(tables.grants.delete().where(tables.grants.c.id == removed.id))
        self._cache.changed(connection)

    def token(self, grant_id: str) -> str:
        """The grant's token: anybody can check that it was made here, nobody can make one."""
        body = _TOKEN_VERSION + bytes.fromhex(grant_id)
        return base64.b64encode(body + self._mac(body)).decode()

    def grant_id(self, token: str) -> str:
        """The id of the grant that a token is for. Raises KMSError (InvalidGrantTokenException)."""
        try:
            found = base64.b64decode(token, validate=True)
        except (ValueError, binascii.Error):
            raise KMSError("InvalidGrantTokenException") from None
        body, mac = found[: 1 + _ID_BYTES], found[1 + _ID_BYTES :]
        if not hmac.compare_digest(mac, self._mac(body)):
            raise KMSError("InvalidGrantTokenException")
        return body[1:].hex()

    def _mac(self, body: bytes) -> bytes:
        return hmac.digest(self._token_key, body, hashlib.sha256)


def new_grant_id() -> str:
    """A fresh id: 64 hex digits."""
    return secrets.token_hex(_ID_BYTES)


def grant(row: Row[Any]) -> Grant:
    """A row of the table as a grant."""
    constraints = json.loads(row.constraints)
    return Grant(
        id=row.id,
        region=row.region,
        key=row.key,
        name=row.name,
        created=row.created,
        grantee=row.grantee,
        retiring=row.retiring,
        issuer=row.issuer,
        operations=frozenset(json.loads(row.operations)),
        subset=constraints.get("EncryptionContextSubset"),
        equals=constraints.get("EncryptionContextEquals"),
        source_arn=constraints.get("SourceArn"),
    )
