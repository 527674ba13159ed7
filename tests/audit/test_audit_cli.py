"""`tlslab audit`: the real command against a real state."""

from __future__ import annotations

import io
import json
import os
import pty
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import trio

from tlslab.audit import Event, Trail, metadata
from tlslab.cli.audit import command
from tlslab.database import Database
from tlslab.endpoint import StateFolder
from tlslab.errors import UsageError
from tlslab.seal import Cost, PassphraseFile, open_seal
from tlslab.seal import metadata as seal_metadata

PASSPHRASE = b"correct horse"
TLSLAB = [sys.executable, "-m", "tlslab", "audit"]
ENVIRONMENT = {**os.environ, "COLUMNS": "200"}


@pytest.fixture
def state(tmp_path: Path, make_event: Callable[..., Event]) -> Path:
    """A folder with a sealed database, its trail and what opens it."""
    context = {"encryptionContext": {"aws:s3:arn": "arn:aws:s3:::ledger/2026"}}
    events = [
        make_event(0),
        make_event(1, name="Encrypt", parameters=context),
        make_event(2, error="AccessDeniedException", name="\x1b[31mDecrypt"),
    ]

    async def fill() -> None:
        cheap = Cost(memory=8 * 1024, passes=1, lanes=1)
        root = await PassphraseFile.create(tmp_path / "root", PASSPHRASE, cheap)
        with closing(Database(str(tmp_path / "kms.db"), metadata, seal_metadata)) as database:
            trail = Trail(database, await open_seal(database, root, create=True))
            for event in events:
                await database.write(lambda c, e=event: trail.append(c, e))  # type: ignore[misc]

    trio.run(fill)
    passphrase = tmp_path / "passphrase"
    passphrase.write_bytes(PASSPHRASE + b"\n")
    passphrase.chmod(0o600)
    return tmp_path


