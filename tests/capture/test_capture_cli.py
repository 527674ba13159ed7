"""`tlslab capture` as a user runs it, on captures that are whole, cut off and none."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tlslab.capture import MalformedCapture, write_pcapng
from tlslab.cli.capture import capture
from tlslab.errors import TlslabError
from tlslab.net import Chunk, Direction

Run = Callable[..., Result]


@pytest.fixture
def run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    http: list[Chunk],
    talk: Callable[..., list[Chunk]],
) -> Run:
    """Runs `tlslab capture` in a folder with whole.pcapng, cut.pcapng, two.pcapng and junk.txt."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    write_pcapng("whole.pcapng", http)
    whole = Path("whole.pcapng").read_bytes()
    Path("cut.pcapng").write_bytes(whole[:-5])
    Path("head.pcapng").write_bytes(whole[:300])
    Path("junk.txt").write_text("no capture at all")

    def invoke(*args: str) -> Result:
        result = CliRunner().invoke(capture, args)
        if isinstance(result.exception, TlslabError):
            raise result.exception
        return result

    return invoke


CUT = "cut.pcapng: the file ends in the middle of a block at byte "


def test_a_capture_cut_off_is_shown_up_to_the_cut(run: Run) -> None:
    for name in ("cut", "head"):
        result = run("show", f"{name}.pcapng")
        assert result.exit_code == 0
        assert f"warning: {name}.pcapng: the file ends in the middle of a block" in result.stdout
    assert "GET /pay" in run("show", "cut.pcapng").stdout
    told = json.loads(run("show", "cut.pcapng", "--json").stdout)
    assert told["truncated_at"] == int(told["notes"][0].removeprefix(CUT).split(";")[0])
    assert len(told["flows"]) == 1


def test_a_whole_capture_has_no_warning(run: Run) -> None:
    assert "warning" not in run("show", "whole.pcapng").stdout
    told = json.loads(run("show", "whole.pcapng", "--json").stdout)
    assert (told["truncated_at"], told["notes"]) == (None, [])


def test_compare_says_which_capture_is_cut_off(run: Run) -> None:
    for pair in (("whole.pcapng", "cut.pcapng"), ("cut.pcapng", "whole.pcapng")):
        output = run("compare", *pair).stdout
        assert f"warning: {CUT}" in output
        assert output.count("warning:") == 1
        told = json.loads(run("compare", *pair, "--json").stdout)
        assert [told[side]["truncated_at"] is None for side in "ab"] == [
            name == "whole.pcapng" for name in pair
        ]
        assert told["notes"][0].startswith(CUT)


def test_no_absence_is_claimed_of_what_was_cut_off(run: Run) -> None:
    said = {
        name: run("show", f"{name}.pcapng", "--canary", "absent").stdout
        for name in ("whole", "cut")
    }
    assert "No canary is readable.\n" in said["whole"]
    assert "No canary is readable in what came before the cut.\n" in said["cut"]


def test_compare_names_the_file_that_is_no_capture(run: Run) -> None:
    for pair in (("whole.pcapng", "junk.txt"), ("junk.txt", "whole.pcapng")):
        with pytest.raises(MalformedCapture, match=r"^junk\.txt: "):
            run("compare", *pair)


def test_one_is_not_told_as_many(
    run: Run, talk: Callable[..., list[Chunk]], flow: Callable[..., object]
) -> None:
    chunks = talk(flow(), (Direction.TO_SERVER, b"x"), closed=False)
    write_pcapng("one.pcapng", chunks[1:])
    write_pcapng("two.pcapng", chunks + talk(flow(2)))
    many = run("show", "two.pcapng").stdout
    assert ", 2 flows" in many
    one = run("show", "one.pcapng").stdout
    assert ", 1 flow\n" in one
    compared = run("compare", "one.pcapng", "two.pcapng").stdout
    assert ", 1 flow\n" in compared
    assert ", 2 flows\n" in compared
    assert "1 flows" not in one + many + compared
    write_pcapng("none.pcapng", [])
    assert ": 0 packets, 0 flows" in run("show", "none.pcapng").stdout
    Path("single.pcap").write_bytes(
        struct.pack("<IHHiIIIIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1, 0, 0, 14, 14) + bytes(14)
    )
    assert ": 1 packet, 0 flows" in run("show", "single.pcap").stdout
