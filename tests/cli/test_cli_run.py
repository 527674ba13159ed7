"""`tlslab run`, `demo`, `list`, `show`: what they print, write and exit with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import tlslab as package

Run = Callable[..., "subprocess.CompletedProcess[str]"]

SCRIPT = '''
from tlslab import Lab, scenario

@scenario(group="mine")
async def mine(lab: Lab) -> None:
    """A lesson."""
    shop = await lab.server("shop.test"{how})
    sniffer = lab.sniffer()
    card = lab.canary("card number")
    await lab.client().post(shop.url("/pay"), card)
    lab.expect(sniffer).saw_no(card)
'''
AS_DECLARED = SCRIPT.replace("{how}", "")
WEAKENED = SCRIPT.replace("{how}", ", tls=False")


def test_run_prints_one_json_object_and_nothing_else(tlslab: Run, tmp_path: Path) -> None:
    done = tlslab("run", "in-flight", "--json", "--out", "here", "--junit", "junit.xml")
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    assert len(run["scenarios"]) == 6
    for scenario in run["scenarios"]:
        assert scenario["as_declared"] is True
        assert scenario["outcome"] == scenario["declared"]
        assert scenario["group"] == "in-flight"
        assert scenario["seconds"] > 0
        for file in scenario["files"]:
            assert (tmp_path / "here" / file).is_file()
    assert run["matrix"] is None
    assert json.loads((tmp_path / "here" / "run.json").read_text()) == run
    assert (tmp_path / "here" / "report.html").is_file()
    suites = ET.parse(tmp_path / "junit.xml").getroot()  # our own file
    assert suites.get("tests") == "6"
    assert suites.get("failures") == "0"


def test_demo_measures_the_matrix_and_says_where_things_lie(tlslab: Run, tmp_path: Path) -> None:
    done = tlslab("demo", "--out", "here")
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "here" / "report.html") in done.stdout
    assert "mutual TLS" in done.stdout
    run = json.loads((tmp_path / "here" / "run.json").read_text())
    assert len(run["matrix"]["cells"]) == len(run["matrix"]["rows"]) * len(run["matrix"]["columns"])
    assert all(scenario["as_declared"] for scenario in run["scenarios"])


def test_an_outcome_that_differs_exits_with_1(tlslab: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(WEAKENED)
    done = tlslab("run", "mine.py", "--json")
    assert done.returncode == 1
    (scenario,) = json.loads(done.stdout)["scenarios"]
    assert (scenario["declared"], scenario["outcome"]) == ("defended", "breached")
    assert scenario["as_declared"] is False
    assert scenario["parties"][-2]["sightings"][0]["where"].endswith("byte 59")


@pytest.mark.parametrize(("text", "code"), [(AS_DECLARED, 0), (WEAKENED, 1)])
def test_a_script_runs_as_a_program(tmp_path: Path, text: str, code: int) -> None:
    (tmp_path / "mine.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "mine.py", "--json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(package.__file__).parent.parent)},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert json.loads(done.stdout)["scenarios"][0]["id"] == "mine"


def test_a_broken_scenario_is_reported_not_a_traceback(tlslab: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(AS_DECLARED.replace('shop.url("/pay")', '"https://x.test"'))
    done = tlslab("run", "mine.py")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr + done.stdout
    assert "x.test" in done.stdout


def test_two_scripts_may_use_the_same_name(tlslab: Run, tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(AS_DECLARED)
    (tmp_path / "two.py").write_text(AS_DECLARED)
    done = tlslab("run", "one.py", "two.py", "--json", "--out", "here")
    assert done.returncode == 0, done.stderr
    first, second = json.loads(done.stdout)["scenarios"]
    assert set(first["files"]).isdisjoint(second["files"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["run", "no_such_scenario"],
        ["run", "missing.py"],
        ["run", "all", "--out", "full"],
        ["run", "all", "--out", "file"],
        ["run", "in-flight", "--junit", "no/such/folder/junit.xml"],
        ["run", "--no-such-option"],
        ["show", "nothing"],
        ["no-such-command"],
        ["up", "--port", "70000"],
        ["up", "--bind", "localhost"],
        ["up", "--bind", "203.0.113.7"],
        ["capture", "show", "missing.pcapng"],
        ["capture", "show", "file"],
        ["ca", "show", "file"],
        ["exercise", "start", "nothing"],
        ["exercise", "--dir", "x", "check", "careless-client"],
        ["completion", "tcsh"],
    ],
)
def test_a_users_mistake_is_one_line_and_a_hint(
    tlslab: Run, tmp_path: Path, arguments: list[str]
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "evidence").touch()
    (tmp_path / "file").write_text("not what you think")
    done = tlslab(*arguments)
    assert done.returncode == 2, done.stderr
    lines = done.stderr.strip().splitlines()
    assert lines[0].startswith("tlslab: ")
    assert lines[0][8].islower() or not lines[0][8].isalpha()
    assert lines[1].startswith("hint: ")
    assert len(lines) == 2
    assert "Traceback" not in done.stderr


def test_nothing_is_run_when_the_report_cannot_be_written(tlslab: Run, tmp_path: Path) -> None:
    """A wrong --junit is told before the work, not after it."""
    done = tlslab("run", "in-flight", "--out", "here", "--junit", "no/such/folder/junit.xml")
    assert done.returncode == 2
    assert not (tmp_path / "here").exists()


def test_a_reader_that_stops_reading_is_no_fault(tmp_path: Path) -> None:
    command = f"{sys.executable!r} -m tlslab list --json | head -c 10"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.returncode in (0, 128 + signal.SIGPIPE)


def test_list_and_show(tlslab: Run) -> None:
    listed = json.loads(tlslab("list", "--json").stdout)["scenarios"]
    assert {"id", "group", "declared", "title"} <= listed[0].keys()
    name = listed[0]["id"]
    assert name in tlslab("list").stdout
    shown = tlslab("show", name).stdout
    assert listed[0]["title"] in shown
    assert f"async def {name}" in shown


def test_version_and_completion(tlslab: Run) -> None:
    assert tlslab("--version").stdout.strip().endswith(package.__version__)
    for shell in ("bash", "zsh", "fish"):
        assert "_TLSLAB_COMPLETE" in tlslab("completion", shell).stdout
    completed = tlslab(_TLSLAB_COMPLETE="bash_complete", COMP_WORDS="tlslab ca", COMP_CWORD="1")
    assert "capture" in completed.stdout


def test_an_unknown_twin_is_told(tlslab: Run, tmp_path: Path) -> None:
    text = AS_DECLARED.replace('group="mine"', 'group="mine", twin="nowhere"')
    (tmp_path / "mine.py").write_text(text)
    done = tlslab("run", "mine.py")
    assert done.returncode == 0
    assert "nowhere" in done.stderr


HANGS = AS_DECLARED.replace("sniffer = lab.sniffer()", "import trio; await trio.sleep_forever()")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_keeps_what_is_finished(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "quick.py").write_text(AS_DECLARED)
    (tmp_path / "slow.py").write_text(HANGS.replace("def mine", "def slow"))
    with subprocess.Popen(
        [sys.executable, "-m", "tlslab", "run", "quick.py", "slow.py", "--out", "here"],
        cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        assert "mine" in process.stderr.readline()  # the quick one is finished
        process.send_signal(number)
        _, told = process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert "1 of 2 scenarios finished" in told
    assert "Traceback" not in told
    run = json.loads((tmp_path / "here" / "run.json").read_text())
    assert [scenario["id"] for scenario in run["scenarios"]] == ["mine"]


def test_an_interrupted_probe_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('here', flush=True); import time; time.sleep(60)"]
    with subprocess.Popen(
        [sys.executable, "-m", "tlslab", "probe", "--", *command, "{url}"],
        env={**os.environ, "TMPDIR": str(tmp_path)}, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        deadline = time.monotonic() + 20
        while not list(tmp_path.glob("tlslab-probe-*/control.pem")):
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []


def test_a_near_command_is_suggested(tlslab: Run) -> None:
    done = tlslab("catalog")
    assert done.returncode == 2
    assert "did you mean catalogue?" in done.stderr


def test_what_show_prints_to_a_file_can_be_run(tlslab: Run) -> None:
    shown = tlslab("show", "wrong_name_is_refused", COLUMNS="60").stdout
    _, _, source = shown.partition("@scenario")
    compile("@scenario" + source, "shown", "exec")
