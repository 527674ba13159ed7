"""Whatever was recorded, every form of the report can be read back, and nothing becomes markup."""

from __future__ import annotations

import io
import json
from html.parser import HTMLParser
from typing import TypeVar
from xml.etree import ElementTree as ET

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from tlslab.lab.evidence import (
    Cell,
    CellValue,
    Check,
    Holding,
    Matrix,
    Message,
    Outcome,
    PartyRecord,
    Refusal,
    RunResult,
    ScenarioResult,
    Sighting,
    TLSRecord,
)
from tlslab.report import print_run, run_to_html, run_to_json, run_to_junit

T = TypeVar("T")
ATTACKS = [
    "<script>x</script>", "</style><b>", "</title>", "<!--", "-->", "]]>", "<![CDATA[", "&lt;",
    "&#0;", "'\"><img src=x>", "\x1b]0;x\x07", "\ud800", "\u2028", "\ufffe", "[red]", "[/]", "\r\n",
    "javascript:x", "//evil.test", "{task}", "%s", "", " ", "_" * 9, "x" * 300,
]  # fmt: skip
text = st.sampled_from(ATTACKS) | st.text(st.characters(exclude_categories=()), max_size=12)
maybe = st.none() | text
data = st.binary(max_size=40)
number = st.integers(0, 1 << 40)
seconds = st.floats(0, 1e6)


def few(items: st.SearchStrategy[T]) -> st.SearchStrategy[list[T]]:
    return st.lists(items, max_size=2)


holdings = st.builds(Holding, text, maybe, number, data, number)
sightings = st.builds(
    Sighting, text, text, text, st.none() | number, number, text, data, st.integers(0, 50), number
)
refusals = st.builds(
    Refusal, text, text, text, st.none() | number, maybe, st.none() | number, st.none() | number,
    maybe, maybe, text, text, text,
)  # fmt: skip
parties = st.builds(
    PartyRecord,
    text,
    text,
    st.booleans(),
    text,
    few(holdings),
    few(sightings),
    st.dictionaries(text, text, max_size=2),
)
kinds = st.sampled_from(["tcp", "tls", "http", "alert", "note"]) | text
messages = st.builds(Message, seconds, text, text, text, kinds, st.booleans())
handshakes = st.builds(TLSRecord, text, text, text, text, maybe, maybe, maybe, st.booleans(), maybe)
outcomes = st.sampled_from(Outcome)
scenarios = st.builds(
    ScenarioResult,
    id=text,
    group=text,
    docstring=text,
    declared=outcomes,
    outcome=outcomes,
    seconds=seconds,
    twin=maybe,
    reason=text,
    checks=few(st.builds(Check, text, st.booleans(), text)),
    parties=few(parties),
    messages=few(messages),
    tls=few(handshakes),
    refusals=few(refusals),
    canaries=few(text),
    files=few(text),
    source=text,
    error=maybe,
)
files = few(text).map(tuple)


@st.composite
def matrices(draw: st.DrawFn) -> Matrix:
    rows, columns = draw(few(text)), draw(few(text))
    values = st.sampled_from(CellValue)
    optional_sighting, optional_refusal = st.none() | sightings, st.none() | refusals
    cells = [
        Cell(
            row, column, draw(values), draw(text), draw(optional_sighting), draw(optional_refusal),
            draw(files),
        )
        for row in rows
        for column in columns
        if draw(st.booleans())
    ]  # fmt: skip
    return Matrix(rows, columns, cells, draw(seconds))


runs = st.builds(
    RunResult,
    started=text,
    seconds=seconds,
    folder=text,
    versions=st.dictionaries(text, text, max_size=2),
    scenarios=few(scenarios),
    matrix=st.none() | matrices(),
)
thorough = settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


class _Balanced(HTMLParser):
    """Every element is closed in turn, and none is one that only an attack would bring."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in {"script", "img", "b", "iframe"}
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.links += [value or "" for name, value in attrs if name == "href"]
        if tag not in {"meta", "wbr"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(f"a declaration: {data}")


@thorough
@given(runs, text)
def test_any_run_gives_a_page_without_foreign_markup(run: RunResult, base: str) -> None:
    page = run_to_html(run, base=base)
    page.encode("utf-8")
    parser = _Balanced()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    assert len(set(parser.ids)) == len(parser.ids)
    for link in parser.links:
        assert link[1:] in parser.ids if link.startswith("#") else link.startswith("./")


@thorough
@given(runs)
def test_any_run_gives_well_formed_xml(run: RunResult) -> None:
    root = ET.fromstring(run_to_junit(run).encode("utf-8"))
    cases = list(root.iter("testcase"))
    assert len(cases) == len(run.scenarios)
    assert sum(len(case) for case in cases) == sum(not s.as_declared for s in run.scenarios)
    assert {node.tag for node in root.iter()} <= {
        "testsuites", "testsuite", "testcase", "failure", "error"
    }  # fmt: skip


@thorough
@given(runs)
def test_any_run_gives_one_json_object_that_keeps_names(run: RunResult) -> None:
    read = json.loads(run_to_json(run))
    assert [scenario["id"] for scenario in read["scenarios"]] == [s.id for s in run.scenarios]
    assert read["folder"] == run.folder


@thorough
@given(runs, st.integers(60, 200), st.sampled_from(["utf-8", "ascii"]))
def test_any_run_can_be_printed(run: RunResult, width: int, encoding: str) -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=file, width=width, force_terminal=True, color_system=None)
    print_run(console, run)
    file.seek(0)
    shown = file.read()
    assert not any(ord(char) < 0x20 for char in shown if char not in "\n\x1b")
    assert "\x1b]" not in shown  # rich's own escapes are all CSI ones
    lines = shown.split("\n")
    assert all(cell_len(line) <= width for line in lines if "\x1b" not in line)
