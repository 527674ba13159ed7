"""Opening a seal: it fails closed, and what is lost stays lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import trio
from sqlalchemy import Column, Connection, Integer, LargeBinary, MetaData, Table, insert, select

from tlslab.database import Database
from tlslab.envelope import encode_context, new_key, open_box, seal_box
from tlslab.errors import IntegrityError, UsageError
from tlslab.seal import Cost, PassphraseFile, Seal, metadata, open_seal, rewrap

CHEAP = Cost(memory=8 * 1024, passes=1, lanes=1)

own = MetaData()
things = Table("things", own, Column("id", Integer, primary_key=True), Column("box", LargeBinary))


class KeyRoot:
    """A root of trust that is a key in memory; for what does not depend on its kind."""

    kind = "key"

    def __init__(self) -> None:
        self.key = new_key()
        self.asked = 0

    async def wrap(self, secret: bytes, context: Mapping[str, str]) -> bytes:
        self.asked += 1
        return seal_box(self.key, secret, purpose="test", context=encode_context(context))

    async def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        self.asked += 1
        try:
            return open_box(self.key, wrapped, purpose="test", context=encode_context(context))
        except IntegrityError:
            raise UsageError("another key") from None


class Forgetful(KeyRoot):
    """It answers any question with a key, the same wrong one: as a look-alike server would."""

    async def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        return bytes(32)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url, metadata, own)
    yield database
    database.close()


@pytest.fixture
async def root(tmp_path: Path) -> PassphraseFile:
    return await PassphraseFile.create(tmp_path / "root", b"correct horse", CHEAP)


async def keep(database: Database, box: bytes) -> None:
    await database.write(lambda c: c.execute(insert(things), {"box": box}) and None)


async def test_what_is_wrapped_opens_after_a_restart(
    database: Database, root: PassphraseFile
) -> None:
    seal = await open_seal(database, root, create=True)
    box = seal.wrap(b"a key", purpose="key", context={"of": "alice"})
    await keep(database, box)
    again = await open_seal(database, root, create=False)
    assert again.unwrap(box, purpose="key", context={"of": "alice"}) == b"a key"
    assert again.derive("audit") == seal.derive("audit")
    assert again.derive("audit") != again.derive("other")


@pytest.mark.parametrize(("purpose", "of"), [("other", "alice"), ("key", "bob")])
def test_a_box_opens_for_its_purpose_and_context_only(purpose: str, of: str) -> None:
    seal = Seal.ephemeral()
    box = seal.wrap(b"a key", purpose="key", context={"of": "alice"})
    with pytest.raises(IntegrityError):
        seal.unwrap(box, purpose=purpose, context={"of": of})
    with pytest.raises(IntegrityError):
        Seal.ephemeral().unwrap(box, purpose="key", context={"of": "alice"})


def test_its_repr_shows_nothing() -> None:
    seal = Seal(b"k" * 32)
    assert "kkk" not in repr(seal) + str(seal) + repr(vars(seal).keys())
    assert "hunter" not in repr(PassphraseFile(Path("x"), b"hunter2"))


async def test_without_create_there_is_no_start(database: Database, root: PassphraseFile) -> None:
    with pytest.raises(UsageError):
        await open_seal(database, root, create=False)
    assert await database.read(lambda c: c.execute(select(metadata.tables["seal"])).all()) == []


async def test_no_new_seal_beside_data_of_a_lost_one(database: Database) -> None:
    """Pair: in the same database, empty, one is made."""
    first = KeyRoot()
    seal = await open_seal(database, first, create=True)
    await keep(database, seal.wrap(b"x", purpose="p", context={}))
    await database.write(lambda c: c.execute(metadata.tables["seal"].delete()) and None)
    asked = first.asked
    with pytest.raises(UsageError, match="things"):
        await open_seal(database, first, create=True)
    assert first.asked == asked, "it is not even asked to wrap a new key"
    await database.write(lambda c: c.execute(things.delete()) and None)
    await open_seal(database, first, create=True)


async def test_another_key_does_not_open_it(database: Database) -> None:
    await open_seal(database, KeyRoot(), create=True)
    with pytest.raises(UsageError):
        await open_seal(database, KeyRoot(), create=True)


async def test_a_root_that_answers_with_a_wrong_key_is_found_out(database: Database) -> None:
    """No all-zero master key: the proof beside the wrapped key shows that it is another."""
    await open_seal(database, KeyRoot(), create=True)
    with pytest.raises(UsageError):
        await open_seal(database, Forgetful(), create=False)


async def test_another_kind_of_root_is_named(database: Database, root: PassphraseFile) -> None:
    await open_seal(database, root, create=True)
    with pytest.raises(UsageError, match="passphrase-file"):
        await open_seal(database, KeyRoot(), create=False)


async def test_a_wrapped_key_of_another_database_does_not_fit(tmp_path: Path) -> None:
    """A seal's row carried over from a database under the same root of trust is refused."""
    root, paths = KeyRoot(), [tmp_path / "a.db", tmp_path / "b.db"]
    for path in paths:
        database = Database(str(path), metadata)
        await open_seal(database, root, create=True)
        database.close()
    with sqlite3.connect(paths[0]) as source, sqlite3.connect(paths[1]) as target:
        (wrapped,) = source.execute("SELECT wrapped FROM seal").fetchone()
        target.execute("UPDATE seal SET wrapped = ?", (wrapped,))
    source.close()
    target.close()
    database = Database(str(paths[1]), metadata)
    with pytest.raises(UsageError):
        await open_seal(database, root, create=False)
    database.close()


