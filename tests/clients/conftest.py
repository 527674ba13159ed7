"""A whole service on loopback, in a thread of its own, and the programs that are its clients."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
import trio
from botocore.config import Config

from tlslab.endpoint import StateFolder, open_backend
from tlslab.endpoint.serving import serve
from tlslab.iam import AccessKey, Identities
from tlslab.pki import Authority, TrustStore
from tlslab.tls import ServerPolicy

REGION = "eu-west-2"
PATIENCE = 60.0
"""Seconds for a program, on a machine that is busy with other tests."""


@dataclass(frozen=True)
class Service:
    """One running endpoint; `key` is the account root's."""

    url: str
    key: AccessKey = field(repr=False)
    identities: Identities
    ca_file: Path
    disk: Path

    @property
    def secure(self) -> bool:
        return self.url.startswith("https")

    def environment(self, home: Path, key: AccessKey | None = None) -> dict[str, str]:
        """For programs that read AWS's variables, and nothing of whoever runs the tests."""
        key = key or self.key
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": key.id,
            "AWS_SECRET_ACCESS_KEY": key.secret,
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service: str = "s3", key: AccessKey | None = None, **config: Any) -> Any:
        """A client of boto3, to be closed."""
        key = key or self.key
        settings = {"retries": {"max_attempts": 0}, "s3": {"addressing_style": "path"}} | config
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=key.id,
            aws_secret_access_key=key.secret,
            verify=str(self.ca_file),
            config=Config(**settings),
        )


class Running(threading.Thread):
    """Serves until stopped. `services` are ready once `started` is set, or `failure` says why."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.started = threading.Event()
        self.services: dict[str, Service] = {}
        self.failure: BaseException | None = None
        self._folder = folder
        self._cancel: Callable[[], None] = lambda: None

    def run(self) -> None:
        try:
            trio.run(self._serve)
        except BaseException as error:
            self.failure = error
        finally:
            self.started.set()

    def stop(self) -> None:
        self._cancel()
        self.join(PATIENCE)

    async def _serve(self) -> None:
        state = StateFolder(self._folder / "state")
        root, identities = await state.open_root_of_trust(), state.open_identities()
        authority = Authority.create("clients")
        ca_file = self._folder / "ca.pem"
        ca_file.write_bytes(TrustStore((authority.root,)).pem)
        policies = {"http": None, "https": ServerPolicy(authority.issue("localhost"))}
        key = identities.root("111122223333")
        assert key is not None
        async with (
            open_backend(state.settings(root, identities), create=True) as backend,
            trio.open_nursery() as nursery,
        ):
            for scheme, policy in policies.items():
                listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")

                async def listen(
                    listeners: list[trio.SocketListener] = listeners,
                    policy: ServerPolicy | None = policy,
                    *,
                    task_status: trio.TaskStatus[None],
                ) -> None:
                    await serve(backend.answer, listeners, policy=policy, task_status=task_status)

                await nursery.start(listen)
                url = f"{scheme}://localhost:{listeners[0].socket.getsockname()[1]}"
                self.services[scheme] = Service(url, key, identities, ca_file, state.disk)
            token = trio.lowlevel.current_trio_token()
            self._cancel = lambda: token.run_sync_soon(nursery.cancel_scope.cancel)
            self.started.set()


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    thread = Running(tmp_path_factory.mktemp("service"))
    thread.start()
    thread.started.wait(PATIENCE)
    if thread.failure is not None:
        raise thread.failure
    yield thread
    thread.stop()
    assert not thread.is_alive()
    if thread.failure is not None:
        raise thread.failure


@pytest.fixture(params=["http", "https"])
def service(request: pytest.FixtureRequest, running: Running) -> Service:
    return running.services[request.param]


@pytest.fixture
def secure_service(running: Running) -> Service:
    return running.services["https"]


@pytest.fixture
def bucket(service: Service, request: pytest.FixtureRequest) -> str:
    """A new bucket, named after the test."""
    return make_bucket(service, request.node.name)


@pytest.fixture
def secure_bucket(secure_service: Service, request: pytest.FixtureRequest) -> str:
    return make_bucket(secure_service, request.node.name)


def make_bucket(service: Service, test: str) -> str:
    words = re.sub("[^a-z0-9]+", "-", test.partition("[")[0].lower().removeprefix("test_"))
    name = f"{words[:50].strip('-')}-{os.urandom(4).hex()}"
    client = service.client()
    try:
        location = {"LocationConstraint": REGION}
        client.create_bucket(Bucket=name, CreateBucketConfiguration=location)
    finally:
        client.close()
    return name


Run = Callable[..., str]


def find_program(name: str) -> str:
    """Beside this interpreter, or on the path. Skips the test if it is nowhere."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@pytest.fixture
def run(tmp_path: Path, running: Running) -> Run:
    """Run a program against a service; what it printed. It must succeed, or fail if `fails` is
    true; then what it complained about is there too.

    What the program is called with comes after its name; `environment` adds to the service's.
    """

    def run(
        service: Service,
        *command: str | Path,
        fails: bool = False,
        environment: dict[str, str] | None = None,
        stdin: bytes = b"",
    ) -> str:
        program, *arguments = map(str, command)
        own = {"AWS_CA_BUNDLE": str(service.ca_file)} if program == "aws" else {}
        result = subprocess.run(
            [find_program(program), *arguments],
            env=service.environment(tmp_path) | own | (environment or {}),
            cwd=tmp_path,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
            input=stdin,
        )
        said = result.stdout.decode("utf-8", "replace")
        complaint = result.stderr.decode("utf-8", "replace")
        failed = result.returncode != 0
        assert failed == fails, f"{program}: {result.returncode}\n{said}\n{complaint}"
        return said + (complaint if fails else "")

    return run


@pytest.fixture
def payload(tmp_path: Path) -> Callable[[int], Path]:
    """A file of so many bytes, none like another file's."""

    def make(size: int) -> Path:
        path = tmp_path / f"{size}-{os.urandom(3).hex()}.bin"
        path.write_bytes(os.urandom(min(size, 2**16)) * (size // 2**16 + 1))
        os.truncate(path, size)
        return path

    return make
