"""A database at rest: nothing of it is readable in any file, and another key is refused."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest

from tlslab.capture.canary import Canary, search_file
from tlslab.errors import IntegrityError, UsageError
from tlslab.iam.caller import Caller
from tlslab.kms.errors import KMSError
from tlslab.volume.descriptor import Descriptor, encode_descriptor
from tlslab.volume.embedded_database import create_database, open_database

pytest.importorskip("sqlcipher3", reason="sqlcipher3 is not installed")

REGION = "eu-west-2"
CANARY = Canary.fresh("row")


@pytest.fixture
async def database(kms: Any, caller: Caller, tmp_path: Path) -> Descriptor:
    return await create_database(
        kms, caller, tmp_path / "db", region=REGION, key_id=kms.create_key(REGION)
    )


def fill(connection: Any) -> None:
    connection.execute("CREATE TABLE people (name TEXT, note TEXT)")
    connection.execute("CREATE INDEX by_note ON people (note)")
    connection.execute("BEGIN")
    for number in range(2000):
        connection.execute("INSERT INTO people VALUES (?, ?)", (f"n{number}", CANARY.text * 3))
    connection.execute("COMMIT")


def found_in(directory: Path) -> set[str]:
    files = [path for path in directory.rglob("*") if path.is_file()]
    assert files
    return {path.name for path in files if search_file(path, [CANARY])}


async def test_rows_last_and_nothing_is_readable_in_database_and_wal(
    database: Descriptor, kms: Any, caller: Caller, tmp_path: Path
) -> None:
    connection = await open_database(kms, caller, tmp_path / "db")
    fill(connection)
    names = {path.name for path in (tmp_path / "db").iterdir()}
    assert {"database.db", "database.db-wal"} <= names
    assert (tmp_path / "db" / "database.db-wal").stat().st_size > 100_000
    assert found_in(tmp_path / "db") == set()
    connection.close()
    connection = await open_database(kms, caller, tmp_path / "db")
    assert connection.execute("SELECT count(*) FROM people").fetchone() == (2000,)
    connection.close()
    assert found_in(tmp_path / "db") == set()


async def test_nothing_is_readable_in_a_rollback_journal(
    database: Descriptor, kms: Any, caller: Caller, tmp_path: Path
) -> None:
    connection = await open_database(kms, caller, tmp_path / "db")
    fill(connection)
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("PRAGMA cache_size = 10")
    connection.execute("BEGIN")
    connection.execute("UPDATE people SET note = note || 'x'")
    journal = tmp_path / "db" / "database.db-journal"
    assert journal.stat().st_size > 100_000
    assert found_in(tmp_path / "db") == set()
    connection.execute("ROLLBACK")
    connection.close()


async def test_large_sorts_leave_no_temporary_file(
    database: Descriptor, kms: Any, caller: Caller, tmp_path: Path
) -> None:
    """Temporary files are unlinked while open: what is open is looked at, not what has a name."""
    fds = Path("/proc/self/fd")
    if not fds.is_dir():
        pytest.skip("open files can be listed on Linux only")

    def opened() -> set[str]:
        return {str(path.readlink()) for path in fds.iterdir() if path.is_symlink()}

    def sorting(connection: Any) -> set[str]:
        connection.execute("PRAGMA cache_size = 10")
        before = opened()
        rows = connection.execute("SELECT a.note, b.name FROM people a, people b ORDER BY 1, 2")
        rows.fetchone()
        return {name for name in opened() - before if "deleted" in name or "etilqs" in name}

    connection = await open_database(kms, caller, tmp_path / "db")
    fill(connection)
    connection.execute("DELETE FROM people WHERE rowid > 300")
    assert sorting(connection) == set()
    connection.close()
    plain = sqlite3.connect(tmp_path / "plain.db", isolation_level=None)
    fill(plain)
    plain.execute("DELETE FROM people WHERE rowid > 300")
    plain.execute("PRAGMA temp_store = FILE")
    assert sorting(plain) != set()  # the twin
    plain.close()


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_the_plain_twin_is_readable(mode: str, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    connection = sqlite3.connect(tmp_path / "plain" / "database.db", isolation_level=None)
    connection.execute(f"PRAGMA journal_mode = {mode}")
    fill(connection)
    if mode == "WAL":
        assert "database.db-wal" in found_in(tmp_path / "plain")
    connection.close()
    assert "database.db" in found_in(tmp_path / "plain")


async def test_a_disabled_key_opens_nothing(
    database: Descriptor, kms: Any, caller: Caller, tmp_path: Path
) -> None:
    kms.disabled.add(database.kms_key_arn)
    with pytest.raises(KMSError) as caught:
        await open_database(kms, caller, tmp_path / "db")
    assert caught.value.code == "DisabledException"
    assert kms.calls[-1] == ("Decrypt", REGION, f"rds.{REGION}.amazonaws.com")


async def test_another_data_key_is_refused(
    database: Descriptor, kms: Any, caller: Caller, tmp_path: Path
) -> None:
    other = await create_database(
        kms, caller, tmp_path / "other", region=REGION, key_id=database.kms_key_arn
    )
    (tmp_path / "db" / "database.json").write_bytes(encode_descriptor(other))
    with pytest.raises(IntegrityError):
        await open_database(kms, caller, tmp_path / "db")


async def test_a_data_key_under_another_id_is_refused(
    database: Descriptor, kms: Any, caller: Caller, tmp_path: Path
) -> None:
    changed = encode_descriptor(database).replace(database.id.encode(), b"db-" + b"0" * 17)
    (tmp_path / "db" / "database.json").write_bytes(changed)
    with pytest.raises(KMSError) as caught:
        await open_database(kms, caller, tmp_path / "db")
    assert caught.value.code == "InvalidCiphertextException"


async def test_a_changed_page_is_refused(
    database: Descriptor, kms: Any, caller: Caller, tmp_path: Path
) -> None:
    connection = await open_database(kms, caller, tmp_path / "db")
    fill(connection)
    connection.close()
    path = tmp_path / "db" / "database.db"
    content = bytearray(path.read_bytes())
    for page in range(1, len(content) // 4096):
        content[page * 4096 + 100] ^= 1
    path.write_bytes(content)
    connection = await open_database(kms, caller, tmp_path / "db")
    with pytest.raises(sys.modules["sqlcipher3"].dbapi2.DatabaseError):
        connection.execute("SELECT count(note) FROM people").fetchone()
    connection.close()


async def test_the_files_are_for_their_owner_alone(database: Descriptor, tmp_path: Path) -> None:
    assert (tmp_path / "db").stat().st_mode & 0o777 == 0o700


async def test_what_is_no_database(kms: Any, caller: Caller, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        await open_database(kms, caller, tmp_path)
    with pytest.raises(UsageError):
        await create_database(kms, caller, tmp_path, region=REGION, key_id=kms.create_key(REGION))


async def test_without_the_package(
    kms: Any, caller: Caller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sqlcipher3", None)
    with pytest.raises(UsageError):
        await create_database(
            kms, caller, tmp_path / "db", region=REGION, key_id=kms.create_key(REGION)
        )
    assert not kms.calls
