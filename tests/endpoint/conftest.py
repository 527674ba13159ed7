"""A backend in a state folder, and requests to it through its door."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import memory_stream_pair

from tlslab.endpoint import Backend, Door, StateFolder, open_backend
from tlslab.http import Headers, HTTPClient
from tlslab.iam import AccessKey, Hop
from tlslab.iam.signing import Credentials, sign_v4

HOST = "endpoint.test"


@dataclass(frozen=True)
class Answered:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        value = json.loads(self.body)
        assert isinstance(value, dict)
        return value


@dataclass(frozen=True)
class Endpoint:
    """A backend, its users, and how they send requests."""

    backend: Backend
    state: StateFolder

    def user(self, name: str) -> AccessKey:
        key = self.backend.settings.identities.user(name)
        assert key is not None
        return key

    async def send(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        headers: Headers = (),  # type: ignore[assignment]
        *,
        user: AccessKey | None = None,
        service: str = "s3",
        region: str = "eu-west-2",
        hop: Hop | None = None,
        door: Door | None = None,
        preamble: bytes = b"",
    ) -> Answered:
        """The answer to one request, signed if a user is given."""
        if user is not None:
            headers = sign_v4(
                Credentials(user.id, user.secret), method, target, headers, host=HOST,
                service=service, region=region, now=datetime.now(UTC),
                payload_hash=hashlib.sha256(body).hexdigest(),
            )  # fmt: skip
        ours, theirs = memory_stream_pair()
        door = door or Door(self.backend.answer)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(door.serve, theirs, hop or Hop(secure=True, source_ip="192.0.2.9"))
            if preamble:
                await ours.send_all(preamble)
            client = HTTPClient(ours, host=HOST)
            response = await client.request(method, target, headers=list(headers), body=body)
            content = await response.read()
            await client.aclose()
        fields = {name.decode().lower(): value.decode() for name, value in response.headers}
        return Answered(response.status, fields, content)

    async def kms(self, operation: str, user: AccessKey | None, /, **parameters: Any) -> Answered:
        """The answer of the KMS."""
        headers = [(b"X-Amz-Target", f"TrentService.{operation}".encode())]
        body = json.dumps(parameters).encode()
        return await self.send("POST", "/", body, headers, user=user, service="kms")


@pytest.fixture
async def endpoint(tmp_path: Path) -> AsyncIterator[Endpoint]:
    state = StateFolder(tmp_path / "state")
    settings = state.settings(await state.open_root_of_trust(), state.open_identities())
    async with open_backend(settings, create=True) as backend:
        yield Endpoint(backend, state)
