"""JSON and JUnit XML, and files that are written whole or not at all."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tlslab.errors import UsageError
from tlslab.lab.evidence import RunResult
from tlslab.report import (
    run_to_json,
    run_to_junit,
    write_html,
    write_json,
    write_junit,
)

COUNTS = {"tests": int, "failures": int, "errors": int, "skipped": int, "time": float}
CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"testcase"},
    "testcase": {"failure", "error"},
    "failure": set(),
    "error": set(),
}
REQUIRED = {
    "testsuites": {"name", *COUNTS},
    "testsuite": {"name", "timestamp", *COUNTS},
    "testcase": {"name", "classname", "time"},
    "failure": {"type", "message"},
    "error": {"type", "message"},
}


def junit(run: RunResult) -> ET.Element:
    """Parse the XML, checking it against the schema that continuous integration servers share."""
    root = ET.fromstring(run_to_junit(run).encode("utf-8"))
    assert root.tag == "testsuites"
    for node in root.iter():
        assert set(node.attrib) == REQUIRED[node.tag]
        assert {child.tag for child in node} <= CHILDREN[node.tag]
        for name, kind in COUNTS.items():
            if name in node.attrib:
                assert kind(node.attrib[name]) >= 0
    for node in (root, *root):
        assert int(node.attrib["tests"]) == len(list(node.iter("testcase")))
        assert int(node.attrib["failures"]) == len(list(node.iter("failure")))
        assert int(node.attrib["errors"]) == len(list(node.iter("error")))
    return root


def test_json_is_one_object_with_what_is_promised(mixed: RunResult) -> None:
    text = run_to_json(mixed)
    assert text.isascii()
    assert "\n" not in text
    run = json.loads(text)
    assert run["as_declared"] is False
    assert [s["as_declared"] for s in run["scenarios"]] == [True, True, True, False, False]
    for scenario in run["scenarios"]:
        assert {"id", "group", "outcome", "as_declared", "seconds"} <= set(scenario)
    assert set(run["matrix"]) >= {"rows", "columns", "cells"}
    assert len(run["matrix"]["cells"]) == 63
    first = run["matrix"]["cells"][0]
    assert first["value"] == "plaintext"
    assert first["sighting"]["where"] == "captures/0-0.pcapng: packet 9, byte 143"


def test_json_of_hostile_text_keeps_it_exactly(hostile: RunResult) -> None:
    run = json.loads(run_to_json(hostile))
    assert run["scenarios"][0]["id"] == hostile.scenarios[0].id


def test_json_of_nothing(empty: RunResult) -> None:
    run = json.loads(run_to_json(empty))
    assert run["scenarios"] == []
    assert run["matrix"] is None


def test_json_has_no_number_that_is_none(empty: RunResult) -> None:
    empty.seconds = float("nan")
    with pytest.raises(ValueError, match="not JSON compliant"):
        run_to_json(empty)


def test_junit_of_a_good_run(run: RunResult) -> None:
    root = junit(run)
    assert [suite.get("name") for suite in root] == ["in-flight", "interception"]
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("3", "0", "0")


def test_junit_tells_a_failure_from_an_error(mixed: RunResult) -> None:
    root = junit(mixed)
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("5", "1", "1")
    failure = next(root.iter("failure"))
    assert failure.get("message", "").startswith("declared defended, measured breached: operator")
    assert "[did not hold] operator saw no" in (failure.text or "")
    assert "[held] store received the object" in (failure.text or "")
    assert next(root.iter("error")).get("message") == "the scenario did not end within 10 s"


def test_junit_of_hostile_text_and_of_nothing(hostile: RunResult, empty: RunResult) -> None:
    case = next(junit(hostile).iter("testcase"))
    assert case.get("name", "").startswith("<script>alert(1)</script>\"'&amp;\\x1b[31m\\u202e")
    assert junit(empty).get("tests") == "0"


Writer = Callable[[RunResult, Path], None]
each_writer = pytest.mark.parametrize("write", [write_html, write_json, write_junit])


@each_writer
def test_a_file_is_replaced_and_nothing_else_is_left(
    write: Writer, mixed: RunResult, tmp_path: Path
) -> None:
    target = tmp_path / "with space" / "report"
    target.parent.mkdir()
    target.write_text("old")
    write(mixed, target)
    assert target.stat().st_size > 1000
    assert list(target.parent.iterdir()) == [target]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(target.stat().st_mode) == 0o666 & ~umask


@each_writer
def test_a_path_that_cannot_be_written_is_the_user_s_mistake(
    write: Writer, run: RunResult, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("old")
    for bad in ("missing/report", "file/report", ".", "n\0l", "x" * 300):
        with pytest.raises(UsageError, match=re.compile(r"^cannot write .*: .*[a-z]")):
            write(run, tmp_path / bad)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "old"


def test_a_full_disk_leaves_what_was_there(run: RunResult, tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    with pytest.raises(UsageError, match="no space left"):
        write_json(run, Path("/dev/full"))
    assert Path("/dev/full").is_char_device()


def test_devices_are_written_to_and_links_followed(run: RunResult, tmp_path: Path) -> None:
    write_json(run, Path("/dev/null"))
    assert Path("/dev/null").is_char_device()
    link, target = tmp_path / "link", tmp_path / "target"
    link.symlink_to(target)
    write_json(run, link)
    assert link.is_symlink()
    assert json.loads(target.read_text())["as_declared"] is True
