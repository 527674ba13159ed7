"""A lab that is up, as a process of its own, and programs and libraries that are its clients."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

PATIENCE = 60.0
"""Seconds for a program, on a machine that is busy with other tests."""


@dataclass
class Up:
    """A running `tlslab up`: its JSON line, its process, and what it prints into a file."""

    facts: dict[str, Any] = field(repr=False)
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        return str(self.facts["s3_url"])

    @property
    def state(self) -> Path:
        return Path(self.facts["state_dir"])

    def client(self, service: str = "s3", *, region: str = "eu-west-2", **config: Any) -> Any:
        """A client of boto3, to be closed."""
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=region,
            aws_access_key_id=self.facts["access_key_id"],
            aws_secret_access_key=self.facts["secret_access_key"],
            verify=self.facts["ca"],
            config=Config(**{"retries": {"max_attempts": 0}, **config}),
        )

    def run(self, *command: str | Path, stdin: bytes = b"", fails: bool = False) -> bytes:
        """What a program prints that finds the lab by AWS's variables. It succeeds, or `fails`."""
        program, *arguments = map(str, command)
        beside = Path(sys.executable).with_name(program)
        found = str(beside) if beside.exists() else shutil.which(program)
        if found is None:
            pytest.skip(f"{program} is not installed")
        done = subprocess.run(
            [found, *arguments],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.state),
                "LANG": "C.UTF-8",
                "AWS_ENDPOINT_URL": self.url,
                "AWS_CA_BUNDLE": self.facts["ca"],
                "AWS_REGION": self.facts["region"],
                "AWS_DEFAULT_REGION": self.facts["region"],
                "AWS_ACCESS_KEY_ID": self.facts["access_key_id"],
                "AWS_SECRET_ACCESS_KEY": self.facts["secret_access_key"],
                "AWS_MAX_ATTEMPTS": "1",
                "AWS_EC2_METADATA_DISABLED": "true",
            },
            input=stdin, capture_output=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout

    def curl(self, *arguments: str | Path, stdin: bytes = b"") -> tuple[int, bytes]:
        """The status and the body of curl's answer."""
        body = self.run(
            "curl", "-sS", "--noproxy", "*", "--max-time", "20", "--cacert", self.facts["ca"],
            "-w", "\n%{http_code}", *arguments, stdin=stdin,
        )  # fmt: skip
        content, _, status = body.rpartition(b"\n")
        return int(status), content

    def kill(self) -> None:
        """`kill -9`: no chance to clean up."""
        self.process.kill()
        self.process.wait(PATIENCE)


@contextmanager
def going_up(folder: Path, *arguments: str) -> Iterator[Up]:
    """A lab with its state in `folder/state`; it is killed at the end if nobody ended it."""
    log = folder / "printed"
    command = [sys.executable, "-m", "tlslab", "up", "--json", "--state", str(folder / "state")]
    with (
        log.open("ab") as stderr,
        subprocess.Popen(
            [*command, *arguments], stdout=subprocess.PIPE, stderr=stderr
        ) as process,
    ):  # fmt: skip
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line, log.read_text()
            yield Up(json.loads(line), process, log)
        finally:
            process.kill()
