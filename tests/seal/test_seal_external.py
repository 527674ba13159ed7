"""External roots of trust, asked over TLS: Vault's transit API, and KMS's, which is our own KMS.

The server of transit's API is not Vault: it is written here by Vault's documentation of that API,
for the members and statuses that are used, with keys and ciphertexts as real as Vault's.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trio
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tlslab import audit, kms
from tlslab.audit import Trail
from tlslab.database import Database
from tlslab.errors import UsageError
from tlslab.http import Request, Response
from tlslab.iam import ACCOUNT, Caller, Identities
from tlslab.iam.signature_error import SignatureError
from tlslab.iam.signatures import authenticate
from tlslab.iam.signing import Credentials
from tlslab.kms import KMS, face
from tlslab.pki import Authority
from tlslab.seal import (
    AWSKMSRoot,
    PassphraseFile,
    RootOfTrust,
    Seal,
    Service,
    VaultTransitRoot,
    metadata,
    open_seal,
    rewrap,
)
from tlslab.seal.service import ANSWER_BYTES

REGION = "eu-west-2"
CONTEXT = {"tlslab:database": "1"}
SECRET = bytes(range(32))


@dataclass
class Transit:
    """Vault's transit secrets engine, as its API's documentation describes it."""

    token: str = "hvs.right"
    sealed: bool = False
    keys: dict[str, list[bytes]] = field(default_factory=lambda: {"tlslab": [os.urandom(32)]})
    asked: list[Request] = field(default_factory=list)

    async def __call__(self, request: Request) -> Response:
        self.asked.append(request)
        if self.sealed:
            return _json(503, {"errors": ["Vault is sealed"]})
        if request.header("x-vault-token") != self.token:
            return _json(403, {"errors": ["permission denied"]})
        *mount, verb, name = request.path.removeprefix("/v1/").split("/")
        if mount != ["transit"] or request.method not in {"POST", "PUT"} or name not in self.keys:
            return _json(404, {"errors": []})
        body = json.loads(await request.read())
        data = base64.b64decode(body.get("associated_data", ""))
        versions = self.keys[name]
        if verb == "encrypt":
            nonce, plaintext = os.urandom(12), base64.b64decode(body["plaintext"])
            sealed = nonce + AESGCM(versions[-1]).encrypt(nonce, plaintext, data)
            text = f"vault:v{len(versions)}:{base64.b64encode(sealed).decode()}"
            return _json(200, {"data": {"ciphertext": text, "key_version": len(versions)}})
        _, version, text = body["ciphertext"].split(":")
        sealed = base64.b64decode(text)
        try:
            key = versions[int(version[1:]) - 1]
            plaintext = AESGCM(key).decrypt(sealed[:12], sealed[12:], data)
        except (InvalidTag, IndexError):
            return _json(400, {"errors": ["cipher: message authentication failed"]})
        return _json(200, {"data": {"plaintext": base64.b64encode(plaintext).decode()}})


def _json(status: int, value: object) -> Response:
    return Response(status, [(b"Content-Type", b"application/json")], json.dumps(value).encode())


@dataclass
class OwnKMS:
    """Our own KMS behind its face, with signatures verified."""

    kms: KMS
    identities: Identities
    trail: Trail

    async def __call__(self, request: Request) -> Response:
        body = await request.read()

        async def once() -> AsyncIterator[bytes]:
            yield body

        request = replace(request, body=once())
        try:
            signed = authenticate(
                request, self.identities, now=datetime.now(UTC), services=("kms",),
                regions=(REGION,), body=body,
            )  # fmt: skip
        except SignatureError as error:
            return _json(400, {"__type": error.json_code, "message": error.message})
        assert signed.key is not None
        caller = Caller(signed.key.principal, signed.key.id, "127.0.0.1", "", secure=True)
        target = request.header("x-amz-target") or ""
        return await face.handle(self.kms, caller, request, target, REGION)

    @property
    def caller(self) -> Caller:
        root = self.identities.root(ACCOUNT)
        assert root is not None
        return Caller(root.principal, root.id, "127.0.0.1", "", secure=True)

    @property
    def credentials(self) -> Credentials:
        root = self.identities.root(ACCOUNT)
        assert root is not None
        return Credentials(root.id, root.secret)

    async def ask(self, operation: str, **parameters: object) -> dict[str, Any]:
        return await self.kms.invoke(self.caller, operation, parameters, region=REGION)


@pytest.fixture
def own_kms(tmp_path: Path) -> Iterator[OwnKMS]:
    tables = (audit.metadata, kms.metadata)
    with closing(Database(str(tmp_path / "kms.db"), *tables)) as database:
        seal = Seal.ephemeral()
        trail = Trail(database, seal)
        yield OwnKMS(KMS(database, seal, trail), Identities.generate(), trail)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with closing(Database(database_url, metadata)) as database:
        yield database


async def refused(root: RootOfTrust, wrapped: bytes, context: dict[str, str]) -> str:
    with pytest.raises(UsageError) as refusal:
        await root.unwrap(wrapped, context)
    return f"{refusal.value.message} {refusal.value.hint}"


async def test_transit_opens_what_it_wrapped(serving: Any, database: Database) -> None:
    transit = Transit()
    async with serving(transit) as service:
        root = VaultTransitRoot(service, "tlslab", transit.token)
        seal = await open_seal(database, root, create=True)
        transit.keys["tlslab"].append(os.urandom(32))  # rotated: old versions still open
        again = await open_seal(database, root, create=False)
        assert again.derive("x") == seal.derive("x")
    assert [request.path for request in transit.asked] == [
        "/v1/transit/encrypt/tlslab",
        "/v1/transit/decrypt/tlslab",
        "/v1/transit/decrypt/tlslab",
    ]


async def test_transit_binds_the_context(serving: Any) -> None:
    transit = Transit()
    async with serving(transit) as service:
        root = VaultTransitRoot(service, "tlslab", transit.token)
        wrapped = await root.wrap(SECRET, CONTEXT)
        assert await root.unwrap(wrapped, CONTEXT) == SECRET
        assert wrapped.startswith(b"vault:v1:")
        assert SECRET not in base64.b64decode(wrapped[9:])
        await refused(root, wrapped, {"tlslab:database": "2"})
        await refused(root, wrapped[:-8] + b"AAAAAAA=", CONTEXT)
        await refused(root, b"vault:v9:" + wrapped[9:], CONTEXT)


async def test_transit_that_refuses_is_said_in_words_and_without_the_token(serving: Any) -> None:
    transit = Transit()
    async with serving(transit) as service:
        root = VaultTransitRoot(service, "tlslab", transit.token)
        wrapped = await root.wrap(SECRET, CONTEXT)
        assert "hvs." not in repr(root)
        thief = replace(root, token="hvs.stolen-and-revoked")
        assert "hvs." not in await refused(thief, wrapped, CONTEXT)
        await refused(replace(root, key="other"), wrapped, CONTEXT)
        await refused(replace(root, mount="elsewhere"), wrapped, CONTEXT)
        transit.sealed = True
        await refused(root, wrapped, CONTEXT)
        transit.sealed = False
        assert await root.unwrap(wrapped, CONTEXT) == SECRET
        del transit.keys["tlslab"]
        await refused(root, wrapped, CONTEXT)


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b'{"data": 1}', b'{"data": {"plaintext": 1}}', b"\xff",
     b'{"data": {"plaintext": "%"}}', b"x" * (ANSWER_BYTES + 1), b'{"data": {"plaintext": ""}}'],
)  # fmt: skip
async def test_any_answer_that_is_none_is_refused(serving: Any, body: bytes) -> None:
    async def answer(request: Request) -> Response:
        return Response(200, [], body)

    async with serving(answer) as service:
        await refused(VaultTransitRoot(service, "tlslab", "t"), b"vault:v1:AA==", CONTEXT)
        credentials = Credentials("AKIA", "secret")
        await refused(AWSKMSRoot(service, "alias/x", REGION, credentials), b"blob", CONTEXT)


async def test_an_impostor_is_not_asked(serving: Any, authority: Authority) -> None:
    """Its certificate is of another authority, or for another name. Pair: the right one is."""
    transit = Transit()
    async with serving(transit) as service:
        root = VaultTransitRoot(service, "tlslab", transit.token)
        wrapped = await root.wrap(SECRET, CONTEXT)
        transit.asked.clear()
        strangers = Authority.create("strangers")
        for impostor in (
            Service(service.url, strangers.trust),
            Service(service.url),  # the system's roots
            Service(service.url.replace("localhost", "127.0.0.1"), authority.trust),
        ):
            await refused(replace(root, service=impostor), wrapped, CONTEXT)
        assert transit.asked == []
        assert await root.unwrap(wrapped, CONTEXT) == SECRET


async def test_a_root_that_does_not_answer_is_given_up(
    serving: Any, autojump_clock: trio.testing.MockClock
) -> None:
    async def silent(request: Request) -> Response:
        await trio.sleep_forever()
        raise AssertionError

    async with serving(silent) as service:
        await refused(VaultTransitRoot(service, "tlslab", "t"), b"vault:v1:AA==", CONTEXT)


async def test_a_root_that_is_not_there_is_said_in_words(database: Database) -> None:
    with trio.socket.socket() as free:
        await free.bind(("127.0.0.1", 0))
        service = Service(f"https://127.0.0.1:{free.getsockname()[1]}")
        with pytest.raises(UsageError):
            await open_seal(database, VaultTransitRoot(service, "tlslab", "t"), create=True)
    with pytest.raises(UsageError):
        await open_seal(database, VaultTransitRoot(service, "tlslab", "t"), create=False)


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://vault.test", True),
        ("https://vault.test:8200", True),
        ("https://vault.test/", True),
        ("http://127.0.0.1:8200", True),
        ("http://[::1]:8200", True),
        ("http://localhost:8200", True),
        ("http://vault.test:8200", False),
        ("http://10.0.0.1", False),
        ("http://127.0.0.1.vault.test", False),
        ("https://vault.test/path", False),
        ("https://vault.test?x", False),
        ("https://user@vault.test", False),
        ("https://vault.test:0", False),
        ("https://vault.test:99999", False),
        ("https://", False),
        ("ftp://vault.test", False),
        ("vault.test", False),
        ("", False),
    ],
)
def test_the_master_key_travels_over_tls_or_loopback_only(url: str, good: bool) -> None:
    if good:
        Service(url)
    else:
        with pytest.raises(UsageError):
            Service(url)


@pytest.mark.parametrize("bad", ["", "a b", "../x", "a/b", "a\r\nb", "ä", "x" * 129])
def test_names_that_could_be_something_else_in_a_request_are_refused(bad: str) -> None:
    service = Service("https://vault.test")
    with pytest.raises(UsageError):
        VaultTransitRoot(service, bad, "token")
    with pytest.raises(UsageError):
        VaultTransitRoot(service, "key", bad if bad != "a/b" and bad[:1] not in ".ax" else "\n")
    if bad != "a/b" and bad[:1] != "x":
        with pytest.raises(UsageError):
            VaultTransitRoot(service, "key", "token", mount=bad)


async def test_our_kms_opens_what_it_wrapped(
    serving: Any, own_kms: OwnKMS, database: Database
) -> None:
    """The wrapped master key is one of KMS's ciphertexts; both uses are in its audit trail."""
    arn = (await own_kms.ask("CreateKey"))["KeyMetadata"]["Arn"]
    async with serving(own_kms) as service:
        root = AWSKMSRoot(service, arn, REGION, own_kms.credentials)
        seal = await open_seal(database, root, create=True)
        again = await open_seal(database, root, create=False)
        assert again.derive("x") == seal.derive("x")
        for key_id in (arn.rpartition("/")[2], arn):
            wrapped = await replace(root, key_id=key_id).wrap(SECRET, CONTEXT)
            assert await root.unwrap(wrapped, CONTEXT) == SECRET
        await refused(root, wrapped, {"tlslab:database": "2"})
        await refused(root, wrapped[:-1] + bytes([wrapped[-1] ^ 1]), CONTEXT)
    page = await own_kms.trail.lookup(
        audit.Query(attribute=audit.Attribute.RESOURCE_NAME, value=arn)
    )
    names = [json.loads(found.record)["eventName"] for found in page.found]
    assert {"Encrypt", "Decrypt"} <= set(names)
    assert all(
        b"tlslab:database" in found.record for found in page.found if b'"Decrypt"' in found.record
    )


