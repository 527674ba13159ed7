"""The tables of the KMS: keys, their material, their names, their grants.

Times are microseconds since 1970 UTC. `policy`, `tags`, `operations` and `constraints` are JSON.
Key material is sealed; the rest is what AWS shows to whoever may describe the key.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

metadata = MetaData()

generation = Table(
    "kms_generation",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True),
    Column("value", Text, nullable=False),
)
"""A random value, new with every change of the tables below but `usage` (see cache.py)."""

keys = Table(
    "kms_keys",
    metadata,
    Column("region", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("account", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("description", Text, nullable=False),
    Column("usage", Text, nullable=False),
    Column("spec", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("manager", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("pending_window", Integer),  # days; set while deletion is scheduled
    Column("deletion", BigInteger),  # null also while a primary key waits for its replicas
    Column("policy", Text, nullable=False),
    Column("tags", Text, nullable=False),
    Column("primary_region", Text),  # null for a key of a single region
    Column("rotation_days", Integer),
    Column("next_rotation", BigInteger),
    Index("kms_keys_of_account", "region", "account", "id"),
)

materials = Table(
    "kms_materials",
    metadata,
    Column("region", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("sealed", LargeBinary),  # null: imported once, deleted or expired since
    Column("rotated", BigInteger),
    Column("rotation", Text),
    Column("expires", BigInteger),
    Column("description", Text),
)

aliases = Table(
    "kms_aliases",
    metadata,
    Column("region", Text, primary_key=True),
    Column("account", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("key", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
    Index("kms_aliases_of_key", "region", "key"),
)

grants = Table(
    "kms_grants",
    metadata,
    Column("id", Text, primary_key=True),
    Column("region", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("name", Text),
    Column("created", BigInteger, nullable=False),
    Column("grantee", Text, nullable=False),
    Column("retiring", Text),
    Column("issuer", Text, nullable=False),
    Column("operations", Text, nullable=False),
    Column("constraints", Text, nullable=False),
    Index("kms_grants_of_key", "region", "key", "id"),
    Index("kms_grants_of_grantee", "region", "key", "grantee"),
    Index("kms_grants_retirable", "region", "retiring", "id"),
)

usage = Table(
    "kms_usage",
    metadata,
    Column("region", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("operation", Text, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("request_id", Text, nullable=False),
)
