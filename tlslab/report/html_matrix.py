"""The exposure matrix as HTML: a table of coloured cells, and the evidence behind each of them."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from tlslab.lab.evidence import Cell, CellValue, Matrix
from tlslab.report.elements import Child, element
from tlslab.report.html_evidence import file_anchor, refusal_block, sighting_figure
from tlslab.report.links import Links
from tlslab.report.marks import CELL_MARKS, NOT_MEASURED, Mark
from tlslab.report.text import duration


def matrix_section(matrix: Matrix, links: Links) -> Element:
    """The table with its legend, to be shown on top of the page."""
    return element(
        "section",
        element("h2", "The exposure matrix", id="matrix"),
        _table(matrix, links),
        _legend(),
        id="exposure",
        aria_labelledby="matrix",
    )


def matrix_evidence(matrix: Matrix, links: Links) -> Element:
    """The evidence of every cell, row by row, to which the cells of the table lead."""
    cells = _by_place(matrix)
    rows = []
    for number, row in enumerate(matrix.rows):
        cards = [
            _card(links.cell(number, index), column, cells[row, column], links)
            for index, column in enumerate(matrix.columns)
            if (row, column) in cells
        ]
        rows.append(element("section", element("h3", row), element("div", cards, class_="cards")))
    return element(
        "section",
        element("h2", "Evidence behind the matrix", id="evidence"),
        rows,
        aria_labelledby="evidence",
    )


def badge(mark: Mark, text: str | None = None) -> Element:
    """A mark's sign and word, in its colours. The word carries the meaning, the sign does not."""
    return element(
        "span", _sign(mark), " ", mark.word if text is None else text, class_=f"badge {mark.key}"
    )


def _sign(mark: Mark) -> Element:
    return element("span", mark.sign, class_="sign", aria_hidden="true")


def _by_place(matrix: Matrix) -> dict[tuple[str, str], Cell]:
    return {(cell.row, cell.column): cell for cell in reversed(matrix.cells)}


def _legend() -> Element:
    items = [
        element("li", badge(CELL_MARKS[value]), " ", CELL_MARKS[value].meaning)
        for value in CellValue
    ]
    return element("ul", items, class_="legend")


def _table(matrix: Matrix, links: Links) -> Element:
    cells = _by_place(matrix)
    heads = [element("th", column, scope="col") for column in matrix.columns]
    corner = element("th", "Protection", scope="col")
    rows = []
    for number, row in enumerate(matrix.rows):
        values = [
            _cell(links.cell(number, index), column, cells.get((row, column)), links)
            for index, column in enumerate(matrix.columns)
        ]
        rows.append(element("tr", element("th", row, scope="row"), values))
    table = element(
        "table",
        element(
            "caption",
            "What each adversary (columns) got under each protection (rows), measured in "
            f"{duration(matrix.seconds)}. Every cell leads to its evidence.",
        ),
        element("thead", element("tr", corner, heads)),
        element("tbody", rows),
        class_="matrix restack",
    )
    return element(
        "div", table, class_="scroll", tabindex="0", role="region", aria_label="Exposure matrix"
    )


def _cell(anchor: str, column: str, cell: Cell | None, links: Links) -> Element:
    mark = NOT_MEASURED if cell is None else CELL_MARKS[cell.value]
    content: list[Child] = [_sign(mark), element("span", mark.word, class_="word")]
    if cell is None:
        body: list[Child] = [element("span", content, class_="value")]
    else:
        label = f"{mark.word}: evidence for {cell.row}, {cell.column}"
        body = [
            element("a", content, href=f"#{anchor}", aria_label=label, class_="value"),
            _detail(cell, links),
        ]
    return element("td", body, class_=mark.key, data_label=column)


def _detail(cell: Cell, links: Links) -> Element | None:
    """The shortest pointer to the evidence: a place in a file, or the numbers of a refusal."""
    sighting, refusal = cell.sighting, cell.refusal
    if sighting is not None:
        packet = "" if sighting.packet is None else f"packet {sighting.packet}, "
        label = f"open {sighting.file} ({packet}byte {sighting.offset})"
        text = f"{packet}byte {sighting.offset}"
        return element("a", text, href=links.file(sighting.file), class_="detail", aria_label=label)
    if refusal is not None:
        numbers = [
            None if refusal.x509_number is None else f"X509 {refusal.x509_number}",
            None if refusal.alert is None else f"alert {refusal.alert}",
        ]
        return element("span", ", ".join(filter(None, numbers)), class_="detail")
    return None


def _card(anchor: str, column: str, cell: Cell, links: Links) -> Element:
    shown = None if cell.sighting is None else cell.sighting.file
    files = [element("li", file_anchor(name, links)) for name in cell.files if name != shown]
    return element(
        "article",
        element("h4", column),
        element("p", badge(CELL_MARKS[cell.value])),
        element("p", cell.reason) if cell.reason else None,
        sighting_figure(cell.sighting, links) if cell.sighting is not None else None,
        refusal_block(cell.refusal) if cell.refusal is not None else None,
        element("ul", files, class_="files") if files else None,
        element("p", element("a", "Back to the matrix", href="#matrix"), class_="back"),
        id=anchor,
        class_="card",
        tabindex="-1",
    )
