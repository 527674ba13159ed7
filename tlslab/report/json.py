"""A run as JSON: what `--json` prints. The values are those of `tlslab.lab.evidence`."""

from __future__ import annotations

import json
from pathlib import Path

from tlslab.lab.evidence import RunResult, to_json
from tlslab.report.writing import write_atomically


def run_to_json(run: RunResult) -> str:
    """One JSON object (RFC 8259) on one line, ASCII only, without a newline at its end.

    Bytes are hex. Lone surrogates are kept as escapes. Raises ValueError for a duration that is
    not finite, for which JSON has no number.
    """
    return json.dumps(to_json(run), allow_nan=False, ensure_ascii=True)


def write_json(run: RunResult, path: Path) -> None:
    """Write `run_to_json` and a newline to a file, atomically; raises `UsageError`."""
    write_atomically(path, run_to_json(run) + "\n")
