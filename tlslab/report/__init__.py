"""Evidence as terminal tables, one HTML file, JSON and JUnit XML.

    text.py           hostile text made visible
    marks.py          signs and words for values, the same everywhere
    grouping.py       the order of scenarios
    terminal.py       rich renderables: the matrix, the scenarios, refusals, failures
    live.py           progress while scenarios run
    html.py           the page; html_matrix.py, html_scenario.py, html_evidence.py its parts,
                      diagram.py and hexdump.py its pictures, report.css its look,
                      elements.py and links.py what keeps hostile text from becoming markup
    json.py junit.py  for machines
    writing.py        files written whole or not at all

It draws what `tlslab.lab.evidence` holds, and neither measures nor judges anything itself.
"""

from __future__ import annotations

from tlslab.report.html import run_to_html, write_html
from tlslab.report.json import run_to_json, write_json
from tlslab.report.junit import run_to_junit, write_junit
from tlslab.report.live import RunProgress
from tlslab.report.terminal import (
    failure_panel,
    matrix_table,
    print_run,
    refusal_panel,
    scenario_table,
)

__all__ = [
    "RunProgress",
    "failure_panel",
    "matrix_table",
    "print_run",
    "refusal_panel",
    "run_to_html",
    "run_to_json",
    "run_to_junit",
    "scenario_table",
    "write_html",
    "write_json",
    "write_junit",
]
