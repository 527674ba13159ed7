"""The real S3 and KMS behind one endpoint, over TLS, for clients in this process and in others."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import trio

from tlslab.clientside.remote import Endpoint, Settings
from tlslab.endpoint import Backend, StateFolder, open_backend
from tlslab.endpoint.serving import serve
from tlslab.iam import ACCOUNT, Caller
from tlslab.iam.signing import Credentials
from tlslab.pki import Authority, TrustStore
from tlslab.tls import ServerPolicy

REGION = "eu-west-2"
BUCKET = "letters"


@dataclass
class Services:
    """What a client needs: settings here, the environment elsewhere; and a KMS key's ARN.

    In `disks` is everything that the services keep.
    """

    settings: Settings
    environ: Mapping[str, str]
    kms_key: str
    backend: Backend
    caller: Caller
    disks: Path

    async def disable(self) -> None:
        """Disable the KMS key."""
        await self._invoke("DisableKey")

    async def enable(self) -> None:
        """Enable it again."""
        await self._invoke("EnableKey")

    async def _invoke(self, operation: str) -> None:
        parameters = {"KeyId": self.kms_key}
        await self.backend.kms.invoke(self.caller, operation, parameters, region=REGION)


@asynccontextmanager
async def serving(folder: Path, *, plain: bool = False) -> AsyncGenerator[Services]:
    """Both services in a new folder; `plain` keeps objects as they come, without encryption."""
    state = StateFolder(folder / "state")
    root_of_trust, identities = await state.open_root_of_trust(), state.open_identities()
    access = identities.root(ACCOUNT)
    assert access is not None
    caller = Caller(access.principal, access.id, "127.0.0.1", "test", secure=True)
    authority = Authority.create("test")
    policy = ServerPolicy(authority.issue("localhost"))
    ca_file = folder / "ca.pem"
    ca_file.write_bytes(TrustStore((authority.root,)).pem)
    settings = state.settings(root_of_trust, identities, plain=plain)
    async with open_backend(settings, create=True) as backend, trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listeners[0].socket.getsockname()[1]
        await nursery.start(partial(serve, backend.answer, listeners, policy=policy))
        await backend.store.create_bucket(BUCKET, owner=ACCOUNT, region=REGION)
        made = await backend.kms.invoke(caller, "CreateKey", {}, region=REGION)
        at = Endpoint("https", "localhost", port)
        trust = TrustStore((authority.root,))
        yield Services(
            Settings(at, at, REGION, Credentials(access.id, access.secret), trust),
            {
                "AWS_ENDPOINT_URL": f"https://localhost:{port}",
                "AWS_REGION": REGION,
                "AWS_DEFAULT_REGION": REGION,
                "AWS_ACCESS_KEY_ID": access.id,
                "AWS_SECRET_ACCESS_KEY": access.secret,
                "AWS_CA_BUNDLE": str(ca_file),
            },
            made["KeyMetadata"]["Arn"],
            backend,
            caller,
            state.path,
        )
        nursery.cancel_scope.cancel()


@pytest.fixture
async def services(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Services]:
    """S3 and KMS over TLS, and a bucket."""
    async with serving(tmp_path_factory.mktemp("services")) as services:
        yield services


@pytest.fixture
async def plain_services(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Services]:
    """The same, with a store that encrypts nothing."""
    async with serving(tmp_path_factory.mktemp("services"), plain=True) as services:
        yield services
