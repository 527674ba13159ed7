"""`tlslab ca verify` as a user runs it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tlslab.cli.ca import ca
from tlslab.errors import TlslabError, UsageError
from tlslab.pki import Authority, Profile
from tlslab.pki.credential import to_pem
from tlslab.pki.files import MAX_FILE_SIZE
from tlslab.pki.revocation import OCSPRefusal, Revocations, make_ocsp_refusal
from tlslab.pki.verify import pin_of

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def fresh() -> Authority:
    return Authority.create("command test")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh: Authority) -> Run:
    """Runs `tlslab ca verify` in a folder with root.pem and chain.pem, for shop.test."""
    monkeypatch.chdir(tmp_path)
    Path("root.pem").write_bytes(fresh.root_pem)
    Path("chain.pem").write_bytes(fresh.issue("shop.test").chain_pem)

    def invoke(*args: str, chain: str = "chain.pem", trust: str | None = "root.pem") -> Result:
        trusted = () if trust is None else ("--trust", trust)
        result = CliRunner().invoke(ca, ("verify", chain, *trusted, *args))
        if isinstance(result.exception, TlslabError):
            raise result.exception
        return result

    return invoke


def as_json(result: Result) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(result.stdout)
    return value


@pytest.mark.parametrize("policy", ["default", "strict", "public"])
def test_accepted(run: Run, policy: str) -> None:
    result = run("--name", "shop.test", "--policy", policy)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("accepted for shop.test")
    assert "root.pem" in result.stdout


def test_refused_with_reason_rule_and_fix(run: Run) -> None:
    result = run("--name", "bank.test", "--at", "2001-01-01")
    assert result.exit_code == 1
    told = as_json(run("--name", "bank.test", "--json"))
    assert told["accepted"] is False
    decided = told["decided_by"]
    assert (decided["check"], decided["number"], decided["depth"]) == ("x509-62", 62, 0)
    assert decided["rule"].startswith("RFC 9525")
    assert [one["verifier"] for one in told["opinions"]] == ["openssl", "cryptography"]
    text = run("--name", "bank.test").stdout
    for piece in ("x509-62", decided["rule"], "fix", "openssl", "cryptography"):
        assert piece in text


def test_at_another_time(run: Run) -> None:
    for when in ("2001-01-01", "2001-01-01T00:00:00Z", "2001-01-01T00:00:00+02:00"):
        told = as_json(run("--name", "shop.test", "--at", when, "--json"))
        assert told["decided_by"]["number"] == 9
    with pytest.raises(UsageError):
        run("--name", "shop.test", "--at", "yesterday")


def test_pins(run: Run, fresh: Authority) -> None:
    pin, backup = pin_of(fresh.root).hex(), "00" * 32
    encoded = "sha256//" + base64.b64encode(pin_of(fresh.root)).decode()
    for one in (pin, pin.upper(), ":".join(pin[i : i + 2] for i in range(0, 64, 2)), encoded):
        assert run("--name", "shop.test", "--pin", one, "--pin", backup).exit_code == 0
    wrong = run("--name", "shop.test", "--pin", "11" * 32, "--pin", backup, "--json")
    assert wrong.exit_code == 1
    assert as_json(wrong)["decided_by"]["check"] == "pin-mismatch"
    for bad in ([pin], [pin, "zz"], [pin, "00"], [pin, "sha256//%"]):
        with pytest.raises(UsageError):
            run("--name", "shop.test", *(part for one in bad for part in ("--pin", one)))


def test_revocation(run: Run, fresh: Authority) -> None:
    leaf = x509.load_pem_x509_certificate(Path("chain.pem").read_bytes())
    registry = Revocations(fresh)
    Path("root.crl").write_bytes(registry.crl("root"))
    Path("good.crl").write_bytes(registry.crl())
    Path("good.ocsp").write_bytes(registry.response(leaf))
    registry.revoke(leaf)
    Path("bad.crl").write_bytes(registry.crl())

    def check(*args: str) -> str | None:
        result = run("--name", "shop.test", "--json", *args)
        told = as_json(result)
        assert result.exit_code == (0 if told["accepted"] else 1)
        return None if told["accepted"] else told["decided_by"]["check"]

    assert check("--crl", "good.crl", "--crl", "root.crl") is None
    assert check("--ocsp", "good.ocsp", "--crl", "root.crl") is None
    assert check("--crl", "bad.crl", "--crl", "root.crl") == "certificate-revoked"
    assert check("--crl", "bad.crl", "--revocation", "none") is None
    assert check("--crl", "good.crl") == "crl-missing"  # of the intermediate
    assert check("--crl", "good.crl", "--revocation", "soft") is None
    assert check("--revocation", "hard") == "crl-missing"
    soft = run("--name", "shop.test", "--revocation", "soft")
    assert "let pass" in soft.stdout


def test_the_systems_roots_are_the_default(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh: Authority
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "root.pem"))
    told = as_json(run("--name", "shop.test", "--json", trust=None))
    assert told["accepted"]
    assert told["trust"].endswith("root.pem (system)")
    other = Authority.create("other")
    (tmp_path / "other.pem").write_bytes(other.root_pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "other.pem"))
    assert run("--name", "shop.test", trust=None).exit_code == 1
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(UsageError):
        run("--name", "shop.test", trust=None)


def test_mistakes(run: Run) -> None:
    Path("junk.pem").write_bytes(b"junk")
    for args, files in (
        (("--name", "shop.test"), {"chain": "none.pem"}),
        (("--name", "shop.test"), {"chain": "junk.pem"}),
        (("--name", "shop.test"), {"trust": "junk.pem"}),
        (("--name", "a b"), {}),
        ((), {}),
        (("--name", "shop.test", "--crl", "none.crl"), {}),
    ):
        with pytest.raises(UsageError):
            run(*args, **files)
    assert run("--name", "shop.test", "--policy", "lax").exit_code == 2
    assert run("--any-name").exit_code == 0


def test_a_certificate_of_an_impossible_version_is_a_mistake(run: Run) -> None:
    leaf = x509.load_pem_x509_certificate(Path("chain.pem").read_bytes())
    der = leaf.public_bytes(Encoding.DER)
    version = bytes.fromhex("a003020102")
    assert version in der
    Path("odd.der").write_bytes(der.replace(version, bytes.fromhex("a003020107"), 1))
    with pytest.raises(UsageError):
        run("--name", "shop.test", chain="odd.der")


def test_hostile_names_do_not_reach_the_terminal(run: Run, fresh: Authority) -> None:
    name = "\x1b]0;owned\x07[red]\u202egro"
    template = fresh.draft(
        "shop.test",
        public_key=fresh.intermediate_key.public_key(),
        profile=Profile.named("server"),
        now=datetime.now(UTC),
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    leaf = replace(template, subject=subject).signed_by(fresh.intermediate_key)
    Path("chain.pem").write_bytes(to_pem((leaf, fresh.intermediate)))
    for args in ((), ("--policy", "public"), ("--json",), ("--policy", "public", "--json")):
        output = run("--name", "shop.test", *args).output
        assert not set("\x1b\x07\u202e") & set(output)
        assert "[red]" in output


def test_a_name_and_any_name_contradict_each_other(run: Run) -> None:
    with pytest.raises(UsageError, match="--any-name"):
        run("--name", "shop.test", "--any-name")


def test_a_missing_name_is_told_with_the_ways_to_give_it(run: Run) -> None:
    with pytest.raises(UsageError) as caught:
        run()
    hint = caught.value.hint or ""
    assert "--name" in hint
    assert "--any-name" in hint
    assert run("--purpose", "client").exit_code == 1  # needs none; a server's leaf is no client's


def test_a_missing_chain_is_told_with_a_hint(run: Run) -> None:
    with pytest.raises(UsageError, match="there is no file 'nope'") as caught:
        run("--name", "shop.test", chain="nope")
    assert caught.value.hint


@pytest.mark.parametrize("option", ["--crl", "--ocsp"])
@pytest.mark.parametrize("kind", ["empty", "junk", "truncated", "damaged", "certificate", "other"])
def test_what_is_no_list_and_no_response_is_a_mistake(
    run: Run, fresh: Authority, option: str, kind: str
) -> None:
    leaf = x509.load_pem_x509_certificate(Path("chain.pem").read_bytes())
    registry = Revocations(fresh)
    crl, response = registry.crl(), registry.response(leaf)
    mine, other = (crl, response) if option == "--crl" else (response, crl)
    # deep inside: the type of the list's number, the first time of the response
    sound, damaged = {
        "--crl": (bytes.fromhex("0603551d14040302"), bytes.fromhex("0603551d14040305")),
        "--ocsp": (b"\x18\x0f20", b"\x18\x0fxx"),
    }[option]
    assert sound in mine
    data = {
        "empty": b"",
        "junk": b"junk",
        "truncated": mine[:-1],
        "damaged": mine.replace(sound, damaged),
        "certificate": Path("chain.pem").read_bytes(),
        "other": other,
    }[kind]
    Path("bad.der").write_bytes(data)
    arguments = ("--name", "shop.test", "--revocation", "soft", option, "bad.der")
    with pytest.raises(UsageError, match=r"^bad\.der: no readable") as caught:
        run(*arguments)
    assert option in (caught.value.hint or "")
    assert "ParseError" not in caught.value.message
    Path("bad.der").write_bytes(mine)
    assert run(*arguments).exit_code == 0


def test_a_refusal_of_the_responder_is_no_mistake_of_ours(run: Run) -> None:
    Path("later.der").write_bytes(make_ocsp_refusal(OCSPRefusal.TRY_LATER))
    result = run("--name", "shop.test", "--ocsp", "later.der", "--json")
    assert result.exit_code == 1
    assert as_json(result)["accepted"] is False


def test_a_revocation_list_may_have_megabytes(run: Run, fresh: Authority) -> None:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(fresh.intermediate.subject)
        .last_update(now - timedelta(hours=1))
        .next_update(now + timedelta(days=1))
        .add_extension(x509.CRLNumber(1), critical=False)
        .add_extension(
            x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.9999.1"), bytes(5_000_000)), False
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(fresh.intermediate.public_key()),  # type: ignore[arg-type]
            critical=False,
        )
    )
    crl = builder.sign(fresh.intermediate_key, hashes.SHA256())
    Path("big.crl").write_bytes(crl.public_bytes(Encoding.DER))
    assert Path("big.crl").stat().st_size > MAX_FILE_SIZE
    result = run("--name", "shop.test", "--crl", "big.crl", "--revocation", "soft", "--json")
    told = as_json(result)
    assert result.exit_code == 0, told
    assert [note["check"] for note in told["notes"] if note["depth"] == 0] == []


def test_no_state_of_the_parser_is_shown(run: Run, fresh: Authority) -> None:
    der = fresh.root.public_bytes(Encoding.DER)
    basic_constraints = bytes.fromhex("30030101ff")
    assert der.count(basic_constraints) == 1
    Path("odd.der").write_bytes(der.replace(basic_constraints, bytes.fromhex("30030201ff")))
    for arguments in ((), ("--json",)):
        result = run("--name", "shop.test", *arguments, chain="odd.der")
        assert result.exit_code == 1
        assert "ParseError" not in result.output
