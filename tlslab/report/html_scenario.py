"""One scenario as HTML: its lesson, its verdict and everything that it recorded."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from tlslab.lab.evidence import CellValue, Outcome, PartyRecord, ScenarioResult, TLSRecord
from tlslab.report.diagram import sequence_diagram
from tlslab.report.elements import Child, element
from tlslab.report.grouping import by_group
from tlslab.report.html_evidence import (
    achievement_block,
    facts,
    file_anchor,
    holding_figure,
    identifier,
    refusal_block,
    sighting_figure,
)
from tlslab.report.html_matrix import badge
from tlslab.report.links import Links
from tlslab.report.marks import CELL_MARKS, OUTCOME_MARKS, Mark, verdict_mark
from tlslab.report.text import counted, duration

_CHECK_HELD = Mark("as-declared", "✓", "+", "held", "held", "what was expected was measured")
_CHECK_FAILED = Mark("differs", "✗", "x", "did not hold", "no", "something else was measured")


def overview_section(scenarios: list[ScenarioResult], links: Links) -> Element:
    """All scenarios in one table, a body per group, each leading to its section."""
    heads = ("Scenario", "Declared", "Measured", "Verdict", "Reason", "Time")
    bodies = [
        element(
            "tbody",
            element("tr", _overview_group(group, len(heads), links)),
            [_overview_row(result, links) for result in results],
        )
        for group, results in by_group(scenarios).items()
    ]
    table = element(
        "table",
        element("caption", f"{counted(len(scenarios), 'scenario')}, by group"),
        element("thead", element("tr", [element("th", head, scope="col") for head in heads])),
        bodies,
        class_="overview restack",
    )
    return element(
        "section",
        element("h2", "Scenarios", id="scenarios"),
        _scrolling(table, "Scenarios"),
        aria_labelledby="scenarios",
    )


def group_section(group: str, results: list[ScenarioResult], links: Links) -> Element:
    """The sections of a group's scenarios."""
    return element(
        "section",
        element("h2", "Group: ", group, id=links.group(group)),
        [_scenario(result, links) for result in results],
        class_="group",
        aria_labelledby=links.group(group),
    )


def _overview_group(group: str, columns: int, links: Links) -> Element:
    name = element("a", group, href=f"#{links.group(group)}")
    return element("th", name, scope="rowgroup", colspan=str(columns))


def _overview_row(result: ScenarioResult, links: Links) -> Element:
    cells: list[tuple[str, Child]] = [
        ("Declared", badge(OUTCOME_MARKS[result.declared])),
        ("Measured", badge(OUTCOME_MARKS[result.outcome])),
        ("Verdict", badge(verdict_mark(result))),
        ("Reason", result.error or result.reason),
        ("Time", duration(result.seconds)),
    ]
    name = element("a", identifier(result.id), href=f"#{links.section(result)}")
    return element(
        "tr",
        element("th", name, scope="row"),
        [
            element("td", value, data_label=head, class_="time" if head == "Time" else None)
            for head, value in cells
        ],
    )


def _scenario(result: ScenarioResult, links: Links) -> Element:
    anchor = links.section(result)
    lesson = result.docstring.strip().split("\n", 1)[1:]
    paragraphs = "".join(lesson).strip().split("\n\n")
    return element(
        "article",
        element("h3", result.title or result.id, id=f"{anchor}-heading"),
        element("p", element("code", identifier(result.id)), class_="soft"),
        [element("p", text.strip(), class_="lesson") for text in paragraphs if text.strip()],
        _verdict(result, links),
        _parts(result, links, anchor),
        id=anchor,
        class_="scenario",
        tabindex="-1",
        aria_labelledby=f"{anchor}-heading",
    )


def _verdict(result: ScenarioResult, links: Links) -> Element:
    return element(
        "div",
        element(
            "p",
            "Declared ",
            badge(OUTCOME_MARKS[result.declared]),
            ", measured ",
            badge(OUTCOME_MARKS[result.outcome]),
            " ",
            badge(verdict_mark(result)),
            class_="badges",
        ),
        element("p", result.reason) if result.reason else None,
        element("p", element("strong", "It broke: "), result.error, class_="broke")
        if result.error is not None
        else None,
        element(
            "p",
            "Its twin, which shows that the defence makes the difference: ",
            _twin(result.twin, links),
        )
        if result.twin is not None
        else None,
        class_="verdict " + verdict_mark(result).key,
    )


