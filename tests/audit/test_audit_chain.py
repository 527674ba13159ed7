"""Tampering with the trail's file: each way is found and named; an unkeyed chain would miss it."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlslab.audit import Event, Fault, Head, Trail, Verification, metadata
from tlslab.audit.chain import Chain
from tlslab.database import Database
from tlslab.errors import IntegrityError, UsageError
from tlslab.seal import Seal

COUNT = 6


class UnkeyedChain(Chain):
    """The failing twin: a plain hash chain, which whoever writes the file can make anew."""

    def __init__(self, key: bytes) -> None:
        super().__init__(b"")

    def _mac(self, message: bytes) -> bytes:
        return hashlib.sha256(message).digest()


class Kept:
    """A trail in a file of SQLite, and a hand that changes the file."""

    def __init__(self, path: Path, chain: type[Chain], make_event: Callable[..., Event]) -> None:
        self.path = path
        self.event = make_event
        self.chain = chain
        self.seal = Seal.ephemeral()
        self.began = True

    def trail(self, database: Database) -> Trail:
        trail = Trail(database, self.seal, begun=self.began)
        trail._chain = self.chain(self.seal.derive("audit"))
        return trail

    async def write(self, count: int) -> Head:
        with closing(Database(str(self.path), metadata)) as database:
            self.began = False
            trail = self.trail(database)
            for number in range(count):
                await database.write(lambda c, n=number: trail.append(c, self.event(n)))  # type: ignore[misc]
            self.began = True
            return await trail.head()

    async def verify(self, expected: Head | None = None) -> Verification:
        with closing(Database(str(self.path), metadata)) as database:
            return await self.trail(database).verify(expected)

    def tamper(self, *statements: str, fences: bool = False) -> None:
        with closing(sqlite3.connect(self.path)) as file:
            if not fences:
                for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type='trigger'"):
                    file.execute(f"DROP TRIGGER {name}")
            for statement in statements:
                file.execute(statement)
            file.commit()

    def rechain(self) -> None:
        """Make every hash and the head anew, as somebody can who has no key: with another one."""
        chain = self.chain(b"the attacker's own")
        with closing(sqlite3.connect(self.path)) as file:
            rows = file.execute("SELECT rowid, time, record FROM audit_records ORDER BY number")
            head = chain.start()
            for rowid, time, record in rows.fetchall():
                head = chain.extend(head, time, record)
                update = "UPDATE audit_records SET number = ?, mac = ? WHERE rowid = ?"
                file.execute(update, (head.count, head.mac, rowid))
            move = "UPDATE audit_head SET number = ?, mac = ?, seal = ?"
            file.execute(move, (head.count, head.mac, chain.seal(head)))
            file.commit()


@pytest.fixture
def kept(tmp_path: Path, make_event: Callable[..., Event]) -> Kept:
    return Kept(tmp_path / "state.db", Chain, make_event)


@pytest.fixture
def unkeyed(tmp_path: Path, make_event: Callable[..., Event]) -> Kept:
    return Kept(tmp_path / "unkeyed.db", UnkeyedChain, make_event)


async def test_what_nobody_touched_is_intact(kept: Kept) -> None:
    head = await kept.write(COUNT)
    assert await kept.verify() == Verification(head, None)
    assert (await kept.verify(head)).intact
    assert head.count == COUNT


ALICE_TO_MALLORY = "UPDATE audit_records SET record = CAST(replace(CAST(record AS TEXT), \
    'user/alice', 'user/carol') AS BLOB) WHERE number = 3"

TAMPERINGS: dict[str, tuple[list[str], Fault, int]] = {
    "who": ([ALICE_TO_MALLORY], Fault.CHANGED, 3),
    "when": (["UPDATE audit_records SET time = time + 1 WHERE number = 4"], Fault.CHANGED, 4),
    "mac": (["UPDATE audit_records SET mac = zeroblob(32) WHERE number = 2"], Fault.CHANGED, 2),
    "first removed": (["DELETE FROM audit_records WHERE number = 1"], Fault.MISSING, 1),
    "one removed": (["DELETE FROM audit_records WHERE number = 4"], Fault.MISSING, 4),
    "removed, closed up": (
        [
            "DELETE FROM audit_records WHERE number = 3",
            "UPDATE audit_records SET number = number - 1 WHERE number > 3",
        ],
        Fault.CHANGED,
        3,
    ),
    "swapped": (
        [
            "UPDATE audit_records SET number = 99 WHERE number = 2",
            "UPDATE audit_records SET number = 2 WHERE number = 3",
            "UPDATE audit_records SET number = 3 WHERE number = 99",
        ],
        Fault.CHANGED,
        2,
    ),
    "inserted": (
        [
            "UPDATE audit_records SET number = -number WHERE number >= 3",
            "UPDATE audit_records SET number = 1 - number WHERE number < 0",
            "INSERT INTO audit_records SELECT 3, time, event_id, source, name, region, username,"
            " access_key_id, read_only, accounts, resources, mac, record"
            " FROM audit_records WHERE number = 2",
        ],
        Fault.CHANGED,
        3,
    ),
    "doubled at the end": (
        [
            "INSERT INTO audit_records SELECT 7, time, event_id, source, name, region, username,"
            " access_key_id, read_only, accounts, resources, mac, record"
            " FROM audit_records WHERE number = 6",
        ],
        Fault.CHANGED,
        7,
    ),
    "tail cut": (["DELETE FROM audit_records WHERE number > 4"], Fault.CUT, 5),
    "tail cut, head set back": (
        [
            "DELETE FROM audit_records WHERE number > 4",
            "UPDATE audit_head SET number = 4,"
            " mac = (SELECT mac FROM audit_records WHERE number = 4)",
        ],
        Fault.HEAD,
        0,
    ),
    "all records removed": (["DELETE FROM audit_records"], Fault.CUT, 1),
    "head removed": (["DELETE FROM audit_head"], Fault.HEAD, 0),
    "everything removed": (
        ["DELETE FROM audit_records", "DELETE FROM audit_head"],
        Fault.HEAD,
        0,
    ),
    "hidden from searches": (
        ["UPDATE audit_records SET username = 'x' WHERE number = 5"],
        Fault.COLUMNS,
        5,
    ),
    "hidden from an account": (
        ["UPDATE audit_records SET accounts = '' WHERE number = 5"],
        Fault.COLUMNS,
        5,
    ),
    "record of another type": (
        ["UPDATE audit_records SET record = CAST(record AS TEXT) WHERE number = 2"],
        Fault.CHANGED,
        2,
    ),
    "mac that is a huge number": (
        ["UPDATE audit_records SET mac = 9223372036854775807 WHERE number = 2"],
        Fault.CHANGED,
        2,
    ),
    "time that is a text": (
        ["UPDATE audit_records SET time = 'noon' WHERE number = 2"],
        Fault.CHANGED,
        2,
    ),
    "head of another type": (["UPDATE audit_head SET number = 'many'"], Fault.HEAD, 0),
}


@pytest.mark.parametrize("name", TAMPERINGS)
async def test_tampering_is_found_and_named(kept: Kept, name: str) -> None:
    statements, fault, number = TAMPERINGS[name]
    await kept.write(COUNT)
    kept.tamper(*statements)
    finding = (await kept.verify()).finding
    assert finding is not None
    assert (finding.fault, finding.number) == (fault, number)


@pytest.mark.parametrize("name", ["who", "one removed", "swapped", "tail cut", "when"])
async def test_hashes_made_anew_are_found_by_the_key_and_only_by_it(
    kept: Kept, unkeyed: Kept, name: str
) -> None:
    """Pair: who changes the file can hash it all again, which an unkeyed chain does not notice."""
    for trail in (kept, unkeyed):
        await trail.write(COUNT)
        trail.tamper(*TAMPERINGS[name][0])
        assert not (await trail.verify()).intact
        trail.rechain()
    finding = (await kept.verify()).finding
    assert finding is not None
    assert (finding.fault, finding.number) == (Fault.CHANGED, 1)
    assert (await unkeyed.verify()).intact


async def test_putting_everything_back_is_found_by_a_noted_head_and_only_by_it(kept: Kept) -> None:
    """Pair: an old copy of the whole database is a trail without fault, until it is compared."""
    await kept.write(3)
    copy = kept.path.with_suffix(".copy")
    with closing(sqlite3.connect(kept.path)) as file, closing(sqlite3.connect(copy)) as target:
        file.backup(target)
    noted = await kept.write(3)
    assert (await kept.verify(noted)).intact
    for leftover in kept.path.parent.glob(f"{kept.path.name}*"):
        leftover.unlink()
    copy.rename(kept.path)
    assert (await kept.verify()).intact
    finding = (await kept.verify(noted)).finding
    assert finding is not None
    assert (finding.fault, finding.number) == (Fault.ROLLED_BACK, 3)


async def test_another_end_after_being_put_back_is_found_too(kept: Kept) -> None:
    """Put back and written on, so that there are enough records again."""
    await kept.write(2)
    copy = kept.path.read_bytes()
    noted = await kept.write(2)
    for leftover in kept.path.parent.glob(f"{kept.path.name}*"):
        leftover.unlink()
    kept.path.write_bytes(copy)
    await kept.write(4)
    assert (await kept.verify()).intact
    finding = (await kept.verify(noted)).finding
    assert finding is not None
    assert (finding.fault, finding.number) == (Fault.ROLLED_BACK, 4)


async def test_a_head_put_back_alone_is_found(kept: Kept) -> None:
    await kept.write(3)
    with closing(sqlite3.connect(kept.path)) as file:
        old = file.execute("SELECT number, mac, seal FROM audit_head").fetchone()
    await kept.write(2)
    with closing(sqlite3.connect(kept.path)) as file:
        file.execute("UPDATE audit_head SET number = ?, mac = ?, seal = ?", old)
        file.commit()
    finding = (await kept.verify()).finding
    assert finding is not None
    assert (finding.fault, finding.number) == (Fault.BEYOND, 4)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit_head SET seal = zeroblob(32)",
        "UPDATE audit_head SET number = 5",
        "DELETE FROM audit_head",
    ],
)
async def test_nothing_is_appended_to_a_head_that_was_tampered_with(
    kept: Kept, change: str
) -> None:
    """Fail closed: no request is served whose record nobody could trust. Pair: untouched, it is."""
    await kept.write(2)
    kept.tamper(change)
    with closing(Database(str(kept.path), metadata)) as database:
        trail = kept.trail(database)
        with pytest.raises(IntegrityError):
            await database.write(lambda c: trail.append(c, kept.event(9)))
        with pytest.raises(IntegrityError):
            await trail.head()


async def test_records_without_a_head_are_no_new_trail(kept: Kept) -> None:
    await kept.write(2)
    kept.tamper("DELETE FROM audit_head")
    kept.began = False
    with closing(Database(str(kept.path), metadata)) as database:
        trail = kept.trail(database)
        with pytest.raises(IntegrityError):
            await database.write(lambda c: trail.append(c, kept.event(9)))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_records SET name = 'Encrypt' WHERE number = 1",
        "DELETE FROM audit_records",
        "DELETE FROM audit_head",
    ],
)
async def test_the_database_itself_refuses_what_is_not_appending(
    kept: Kept, statement: str
) -> None:
    """The second fence. Pair: without the triggers, which its owner can drop, it is done."""
    await kept.write(2)
    with pytest.raises(sqlite3.IntegrityError):
        kept.tamper(statement, fences=True)
    assert (await kept.verify()).intact
    kept.tamper(statement)
    assert not (await kept.verify()).intact


async def test_an_empty_trail_is_intact_if_it_begun_or_never_did(kept: Kept) -> None:
    with closing(Database(str(kept.path), metadata)) as database:
        assert (await Trail(database, kept.seal).verify()).intact
        assert not (await Trail(database, kept.seal, begun=True).verify()).intact
        trail = Trail(database, kept.seal, begun=True)
        await database.write(trail.begin)
        assert (await trail.verify()).intact
        assert (await trail.head()).count == 0
        noted = Head(0, (await trail.head()).mac)
        assert (await trail.verify(noted)).intact
        assert not (await trail.verify(Head(0, bytes(32)))).intact


async def test_another_seal_does_not_verify(kept: Kept) -> None:
    await kept.write(2)
    kept.seal = Seal.ephemeral()
    assert not (await kept.verify()).intact


HEADS = st.builds(Head, st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32))


@given(HEADS)
def test_a_head_is_its_text(head: Head) -> None:
    assert Head.parse(str(head)) == head


@given(st.text(max_size=90) | HEADS.map(lambda head: f"{head}\n") | HEADS.map(lambda h: f" {h}"))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Head.parse(text)


@given(st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.binary(max_size=20)), max_size=6))
def test_a_chain_tells_any_two_trails_apart(records: list[tuple[int, bytes]]) -> None:
    chain, seen = Chain(b"key"), set[bytes]()
    head = chain.start()
    seen.add(head.mac)
    for time, record in records:
        for other in (chain.extend(head, time, record + b"x"), chain.extend(head, ~time, record)):
            seen.add(other.mac)
        head = chain.extend(head, time, record)
        assert head.mac not in seen
        seen.add(head.mac)
