"""`tlslab probe` as a user runs it: scorecard, JSON, JUnit, and exit codes for somebody's CI."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]

CARELESS = (
    "import sys, ssl, urllib.request as r;"
    "r.build_opener(r.ProxyHandler({}), r.HTTPSHandler(context=ssl._create_unverified_context()))"
    ".open(sys.argv[1], timeout=5)"
)


def results(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, object]]:
    assert done.stdout, done.stderr
    return {case["id"]: case for case in json.loads(done.stdout)["cases"]}


def test_curl_refuses_what_cannot_be_trusted(tlslab: Run) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    found = results(tlslab("probe", "--json", "--", "curl", "-sS", "{url}"))
    for case in ("untrusted-root", "self-signed", "expired-leaf", "wrong-host", "incomplete-chain",
                 "leaf-as-ca", "name-not-permitted", "rsa-1024", "sha1-leaf", "null-cipher",
                 "client-certificate", "tampered-signature", "tls-1-0", "strip-supported-versions",
                 "flip-server-flight"):  # fmt: skip
        assert found[case]["verdict"] == "refused", case
    assert found["untrusted-root"]["alert"] == "unknown_ca (48)"
    assert found["control"]["verdict"] == "accepted"
    assert len(found) > 80


def test_curl_through_the_proxy_meets_every_name(tlslab: Run) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    done = tlslab(
        "probe", "--reach", "proxy", "--only", "names", "--json", "--", "curl", "-sS", "{url}"
    )
    found = results(done)
    for case in ("wildcard-two-labels", "wildcard-twice", "wildcard-bare"):
        assert found[case]["verdict"] == "refused", case


def test_a_careless_client_is_caught_everywhere(tlslab: Run, tmp_path: Path) -> None:
    done = tlslab(
        "probe", "--only", "names", "--only", "chain", "--only", "dates", "--junit", "junit.xml",
        "--", sys.executable, "-c", CARELESS, "{url}",
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "not refused" in done.stdout
    assert "fix" in done.stdout
    suites = ET.parse(tmp_path / "junit.xml").getroot()
    assert int(suites.get("failures", "0")) > 20


def test_a_careful_client_passes(tlslab: Run) -> None:
    careful = "import sys, urllib.request as r; r.urlopen(sys.argv[1], timeout=5)"
    done = tlslab(
        "probe", "--only", "trust", "--only", "chain", "--only", "dates", "--json",
        "--", sys.executable, "-c", careful, "{url}",
    )  # fmt: skip
    found = results(done)
    accepted = [i for i, case in found.items() if case["must_refuse"] and not case["passed"]]
    assert accepted == []
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "no client"),
        (["--", "no-such-client", "{url}"], "no command"),
        (["--", sys.executable, "-c", "pass"], "where the address goes"),
        (["--only", "nothing", "--", sys.executable, "{url}"], "no case or tag"),
        (["--junit", "no/folder/x.xml", "--", sys.executable, "{url}"], "no folder"),
        (["--", sys.executable, "-c", "pass", "{url}"], "the control failed"),
    ],
)
def test_mistakes_are_told(tlslab: Run, arguments: list[str], told: str) -> None:
    done = tlslab("probe", *arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert "hint: " in done.stderr
    assert "Traceback" not in done.stderr


def test_cases_and_recipes_are_listed(tlslab: Run) -> None:
    listed = json.loads(tlslab("probe", "--list", "--json").stdout)["cases"]
    assert listed[0]["id"] == "control"
    assert {"tls-1-0", "wrong-host"} <= {case["id"] for case in listed}
    assert "tlslab probe -- curl" in tlslab("probe", "--recipes").stdout
