"""A run as JUnit XML: what continuous integration servers show.

One suite per group, one case per scenario. A case fails if its outcome is not the declared one, and
is an error if the scenario broke before there was an outcome to compare.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from tlslab.lab.evidence import RunResult, ScenarioResult
from tlslab.report.grouping import by_group, differing
from tlslab.report.marks import refusal_numbers
from tlslab.report.text import one_line, visible
from tlslab.report.writing import write_atomically


def run_to_junit(run: RunResult) -> str:
    """The XML document, with the attributes that Jenkins, GitLab and pytest agree on."""
    root = Element("testsuites", {"name": "tlslab", **_counts(run.scenarios, run.seconds)})
    for group, results in by_group(run.scenarios).items():
        seconds = sum(result.seconds for result in results)
        attributes = {"name": one_line(group), **_counts(results, seconds)}
        suite = SubElement(root, "testsuite", attributes, timestamp=one_line(run.started))
        suite.extend(_case(result) for result in results)
    indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def write_junit(run: RunResult, path: Path) -> None:
    """Write `run_to_junit` to a file, atomically; raises `UsageError`."""
    write_atomically(path, run_to_junit(run))


def _counts(results: list[ScenarioResult], seconds: float) -> dict[str, str]:
    problems = differing(results)
    errors = sum(result.error is not None for result in problems)
    return {
        "tests": str(len(results)),
        "failures": str(len(problems) - errors),
        "errors": str(errors),
        "skipped": "0",
        "time": f"{seconds:.3f}",
    }


def _case(result: ScenarioResult) -> Element:
    case = Element(
        "testcase",
        classname=one_line(result.group),
        name=one_line(result.id),
        time=f"{result.seconds:.3f}",
    )
    if result.as_declared:
        return case
    if result.error is not None:
        problem = SubElement(case, "error", type="broken", message=one_line(result.error))
    else:
        message = f"declared {result.declared.value}, measured {result.outcome.value}"
        reason = f": {one_line(result.reason)}" if result.reason else ""
        problem = SubElement(case, "failure", type="outcome", message=message + reason)
    problem.text = "\n".join(_report(result))
    return case


def _report(result: ScenarioResult) -> Iterator[str]:
    if result.reason:
        yield visible(result.reason)
    for check in result.checks:
        state = "held" if check.holds else "did not hold"
        yield f"[{state}] {one_line(check.statement)}: {one_line(check.measured)}"
    for refusal in result.refusals:
        numbers = "; ".join(refusal_numbers(refusal)) or "no number"
        yield one_line(f"{refusal.refuser} refused {refusal.peer}: {refusal.reason} ({numbers})")