async def test_a_kms_key_that_is_off_keeps_everything_shut(
    serving: Any, own_kms: OwnKMS, database: Database
) -> None:
    """Disabled, or to be deleted: no start. Pair: enabled again, it opens."""
    arn = (await own_kms.ask("CreateKey"))["KeyMetadata"]["Arn"]
    async with serving(own_kms) as service:
        root = AWSKMSRoot(service, arn, REGION, own_kms.credentials)
        await open_seal(database, root, create=True)
        await own_kms.ask("DisableKey", KeyId=arn)
        with pytest.raises(UsageError, match="DisabledException"):
            await open_seal(database, root, create=False)
        await own_kms.ask("EnableKey", KeyId=arn)
        await open_seal(database, root, create=False)
        await own_kms.ask("ScheduleKeyDeletion", KeyId=arn, PendingWindowInDays=7)
        with pytest.raises(UsageError, match="KMSInvalidStateException"):
            await open_seal(database, root, create=True)


async def test_another_kms_key_or_signature_does_not_open_it(
    serving: Any, own_kms: OwnKMS, database: Database
) -> None:
    arn = (await own_kms.ask("CreateKey"))["KeyMetadata"]["Arn"]
    other = (await own_kms.ask("CreateKey"))["KeyMetadata"]["Arn"]
    async with serving(own_kms) as service:
        root = AWSKMSRoot(service, arn, REGION, own_kms.credentials)
        await open_seal(database, root, create=True)
        with pytest.raises(UsageError, match="IncorrectKeyException"):
            await open_seal(database, replace(root, key_id=other), create=False)
        wrong = Credentials(own_kms.credentials.access_key_id, "wrong")
        with pytest.raises(UsageError):
            await open_seal(database, replace(root, credentials=wrong), create=False)
        assert own_kms.credentials.secret not in repr(root)


