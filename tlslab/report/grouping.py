"""The order in which every form of the report shows scenarios: by group, as they were run."""

from __future__ import annotations

from collections.abc import Iterable

from tlslab.lab.evidence import ScenarioResult


def by_group(results: Iterable[ScenarioResult]) -> dict[str, list[ScenarioResult]]:
    """The scenarios of each group, groups in order of their first scenario."""
    groups: dict[str, list[ScenarioResult]] = {}
    for result in results:
        groups.setdefault(result.group, []).append(result)
    return groups


def differing(results: Iterable[ScenarioResult]) -> list[ScenarioResult]:
    """The scenarios whose outcome is not the declared one."""
    return [result for result in results if not result.as_declared]
