"""The catalogue: every attack and misconfiguration by its id, and where it is shown, or why not.

The data is `scenarios/catalogue.toml`, and the ids that faults carry; this module reads it and
holds it against the scenarios that there are. It runs nothing.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tlslab.errors import ScenarioError
from tlslab.lab.scripts import Scenario, shipped_scenarios
from tlslab.pki.faults import shipped_faults
from tlslab.shipped import shipped


@dataclass(frozen=True)
class Entry:
    """One attack. `scenarios` and `faults` show it, `by` says what else does; or `not_shown` why.

    Where something shows a part of it, `not_shown` may say what is missing.
    """

    id: str
    group: str
    title: str
    scenarios: tuple[Scenario, ...] = ()
    faults: tuple[str, ...] = ()
    by: str = ""
    not_shown: str = ""

    @property
    def is_shown(self) -> bool:
        """Whether anything shows it."""
        return bool(self.scenarios or self.faults or self.by)


def catalogue() -> list[Entry]:
    """Every entry in order. Raises ScenarioError where the data speaks of what is not there."""
    path = shipped("scenarios") / "catalogue.toml"
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    known = {scenario.id: scenario for scenario in shipped_scenarios()}
    faults: dict[str, list[str]] = {}
    for fault in shipped_faults().values():
        for shows in fault.catalogue:
            faults.setdefault(shows, []).append(fault.id)
    entries = []
    for group in data.values():
        title = group.pop("title")
        for id_, given in group.items():
            entry = Entry(
                id=id_,
                group=title,
                title=given["title"],
                scenarios=tuple(_scenarios(id_, given.get("shown", ()), known)),
                faults=tuple(faults.pop(id_, ())),
                by=given.get("by", ""),
                not_shown=given.get("not_shown", ""),
            )
            if not entry.is_shown and not entry.not_shown:
                raise ScenarioError(f"the catalogue's {id_} is neither shown nor said why not")
            entries.append(entry)
    if faults:
        raise ScenarioError(f"faults speak of attacks that the catalogue lacks: {sorted(faults)}")
    return entries


def _scenarios(
    entry: str, wanted: Sequence[str], known: Mapping[str, Scenario]
) -> Iterator[Scenario]:
    for name in wanted:
        every_case = name.endswith("[*]")
        found = [
            one
            for id_, one in known.items()
            if id_ == name.removesuffix("[*]") or (every_case and id_.startswith(name[:-2]))
        ]
        if not found:
            raise ScenarioError(f"the catalogue's {entry} names no scenario: {name}")
        yield from found
