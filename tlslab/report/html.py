"""The report as one HTML file that needs nothing else: no script, no font, no address to fetch.

A content security policy in the page says so, and lets nothing but this page's own style run. The
file is the same for the same run, byte for byte.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from xml.etree.ElementTree import Element

from tlslab.lab.evidence import Outcome, RunResult
from tlslab.report.elements import Child, document, element
from tlslab.report.grouping import by_group, differing
from tlslab.report.html_evidence import facts, identifier
from tlslab.report.html_matrix import matrix_evidence, matrix_section
from tlslab.report.html_scenario import group_section, overview_section
from tlslab.report.links import Links, way_to_folder
from tlslab.report.text import counted, duration
from tlslab.report.writing import write_atomically


def run_to_html(run: RunResult, *, base: str = ".") -> str:
    """The whole page. `base` is the way from the page to the run's folder, for links to files."""
    links = Links(run, base)
    sections: list[Child] = []
    if run.matrix is not None:
        sections.append(matrix_section(run.matrix, links))
    if run.scenarios:
        sections.append(overview_section(run.scenarios, links))
        groups = by_group(run.scenarios).items()
        sections += [group_section(group, results, links) for group, results in groups]
    if run.matrix is not None:
        sections.append(matrix_evidence(run.matrix, links))
    body = element(
        "body",
        element("a", "Skip to the evidence", href="#main", class_="skip"),
        _header(run, links),
        element("main", sections or element("p", "Nothing was run."), id="main", tabindex="-1"),
        _footer(run),
    )
    return document(element("html", _head(), body, lang="en"))


def write_html(run: RunResult, path: Path) -> None:
    """Write the page to a file, atomically; raises `UsageError`.

    Links to captures and other files are relative, so that the folder can be moved as a whole.
    """
    write_atomically(path, run_to_html(run, base=way_to_folder(path, run.folder)))


@cache
def _style() -> str:
    return Path(__file__).with_name("report.css").read_text(encoding="utf-8")


def _head() -> Element:
    style = "\n" + _style()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    sheet = element("style")
    sheet.text = style  # as it is: the hash in the policy is over these very characters
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", "Who can read what? – tlslab"),
        sheet,
    )


def _header(run: RunResult, links: Links) -> Element:
    return element(
        "header",
        element("h1", "Who can read what?"),
        element("p", _summary(run), class_="lead"),
        facts(
            [
                ("Started", element("span", run.started)),
                ("Took", duration(run.seconds)),
                ("Folder", element("code", run.folder)),
            ]
        ),
        _contents(run, links),
    )


def _summary(run: RunResult) -> str:
    if not run.scenarios:
        return "No scenario was run."
    ends = [result.outcome for result in run.scenarios]
    counts = [f"{ends.count(outcome)} {outcome.value}" for outcome in Outcome if outcome in ends]
    verdict = (
        "every outcome is the declared one"
        if run.as_declared
        else f"{len(differing(run.scenarios))} not as declared"
    )
    return f"{counted(len(run.scenarios), 'scenario')}: {', '.join(counts)}; {verdict}."


def _differences(run: RunResult, links: Links) -> Element | None:
    """What did not end as declared, the first way to go."""
    items = [
        element(
            "li",
            element("a", identifier(result.id), href=f"#{links.section(result)}"),
            f": declared {result.declared.value}, measured {result.outcome.value}",
        )
        for result in differing(run.scenarios)
    ]
    if not items:
        return None
    return element(
        "div",
        element("p", element("strong", "Not as declared")),
        element("ul", items),
        class_="verdict differs",
    )


def _contents(run: RunResult, links: Links) -> Element | None:
    """The ways into the page: to what is not as declared first, to its parts, to each group."""
    places = []
    if run.matrix is not None:
        places.append(("#matrix", "Matrix"))
    if run.scenarios:
        places.append(("#scenarios", "Scenarios"))
    if run.matrix is not None:
        places.append(("#evidence", "Evidence"))
    if not places:
        return None
    groups = [
        (f"#{links.group(group)}", group, f" ({len(results)})")
        for group, results in by_group(run.scenarios).items()
    ]
    return element(
        "nav",
        _differences(run, links),
        _ways([(*place, "") for place in places]),
        _ways(groups) if groups else None,
        aria_label="Contents",
    )


def _ways(places: Iterable[tuple[str, str, str]]) -> Element:
    """Links side by side: where each leads, its text, and what follows it."""
    items = [
        element("li", element("a", text, href=address), soft) for address, text, soft in places
    ]
    return element("ul", items, class_="ways")


def _footer(run: RunResult) -> Element:
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    return element(
        "footer",
        element("p", "Every statement on this page was measured in this run."),
        element("p", f"Measured with {versions}.") if versions else None,
    )
