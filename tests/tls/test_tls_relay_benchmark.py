"""The benchmark runs, its relays deliver every byte, and ours costs less than the peer's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "bench" / "tls_relay.py"


def test_the_relay_benchmark() -> None:
    """With a few MiB only; the goal itself is for `make bench`, where runs are long enough."""
    done = subprocess.run(
        [sys.executable, SCRIPT, "--mib", "64", "--rounds", "1", "--json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    result = json.loads(done.stdout)
    assert result["tlslab"] > 0
    assert result["trio"] > 0
    assert result["ratio"] < 1