async def test_two_that_create_at_once_share_one_seal(database: Database) -> None:
    root, seals = KeyRoot(), list[Seal]()

    async def create() -> None:
        seals.append(await open_seal(database, root, create=True))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(create)
        nursery.start_soon(create)
    assert seals[0].derive("x") == seals[1].derive("x")


async def test_what_begins_with_the_seal_is_there_or_neither_is(database: Database) -> None:
    def begin(connection: Connection, seal: Seal) -> None:
        connection.execute(insert(things), {"box": seal.derive("x")})

    def fail(connection: Connection, seal: Seal) -> None:
        begin(connection, seal)
        raise UsageError("no")

    root = KeyRoot()
    with pytest.raises(UsageError):
        await open_seal(database, root, create=True, begin=fail)
    assert await database.read(lambda c: c.execute(select(things)).all()) == []
    seal = await open_seal(database, root, create=True, begin=begin)
    assert await database.read(lambda c: c.execute(select(things.c.box)).scalar()) == seal.derive(
        "x"
    )


async def test_rewrapping_changes_who_opens_it_and_nothing_else(
    database: Database, root: PassphraseFile
) -> None:
    seal = await open_seal(database, root, create=True)
    box = seal.wrap(b"x", purpose="p", context={})
    other = KeyRoot()
    await rewrap(database, root, other)
    again = await open_seal(database, other, create=False)
    assert again.unwrap(box, purpose="p", context={}) == b"x"
    with pytest.raises(UsageError):
        await open_seal(database, root, create=False)


async def test_rewrapping_to_a_root_that_does_not_open_changes_nothing(database: Database) -> None:
    root = KeyRoot()
    await open_seal(database, root, create=True)
    with pytest.raises(UsageError):
        await rewrap(database, root, Forgetful())
    with pytest.raises(UsageError):
        await rewrap(database, KeyRoot(), root)
    await open_seal(database, root, create=False)


async def test_a_lost_passphrase_is_the_loss_of_everything(
    tmp_path: Path, database: Database, root: PassphraseFile
) -> None:
    """Database and key file are all there, the passphrase is not: there is no other way in.

    Pair: with it, everything opens.
    """
    seal = await open_seal(database, root, create=True)
    box = seal.wrap(b"a secret", purpose="p", context={})
    for guess in (b"", b"correct hors", b"correct horse ", bytes(13)):
        for create in (False, True):
            with pytest.raises(UsageError):
                await open_seal(database, PassphraseFile(root.path, guess), create=create)
    row = await database.read(lambda c: c.execute(select(metadata.tables["seal"])).one())
    master = seal._master
    kept = [row.wrapped, row.proof, root.path.read_bytes(), box]
    assert not any(master in data or master.hex().encode() in data for data in kept)
    for key in (bytes(32), row.wrapped[:32], row.proof[:32]):
        with pytest.raises(IntegrityError):
            Seal(key).unwrap(box, purpose="p", context={})
    opened = await open_seal(database, root, create=False)
    assert opened.unwrap(box, purpose="p", context={}) == b"a secret"


async def test_a_lost_file_is_the_loss_of_everything(
    tmp_path: Path, database: Database, root: PassphraseFile
) -> None:
    """The same passphrase in a new file does not help. Pair: a copy of the file does."""
    await open_seal(database, root, create=True)
    copy = root.path.read_bytes()
    root.path.unlink()
    with pytest.raises(UsageError):
        await open_seal(database, root, create=True)
    await PassphraseFile.create(root.path, root.passphrase, CHEAP)
    with pytest.raises(UsageError):
        await open_seal(database, root, create=True)
    root.path.write_bytes(copy)
    await open_seal(database, root, create=False)
