"""The real S3 and KMS behind one endpoint, over TLS, for clients in this process and in others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
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
    """What a client needs: settings here, the environment elsewhere; and a KMS key's ARN."""

    settings: Settings
    environ: Mapping[str, str]
    kms_key: str
    backend: Backend
    caller: Caller

    async def disable(self) -> None:
        """Disable the KMS key."""
        await self._invoke("DisableKey")

    async def enable(self) -> None:
        """Enable it again."""
        await self._invoke("EnableKey")

    async def _invoke(self, operation: str) -> None:
        parameters = {"KeyId": self.kms_key}
        await self.backend.kms.invoke(self.caller, operation, parameters, region=REGION)


@pytest.fixture
async def services(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Services]:
    folder: Path = tmp_path_factory.mktemp("services")
    state = StateFolder(folder / "state")
    root_of_trust, identities = await state.open_root_of_trust(), state.open_identities()
    access = identities.root(ACCOUNT)
    assert access is not None
    caller = Caller(access.principal, access.id, "127.0.0.1", "test", secure=True)
    authority = Authority.create("test")
    policy = ServerPolicy(authority.issue("localhost"))
    ca_file = folder / "ca.pem"
    ca_file.write_bytes(TrustStore((authority.root,)).pem)
    async with (
        open_backend(state.settings(root_of_trust, identities), create=True) as backend,
        trio.open_nursery() as nursery,
    ):
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listeners[0].socket.getsockname()[1]

        async def run(*, task_status: trio.TaskStatus[None]) -> None:
            await serve(backend.answer, listeners, policy=policy, task_status=task_status)

        await nursery.start(run)
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
        )
        nursery.cancel_scope.cancel()
