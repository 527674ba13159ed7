"""Probing real clients with three cases: careful ones pass, each careless one is caught."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import trio

from tlslab.attack import StripVersions
from tlslab.errors import UsageError
from tlslab.pki import Authority
from tlslab.probe import (
    CONTROL,
    Case,
    Finding,
    Probe,
    Reach,
    Served,
    Severity,
    Verdict,
    check_command,
)
from tlslab.probe.catalog import Catalog
from tlslab.probe.client import filled_in
from tlslab.tls import ServerPolicy

A, R, N = Verdict.ACCEPTED, Verdict.REFUSED, Verdict.NO_CONTACT

PYTHON = (
    "import sys, ssl, urllib.request as r\n"
    "context = ssl.create_default_context()\n"
    "{how}\n"
    "r.build_opener(r.HTTPSHandler(context=context)).open(sys.argv[1], timeout=5)\n"
)
NO_NAME = "context.check_hostname = False"
NOTHING = f"{NO_NAME}; context.verify_mode = ssl.CERT_NONE"

REQUESTS = "import sys, requests; requests.get(sys.argv[1], timeout=5{how})"

S_CLIENT = ["openssl", "s_client", "-connect", "127.0.0.1:{port}", "-servername", "{host}",
            "-CAfile", "{ca}"]  # fmt: skip
VERIFYING = ["-verify_return_error", "-verify_hostname", "{host}"]

FETCH = "fetch(process.argv[1]).then(r => r.text()).catch(e => process.exit(1))"

CLIENTS: dict[str, tuple[list[str], tuple[Verdict, Verdict, Verdict]]] = {
    # what each makes of: the control, an unknown CA, another name
    "curl": (["curl", "-sS", "{url}"], (A, R, R)),
    "curl --insecure": (["curl", "-sSk", "{url}"], (A, A, A)),
    "s_client": ([*S_CLIENT], (A, A, A)),
    "s_client, verifying": ([*S_CLIENT, *VERIFYING], (A, R, R)),
    "s_client, no name": ([*S_CLIENT, "-verify_return_error"], (A, R, A)),
    "python": ([sys.executable, "-c", PYTHON.format(how=""), "{url}"], (A, R, R)),
    "python, no name": ([sys.executable, "-c", PYTHON.format(how=NO_NAME), "{url}"], (A, R, A)),
    "python, nothing": ([sys.executable, "-c", PYTHON.format(how=NOTHING), "{url}"], (A, A, A)),
    "requests": ([sys.executable, "-c", REQUESTS.format(how=""), "{url}"], (A, R, R)),
    "requests, verify=False": (
        [sys.executable, "-c", REQUESTS.format(how=", verify=False"), "{url}"],
        (A, A, A),
    ),
    "node": (["node", "-e", FETCH, "{url}"], (A, R, R)),
}


def cases(lab: Authority, host: str = "localhost") -> list[Case]:
    rogue = Authority.create("rogue")
    served = {
        CONTROL: lab.issue(host, "127.0.0.1"),
        "unknown-ca": rogue.issue(host, "127.0.0.1"),
        "wrong-name": lab.issue("other.test"),
    }
    return [
        Case(
            id=name,
            title=name,
            severity=Severity.CRITICAL,
            must_refuse=name != CONTROL,
            host=host,
            make=partial(Served, ServerPolicy(credential), lab.trust),
        )
        for name, credential in served.items()
    ]


async def probed(
    command: Sequence[str], folder: Path, *, host: str = "localhost", reach: Reach = Reach.LOCALHOST
) -> list[Finding]:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    return await Probe(command, folder, reach).run(cases(Authority.create("lab"), host))


@pytest.mark.parametrize("name", CLIENTS)
async def test_a_client_is_judged_by_what_the_server_saw(name: str, tmp_path: Path) -> None:
    command, expected = CLIENTS[name]
    findings = await probed(command, tmp_path)
    assert tuple(finding.verdict for finding in findings) == expected
    assert [finding.passed for finding in findings[1:]] == [e is R for e in expected[1:]]


async def test_a_refusal_is_told_with_its_alert(tmp_path: Path) -> None:
    findings = await probed(["curl", "-sS", "{url}"], tmp_path)
    assert findings[1].alert == "unknown_ca (48)"
    assert not findings[1].handshake
    assert findings[1].exit_code == 60


async def test_when_the_control_fails_nothing_else_is_concluded(tmp_path: Path) -> None:
    findings = await probed(["curl", "-sS", "--cacert", "/dev/null", "{url}"], tmp_path)
    assert [(finding.case.id, finding.passed) for finding in findings] == [(CONTROL, False)]


async def test_a_client_that_never_comes_is_no_success(tmp_path: Path) -> None:
    findings = await probed([sys.executable, "-c", "pass", "{url}"], tmp_path)
    assert [(finding.verdict, finding.passed) for finding in findings] == [(N, None)]


async def test_a_client_that_hangs_is_ended(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(600)", "{url}"]
    (finding,) = await Probe(command, tmp_path, limit=0.2).run(cases(Authority.create("lab")))
    assert finding.exit_code is None
    assert finding.seconds < 60


async def test_names_nobody_resolves_are_reached_through_the_proxy(tmp_path: Path) -> None:
    command = ["curl", "-sS", "{url}"]
    through = await probed(command, tmp_path, host="shop.test", reach=Reach.PROXY)
    assert [finding.verdict for finding in through] == [A, R, R]
    without = await probed(command, tmp_path, host="shop.test")
    assert [finding.verdict for finding in without] == [N]


async def test_names_may_be_resolved_by_the_client_itself(tmp_path: Path) -> None:
    command = ["curl", "-sS", "--resolve", "{host}:{port}:127.0.0.1", "{url}"]
    findings = await probed(command, tmp_path, host="shop.test", reach=Reach.OWN)
    assert [finding.verdict for finding in findings] == [A, R, R]


def test_placeholders_are_filled_in_and_other_braces_kept() -> None:
    values = {"url": "U", "host": "H", "port": "1", "ca": "C", "hosts": "F"}
    assert filled_in(["a{url}b", "{x}", "{{port}}", "{}"], values) == ["aUb", "{x}", "{1}", "{}"]


@pytest.mark.parametrize("command", [["no-such-client", "{url}"], [sys.executable, "-c", "pass"]])
def test_a_command_that_cannot_work_is_told(command: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        check_command(command)
    assert caught.value.hint


def attacked(lab: Authority) -> list[Case]:
    control, *_ = cases(lab)
    policy = ServerPolicy(lab.issue("localhost"))
    attack = replace(
        control,
        id="attacked",
        must_refuse=True,
        make=partial(Served, policy, lab.trust, StripVersions()),
    )
    return [control, attack]


@pytest.mark.parametrize(
    ("how", "expected"),
    [("", R), ("context.maximum_version = ssl.TLSVersion.TLSv1_2", Verdict.SPARED)],
)
async def test_an_attack_on_the_path_counts_only_if_it_found_something_to_alter(
    how: str, expected: Verdict, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", PYTHON.format(how=how), "{url}"]
    _, finding = await Probe(command, tmp_path).run(attacked(Authority.create("lab")))
    assert finding.verdict is expected
    assert finding.passed is (True if expected is R else None)
    assert finding.alert == ("illegal_parameter (47)" if expected is R else None)


HANGS = (
    "import socket, ssl, sys, time\n"
    "context = ssl._create_unverified_context()\n"
    "plain = socket.create_connection(('127.0.0.1', int(sys.argv[2])))\n"
    "stream = context.wrap_socket(plain, server_hostname='localhost')\n"
    "import pathlib; first = pathlib.Path(sys.argv[1] + '.seen')\n"
    "if first.exists(): time.sleep(60)\n"
    "first.touch(); stream.sendall(sys.stdin.buffer.read()); stream.recv(100)\n"
)


async def test_a_client_that_accepts_and_hangs_has_not_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HANGS, str(tmp_path / "x"), "{port}"]
    first, *others = await Probe(command, tmp_path, limit=1.0).run(cases(Authority.create("lab")))
    assert first.verdict is A
    for finding in others:
        assert finding.handshake
        assert (finding.verdict, finding.passed) == (Verdict.UNDECIDED, None)


async def test_what_a_client_started_is_ended_with_it(tmp_path: Path) -> None:
    """The client is a shell that waits for a child; at the limit both are ended."""
    child = tmp_path / "child"
    command = ["sh", "-c", f"sleep 60 & echo $! > {child}; wait", "sh", "{url}"]
    await Probe(command, tmp_path, limit=0.5).run(cases(Authority.create("lab")))
    status = Path("/proc") / child.read_text().strip() / "status"
    with trio.fail_after(5):
        while status.exists() and "State:\tZ" not in status.read_text():
            await trio.lowlevel.checkpoint()


def test_strict_makes_staples_and_transparency_matters() -> None:
    lax, strict = (Catalog.of(Reach.LOCALHOST, strict=value) for value in (False, True))
    for id_ in ("staple-revoked", "sct-missing", "must-staple-ignored"):
        (one,) = [case for case in lax.cases if case.id == id_]
        (other,) = [case for case in strict.cases if case.id == id_]
        assert (one.must_refuse, other.must_refuse) == (False, True), id_


def test_what_a_client_cannot_be_probed_with_is_left_out_with_its_reason() -> None:
    left_out = {one.id: one.reason for one in Catalog.of(Reach.LOCALHOST).left_out}
    assert {"revoked-leaf", "wildcard-two-labels", "key-mismatch", "good"} <= left_out.keys()
    assert "constraint-evaded" in left_out
    assert "wildcard-two-labels" not in {one.id for one in Catalog.of(Reach.PROXY).left_out}
