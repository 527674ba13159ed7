"""The table of the seal: one row, the wrapped master key.

`database` is a random id that the wrapping is bound to, `root` the kind of root of trust, `proof`
a box under the master key that shows whether an unwrapped key is the right one.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

metadata = MetaData()

seal = Table(
    "seal",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True),
    Column("database", Text, nullable=False),
    Column("root", Text, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("proof", LargeBinary, nullable=False),
    Column("changed", BigInteger, nullable=False),
)
