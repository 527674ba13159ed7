"""Reads and writes on both databases: what is promised to whom, also when things go wrong."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from sqlalchemy import (
    Column,
    Connection,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    func,
    insert,
    inspect,
    select,
    text,
)

from tlslab.database import Database, DatabaseUnavailable
from tlslab.errors import UsageError

metadata = MetaData()
notes = Table(
    "notes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("text", Text, nullable=False, unique=True),
)

WRITER = """
import sys, trio
from sqlalchemy import insert, select, func, MetaData, Table, Column, Integer, Text
from tlslab.database import Database

metadata = MetaData()
notes = Table("notes", metadata, Column("id", Integer, primary_key=True), Column("text", Text))
url, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])

def add(connection):
    number = connection.execute(select(func.count()).select_from(notes)).scalar()
    connection.execute(insert(notes).values(text=f"{number}"))  # unique: fails unless serial
    return number

async def main():
    database = Database(url, metadata)
    print("ready", flush=True)
    async def one():
        number = await database.write(add)
        print(number, flush=True)
    n = 0
    while count == 0 or n < count:
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(one)
        n += 5
    database.close()

trio.run(main)
"""


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url, metadata)
    yield database
    database.close()


def add(text: str, connection: Connection) -> str:
    connection.execute(insert(notes).values(text=text))
    return text


def all_of(connection: Connection) -> list[str]:
    return list(connection.execute(select(notes.c.text).order_by(notes.c.id)).scalars())


async def test_a_write_returns_its_result_and_stays(database: Database, database_url: str) -> None:
    assert await database.write(lambda connection: add("one", connection)) == "one"
    other = Database(database_url, metadata)
    try:
        assert await other.read(all_of) == ["one"]
    finally:
        other.close()


async def test_many_writes_share_commits_and_each_has_its_result(database: Database) -> None:
    """Counted where it happens: an id of the transaction, asked for in each write."""
    ids: list[int] = []
    results: list[str] = []

    async def one(number: int) -> None:
        def work(connection: Connection) -> str:
            ids.append(id(connection.get_transaction()))
            return add(f"{number}", connection)

        results.append(await database.write(work))

    async with trio.open_nursery() as nursery:
        for number in range(600):
            nursery.start_soon(one, number)
    assert sorted(results) == sorted(f"{number}" for number in range(600))
    assert len(await database.read(all_of)) == 600
    assert len(set(ids)) < 60


async def test_one_of_many_that_raises_undoes_itself_alone(database: Database) -> None:
    outcomes: dict[int, object] = {}

    async def one(number: int) -> None:
        def work(connection: Connection) -> str:
            result = add(f"{number}", connection)
            if number % 3 == 1:
                raise UsageError("no")
            if number % 3 == 2:
                add("0", connection)  # there already, or so in a moment
            return result

        try:
            outcomes[number] = await database.write(work)
        except (UsageError, DatabaseUnavailable) as error:
            outcomes[number] = type(error)

    await one(0)
    async with trio.open_nursery() as nursery:
        for number in range(1, 40):
            nursery.start_soon(one, number)
    expected = [str(number) for number in range(40) if number % 3 == 0]
    assert sorted(await database.read(all_of), key=int) == expected
    for number, outcome in outcomes.items():
        assert outcome == (str(number), UsageError, DatabaseUnavailable)[number % 3]


async def test_a_single_write_that_raises_changes_nothing(database: Database) -> None:
    def work(connection: Connection) -> None:
        add("one", connection)
        raise UsageError("no")

    with pytest.raises(UsageError):
        await database.write(work)
    assert await database.read(all_of) == []
    await database.write(lambda connection: add("two", connection))
    assert await database.read(all_of) == ["two"]


async def test_cancelled_before_its_turn_a_write_does_not_happen(database: Database) -> None:
    ran: list[str] = []
    with trio.CancelScope() as scope:
        scope.cancel()
        await database.write(lambda connection: ran.append("never"))
    assert scope.cancelled_caught
    assert ran == []


@pytest.mark.parametrize("victim", range(4))
async def test_cancelled_at_any_stage_the_others_go_on(database: Database, victim: int) -> None:
    """The first leads, the second waits to lead, the others wait; each in turn is cancelled."""
    begun, release = trio.Event(), trio.Event()
    token = trio.lowlevel.current_trio_token()
    scopes = [trio.CancelScope() for _ in range(4)]
    ran: list[int] = []
    finished: list[int] = []

    async def one(number: int) -> None:
        def work(connection: Connection) -> None:
            if number == 0:
                trio.from_thread.run_sync(begun.set, trio_token=token)
                trio.from_thread.run(release.wait, trio_token=token)
            ran.append(number)
            add(f"{number}", connection)

        with scopes[number]:
            await database.write(work)
            finished.append(number)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(one, 0)
        await begun.wait()
        for number in range(1, 4):
            nursery.start_soon(one, number)
            await trio.testing.wait_all_tasks_blocked()
        scopes[victim].cancel()
        await trio.testing.wait_all_tasks_blocked()
        release.set()
    there = [int(note) for note in await database.read(all_of)]
    assert there == ran
    assert set(there) == {0, 1, 2, 3} - ({victim} if victim else set())
    assert set(finished) <= set(there)
    await database.write(lambda connection: add("after", connection))


async def test_cancelled_while_it_commits_it_happens_and_says_so(database: Database) -> None:
    begun, release = trio.Event(), trio.Event()
    token = trio.lowlevel.current_trio_token()
    results: list[str] = []

    def blocking(connection: Connection) -> str:
        trio.from_thread.run_sync(begun.set, trio_token=token)
        trio.from_thread.run(release.wait, trio_token=token)
        return add("first", connection)

    async with trio.open_nursery() as nursery:
        scope = trio.CancelScope()

        async def one() -> None:
            with scope:
                results.append(await database.write(blocking))

        nursery.start_soon(one)
        await begun.wait()
        scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        release.set()
    assert results == ["first"]
    assert await database.read(all_of) == ["first"]


async def test_a_read_sees_one_state_and_writes_nothing(database: Database) -> None:
    await database.write(lambda connection: add("one", connection))
    counted, written = trio.Event(), trio.Event()
    token = trio.lowlevel.current_trio_token()

    def twice(connection: Connection) -> tuple[int, int]:
        count = select(func.count()).select_from(notes)
        first = connection.execute(count).scalar_one()
        trio.from_thread.run_sync(counted.set, trio_token=token)
        trio.from_thread.run(written.wait, trio_token=token)
        return first, connection.execute(count).scalar_one()

    found: list[tuple[int, int]] = []

    async def reading() -> None:
        found.append(await database.read(twice))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(reading)
        await counted.wait()
        await database.write(lambda connection: add("two", connection))
        written.set()
    assert found == [(1, 1)]
    assert await database.read(all_of) == ["one", "two"]


async def test_a_read_cannot_write(database: Database) -> None:
    with pytest.raises(DatabaseUnavailable):
        await database.read(lambda connection: add("one", connection))
    assert await database.read(all_of) == []


async def test_a_glance_sees_what_was_committed_last_and_one_state(database: Database) -> None:
    assert await database.glance(all_of) == []
    await database.write(lambda connection: add("one", connection))
    assert await database.glance(all_of) == ["one"]

    def fail(connection: Connection) -> None:
        all_of(connection)
        raise UsageError("no")

    with pytest.raises(UsageError):
        await database.glance(fail)
    await database.write(lambda connection: add("two", connection))
    assert await database.glance(all_of) == ["one", "two"]  # its view ended with it


async def test_a_glance_does_not_see_a_write_under_way(database: Database) -> None:
    begun, seen = threading.Event(), threading.Event()

    def work(connection: Connection) -> None:
        add("one", connection)
        begun.set()
        seen.wait(10)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(database.write, work)
        await trio.to_thread.run_sync(begun.wait)
        try:
            assert await database.glance(all_of) == []  # nor does it wait for it
        finally:
            seen.set()
    assert await database.glance(all_of) == ["one"]


async def test_a_glance_cannot_write(database: Database) -> None:
    with pytest.raises(DatabaseUnavailable):
        await database.glance(lambda connection: add("one", connection))
    assert await database.glance(all_of) == []


async def test_one_look_finds_the_tables_that_are_missing(database_url: str) -> None:
    more = MetaData()
    Table("more_notes", more, Column("id", Integer, primary_key=True), Index("by_id", "id"))
    for tables in ((metadata,), (metadata, more), (more, metadata)):
        database = Database(database_url, *tables)
        try:
            names = await database.read(lambda link: inspect(link).get_table_names())
            assert set(names) == {name for one in tables for name in one.tables}
        finally:
            database.close()


async def test_the_error_of_a_driver_shows_no_value(database: Database) -> None:
    await database.write(lambda connection: add("secret", connection))
    with pytest.raises(DatabaseUnavailable) as caught:
        await database.write(lambda connection: add("secret", connection))
    assert "secret" not in str(caught.value)


def test_two_processes_write_one_after_the_other(database_url: str, tmp_path: Path) -> None:
    Database(database_url, metadata).close()
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, database_url, name, "50"],
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in "ab"
    ]
    numbers = []
    for process in processes:
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        numbers += [int(line) for line in out.splitlines() if line != "ready"]
    assert sorted(numbers) == list(range(100))


async def test_killed_while_writing_what_was_acknowledged_is_there(database_url: str) -> None:
    acknowledged: list[int] = []
    for lines in (1, 7, 40):
        command = [sys.executable, "-c", WRITER, database_url, "a", "0"]
        with subprocess.Popen(  # noqa: ASYNC220 (nothing else runs)
            command, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            for _ in range(lines):
                acknowledged.append(int(process.stdout.readline()))
            process.send_signal(signal.SIGKILL)
            rest = process.stdout.read().splitlines(keepends=True)
            acknowledged += [int(line) for line in rest if line.endswith("\n")]
    database = Database(database_url, metadata)
    try:
        there = [int(note) for note in await database.read(all_of)]
    finally:
        database.close()
    assert set(acknowledged) <= set(there)
    assert there == list(range(len(there)))


@pytest.mark.parametrize(
    "url", ["mysql://localhost/x", "sqlite://", "sqlite:///:memory:", "x://", "sqlite:///\0"]
)
def test_what_is_no_database_is_the_users_mistake(url: str) -> None:
    with pytest.raises(UsageError):
        Database(url, metadata)


def test_a_database_that_cannot_be_reached_says_so(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(DatabaseUnavailable) as error:
        Database(f"postgresql://tests@/none?host={tmp_path}", metadata)
    assert error.value.hint


def test_a_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"not a database" * 100)
    with pytest.raises(DatabaseUnavailable) as error:
        Database(str(tmp_path / "x"), metadata)
    assert error.value.hint


def test_the_file_is_for_its_owner_alone_and_durable(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "state" / "x"), metadata)
    try:
        assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
        for path in (tmp_path / "state").iterdir():
            assert path.stat().st_mode & 0o777 == 0o600
        with database._writing.connect() as connection:
            assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
            assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
    finally:
        database.close()