def audit(state: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*TLSLAB, *arguments, "--database", str(state / "kms.db")],
        env={**ENVIRONMENT, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def verify(state: Path, *more: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return audit(state, "verify", "--root-of-trust", str(state / "root"), *more, **environment)


def test_it_shows_who_used_which_key_for_which_object(state: Path) -> None:
    done = audit(state, "show")
    assert done.returncode == 0, done.stderr
    for expected in ("user/alice", "192.0.2.7", "Encrypt", "k1", "arn:aws:s3:::ledger/2026"):
        assert expected in done.stdout
    assert "AccessDeniedException" in done.stdout
    assert "\x1b[31m" not in done.stdout, "what strangers send does not steer the terminal"


def test_json_is_the_records_as_they_are_kept(state: Path) -> None:
    done = audit(state, "--json", "--limit", "2")
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [record["eventTime"][-3:] for record in records] == ["01Z", "02Z"]


@pytest.mark.parametrize(
    ("arguments", "seconds"),
    [
        (["--event", "Encrypt"], ["01Z"]),
        (["--refused"], ["02Z"]),
        (["--user", "alice", "--since", "2026-11-20T12:00:01"], ["01Z", "02Z"]),
    ],
)
def test_it_filters(state: Path, arguments: list[str], seconds: list[str]) -> None:
    done = audit(state, "--json", *arguments)
    assert [json.loads(line)["eventTime"][-3:] for line in done.stdout.splitlines()] == seconds


def test_it_follows(state: Path) -> None:
    process = subprocess.Popen(
        [*TLSLAB, "--json", "--follow", "--database", str(state / "kms.db")],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(3)]
    process.send_signal(2)
    assert process.wait(timeout=30) == 130
    process.stdout.close()
    assert all(json.loads(line)["eventID"] for line in lines)


def test_what_is_intact_is_said_with_its_head(state: Path) -> None:
    file = str(state / "passphrase")
    done = verify(state, "--passphrase-file", file)
    assert done.returncode == 0, done.stderr
    head = done.stdout.split()[-1]
    again = verify(state, "--head", head, "--json", TLSLAB_PASSPHRASE_FILE=file)
    assert json.loads(again.stdout) == {
        "intact": True,
        "head": head,
        "fault": None,
        "record": None,
    }
    other = verify(state, "--head", f"{'0' * 64}:3", "--passphrase-file", file)
    assert other.returncode == 1


def test_tampering_ends_with_1_and_names_the_record(state: Path) -> None:
    with closing(sqlite3.connect(state / "kms.db")) as file:
        file.execute("DROP TRIGGER audit_records_no_update")
        file.execute("UPDATE audit_records SET time = time + 1 WHERE number = 2")
        file.commit()
    done = verify(state, "--json", "--passphrase-file", str(state / "passphrase"))
    assert done.returncode == 1
    assert json.loads(done.stdout)["record"] == 2
    assert verify(state, "--passphrase-file", str(state / "passphrase")).returncode == 1


@pytest.mark.parametrize("kept", ["'text'", "x'ff00'", "x'7b7d'", "x'5b5d'", "x'00'"])
def test_a_record_that_is_none_any_more_is_shown_as_such(state: Path, kept: str) -> None:
    with closing(sqlite3.connect(state / "kms.db")) as file:
        file.execute("DROP TRIGGER audit_records_no_update")
        file.execute(f"UPDATE audit_records SET record = {kept} WHERE number = 2")
        file.commit()
    shown = audit(state)
    assert shown.returncode == 0, shown.stderr
    assert "record 2: unreadable" in shown.stdout
    assert "AccessDeniedException" in shown.stdout, "the others are there"
    lines = [json.loads(line) for line in audit(state, "--json").stdout.splitlines()]
    assert lines[1] == {"unreadable": 2}
    assert len(lines) == 3


def test_a_narrow_terminal_folds_nothing(state: Path) -> None:
    done = audit(state, COLUMNS="20")
    assert "arn:aws:s3:::ledger/2026" in done.stdout


def test_a_folder_may_keep_its_database_elsewhere(state: Path) -> None:
    folder = state / "folder"
    folder.mkdir(0o700)
    (state / "root").rename(StateFolder(folder).root_of_trust)
    (state / "passphrase").rename(StateFolder(folder).passphrase)
    done = audit(state, "verify", "--state", str(folder))
    assert done.returncode == 0, done.stderr


def test_a_passphrase_comes_from_a_descriptor_or_the_terminal(state: Path) -> None:
    """Never from an argument, which everybody on the machine can read."""
    run = [*TLSLAB, "verify", "--database", str(state / "kms.db")]
    run += ["--root-of-trust", str(state / "root")]
    read, write = os.pipe()
    os.write(write, PASSPHRASE)
    os.close(write)
    done = subprocess.run(
        [*run, "--passphrase-file", f"/dev/fd/{read}"],
        pass_fds=[read],
        capture_output=True,
        check=False,
        timeout=60,
    )
    os.close(read)
    assert done.returncode == 0, done.stderr
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        run, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, start_new_session=True
    ) as typed:
        try:
            os.close(theirs)
            assert os.read(ours, 100) == b"passphrase: "  # what is typed before is thrown away
            os.write(ours, PASSPHRASE + b"\n")
            out, _ = typed.communicate(timeout=30)
        finally:
            typed.kill()
            os.close(ours)
    assert typed.returncode == 0
    assert b"intact" in out


def refused(*arguments: str) -> None:
    """The command, in this process, ends with a user's mistake."""
    with pytest.raises(UsageError):
        command.main([*arguments], standalone_mode=False)


@pytest.mark.parametrize("passphrase", [b"wrong", b"", PASSPHRASE + b"\n\n"])
def test_a_wrong_passphrase_is_the_users_mistake(state: Path, passphrase: bytes) -> None:
    (state / "passphrase").write_bytes(passphrase)
    database, root = str(state / "kms.db"), str(state / "root")
    refused(
        "verify", "--database", database, "--root-of-trust", root,
        "--passphrase-file", str(state / "passphrase"),
    )  # fmt: skip


def test_what_is_missing_is_said_and_nothing_is_created(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    (state / "loose").write_bytes(PASSPHRASE)
    (state / "loose").chmod(0o644)
    before = sorted(state.iterdir())
    database, root = str(state / "kms.db"), str(state / "root")
    named = ("verify", "--database", database, "--root-of-trust", root)
    refused(*named, "--passphrase-file", str(state / "loose"))
    refused(*named, "--passphrase-file", str(state / "missing"))
    refused(*named)  # and nobody to ask
    refused(*named, "--head", "x")
    refused("verify", "--database", database)
    refused()
    refused("--database", str(state / "no.db"))
    refused("--database", f"sqlite:///{state / 'no.db'}")
    refused("--state", str(state / "no"))
    assert sorted(state.iterdir()) == before


def test_a_database_without_a_trail_is_refused(tmp_path: Path) -> None:
    with closing(Database(str(tmp_path / "kms.db"), seal_metadata)):
        pass
    refused("--database", str(tmp_path / "kms.db"))


def test_a_state_folder_is_enough(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = StateFolder(state)
    folder.kms_database.parent.mkdir()
    (state / "kms.db").rename(folder.kms_database)
    (state / "root").rename(folder.root_of_trust)
    (state / "passphrase").rename(folder.passphrase)
    command.main(["verify", "--state", str(state)], standalone_mode=False)
    assert "intact" in capsys.readouterr().out
    folder.root_of_trust.unlink()
    refused("verify", "--state", str(state))
