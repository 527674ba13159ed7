"""Where links lead: anchors within the page, and files relative to it.

Both are made from recorded strings, which may be hostile: an anchor is letters, digits and hyphens
only, and a file's link can neither name a scheme nor another host.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote

from tlslab.lab.evidence import RunResult, ScenarioResult
from tlslab.report.grouping import by_group


class Links:
    """The links of one page.

    `base` is the way from the page to the run's folder, with `/` between its parts.
    """

    def __init__(self, run: RunResult, base: str = ".") -> None:
        self._base = base
        self._sections: dict[int, str] = {}
        self._scenarios: dict[str, str] = {}
        for number, result in enumerate(run.scenarios, start=1):
            slug = re.sub(r"[^a-z0-9]+", "-", result.id.lower())
            anchor = f"scenario-{number}-{slug}".strip("-")
            self._sections[id(result)] = anchor  # ids may repeat, for instance in two files
            self._scenarios.setdefault(result.id, anchor)
        self._groups: dict[str, str] = {}
        for number, group in enumerate(by_group(run.scenarios), start=1):
            slug = re.sub(r"[^a-z0-9]+", "-", group.lower())
            self._groups[group] = f"group-{number}-{slug}".strip("-")

    def section(self, result: ScenarioResult) -> str:
        """The anchor of a scenario of this run."""
        return self._sections[id(result)]

    def scenario(self, identifier: str) -> str | None:
        """The anchor of the (first) scenario of that id, or None if it is not in this run."""
        return self._scenarios.get(identifier)

    def group(self, group: str) -> str:
        """The anchor of a group of this run's scenarios."""
        return self._groups[group]

    def file(self, name: str) -> str:
        """The address of a file whose name is relative to the run's folder."""
        return file_link(f"{self._base}/{name}")

    @staticmethod
    def cell(row: int, column: int) -> str:
        """The anchor of the evidence for a cell of the matrix, counted from 0."""
        return f"cell-{row + 1}-{column + 1}"


def file_link(path: str) -> str:
    """A relative URL reference (RFC 3986 section 4.2) to a path; absolute ones stay below `./`."""
    # surrogateescape brings back the bytes of a name that is not UTF-8; other surrogates are none
    raw = path.encode("utf-8", "surrogateescape" if _from_bytes(path) else "backslashreplace")
    return "./" + quote(raw, safe="/").removeprefix("./")


def way_to_folder(page: Path, folder: str) -> str:
    """The relative way from where a page is written to the run's folder."""
    if not folder or "\0" in folder:
        return "."
    return Path(os.path.relpath(folder, page.absolute().parent)).as_posix()


def _from_bytes(path: str) -> bool:
    return not re.search("[\ud800-\udc7f\udd00-\udfff]", path)