async def test_moving_from_a_passphrase_to_a_kms_and_to_vault_moves_no_data(
    serving: Any, own_kms: OwnKMS, database: Database, tmp_path: Path
) -> None:
    transit = Transit()
    arn = (await own_kms.ask("CreateKey"))["KeyMetadata"]["Arn"]
    async with serving(own_kms) as of_kms, serving(transit) as of_vault:
        roots: list[RootOfTrust] = [
            await PassphraseFile.create(tmp_path / "root", b"passphrase"),
            AWSKMSRoot(of_kms, arn, REGION, own_kms.credentials),
            VaultTransitRoot(of_vault, "tlslab", transit.token),
        ]
        seal = await open_seal(database, roots[0], create=True)
        box = seal.wrap(b"x", purpose="p", context={})
        for old, new in ((0, 1), (1, 2), (2, 0)):
            await rewrap(database, roots[old], roots[new])
            opened = await open_seal(database, roots[new], create=False)
            assert opened.unwrap(box, purpose="p", context={}) == b"x"
            with pytest.raises(UsageError):
                await open_seal(database, roots[old], create=False)


async def test_nothing_of_an_external_root_is_written_down(serving: Any, tmp_path: Path) -> None:
    """Neither the master key nor the token is in any file beside the database. Pair: the wrapped
    key, which is kept on purpose, is found by the same search."""
    transit = Transit(token="hvs.CANARY-OF-A-TOKEN")
    async with serving(transit) as service:
        root = VaultTransitRoot(service, "tlslab", transit.token)
        with closing(Database(str(tmp_path / "state.db"), metadata)) as database:
            seal = await open_seal(database, root, create=True)
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    master = seal._master
    for secret in (master, master.hex().encode(), base64.b64encode(master), b"CANARY"):
        assert secret not in kept
    assert b"vault:v1:" in kept
