"""The page as text: well-formed, self-contained, accessible, and what it says."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tlslab.lab.evidence import CellValue, Message, RunResult
from tlslab.report import run_to_html, write_html
from tlslab.report.diagram import MAX_ARROWS

VOID = {"br", "meta", "wbr"}
TAG_NAMES = (
    "a article body caption circle code dd desc details div dl dt figcaption figure footer g h1 h2"
    " h3 h4 h5 head header html li line main mark meta nav ol p path pre rect section span strong"
    " style summary svg table tbody td text th thead title tr ul wbr"
)
TAGS = set(TAG_NAMES.split())
MINIMUM_CONTRAST = 4.5  # WCAG 2.2, success criterion 1.4.3


class Page(HTMLParser):
    """Checks that every element is closed in turn, and collects what tests ask for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names)
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def every(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return "".join(self.texts)


def inspect(text: str) -> Page:
    """Parse a page and check what holds for every page."""
    page = Page(text)
    assert {tag for tag, _ in page.elements} <= TAGS
    attributes = [(name, value) for _, made in page.elements for name, value in made.items()]
    assert not [name for name, _ in attributes if name.startswith("on") or name == "style"]
    ids = [value for name, value in attributes if name == "id"]
    assert len(set(ids)) == len(ids)
    for name, value in attributes:
        if name == "href":
            assert value.startswith(("#", "./"))
            assert not value.startswith("#") or value[1:] in ids
        if name == "aria-labelledby":
            assert set(value.split()) <= set(ids)
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert len(page.every("caption")) == len(page.every("table"))
    assert all(th.get("scope") for th in page.every("th"))
    assert page.every("html")[0]["lang"] == "en"
    return page


@pytest.mark.parametrize("name", ["run", "mixed", "hostile", "empty"])
def test_every_page_is_well_formed_and_keeps_to_itself(
    name: str, request: pytest.FixtureRequest
) -> None:
    inspect(run_to_html(request.getfixturevalue(name)))


def test_the_inspection_finds_markup_that_was_not_escaped(run: RunResult) -> None:
    page = run_to_html(run)
    for attack in ("<script>alert(1)</script>", "<p>", "</p>", "<a href='//evil.test/'>x</a>"):
        with pytest.raises(AssertionError):
            inspect(page.replace("</h1>", attack + "</h1>"))


def test_hostile_text_is_shown_as_it_is(hostile: RunResult) -> None:
    text = run_to_html(hostile)
    assert "<script" not in text
    assert "<script>alert(1)</script>\"'&amp;\\x1b[31m\\u202e\\ud800\\x00" in Page(text).text


def test_the_same_run_gives_the_same_page(run: RunResult) -> None:
    assert run_to_html(run) == run_to_html(run)


def test_the_policy_allows_nothing_but_the_page_s_own_style(run: RunResult) -> None:
    text = run_to_html(run)
    style = text.split("<style>")[1].split("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = next(m for m in Page(text).every("meta") if m.get("http-equiv"))["content"]
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")
    assert not re.search(r"@import|url\(|image-set", style)


def test_the_matrix_shows_every_cell_with_its_evidence(run: RunResult) -> None:
    assert run.matrix is not None
    page = inspect(run_to_html(run))
    cells = [td for td in page.every("td") if td.get("data-label") in run.matrix.columns]
    expected = [cell.value.name.lower().replace("_", "-") for cell in run.matrix.cells]
    assert [cell["class"] for cell in cells] == expected
    links = {a["href"] for a in page.every("a")}
    for row in range(len(run.matrix.rows)):
        for column in range(len(run.matrix.columns)):
            assert f"#cell-{row + 1}-{column + 1}" in links
    assert "./captures/0-0.pcapng" in links
    for value in CellValue:
        assert value.value in page.text


def test_a_missing_cell_is_said_to_be_missing(run: RunResult) -> None:
    assert run.matrix is not None
    assert "not measured:" not in run_to_html(run)
    del run.matrix.cells[3]
    page = inspect(run_to_html(run))
    assert page.text.count("·not measured") == 1


def test_links_go_from_the_page_to_the_run_s_folder(run: RunResult, tmp_path: Path) -> None:
    run.folder = str(tmp_path / "run 1")
    write_html(run, tmp_path / "reports" / ".." / "report.html")
    page = inspect((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "./run%201/captures/plain.pcapng" in {a["href"] for a in page.every("a")}


def test_what_a_scenario_recorded_is_told(mixed: RunResult) -> None:
    text = inspect(run_to_html(mixed)).text
    for result in mixed.scenarios:
        for said in (result.title, result.reason, *(check.measured for check in result.checks)):
            assert said in text
        for message in result.messages:
            assert f"{message.source}: {message.text}" in text or f": {message.text} (" in text
    assert "5 scenarios: 2 defended, 2 breached, 1 failed; 2 not as declared." in text
    assert "It broke: the scenario did not end within 10 s" in text
    assert "X509 error 20 unable to get local issuer certificate, at depth 0 (the leaf)" in text
    assert "TLS alert 48 unknown_ca, sent" in text
    assert "Usual cause" in text


def test_twins_are_linked_where_they_are_part_of_the_run(run: RunResult) -> None:
    page = inspect(run_to_html(run))
    assert "#scenario-2-tls-hides-the-payload" in {a["href"] for a in page.every("a")}
    assert "client_without_verification_is_read (not part of this run)" in page.text


def test_scenarios_of_the_same_id_have_sections_of_their_own(run: RunResult) -> None:
    run.scenarios[1].id = run.scenarios[0].id
    inspect(run_to_html(run))


@pytest.mark.parametrize("count", [MAX_ARROWS, MAX_ARROWS + 1])
def test_a_long_conversation_is_drawn_in_part_and_listed_in_full(
    run: RunResult, count: int
) -> None:
    run.scenarios[0].messages = [
        Message(i / 1000, "client", "shop.test", f"message {i}", "http") for i in range(count)
    ]
    run.scenarios = run.scenarios[:1]
    page = inspect(run_to_html(run))
    arrows = [g for g in page.every("g") if g["class"].startswith("arrow")]
    assert len(arrows) == MAX_ARROWS
    assert f"client → shop.test: message {count - 1} (" in page.text
    assert ("1 later message not drawn" in page.text) == (count > MAX_ARROWS)


def test_messages_are_drawn_in_the_order_of_time(run: RunResult) -> None:
    run.scenarios = run.scenarios[:1]
    forwards = run_to_html(run)
    run.scenarios[0].messages.reverse()
    assert run_to_html(run) == forwards


def _palettes() -> dict[str, dict[str, str]]:
    css = (Path(__file__).parents[2] / "tlslab" / "report" / "report.css").read_text("utf-8")
    light, dark = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    colours = r"--([a-z-]+): (#[0-9a-f]{6});"
    bright = dict(re.findall(colours, light))
    return {"light": bright, "dark": bright | dict(re.findall(colours, dark))}


def _contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2.2 ("relative luminance")."""

    def luminance(colour: str) -> float:
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_contrast_formula_knows_its_ends() -> None:
    assert _contrast("#000000", "#ffffff") == pytest.approx(21)
    assert _contrast("#777777", "#ffffff") < MINIMUM_CONTRAST < _contrast("#767676", "#ffffff")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_pair_of_colours_has_contrast(scheme: str) -> None:
    palette: dict[str, Any] = _palettes()[scheme]
    inks = [name for name in palette if name.endswith("-ink")]
    pairs = [(ink, ink.replace("-ink", "-fill")) for ink in inks]
    pairs += [(ink, ground) for ground in ("page", "surface") for ink in ("ink", "soft", "link")]
    pairs += [(ink, ground) for ground in ("page", "surface") for ink in ("alert", "protected")]
    pairs += [("not-built-ink", "hatch")]
    assert len(inks) == 6
    for ink, ground in pairs:
        assert _contrast(palette[ink], palette[ground]) >= MINIMUM_CONTRAST, (ink, ground)
    for ground in ("page", "surface"):  # arrows are graphics: success criterion 1.4.11
        assert _contrast(palette["open"], palette[ground]) >= 3


def test_navigation_leads_to_what_differs_first_and_to_every_group(mixed: RunResult) -> None:
    text = run_to_html(mixed)
    inspect(text)
    navigation = text.split("<nav")[1].split("</nav>")[0]
    ways = re.findall(r'href="#([^"]+)"', navigation)
    differing = [way for way in ways if way.startswith("scenario-")]
    assert ways[: len(differing)] == differing
    assert len(differing) == 2
    groups = [way for way in ways if way.startswith("group-")]
    assert groups == ["group-1-in-flight", "group-2-interception", "group-3-at-rest"]
    for group in groups:
        assert f'<h2 id="{group}">Group: ' in text


def test_navigation_has_no_differences_where_there_are_none(run: RunResult) -> None:
    navigation = run_to_html(run).split("<nav")[1].split("</nav>")[0]
    assert "scenario-" not in navigation
    assert "#group-1-in-flight" in navigation


def test_groups_of_like_names_have_places_of_their_own(run: RunResult) -> None:
    for result, group in zip(run.scenarios, ("a b", "a-b", "…"), strict=True):
        result.group = group
    page = inspect(run_to_html(run))
    ids = {made["id"] for made in page.every("h2") if "id" in made}
    assert {"group-1-a-b", "group-2-a-b", "group-3"} <= ids
