"""`tlslab ca` as a user runs it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tlslab.cli.ca import ca
from tlslab.errors import PKIError, TlslabError, UsageError
from tlslab.pki import Authority, CADirectory, KeyType, Profile
from tlslab.pki.faults import Fault, build
from tlslab.pki.template import draft

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `tlslab ca ARGS` in an empty folder; a mistake is raised as tlslab's error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TLSLAB_CA", raising=False)

    def invoke(*args: str, stdin: str | None = None) -> Result:
        result = CliRunner().invoke(ca, args, input=stdin)
        if isinstance(result.exception, TlslabError):
            raise result.exception
        return result

    return invoke


def as_json(result: Result) -> dict[str, object]:
    assert result.exit_code == 0, result.output
    value: dict[str, object] = json.loads(result.stdout)
    return value


def test_a_whole_day(run: Run, tmp_path: Path) -> None:
    assert run("init", "--name", "demo").exit_code == 0
    assert run("issue", "shop.test", "*.shop.test", "::1", "--days", "7").exit_code == 0
    assert run("issue", "--profile", "client", "--common-name", "Alice Smith").exit_code == 0
    listed = run("list").stdout
    for text in ("root", "intermediate", "shop.test", "*.shop.test", "::1", "alice-smith"):
        assert text in listed
    shown = run("show", "shop.test").stdout
    assert "certificate 1 of 2" in shown
    assert "It is for TLS servers." in shown
    exported = run("export").stdout
    assert exported == (tmp_path / "tlslab-ca" / "root.pem").read_text()
    assert exported.count("BEGIN CERTIFICATE") == 1
    assert run("export", "shop.test", "--format", "chain").stdout.count("BEGIN CERT") == 2


def test_curl_and_openssl_take_the_files(run: Run, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    run("init", "--dir", "my ca", "--key-type", "ed25519")
    files = as_json(run("issue", "shop.test", "--dir", "my ca", "--json"))["files"]
    assert isinstance(files, dict)
    verify = ["openssl", "verify", "-x509_strict", "-verify_hostname", "shop.test"]
    trust = ["-CAfile", "my ca/root.pem", "-untrusted", files["chain"], files["certificate"]]
    assert subprocess.run([*verify, *trust], check=False, capture_output=True).returncode == 0
    read_key = ["openssl", "pkey", "-in", files["key"], "-noout"]
    assert subprocess.run(read_key, check=False, capture_output=True).returncode == 0


def test_json_is_one_object(run: Run) -> None:
    made = as_json(run("init", "--json"))
    assert made["root_file"] == "tlslab-ca/root.pem"
    issued = as_json(run("issue", "bücher.test", "--json"))
    assert issued["label"] == "bücher.test"
    certificate = issued["certificate"]
    assert isinstance(certificate, dict)
    assert certificate["names"] == ["xn--bcher-kva.test"]
    listed = as_json(run("list", "--json"))["certificates"]
    assert isinstance(listed, list)
    assert [entry["label"] for entry in listed] == ["root", "intermediate", "bücher.test"]
    shown = as_json(run("show", "root", "--json"))["certificates"]
    assert isinstance(shown, list)
    assert shown[0]["facts"]["basic_constraints"] == "CA"


def test_keys_never_reach_the_screen(run: Run) -> None:
    outputs = [
        run("init", "--json"),
        run("issue", "shop.test", "--json"),
        run("show", "shop.test", "--json"),
        run("list", "--json"),
        run("export", "shop.test", "--format", "chain"),
        run("show", "tlslab-ca/issued/shop.test/chain.pem"),
    ]
    assert all("PRIVATE KEY" not in result.output for result in outputs)


def test_out_keeps_the_key_elsewhere(run: Run, tmp_path: Path) -> None:
    run("init")
    run("issue", "shop.test", "--out", "srv/tls")
    assert sorted(path.name for path in (tmp_path / "srv/tls").iterdir()) == [
        "certificate.pem",
        "chain.pem",
        "key.pem",
    ]
    with pytest.raises(UsageError, match="not kept"):
        run("export", "shop.test", "--format", "pkcs12", "--out", "a.p12", "--password-file", "x")


def test_a_profile_of_ones_own(run: Run, tmp_path: Path) -> None:
    run("init")
    text = 'title = "short"\nkind = "server"\nkey_type = "ed25519"\nlifetime = "2h"\n'
    (tmp_path / "short.toml").write_text(text)
    issued = as_json(run("issue", "shop.test", "--profile", "short.toml", "--json"))
    certificate = issued["certificate"]
    assert isinstance(certificate, dict)
    assert certificate["facts"]["key"] == "Ed25519"
    (tmp_path / "bad.toml").write_text(text + "color = 1\n")
    with pytest.raises(UsageError, match=r"\./bad\.toml: unknown key 'color'|bad\.toml: unknown"):
        run("issue", "other.test", "--profile", "./bad.toml")


def test_show_reads_any_file(run: Run, tmp_path: Path) -> None:
    root = Authority.create("other").root
    (tmp_path / "a.der").write_bytes(root.public_bytes(Encoding.DER))
    assert "CN=other root CA" in run("show", "a.der").stdout
    (tmp_path / "bad.pem").write_text("garbage")
    with pytest.raises(UsageError, match=r"bad\.pem: no readable certificate"):
        run("show", "bad.pem")
    for nothing in ("none.pem", "a/b", "x" * 300):
        with pytest.raises(UsageError, match="there is no file"):
            run("show", nothing)
    with pytest.raises(UsageError, match="there is no CA"):
        run("show", "root", "--dir", ".")


def test_show_is_safe_with_hostile_names(run: Run, tmp_path: Path) -> None:
    hostile = "\x1b]0;owned\x07[bold red]x[/] [/nope] \u202e"
    key = KeyType.ECDSA_P256.generate()
    certificate = draft(
        Profile.named("client"),
        subject=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostile)]),
        public_key=key.public_key(),
        issuer=None,
        now=Authority.create().root.not_valid_before_utc,
    ).signed_by(key)
    (tmp_path / "hostile.der").write_bytes(certificate.public_bytes(Encoding.DER))
    for result in (run("show", "hostile.der"), run("show", "hostile.der", "--json")):
        assert result.exit_code == 0
        assert all(char.isprintable() or char == "\n" for char in result.stdout)
        assert "[bold red]" in result.stdout


def test_a_narrow_terminal_loses_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("init")
    run("issue", "a-rather-long-name-of-a-host.department.shop.test")
    monkeypatch.setenv("COLUMNS", "40")
    shown = run("show", "root").stdout
    assert all(len(line) <= 40 for line in shown.splitlines())
    squeezed = "".join(shown.split())
    facts = as_json(run("show", "root", "--json"))["certificates"]
    assert isinstance(facts, list)
    assert facts[0]["facts"]["fingerprint_sha256"] in squeezed


def test_pkcs12_for_a_browser(run: Run, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    run("init")
    run("issue", "--profile", "client", "--common-name", "Alice")
    asked = run(
        *("export", "alice", "--format", "pkcs12", "--out", "alice.p12"), stdin="secret\nsecret\n"
    )
    assert asked.exit_code == 0
    assert "secret" not in asked.output
    (tmp_path / "password").write_text("secret\n")
    take = ["openssl", "pkcs12", "-in", "alice.p12", "-noout", "-passin", "file:password"]
    assert subprocess.run(take, check=False, capture_output=True).returncode == 0
    (tmp_path / "password").write_text("wrong\n")
    assert subprocess.run(take, check=False, capture_output=True).returncode != 0
    assert (tmp_path / "alice.p12").stat().st_mode & 0o777 == 0o600
    with pytest.raises(UsageError, match="there already"):
        run(*("export", "alice", "--format", "der", "--out", "alice.p12"))


def test_export_refuses_what_makes_no_sense(run: Run) -> None:
    run("init")
    with pytest.raises(UsageError, match="needs a file"):
        run("export", "--format", "der")
    with pytest.raises(UsageError, match="not handed out"):
        run("export", "root", "--format", "pkcs12", "--out", "x")


def test_mistakes_leave_the_ca_as_it_was(run: Run, tmp_path: Path) -> None:
    run("init")
    for args in (
        ("init",),
        ("issue",),
        ("issue", "not a name"),
        ("issue", "shop.test", "--days", "36500"),
        ("issue", "shop.test", "--profile", "nope"),
        ("issue", "shop.test", "--profile", "./nope.toml"),
        ("issue", "shop.test", "--profile", "intermediate"),
        ("issue", "shop.test", "--label", "../x"),
        ("list", "--dir", "none"),
        ("show", "shop.test"),
    ):
        with pytest.raises(UsageError):
            run(*args)
    for bad in (("issue", "a.test", "--days", "0"), ("init", "--key-type", "rsa-1024")):
        assert run(*bad).exit_code == 2  # click's own: the option is told with what it takes
    assert CADirectory(tmp_path / "tlslab-ca").labels() == []


def test_the_folder_may_come_from_the_environment(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TLSLAB_CA", "elsewhere")
    run("init")
    assert (tmp_path / "elsewhere" / "root.key").exists()


def test_show_reads_pipes_and_standard_input(run: Run, tmp_path: Path) -> None:
    pem = Authority.create("piped").root_pem
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(pem,))
    writer.start()
    assert "CN=piped root CA" in run("show", "pipe").stdout
    writer.join()
    command = [sys.executable, "-m", "tlslab", "ca", "show", "/dev/stdin"]
    done = subprocess.run(command, input=pem, capture_output=True, check=True, timeout=60)
    assert b"CN=piped root CA" in done.stdout


def test_show_says_what_is_no_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "shop.test").mkdir()
    for folder in (".", "shop.test"):
        with pytest.raises(UsageError, match="is a folder") as caught:
            run("show", folder)
        assert caught.value.hint
    run("init")
    run("issue", "shop.test")
    assert "certificate 1 of 2" in run("show", "shop.test").stdout  # the label, not the folder
    with pytest.raises(UsageError, match="is a folder"):
        run("show", "tlslab-ca")


def test_what_may_not_be_read_says_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("closed.pem").write_bytes(b"")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # root may read everything
    with pytest.raises(PKIError, match=r"cannot read closed\.pem: Permission denied") as caught:
        run("show", "closed.pem")
    assert caught.value.hint


def test_show_takes_a_certificate_of_a_megabyte(run: Run) -> None:
    made = build(Fault.named("hostile-megabyte"), Authority.create())
    Path("hostile.pem").write_bytes(made.credential.chain_pem)
    assert Path("hostile.pem").stat().st_size > 2**20
    shown = run("show", "hostile.pem").stdout
    assert "certificate 1 of " in shown
    assert len(shown) < 10_000


@pytest.mark.parametrize("columns", [30, 40, 80, 81, 82, 200])
def test_fingerprints_wrap_between_octets(
    run: Run, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    run("init")
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = run("show", "root").stdout.splitlines()
    assert all(len(line) <= columns for line in shown)
    at = next(n for n, line in enumerate(shown) if "fingerprint" in line)
    rest = [shown[at].split("sha256")[1], *(line for line in shown[at + 1 :] if ":" in line)]
    pieces = [line.strip() for line in rest if re.fullmatch("[0-9A-F:]+", line.strip())]
    assert all(re.fullmatch("([0-9A-F]{2}:)+", piece) for piece in pieces[:-1])
    assert re.fullmatch("([0-9A-F]{2}:){31}[0-9A-F]{2}", "".join(pieces))


@pytest.mark.parametrize("columns", [60, 80, 119, 120, 160])
def test_the_list_cuts_nothing_off(run: Run, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    run("init")
    monkeypatch.setenv("COLUMNS", str(columns))
    run("issue", "bank.test", "www.bank.test")
    listed = run("list").stdout
    assert all(len(line) <= columns for line in listed.splitlines())
    assert "…" not in listed
    assert {"root", "intermediate", "bank.test", "bank.test,", "www.bank.test"} <= {*listed.split()}
    certificates = as_json(run("list", "--json"))["certificates"]
    assert isinstance(certificates, list)
    for entry in certificates:
        assert (entry["facts"]["serial"] in listed) == (columns >= 120)


def test_an_empty_password_is_a_mistake_with_a_hint(run: Run) -> None:
    run("init")
    run("issue", "--profile", "client", "--common-name", "Alice")
    Path("empty").write_text("\nsecret\n")
    export = ("export", "alice", "--format", "pkcs12", "--out", "alice.p12")
    with pytest.raises(UsageError, match="the password, is empty") as caught:
        run(*export, "--password-file", "empty")
    assert caught.value.hint
    assert not Path("alice.p12").exists()


def test_no_state_of_the_parser_is_shown(run: Run) -> None:
    der = Authority.create().root.public_bytes(Encoding.DER)
    basic_constraints = bytes.fromhex("30030101ff")
    assert der.count(basic_constraints) == 1
    Path("odd.der").write_bytes(der.replace(basic_constraints, bytes.fromhex("30030201ff")))
    for arguments in (("show", "odd.der"), ("show", "odd.der", "--json")):
        shown = run(*arguments).stdout
        assert "unreadable" in shown
        assert "ParseError" not in shown
