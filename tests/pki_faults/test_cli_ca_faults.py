"""`tlslab ca faults` as a user runs it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tlslab.cli.ca import ca
from tlslab.errors import TlslabError, UsageError
from tlslab.pki import Credential
from tlslab.pki.faults import shipped_faults

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)

    def invoke(*args: str) -> Result:
        result = CliRunner().invoke(ca, ["faults", *args])
        if isinstance(result.exception, TlslabError):
            raise result.exception
        return result

    return invoke


@pytest.mark.parametrize("columns", [40, 80, 160])
def test_the_list_has_everything(run: Run, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    listed = run().stdout
    assert all(len(line) <= columns for line in listed.splitlines())
    if columns > 40:
        for name in shipped_faults():
            assert re.search(rf"^  {name} ", listed, re.MULTILINE), name
    if columns > 120:
        assert re.search(r"expired-leaf +high +must +10@0 alert 45 +refuses +The cert", listed)


def test_json_lists_the_whole_zoo(run: Run) -> None:
    listed = json.loads(run("--json").stdout)
    faults = {fault["id"]: fault for fault in listed["faults"]}
    assert faults.keys() == shipped_faults().keys()
    expected = faults["expired-leaf"]["expected"]
    assert expected["openssl"] == {
        "accepted": False, "x509": 10, "depth": 0, "alert": 45, "by": "client",
        "x509_name": "certificate has expired",
    }  # fmt: skip
    assert expected["cryptography"] == {"accepted": False, "by": "client"}
    assert faults["good"]["expected"]["openssl"] == {"accepted": True}
    assert faults["wildcard-two-labels"]["ask"] == "a.b.shop.test"
    assert faults["sct-missing"]["expected"]["scts"] == []
    assert len(listed["badssl"]) == 88
    assert {"host": "expired", "family": "cert", "fault": "expired-leaf"} in listed["badssl"]


def test_one_fault(run: Run) -> None:
    told = run("revoked-leaf").stdout
    assert "certificate revoked" in told
    assert "--issue" in told
    assert json.loads(run("revoked-leaf", "--json").stdout)["id"] == "revoked-leaf"
    for name in ("key-mismatch", "p192", "staple-stale", "sct-missing"):
        assert run(name).exit_code == 0


def test_by_tag(run: Run) -> None:
    listed = json.loads(run("--tag", "ocsp", "--json").stdout)["faults"]
    assert listed
    assert all("ocsp" in fault["tags"] for fault in listed)
    with pytest.raises(UsageError, match="no fault has the tag 'nope'"):
        run("--tag", "nope")


def test_mistakes(run: Run, tmp_path: Path) -> None:
    for arguments in (["nope"], ["--issue"], ["expired-leaf", "--issue"], ["--out", "x"]):
        with pytest.raises(UsageError):
            run(*arguments)
    with pytest.raises(UsageError, match="by its ID"):
        run("expired-leaf", "--out", "x")
    assert list(tmp_path.iterdir()) == []


def test_issued_for_ones_own_server(run: Run, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    assert run("expired-leaf", "--issue", "--out", "a").exit_code == 0
    folder = tmp_path / "a"
    assert {path.name for path in folder.iterdir()} == {
        "chain.pem", "key.pem", "root.pem", "README.txt",
    }  # fmt: skip
    assert (folder / "key.pem").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert "shop.test" in (folder / "README.txt").read_text()
    Credential.from_pem((folder / "chain.pem").read_bytes(), (folder / "key.pem").read_bytes())
    done = subprocess.run(
        ["openssl", "verify", "-CAfile", "root.pem", "-untrusted", "chain.pem", "chain.pem"],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
    )
    assert "error 10 at 0 depth" in done.stderr
    before = (folder / "key.pem").read_bytes()
    with pytest.raises(UsageError, match="there already"):
        run("expired-leaf", "--issue", "--out", "a")
    assert (folder / "key.pem").read_bytes() == before


def test_issued_with_all_that_belongs_to_it(run: Run, tmp_path: Path) -> None:
    made = json.loads(run("ca-compromised", "--issue", "--out", "b", "--json").stdout)
    assert made["ask"] == "shop.test"
    assert {"crl-1.der", "crl-2.der"} <= made["files"].keys()
    run("staple-revoked", "--issue", "--out", "c")
    assert (tmp_path / "c" / "staple.der").is_file()
    run("rsa-512", "--issue", "--out", "d")
    assert "SECLEVEL=0" in (tmp_path / "d" / "README.txt").read_text()
    run("ml-dsa-leaf", "--issue", "--out", "e")
    assert b"PRIVATE KEY" in (tmp_path / "e" / "key.pem").read_bytes()
    assert "PRIVATE" not in run("good", "--json").output


def test_an_empty_store_is_not_told_to_be_trusted(run: Run, tmp_path: Path) -> None:
    told = {name: run(name, "--issue", "--out", name).stdout for name in ("empty-store", "good")}
    readme = {name: (tmp_path / name / "README.txt").read_text() for name in told}
    assert (tmp_path / "empty-store" / "root.pem").read_bytes() == b""
    assert "the client trusts nothing" in readme["empty-store"]
    assert "what the client has to trust" not in readme["empty-store"]
    assert "trust nothing" in told["empty-store"]
    assert "what the client has to trust" in readme["good"]
    assert "trust root.pem" in told["good"]
