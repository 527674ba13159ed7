"""What is printed: within 80 columns, without colour, in ASCII, and whatever the names are."""

from __future__ import annotations

import io
import re

import pytest
from rich.cells import cell_len
from rich.console import Console

from tlslab.lab.evidence import Check, Refusal, RunResult
from tlslab.report import (
    RunProgress,
    failure_panel,
    matrix_table,
    print_run,
    refusal_panel,
    scenario_table,
)

ESCAPE = "\x1b["


def printed(
    *things: object, width: int = 80, encoding: str = "utf-8", terminal: bool = False
) -> str:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="\n")
    console = Console(file=file, width=width, force_terminal=terminal, _environ={"TERM": "xterm"})
    for thing in things:
        if isinstance(thing, RunResult):
            print_run(console, thing)
        else:
            console.print(thing)
    file.flush()
    file.seek(0)
    return file.read()


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160])
@pytest.mark.parametrize("name", ["run", "mixed", "hostile", "empty"])
def test_nothing_is_wider_than_the_terminal(
    width: int, name: str, request: pytest.FixtureRequest
) -> None:
    text = printed(request.getfixturevalue(name), width=width)
    assert max(map(cell_len, text.splitlines()), default=0) <= width


@pytest.mark.parametrize("width", [80, 120])
def test_the_matrix_is_readable_without_colour(run: RunResult, width: int) -> None:
    assert run.matrix is not None
    text = printed(matrix_table(run.matrix), width=width)
    assert ESCAPE not in text
    row = next(line for line in text.splitlines() if line.startswith("TLS verified  "))
    assert re.findall("[●◐○⊘·]", row) == list("○●⊘●●●◐")
    assert ("refused" in row) == (width > 100)
    for column in run.matrix.columns:
        assert column in text
    for word in ("plaintext", "metadata only", "ciphertext only", "refused"):
        assert word in text


def test_eight_adversaries_fit_eighty_columns(run: RunResult) -> None:
    assert run.matrix is not None
    run.matrix.columns.append("an insider who may read the bucket but not use the key")
    lines = printed(matrix_table(run.matrix)).splitlines()
    row = next(line for line in lines if line.startswith("mutual TLS"))
    assert re.findall("[●◐○⊘·]", row) == list("○●⊘⊘●●◐·")


def test_cells_are_coloured_on_a_terminal(run: RunResult) -> None:
    assert run.matrix is not None
    assert f"{ESCAPE}1;37;41m  ●  " in printed(matrix_table(run.matrix), terminal=True)


def test_no_color_is_obeyed(run: RunResult, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run.matrix is not None
    monkeypatch.setenv("NO_COLOR", "1")
    file = io.StringIO()
    Console(file=file, width=80, force_terminal=True).print(matrix_table(run.matrix))
    assert not re.search(r"\x1b\[[0-9;]*(3|4)[0-7]", file.getvalue())


def test_an_ascii_terminal_gets_ascii(mixed: RunResult, hostile: RunResult) -> None:
    text = printed(mixed, hostile, encoding="ascii")
    assert "@ plaintext   % metadata only   o ciphertext only   / refused" in text
    assert "+ plaintext_is_read" in text


def test_hostile_text_has_no_effect(hostile: RunResult) -> None:
    text = printed(hostile, terminal=True, width=300)
    assert "\\x1b[31m\\u202e\\ud800\\x00[bold red]x[/]" in text
    assert ESCAPE + "31m\\u202e" not in text
    assert not re.search("[\x00\u202e]", text)


def test_scenarios_tell_declared_from_measured(mixed: RunResult) -> None:
    text = printed(scenario_table(mixed.scenarios))
    assert re.search(r"✓ plaintext_is_read +● breached ● breached +18 ms", text)
    assert re.search(r"✗ client_side_\w+ +○ defended ● breached +222 ms", text)
    assert "the scenario did not end within 10 s" in text
    assert text.index("in-flight") < text.index("interception") < text.index("at-rest")


def test_a_failure_tells_what_was_measured(mixed: RunResult) -> None:
    text = printed(failure_panel(mixed.scenarios[3]))
    assert "✗ operator saw no “card number”" in text
    assert "measured: 1 sighting at byte 143, as base64" in text
    assert "it broke" in printed(failure_panel(mixed.scenarios[4]))


def test_what_was_measured_is_never_cut_off(mixed: RunResult) -> None:
    mixed.scenarios[3].checks[0] = Check("s" * 200, False, "m" * 200)
    text = printed(failure_panel(mixed.scenarios[3]), encoding="ascii")
    assert text.count("s" * 20) >= 6
    assert text.count("m") >= 200


def test_a_refusal_is_explained(run: RunResult) -> None:
    text = printed(refusal_panel(run.scenarios[2].refusals[0]), width=120)
    assert "client refused interceptor" in text
    assert "X509 error 20 unable to get local issuer certificate, at depth 0 (the leaf)" in text
    assert re.search(r"fix +Send the whole chain", text)
    assert "X509" not in printed(refusal_panel(Refusal("a", "b", "closed without an alert")))


def test_the_last_line_tells_whether_all_went_as_declared(run: RunResult, mixed: RunResult) -> None:
    assert printed(run).splitlines()[-1] == "✓ 3 scenarios in 3.91 s: all as declared"
    assert printed(mixed).splitlines()[-1] == "✗ 5 scenarios in 3.91 s: 2 not as declared"


def _progress(run: RunResult, *, terminal: bool) -> str:
    file = io.StringIO()
    console = Console(file=file, width=100, force_terminal=terminal, color_system=None)
    with RunProgress(len(run.scenarios), console=console) as progress:
        for result in run.scenarios:
            progress.started(result.id)
        for result in run.scenarios:
            progress.finished(result)
    return file.getvalue()


def test_progress_off_a_terminal_is_one_line_per_scenario(
    mixed: RunResult, hostile: RunResult
) -> None:
    mixed.scenarios += hostile.scenarios
    lines = _progress(mixed, terminal=False).splitlines()
    assert len(lines) == 6
    assert lines[0] == "✓ plaintext_is_read ● breached 18 ms"
    assert lines[4].startswith("✗ websocket_chat_is_sniffed ! failed 10.00 s declared breached: ")
    assert ESCAPE not in "".join(lines)


def test_progress_on_a_terminal_names_what_runs(mixed: RunResult, hostile: RunResult) -> None:
    mixed.scenarios += hostile.scenarios
    text = _progress(mixed, terminal=True)
    assert "plaintext_is_read, tls_hides_the_payload" in text
    assert "6/6" in text
    assert "✓ tls_hides_the_payload ○ defended 93 ms" in text
    assert "\x1b[31m" not in text


def test_progress_writes_to_standard_error(
    run: RunResult, capfd: pytest.CaptureFixture[str]
) -> None:
    with RunProgress(1) as progress:
        progress.finished(run.scenarios[0])
    out, err = capfd.readouterr()
    assert out == ""
    assert "plaintext_is_read" in err
