"""A real server on loopback, with a KMS and real clients; the hop says what the test wants."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import boto3
import pytest
import requests
import trio
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tlslab import audit, kms, seal
from tlslab.audit import Trail
from tlslab.database import Database
from tlslab.errors import TLSError
from tlslab.http import Request, Response, serve_http
from tlslab.iam import AccessKey, Caller, Hop, Identities
from tlslab.kms import KMS
from tlslab.pki import Authority
from tlslab.seal import Seal
from tlslab.store.engine import ObjectStore
from tlslab.store.s3 import S3
from tlslab.store.tables import metadata as store_tables
from tlslab.tls import ServerPolicy, TLSStream

REGION = "eu-west-2"
DOMAIN = "s3.localhost"
_T = TypeVar("_T")


@dataclass
class Site:
    """A served store. `secure` is what its hop says of every request."""

    store: ObjectStore
    kms: KMS
    identities: Identities
    port: int = 0
    secure: bool = True
    ca: Path | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self.ca else 'http'}://127.0.0.1:{self.port}"

    def key(self, name: str = "alice") -> AccessKey:
        account = "444455556666" if name == "mallory" else "111122223333"
        found = self.identities.user(name, account)
        assert found is not None
        return found

    def client(self, name: str = "alice", service: str = "s3", **config: Any) -> Any:
        key = self.key(name)
        settings = {"retries": {"max_attempts": 0}, "s3": {"addressing_style": "path"}} | config
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=key.id,
            aws_secret_access_key=key.secret,
            verify=str(self.ca) if self.ca else None,
            config=Config(**settings),
        )

    async def run(self, work: Callable[[Any], _T], name: str = "alice", **config: Any) -> _T:
        """Do something with a client, in a thread since it blocks."""

        def blocking() -> _T:
            client = self.client(name, **config)
            try:
                return work(client)
            finally:
                client.close()

        return await trio.to_thread.run_sync(blocking)

    def send(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        trailer: bool = False,
    ) -> requests.Response:
        """A request signed by botocore, whatever it asks for; with `trailer` as for chunks."""
        key = self.key()
        request = AWSRequest(method, f"{self.url}{target}", headers=dict(headers or {}), data=body)
        if trailer:
            request.context["checksum"] = {"request_algorithm": {"in": "trailer"}}
        S3SigV4Auth(Credentials(key.id, key.secret), "s3", REGION).add_auth(request)
        prepared = request.prepare()
        given = dict(prepared.headers)
        return requests.request(method, prepared.url, headers=given, data=body, timeout=5)

    @staticmethod
    def refused(work: Callable[[], object]) -> tuple[str, int]:
        """What a client is refused with: code and status."""
        code, status, _ = Site.refusal(work)
        return code, status

    @staticmethod
    def refusal(work: Callable[[], object]) -> tuple[str, int, str]:
        """... and the message."""
        with pytest.raises(ClientError) as error:
            work()
        found = error.value.response
        status = found["ResponseMetadata"]["HTTPStatusCode"]
        return found["Error"]["Code"], status, found["Error"]["Message"]

    async def bucket(self, name: str, **changes: Any) -> None:
        """A new bucket of the account."""
        await self.store.create_bucket(name, owner="111122223333", region=REGION)
        if changes:
            await self.store.configure_bucket(name, **changes)

    async def new_key(self, **parameters: Any) -> str:
        """The ARN of a new KMS key of alice's."""
        found = await self.invoke("CreateKey", parameters)
        return str(found["KeyMetadata"]["Arn"])

    async def invoke(self, operation: str, parameters: Mapping[str, Any]) -> Any:
        """Ask the KMS, as the account's root."""
        root = self.identities.root("111122223333")
        assert root is not None
        caller = Caller(root.principal, root.id, "127.0.0.1", "test", secure=True)
        return await self.kms.invoke(caller, operation, parameters, region=REGION)


@asynccontextmanager
async def site(
    directory: Path, *, compat: Literal["ceph"] | None = None, tls: bool = False
) -> AsyncIterator[Site]:
    database = Database(
        str(directory / "state.db"), store_tables, kms.metadata, audit.metadata, seal.metadata
    )
    ours = Seal.ephemeral()
    identities = Identities.generate()
    keys = KMS(database, ours, Trail(database, ours))
    store = ObjectStore(database, directory / "files", ours, keys, compat=compat)
    s3 = S3(store, identities, region=REGION, domains=[DOMAIN], compat=compat)
    served = Site(store, keys, identities)

    async def handle(request: Request) -> Response:
        return await s3.handle(request, Hop(served.secure, "127.0.0.1"))

    policy: ServerPolicy | None = None
    if tls:
        authority = Authority.create()
        policy = ServerPolicy(authority.issue("127.0.0.1"))
        served.ca = directory / "ca.pem"
        served.ca.write_bytes(authority.root_pem)

    async def serve(stream: trio.SocketStream) -> None:
        with suppress(TLSError):
            transport = stream if policy is None else TLSStream.server(stream, policy)
            await serve_http(transport, handle)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        served.port = listeners[0].socket.getsockname()[1]
        try:
            yield served
        finally:
            nursery.cancel_scope.cancel()
            store.close()
            database.close()


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path) as found:
        yield found


@pytest.fixture
async def ceph(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path, compat="ceph") as found:
        yield found


@pytest.fixture
async def secured(tmp_path: Path) -> AsyncIterator[Site]:
    """The same behind TLS, where boto3 sends its bodies in chunks with a trailer."""
    async with site(tmp_path, tls=True) as found:
        yield found
