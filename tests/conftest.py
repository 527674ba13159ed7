"""What holds for every test: where all tools are installed, skipping is a failure."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Under TLSLAB_NO_SKIPS turn a skip into a failure that gives the reason."""
    report = yield
    if report.skipped and os.environ.get("TLSLAB_NO_SKIPS") and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"skipped, but skips are failures here: {reason}"
    return report
