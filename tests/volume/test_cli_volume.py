"""`tlslab volume` against a KMS over the wire."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import click
import pytest
import trio

from tlslab import audit
from tlslab import kms as kms_package
from tlslab.cli.volume import volume as volume_command
from tlslab.database import Database
from tlslab.endpoint import Dispatch
from tlslab.endpoint.serving import serve
from tlslab.errors import UsageError
from tlslab.iam import ACCOUNT, Caller, Identities
from tlslab.kms import KMS
from tlslab.seal import Seal

HERE, THERE = "eu-west-2", "us-east-1"
COMMAND = """
import sys
from tlslab import cli
cli.COMMANDS.setdefault("volume", ("tlslab.cli.volume", ""))
cli.main(sys.argv[1:])
"""

Run = Callable[..., Awaitable["subprocess.CompletedProcess[bytes]"]]


@pytest.fixture
async def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[dict[str, Any]]:
    """A KMS that serves two regions, with a key in each."""
    database = Database(f"sqlite:///{tmp_path / 'kms.db'}", kms_package.metadata, audit.metadata)
    trail = audit.Trail(database, Seal.ephemeral())
    kms = KMS(database, Seal.ephemeral(), trail)
    identities = Identities.generate()
    root = identities.root(ACCOUNT)
    assert root is not None
    dispatch = Dispatch(
        s3=cast(Any, None), kms=kms, cloudtrail=cast(Any, None), identities=identities,
        regions=(HERE, THERE), now=lambda: datetime.now(UTC),
    )  # fmt: skip
    caller = Caller(root.principal, root.id, "127.0.0.1", "test", secure=True)
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        await nursery.start(serve, dispatch, listeners)
        port = listeners[0].socket.getsockname()[1]
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", root.id)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", root.secret)
        monkeypatch.setenv("AWS_REGION", HERE)
        made: dict[str, Any] = {}
        for region in (HERE, THERE):
            answer = await kms.invoke(caller, "CreateKey", {}, region=region)
            made[region] = answer["KeyMetadata"]["Arn"]

        async def disable(region: str) -> None:
            await kms.invoke(caller, "DisableKey", {"KeyId": made[region]}, region=region)

        yield {**made, "disable": disable}
        nursery.cancel_scope.cancel()
    database.close()


@pytest.fixture
def volume(tmp_path: Path) -> Run:
    async def run(*arguments: object, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-c", COMMAND, "volume", *map(str, arguments)]
        return await trio.run_process(
            command, stdin=stdin, capture_stdout=True, capture_stderr=True, check=False,
            cwd=tmp_path, env=dict(os.environ),
        )  # fmt: skip

    return run


async def test_from_creation_to_a_copy_in_another_region(
    keys: dict[str, Any], volume: Run, tmp_path: Path
) -> None:
    made = await volume("create", "v", "--size", "1MiB", "--kms-key-id", keys[HERE], "--json")
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["size"] == 2**20
    written = await volume("write", "v", "-", "--offset", "5000", stdin=b"content")
    assert written.returncode == 0, written.stderr
    state = written.stdout.decode().strip()
    for arguments in (
        ("snapshot", "v", "s", "--not-before", state),
        ("copy", "s", "c", "--to-region", THERE, "--kms-key-id", keys[THERE]),
        ("restore", "c", "r"),
    ):
        done = await volume(*arguments)
        assert done.returncode == 0, done.stderr
    read = await volume("read", "r", "-", "--offset", "4999", "--size", "9")
    assert read.stdout == b"\0content\0"
    info = await volume("info", "c", "--json")
    assert json.loads(info.stdout)["region"] == THERE
    await keys["disable"](HERE)
    refused = await volume("read", "v", "out")
    assert refused.returncode == 2
    assert b"DisabledException" in refused.stderr or b"disabled" in refused.stderr
    assert not (tmp_path / "out").exists()


async def test_what_was_changed_is_refused_and_leaves_no_file(
    keys: dict[str, Any], volume: Run, tmp_path: Path
) -> None:
    await volume("create", "v", "--size", "4MiB", "--kms-key-id", keys[HERE])
    await volume("write", "v", "-", "--offset", "2MiB", stdin=b"x" * 4096)
    for name in ("journal.0", "journal.1"):
        (tmp_path / name).write_bytes((tmp_path / "v" / name).read_bytes())
    old = await volume("write", "v", "-", stdin=b"y")
    with (tmp_path / "v" / "blocks").open("r+b") as file:
        file.seek(512 * 4144 + 40)
        file.write(b"changed")
    read = await volume("read", "v", "out")
    assert read.returncode == 1
    assert not (tmp_path / "out").exists()
    for name in ("journal.0", "journal.1"):
        (tmp_path / "v" / name).write_bytes((tmp_path / name).read_bytes())
    seen = old.stdout.decode().strip()
    assert (await volume("read", "v", "out", "--not-before", seen)).returncode == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "v", "--size", "4095", "--kms-key-id", "x"),
        ("create", "v", "--size", "1XiB", "--kms-key-id", "x"),
        ("create", "v", "--size", "1MiB", "--kms-key-id", "alias/x"),
        ("write", "missing", "-"),
        ("read", "missing", "-", "--json"),
        ("read", "missing", "-", "--not-before", "nonsense"),
        ("info", "missing"),
    ],
)
def test_mistakes(arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", HERE)
    with pytest.raises((UsageError, click.UsageError)):
        volume_command.main(list(arguments), standalone_mode=False)


async def test_beyond_the_end(keys: dict[str, Any], volume: Run, tmp_path: Path) -> None:
    await volume("create", "v", "--size", "8KiB", "--kms-key-id", keys[HERE])
    assert (await volume("write", "v", "-", stdin=b"x" * 8192)).returncode == 0
    assert (await volume("write", "v", "-", stdin=b"x" * 8193)).returncode == 2
    assert (await volume("read", "v", "-", "--size", "8193")).returncode == 2
