"""An authority, policies, and pairs of connected TLS streams over any transport."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import pytest
import trio
import trio.testing
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from tlslab.errors import TLSError
from tlslab.pki import Authority, Credential, TrustStore
from tlslab.tls import ClientPolicy, ServerPolicy, TLSStream

NAME = "shop.test"

Transports: TypeAlias = tuple[trio.abc.Stream, trio.abc.Stream]
Connect: TypeAlias = Callable[..., Awaitable[tuple[TLSStream, TLSStream]]]
Refused: TypeAlias = Callable[..., Awaitable[tuple[TLSError | None, TLSError | None]]]


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority.create("tests/tls")


@pytest.fixture(scope="session")
def trust(authority: Authority) -> TrustStore:
    return TrustStore((authority.root,))


@pytest.fixture(scope="session")
def credential(authority: Authority) -> Credential:
    return authority.issue(NAME, "127.0.0.1", "::1", "xn--bcher-kva.test")


@pytest.fixture(scope="session")
def client_credential(authority: Authority) -> Credential:
    return authority.issue("alice.test", profile="client")


@pytest.fixture(scope="session")
def careful(trust: TrustStore) -> ClientPolicy:
    return ClientPolicy(trust=trust)


@pytest.fixture(scope="session")
def serving(credential: Credential) -> ServerPolicy:
    return ServerPolicy(credential)


@pytest.fixture
def ends(
    careful: ClientPolicy, serving: ServerPolicy
) -> Callable[..., tuple[TLSStream, TLSStream]]:
    """Both ends of a connection whose handshake has not begun."""

    def make(
        client: ClientPolicy | None = None,
        server: Any = None,
        *,
        name: str = NAME,
        transports: Transports | None = None,
        client_options: dict[str, Any] | None = None,
        server_options: dict[str, Any] | None = None,
    ) -> tuple[TLSStream, TLSStream]:
        left, right = transports or trio.testing.memory_stream_pair()
        return (
            TLSStream.client(left, client or careful, name, **(client_options or {})),
            TLSStream.server(right, server or serving, **(server_options or {})),
        )

    return make


@pytest.fixture
def connect(ends: Callable[..., tuple[TLSStream, TLSStream]]) -> Connect:
    """Both ends of a connection whose handshake is complete."""

    async def both(*arguments: Any, **options: Any) -> tuple[TLSStream, TLSStream]:
        client, server = ends(*arguments, **options)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.do_handshake)
            nursery.start_soon(server.do_handshake)
        return client, server

    return both


@pytest.fixture
def refused(ends: Callable[..., tuple[TLSStream, TLSStream]]) -> Refused:
    """The errors at both ends (None: success); the client also reads, as refusals may be late."""

    async def attempt(*arguments: Any, **options: Any) -> tuple[TLSError | None, TLSError | None]:
        client, server = ends(*arguments, **options)
        errors: dict[str, TLSError] = {}

        async def run(side: str, stream: TLSStream) -> None:
            try:
                await stream.do_handshake()
                if side == "client":
                    await stream.receive_some()
            except TLSError as error:
                errors[side] = error
            await stream.aclose()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(run, "client", client)
            nursery.start_soon(run, "server", server)
        return errors.get("client"), errors.get("server")

    return attempt


class Bytewise(trio.abc.Stream):
    """A transport that delivers one byte at a time, as a hostile network may."""

    def __init__(self, inner: trio.abc.Stream) -> None:
        self.inner = inner

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self.inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self.inner.receive_some(1)

    async def aclose(self) -> None:
        await self.inner.aclose()


@pytest.fixture
def bytewise() -> Callable[[Transports], Transports]:
    return lambda pair: (Bytewise(pair[0]), Bytewise(pair[1]))


@dataclass
class Sealer:
    """Makes TLS 1.3 records from a traffic secret: a peer that sends what OpenSSL never would.

    For TLS_AES_128_GCM_SHA256 (RFC 8446 sections 5.2 and 7.3).
    """

    secret: bytes
    sequence: int = 0

    def expand(self, label: bytes, length: int) -> bytes:
        full = b"tls13 " + label
        info = length.to_bytes(2) + bytes((len(full),)) + full + b"\0"
        return HKDFExpand(SHA256(), length, info).derive(self.secret)

    def record(self, content_type: int, payload: bytes) -> bytes:
        inner = payload + bytes((content_type,))
        header = b"\x17\x03\x03" + (len(inner) + 16).to_bytes(2)
        mask = self.sequence.to_bytes(12)
        nonce = bytes(a ^ b for a, b in zip(self.expand(b"iv", 12), mask, strict=True))
        self.sequence += 1
        return header + AESGCM(self.expand(b"key", 16)).encrypt(nonce, inner, header)

    def data(self, payload: bytes) -> bytes:
        return self.record(23, payload)

    def key_update(self, *, request: bool) -> bytes:
        record = self.record(22, bytes((24, 0, 0, 1, request)))
        self.secret, self.sequence = self.expand(b"traffic upd", 32), 0
        return record


@pytest.fixture
def sealer() -> Callable[[Any, Literal["CLIENT", "SERVER"]], Sealer]:
    """A sealer with one side's first traffic secret, from a key log."""

    def make(keylog: Any, side: Literal["CLIENT", "SERVER"]) -> Sealer:
        label = f"{side}_TRAFFIC_SECRET_0 "
        (line,) = [line for line in keylog.lines if line.startswith(label)]
        return Sealer(bytes.fromhex(line.rsplit(" ", 1)[1]))

    return make
