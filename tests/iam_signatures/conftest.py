"""One access key, a clock that stands still, and requests without a network."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from tlslab.http import Request
from tlslab.iam import AccessKey, Principal
from tlslab.iam.signatures import Authentication, authenticate
from tlslab.iam.signing import Credentials

ACCOUNT = "111122223333"
REGION = "eu-west-2"


@dataclass(frozen=True)
class Keyring:
    keys: tuple[AccessKey, ...]

    def find(self, access_key_id: str) -> AccessKey | None:
        return next((key for key in self.keys if key.id == access_key_id), None)


class Pieces(AsyncIterator[bytes]):
    """A body that needs no closing, unlike a generator."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts = iter(parts)

    async def __anext__(self) -> bytes:
        try:
            return next(self._parts)
        except StopIteration:
            raise StopAsyncIteration from None


@pytest.fixture
def make_request() -> Callable[..., Request]:
    """A request as a server hands it on; its body comes in the pieces given."""

    def make(
        method: str,
        target: str,
        headers: Iterable[tuple[bytes, bytes]],
        body: Iterable[bytes] = (),
    ) -> Request:
        return Request(method, target, list(headers), Pieces(body))

    return make


@pytest.fixture
def now() -> datetime:
    return datetime(2026, 11, 20, 12, 30, tzinfo=UTC)


@pytest.fixture
def key() -> AccessKey:
    arn = f"arn:aws:iam::{ACCOUNT}:root"
    principal = Principal(arn, ACCOUNT, "root", "root", ACCOUNT)
    return AccessKey("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", principal)


@pytest.fixture
def session_key(key: AccessKey) -> AccessKey:
    return AccessKey(
        "ASIAIOSFODNN7EXAMPLE", "another+secret/of+a/session", key.principal, "t0k/en="
    )


@pytest.fixture
def keyring(key: AccessKey, session_key: AccessKey) -> Keyring:
    return Keyring((key, session_key))


@pytest.fixture
def credentials(key: AccessKey) -> Credentials:
    return Credentials(key.id, key.secret)


@pytest.fixture
def check(keyring: Keyring, now: datetime) -> Callable[..., Authentication]:
    """Authenticate a request for S3 at the fixed time; everything can be said otherwise."""

    def check(request: Request, **other: Any) -> Authentication:
        settings: dict[str, Any] = {"now": now, "services": ("s3",), "regions": (REGION,)}
        return authenticate(request, keyring, **(settings | other))

    return check
