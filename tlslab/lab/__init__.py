"""Parties and adversaries on a network; scenarios, the evidence they leave, and verdicts on it.

lab.py          the Lab that a script gets
parties.py      clients, servers, terminating proxies, stores
adversaries.py  sniffers, interceptors, thieves, insiders, log readers
expect.py       what a script expects, checked at the end
journal.py      who told whom what, as it happens
evidence.py     what a run recorded, as plain values
verdict.py      from evidence to outcomes and cells
scenario.py     what a scenario is; finding and loading scripts
runner.py       running scenarios side by side
matrix.py       the exposure matrix
standing.py     a lab that keeps running, for clients from outside
url.py          URLs
"""

from __future__ import annotations

from tlslab.capture import Canary
from tlslab.lab.evidence import CellValue, Matrix, Outcome, RunResult, ScenarioResult, to_json
from tlslab.lab.lab import Lab, open_lab
from tlslab.lab.matrix import PROTECTIONS, Protection, measure
from tlslab.lab.runner import run_scenario, run_scenarios
from tlslab.lab.scripts import Scenario, load_file, scenario, scenarios, select, shipped_scenarios

__all__ = [
    "PROTECTIONS",
    "Canary",
    "CellValue",
    "Lab",
    "Matrix",
    "Outcome",
    "Protection",
    "RunResult",
    "Scenario",
    "ScenarioResult",
    "load_file",
    "measure",
    "open_lab",
    "run_scenario",
    "run_scenarios",
    "scenario",
    "scenarios",
    "select",
    "shipped_scenarios",
    "to_json",
]
