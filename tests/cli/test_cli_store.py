"""`tlslab store` as its users meet it: set up, served, rotated, resealed, and their mistakes."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PASSPHRASE = "correct horse battery staple"


def tlslab(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tlslab", *map(str, arguments)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.fixture
def passphrase(tmp_path: Path) -> Path:
    return private(tmp_path / "passphrase.txt", PASSPHRASE)


@pytest.fixture
def state(tmp_path: Path, passphrase: Path) -> Path:
    folder = tmp_path / "state"
    done = tlslab("store", "init", "--state", folder, "--passphrase-file", passphrase)
    assert done.returncode == 0, done.stderr
    return folder


def private(path: Path, text: str) -> Path:
    path.touch(0o600)
    path.write_text(text)
    return path


@contextmanager
def serving(*arguments: str | Path) -> Iterator[dict[str, Any]]:
    command = [sys.executable, "-m", "tlslab", "store", "serve", "--json", "--port", "0"]
    process = subprocess.Popen(
        [*command, *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            yield json.loads(line or "null") or {"error": process.communicate()[1]}
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=10)
            assert "Traceback" not in told
            assert process.returncode in (0, 2)


def curl(up: dict[str, Any], path: str, *arguments: str, service: str = "s3") -> str:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    accounts = tomllib.loads(Path(up["identities"]).read_text())["accounts"]
    key = accounts["111122223333"]["users"]["alice"]["access_keys"][0]
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--fail", "--noproxy", "*", "--max-time", "10",
         "--aws-sigv4", f"aws:amz:{up['region']}:{service}", "--config", "-",
         *(("-H", "X-Amz-Content-Sha256: UNSIGNED-PAYLOAD") if service == "s3" else ()),
         *arguments, f"{up['s3_url']}{path}"],
        input=f'user = "{key["id"]}:{key["secret"]}"\n',
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_objects_outlive_the_process_and_every_rotation(state: Path, passphrase: Path) -> None:
    place = ("--state", state, "--passphrase-file", passphrase)
    with serving(*place) as up:
        curl(up, "/letters", "-X", "PUT")
        curl(up, "/letters/a", "-X", "PUT", "--data-binary", "dear reader")
    rotated = tlslab("store", "rotate", *place)
    assert "1 objects wrapped anew" in rotated.stdout, rotated.stderr
    with serving(*place) as up:
        assert curl(up, "/letters/a") == "dear reader"
    assert "0 leftovers" in tlslab("store", "collect", *place).stdout


def test_another_passphrase_and_another_root_of_trust(
    state: Path, passphrase: Path, tmp_path: Path
) -> None:
    old = ("--state", state, "--passphrase-file", passphrase)
    with serving(*old) as up:
        curl(up, "/letters", "-X", "PUT")
        curl(up, "/letters/a", "-X", "PUT", "--data-binary", "dear reader")
    new = private(tmp_path / "new.txt", "another one")
    assert tlslab("store", "passphrase", *old, "--new-passphrase-file", new).returncode == 0
    with serving(*old) as up:
        assert "does not open" in up["error"]
    changed = ("--state", state, "--passphrase-file", new)
    root = tmp_path / "new.key"
    reseal = ("--new-root-of-trust", root, "--new-passphrase-file", new)
    assert tlslab("store", "reseal", *changed, *reseal).returncode == 0
    with serving(*changed) as up:
        assert "is not the root of trust" in up["error"]
    with serving(*changed, "--root-of-trust", root) as up:
        assert curl(up, "/letters/a") == "dear reader"


def test_state_and_keys_are_private_and_disks_opaque(state: Path, passphrase: Path) -> None:
    with serving("--state", state, "--passphrase-file", passphrase) as up:
        curl(up, "/letters", "-X", "PUT")
        curl(up, "/letters/a", "-X", "PUT", "--data-binary", "dear reader")
        curl(up, "/letters/long", "-X", "PUT", "--data-binary", "dear reader" * 10_000)
    files = [path for path in state.rglob("*") if path.is_file()]
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)
    assert not (state / "passphrase").exists()
    for path in files:
        assert b"dear reader" not in path.read_bytes()
        assert PASSPHRASE.encode() not in path.read_bytes()


def test_the_audit_trail_of_a_state_is_read_and_verified(state: Path, passphrase: Path) -> None:
    place = ("--state", state, "--passphrase-file", passphrase)
    kms = ("-H", "X-Amz-Target: TrentService.ListKeys", "-H", "Content-Type: application/json")
    with serving(*place) as up:
        curl(up, "/", *kms, "--data-binary", "{}", service="kms")
    assert "ListKeys" in tlslab("audit", "--state", state).stdout
    assert "intact" in tlslab("audit", "verify", *place).stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("serve", "--state", "nowhere"), "store init"),
        (("serve", "--state", "STATE"), "nobody to ask"),
        (("init", "--state", "STATE"), "exists already"),
        (("serve", "--state", "STATE", "--passphrase-file", "missing"), "cannot read"),
        (("serve", "--state", "STATE", "--passphrase-file", "WRONG"), "does not open"),
        (("serve", "--state", "STATE", "--passphrase-file", "LOOSE"), "open to others"),
        (("serve", "--state", "STATE", "--bind", "everywhere"), "not an IP address"),
        (("rotate", "--state", "STATE", "--passphrase-file", "RIGHT", "--database", "my://x"),
         "database"),
        (("rotate", "--state", "STATE", "--passphrase-file", "RIGHT", "--objects", "ftp://x"),
         "cannot be kept"),
    ],
)  # fmt: skip
def test_mistakes_are_told_in_one_line(
    arguments: tuple[str, ...], said: str, state: Path, passphrase: Path, tmp_path: Path
) -> None:
    loose = private(tmp_path / "loose.txt", PASSPHRASE)
    loose.chmod(0o644)
    stands_for = {
        "STATE": state,
        "RIGHT": passphrase,
        "WRONG": private(tmp_path / "wrong.txt", "wrong"),
        "LOOSE": loose,
        "nowhere": tmp_path / "nowhere",
    }
    done = tlslab("store", *(stands_for.get(word, word) for word in arguments))
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_lost_root_of_trust_is_never_replaced(state: Path, passphrase: Path) -> None:
    (state / "root-of-trust.key").rename(state / "moved-away")
    for command in ("init", "serve"):
        done = tlslab("store", command, "--state", state, "--passphrase-file", passphrase)
        assert done.returncode == 2
        assert "restore" in done.stderr
    assert not (state / "root-of-trust.key").exists()
