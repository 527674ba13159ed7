"""Appending: atomic with the write it belongs to, from many tasks and processes at once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import NoReturn

import pytest
import trio
from sqlalchemy import Connection, func, select, text

from tlslab.audit import Event, Trail, metadata
from tlslab.audit.tables import records
from tlslab.database import Database
from tlslab.seal import Seal

MASTER = bytes(range(32))

WRITER = """
import datetime, sys, trio
from tlslab.audit import Event, Trail, metadata
from tlslab.database import Database
from tlslab.iam import Caller
from tlslab.seal import Seal

database = Database(sys.argv[1], metadata)
trail = Trail(database, Seal(bytes(range(32))))
caller = Caller(None, None, "192.0.2.9", sys.argv[2], secure=True)

def append(connection):
    now = datetime.datetime.now(datetime.UTC)
    trail.append(connection, Event(now, "kms.amazonaws.com", "Decrypt", "eu-west-2", caller))

async def main():
    for _ in range(int(sys.argv[3])):
        await database.write(append)

trio.run(main)
database.close()
"""


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with closing(Database(database_url, metadata)) as database:
        yield database


async def count(database: Database) -> int:
    found = await database.read(lambda c: c.execute(select(func.count(records.c.number))).scalar())
    assert isinstance(found, int)
    return found


async def test_a_write_that_fails_leaves_no_record_and_no_gap(
    database: Database, make_event: Callable[..., Event]
) -> None:
    trail = Trail(database, Seal.ephemeral())

    def fail(connection: Connection) -> NoReturn:
        trail.append(connection, make_event(1))
        raise RuntimeError("undone")

    await database.write(lambda c: trail.append(c, make_event(0)))
    with pytest.raises(RuntimeError):
        await database.write(fail)
    await database.write(lambda c: trail.append(c, make_event(2)))
    assert (await trail.verify()).intact
    assert (await trail.head()).count == await count(database) == 2


async def test_writes_of_one_commit_that_fail_among_others_leave_no_gap(
    database: Database, make_event: Callable[..., Event]
) -> None:
    """Many at once share a commit, in savepoints; every third is undone."""
    trail = Trail(database, Seal.ephemeral())

    async def write(number: int) -> None:
        def work(connection: Connection) -> None:
            trail.append(connection, make_event(number))
            trail.append(connection, make_event(number))
            if number % 3 == 0:
                raise RuntimeError("undone")

        if number % 3:
            await database.write(work)
        else:
            with pytest.raises(RuntimeError):
                await database.write(work)

    async with trio.open_nursery() as nursery:
        for number in range(60):
            nursery.start_soon(write, number)
    assert (await trail.verify()).intact
    assert (await trail.head()).count == await count(database) == 80


async def test_two_trails_take_turns(database: Database, make_event: Callable[..., Event]) -> None:
    """As two processes do: each finds the head where the other has left it."""
    seal = Seal.ephemeral()
    trails = [Trail(database, seal), Trail(database, seal)]
    for number in range(10):
        trail = trails[number // 2 % 2]
        await database.write(lambda c, t=trail, n=number: t.append(c, make_event(n)))  # type: ignore[misc]
    assert (await trails[0].verify()).intact
    assert (await trails[1].head()).count == 10


async def test_two_processes_append_to_one_chain(database: Database, database_url: str) -> None:
    each, command = 60, [sys.executable, "-c", WRITER, database_url]
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            for name in ("one", "two"):
                nursery.start_soon(trio.run_process, [*command, name, str(each)])
    trail = Trail(database, Seal(MASTER))
    assert (await trail.verify()).intact
    assert (await trail.head()).count == 2 * each
    agents = await database.read(lambda c: c.execute(select(records.c.record)).scalars().all())
    order = [b'"userAgent":"one"' in record for record in agents]
    assert sum(order) == each


async def test_a_record_with_bytes_is_refused(
    database: Database, make_event: Callable[..., Event]
) -> None:
    """Whatever holds a plaintext, ciphertext or key cannot get into a record by mistake."""
    trail = Trail(database, Seal.ephemeral())
    with pytest.raises(TypeError):
        await database.write(lambda c: trail.append(c, make_event(0, parameters={"p": b"secret"})))
    await database.write(lambda c: trail.append(c, make_event(0)))
    assert (await trail.verify()).intact


@pytest.mark.parametrize("odd", ["", "\0", "\ud800", "a\nb", "\n", "'\"%_\\", "ä" * 2000])
async def test_odd_texts_are_kept_and_verified(
    database: Database, make_event: Callable[..., Event], odd: str
) -> None:
    trail = Trail(database, Seal.ephemeral())
    odd_event = make_event(0, name=odd, parameters={odd: odd}, error=odd, error_message=odd)
    await database.write(lambda c: trail.append(c, odd_event))
    assert (await trail.verify()).intact


async def test_the_fences_stand_on_every_database(
    database: Database, make_event: Callable[..., Event]
) -> None:
    """Appending goes on; changing and removing do not."""
    trail = Trail(database, Seal.ephemeral())
    await database.write(lambda c: trail.append(c, make_event(0)))
    for statement in (
        "UPDATE audit_records SET name = 'x'",
        "DELETE FROM audit_records",
        "DELETE FROM audit_head",
    ):
        with pytest.raises(Exception, match="database failed"):
            await database.write(lambda c, s=statement: c.execute(text(s)) and None)  # type: ignore[misc]
    await database.write(lambda c: trail.append(c, make_event(1)))
    assert (await trail.verify()).head.count == 2
