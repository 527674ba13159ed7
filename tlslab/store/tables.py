"""Where the store keeps what is not payload: its tables, the same on SQLite and PostgreSQL.

    store_root_keys   versions of the root key, each wrapped by the seal
    store_buckets     buckets; their settings are sealed
    store_objects     versions of objects and delete markers; small payloads lie here as well
    store_uploads     multipart uploads under way
    store_parts       their parts, and the parts of the objects that they became

What a thief of the database learns: names of buckets, owners, keys, sizes, times and how many
versions and parts there are. All else is in the `facts` and `settings`, which are sealed.

Keys are bytes (UTF-8), so that both databases order them as S3 does. `rank` grows with age within a
key: the newest version comes first in the primary key's order. `current` marks what a listing
shows: the newest version, unless it is a delete marker. Conditions on it are written as
`current IS 1`, letter for letter as in the partial index, or SQLite would not use that.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

metadata = MetaData()

root_keys = Table(
    "store_root_keys",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("created", BigInteger, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)

buckets = Table(
    "store_buckets",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("owner", Text, nullable=False),
    Column("settings", LargeBinary, nullable=False),
)

objects = Table(
    "store_objects",
    metadata,
    Column("bucket", Integer, ForeignKey("store_buckets.id"), primary_key=True),
    Column("key", LargeBinary, primary_key=True),
    Column("rank", BigInteger, primary_key=True, autoincrement=False),
    Column("version", Text, nullable=False),
    Column("uid", LargeBinary, nullable=False),
    Column("current", Boolean, nullable=False),
    Column("marker", Boolean, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("modified", BigInteger, nullable=False),
    Column("blob", Text),
    Column("facts", LargeBinary, nullable=False),
    Column("inline", LargeBinary),
)

Index(
    "store_objects_current",
    objects.c.bucket,
    objects.c.key,
    unique=True,
    sqlite_where=objects.c.current.is_(True),
    postgresql_where=objects.c.current.is_(True),
)
Index(
    "store_objects_null",
    objects.c.bucket,
    objects.c.key,
    unique=True,
    sqlite_where=text("version = 'null' AND current IS 0"),
    postgresql_where=text("version = 'null' AND current IS false"),
)
Index(
    "store_objects_blob",
    objects.c.blob,
    unique=True,
    sqlite_where=objects.c.blob.is_not(None),
    postgresql_where=objects.c.blob.is_not(None),
)

uploads = Table(
    "store_uploads",
    metadata,
    Column("bucket", Integer, ForeignKey("store_buckets.id"), primary_key=True),
    Column("key", LargeBinary, primary_key=True),
    Column("uid", LargeBinary, primary_key=True),
    Column("created", BigInteger, nullable=False),
    Column("facts", LargeBinary, nullable=False),
)

parts = Table(
    "store_parts",
    metadata,
    Column("uid", LargeBinary, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("piece", LargeBinary, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("modified", BigInteger, nullable=False),
    Column("blob", Text),
    Column("facts", LargeBinary, nullable=False),
    Column("inline", LargeBinary),
)

Index(
    "store_parts_blob",
    parts.c.blob,
    unique=True,
    sqlite_where=parts.c.blob.is_not(None),
    postgresql_where=parts.c.blob.is_not(None),
)