def _twin(twin: str, links: Links) -> list[Child]:
    anchor = links.scenario(twin)
    if anchor is None:
        return [element("code", identifier(twin)), " (not part of this run)"]
    return [element("a", element("code", identifier(twin)), href=f"#{anchor}")]


def _parts(result: ScenarioResult, links: Links, anchor: str) -> Iterator[Child]:
    """What was recorded, a heading each; what was not is left out."""
    if drawing := sequence_diagram(result, anchor):
        yield element("h4", "Who spoke to whom")
        yield drawing
    if adversaries := [party for party in result.parties if party.adversary]:
        yield element("h4", "What each adversary holds")
        if result.canaries:
            yield element("p", "Searched for: ", _comma_separated(result.canaries))
        yield [_adversary(party, links) for party in adversaries]
    if result.refusals:
        yield element("h4", "Refused connections")
        yield [refusal_block(refusal) for refusal in result.refusals]
    if result.tls:
        yield element("h4", "TLS handshakes")
        yield _handshakes(result.tls)
    if result.checks:
        yield element("h4", "Checks")
        yield _checks(result)
    if result.files:
        yield element("h4", "Files")
        files = [element("li", file_anchor(name, links)) for name in result.files]
        yield element("ul", files, class_="files")
    if result.source:
        yield element("h4", "Script")
        code = element("pre", element("code", result.source), tabindex="0")
        yield element("details", element("summary", "Show the script"), code)


def _adversary(party: PartyRecord, links: Links) -> Element:
    learned = facts((name, value) for name, value in party.learned.items())
    if party.sightings:
        mark, found = (
            CellValue.PLAINTEXT,
            counted(len(party.sightings), "sighting of a canary", "sightings of canaries"),
        )
    elif party.holdings:
        mark, found = (
            CellValue.CIPHERTEXT,
            f"no canary in {counted(len(party.holdings), 'holding')}",
        )
    else:
        mark, found = CellValue.CIPHERTEXT, "holds nothing"
    return element(
        "div",
        element("h5", party.name, " ", element("span", f"({party.kind})", class_="soft")),
        element("p", party.description) if party.description else None,
        element("p", badge(CELL_MARKS[mark], found)),
        element("p", badge(OUTCOME_MARKS[Outcome.BREACHED], "harm, measured at the ends"))
        if party.achievements
        else None,
        [achievement_block(achievement) for achievement in party.achievements],
        [sighting_figure(sighting, links) for sighting in party.sightings],
        [holding_figure(holding, links) for holding in party.holdings],
        element("p", "Learned without any key:") if learned is not None else None,
        learned,
        class_="adversary-record",
    )


def _handshakes(records: list[TLSRecord]) -> Element:
    heads = ("Side", "Peer", "Version", "Cipher", "Group", "ALPN", "Server name", "Resumed")
    rows = []
    for record in records:
        values = (
            record.peer,
            record.version,
            record.cipher,
            record.group or "–",
            record.alpn or "–",
            record.server_name or "–",
            "yes" if record.resumed else "no",
            record.peer_certificate or "none",
        )
        cells = zip((*heads[1:], "Peer's certificate"), values, strict=True)
        rows.append(
            element(
                "tr",
                element("th", record.side, scope="row"),
                [element("td", value, data_label=head) for head, value in cells],
            )
        )
    columns = [element("th", head, scope="col") for head in (*heads, "Peer's certificate")]
    table = element(
        "table",
        element("caption", "The handshakes that came about, as each side saw them"),
        element("thead", element("tr", columns)),
        element("tbody", rows),
        class_="restack",
    )
    return _scrolling(table, "TLS handshakes")


def _checks(result: ScenarioResult) -> Element:
    rows = [
        element(
            "tr",
            element("th", check.statement, scope="row"),
            element(
                "td", badge(_CHECK_HELD if check.holds else _CHECK_FAILED), data_label="Result"
            ),
            element("td", check.measured, data_label="Measured"),
        )
        for check in result.checks
    ]
    heads = [element("th", head, scope="col") for head in ("Expected", "Result", "Measured")]
    table = element(
        "table",
        element("caption", "What the script expects, and what was measured"),
        element("thead", element("tr", heads)),
        element("tbody", rows),
        class_="restack",
    )
    return _scrolling(table, "Checks")


def _scrolling(table: Element, label: str) -> Element:
    return element("div", table, class_="scroll", tabindex="0", role="region", aria_label=label)


def _comma_separated(names: list[str]) -> list[Child]:
    parts: list[Child] = []
    for name in names:
        parts += [", " if parts else None, element("strong", name)]
    return parts
