"""What holds for every test: where all tools are installed, skipping is a failure.

And what several folders share: `database_url`, for code that runs on SQLite and PostgreSQL alike.
"""

from __future__ import annotations

import functools
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

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


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The directory of the socket of a PostgreSQL cluster of this session's own."""
    for tool in ("initdb", "pg_ctl"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    prefix: list[str] = []
    directory = Path(tempfile.mkdtemp(prefix="tlslab-postgresql-"))
    if os.geteuid() == 0:  # as which PostgreSQL refuses to run
        prefix = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"]
        shutil.chown(directory, "nobody", "nogroup")
    options = f"-k {directory} -c listen_addresses='' -c fsync=off -c max_connections=60"
    data = ["-D", str(directory / "data")]
    run = functools.partial(subprocess.run, check=True, capture_output=True, cwd=directory)
    run([*prefix, "initdb", *data, "-U", "tests", "-A", "trust", "-E", "UTF8", "--no-sync"])
    start = ["-w", "-l", str(directory / "log"), "-o", options, "start"]
    run([*prefix, "pg_ctl", *data, *start])
    try:
        yield str(directory)
    finally:
        run([*prefix, "pg_ctl", *data, "-w", "-m", "immediate", "stop"])
        shutil.rmtree(directory)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of either kind, for this test alone."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'state' / 'database'}"
        return
    directory = request.getfixturevalue("postgresql")
    psycopg = pytest.importorskip("psycopg")
    name = f"test_{secrets.token_hex(8)}"
    with psycopg.connect(host=directory, user="tests", dbname="postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} STRATEGY wal_log")
        yield f"postgresql://tests@/{name}?host={directory}"
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
