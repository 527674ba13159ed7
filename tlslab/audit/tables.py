"""The tables of the trail: its records, and its sealed head.

The columns beside `record` repeat parts of it, to be searched; verification compares them with it.
`accounts` and `resources` are lists, one item a line, with a line break at both ends.
A column that does not apply is empty.

Records are only ever added. The databases refuse the rest by triggers, which stops a mistake and a
careless hand; who may write to the file itself can drop a trigger, and is found out by the chain.
"""

from __future__ import annotations

from sqlalchemy import (
    DDL,
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
    event,
)

metadata = MetaData()

records = Table(
    "audit_records",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("time", BigInteger, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("username", Text, nullable=False),
    Column("access_key_id", Text, nullable=False),
    Column("read_only", Boolean, nullable=False),
    Column("accounts", Text, nullable=False),
    Column("resources", Text, nullable=False),
    Column("mac", LargeBinary, nullable=False),
    Column("record", LargeBinary, nullable=False),
    Index("audit_records_by_time", "time", "number"),
    Index("audit_records_by_event_id", "event_id"),
)

head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("mac", LargeBinary, nullable=False),
    Column("seal", LargeBinary, nullable=False),
)

_REFUSAL = "the audit trail is append-only"


def _when(target: MetaData | Table, moment: str, dialect: str, statement: str) -> None:
    ddl = DDL(statement)  # type: ignore[no-untyped-call]
    event.listen(target, moment, ddl.execute_if(dialect=dialect))


def _fence(table: Table, verb: str) -> None:
    trigger = f"CREATE TRIGGER {table.name}_no_{verb.lower()} BEFORE {verb} ON {table.name} "
    abort = f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
    _when(table, "after_create", "sqlite", trigger + abort)
    call = "FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()"
    _when(table, "after_create", "postgresql", trigger + call)


_when(
    metadata,
    "before_create",
    "postgresql",
    "CREATE OR REPLACE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS "
    f"$$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$",
)
_fence(records, "UPDATE")
_fence(records, "DELETE")
_fence(head, "DELETE")
