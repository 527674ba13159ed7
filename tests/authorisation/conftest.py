"""A whole endpoint in memory, filled once, and a copy of it for every test.

Requests go over the wire: an HTTP client and the HTTP server on two ends of a memory stream. Time
stands still.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from tlslab import audit, kms, seal
from tlslab.audit import Trail
from tlslab.audit.face import CloudTrail
from tlslab.database import Database
from tlslab.endpoint import Dispatch
from tlslab.http import HTTPClient, Request, Response, serve_http
from tlslab.iam import AccessKey, Credentials, Hop, Identities, presign_v4, sign_v4
from tlslab.kms import KMS
from tlslab.seal import Seal
from tlslab.store.engine import ObjectStore
from tlslab.store.s3 import S3
from tlslab.store.tables import metadata as store_tables

ACCOUNT, OTHER_ACCOUNT = "111122223333", "444455556666"
REGION = "eu-west-2"
HOST = "endpoint.test"
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)

_CODE = re.compile(rb"<Code>([^<]+)</Code>")


def _policy(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


_ALLOW = {"Effect": "Allow", "Action": "*", "Resource": "*"}
_DENY = {"Effect": "Deny", "Action": ["s3:*", "kms:*", "cloudtrail:*"], "Resource": "*"}
_READ = {"Effect": "Allow", "Action": ["s3:Get*", "s3:List*"], "Resource": "*"}


def _key(name: str, kind: str = "AKIA") -> dict[str, Any]:
    return {"id": f"{kind}{name.upper():X<16}", "secret": f"the-secret-of-{name}-alone"}


def _user(name: str, *policies: str) -> dict[str, Any]:
    named = {f"p{number}": text for number, text in enumerate(policies)}
    return {"access_keys": [_key(name)], "policies": named}


def _people() -> Identities:
    """Alice may everything; the others stand for one reason each to be refused."""
    alice = _user("alice", _policy(_ALLOW))
    alice["access_keys"].append({**_key("disabled"), "active": False})
    users = {
        "alice": alice,
        "bob": _user("bob", _policy(_READ)),  # may read buckets but not use keys
        "carol": _user("carol", _policy(_ALLOW)),  # denied by the resources' policies
        "dave": _user("dave", _policy(_ALLOW), _policy(_DENY)),  # denied by his own
        "erin": _user("erin"),  # allowed nothing
    }
    session = {**_key("nightly", "ASIA"), "name": "nightly", "token": "the-token-of-the-session"}
    backup = {"sessions": [session], "policies": {"all": _policy(_ALLOW)}}
    return Identities(
        {
            "accounts": {
                ACCOUNT: {
                    "root": {"access_keys": [_key("root")]},
                    "users": users,
                    "roles": {"backup": backup},
                },
                OTHER_ACCOUNT: {
                    "users": {
                        "mallory": _user("mallory", _policy(_ALLOW)),
                        "trudy": _user("trudy"),  # allowed nothing by her account
                    }
                },
            }
        }
    )


@dataclass(frozen=True)
class Question:
    """A request before it is signed. `secure` is what its hop says."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    service: str = "s3"
    secure: bool = True


@dataclass(frozen=True)
class Answer:
    """A response. `code` is that of the error in its body, None if it has none."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> str | None:
        found = _CODE.search(self.body)
        if found is not None:
            return found[1].decode()
        kind = json.loads(self.body).get("__type") if self.body.startswith(b"{") else None
        return None if kind is None else str(kind)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class World:
    """An endpoint, and whoever asks it. `facts` are the names of what lies in it."""

    directory: Path
    identities: Identities
    answer: Dispatch
    facts: dict[str, Any]

    region, account, now = REGION, ACCOUNT, NOW
    Ask = Question

    def key(self, name: str) -> AccessKey:
        """The key of a user, of the `root` or of the role's session `nightly`."""
        return next(
            key
            for key in self.identities.keys
            if name in (key.principal.name, key.principal.session)
        )

    async def send(self, ask: Question, headers: Mapping[str, str] | None = None) -> Answer:
        """Send a request as it is, over a connection of its own."""

        async def handle(request: Request) -> Response:
            return await self.answer(request, Hop(ask.secure, "192.0.2.1"))

        near, far = trio.testing.memory_stream_pair()
        sent = {**ask.headers, **(headers or {})}
        fields = [(name.encode(), value.encode()) for name, value in sent.items()]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve_http, far, handle)
            async with HTTPClient(near, host=HOST) as client:
                response = await client.request(
                    ask.method, ask.target, headers=fields, body=ask.body
                )
                found = {n.decode().lower(): v.decode() for n, v in response.headers}
                answer = Answer(response.status, found, await response.read())
            nursery.cancel_scope.cancel()
        return answer

    def signed(
        self, ask: Question, by: AccessKey, *, at: datetime = NOW, secret: str | None = None
    ) -> dict[str, str]:
        """The headers that sign a request; with another `secret`, wrongly."""
        headers = [(name.encode(), value.encode()) for name, value in ask.headers.items()]
        credentials = Credentials(by.id, by.secret if secret is None else secret, by.token)
        found = sign_v4(
            credentials,
            ask.method,
            ask.target,
            headers,
            host=HOST,
            service=ask.service,
            region=REGION,
            now=at,
            payload_hash=hashlib.sha256(ask.body).hexdigest(),
        )
        return {name.decode(): value.decode() for name, value in found}

    async def ask(self, ask: Question, by: str = "alice", **how: Any) -> Answer:
        """Send a request that a user signs."""
        return await self.send(ask, self.signed(ask, self.key(by), **how))

    async def ask_presigned(
        self, ask: Question, by: str = "alice", *, at: datetime = NOW, secret: str | None = None
    ) -> Answer:
        """Send a request that a URL signs which is good for a minute."""
        key = self.key(by)
        credentials = Credentials(key.id, key.secret if secret is None else secret, key.token)
        headers = [(name.encode(), value.encode()) for name, value in ask.headers.items()]
        url = presign_v4(
            credentials,
            ask.method,
            f"https://{HOST}{ask.target}",
            region=REGION,
            now=at,
            expires_in=60,
            headers=headers,
        )
        target = url.removeprefix(f"https://{HOST}")
        return await self.send(
            Question(ask.method, target, ask.headers, ask.body, secure=ask.secure)
        )

    async def kms(self, operation: str, by: str = "alice", **parameters: Any) -> Any:
        """Have the KMS do something, which must succeed."""
        answer = await self.ask(of_kms(operation, parameters), by)
        assert answer.status == 200, answer
        return answer.json

    async def s3(self, method: str, target: str, body: bytes = b"", by: str = "alice") -> Answer:
        """Have the store do something, which must succeed."""
        answer = await self.ask(Question(method, target, {}, body), by)
        assert answer.status < 300, answer
        return answer

    async def allow_by_bucket(
        self, *statements: Mapping[str, Any], bucket: str = "letters"
    ) -> None:
        """Give a bucket a policy; statements are about all of it unless they say otherwise."""
        resources = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
        usual = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": resources}
        text = _policy(*({**usual, **statement} for statement in statements))
        answer = await self.ask(with_md5(Question("PUT", f"/{bucket}?policy", {}, text.encode())))
        assert answer.status == 204, answer

    def state(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of all tables but the audit trail's, and the objects' files."""
        found: dict[str, list[tuple[Any, ...]]] = {}
        with sqlite3.connect(self.directory / "state.db") as connection:
            names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            for (name,) in names.fetchall():
                if not name.startswith("audit_"):
                    rows = connection.execute(f'SELECT * FROM "{name}"').fetchall()
                    found[name] = sorted(rows, key=repr)
        connection.close()
        files = sorted(path for path in (self.directory / "files").rglob("*") if path.is_file())
        found["files"] = [(str(path), path.stat().st_size) for path in files]
        return found

    def events(self) -> list[dict[str, Any]]:
        """The audit trail's records, the oldest first."""
        with sqlite3.connect(self.directory / "state.db") as connection:
            rows = connection.execute("SELECT record FROM audit_records ORDER BY number").fetchall()
        connection.close()
        return [json.loads(row[0]) for row in rows]


def of_kms(operation: str, parameters: Mapping[str, Any]) -> Question:
    """A request to the KMS."""
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": f"TrentService.{operation}",
    }
    return Question("POST", "/", headers, json.dumps(parameters).encode(), service="kms")


@asynccontextmanager
async def _open(
    directory: Path, seal_: Seal, identities: Identities, facts: dict[str, Any]
) -> AsyncIterator[World]:
    database = Database(
        str(directory / "state.db"), store_tables, kms.metadata, audit.metadata, seal.metadata
    )
    trail = Trail(database, seal_)
    keys = KMS(
        database, seal_, trail, now=lambda: NOW, principal_exists=identities.principal_exists
    )
    store = ObjectStore(database, directory / "files", seal_, keys, now=lambda: NOW)
    dispatch = Dispatch(
        s3=S3(store, identities, region=REGION, now=lambda: NOW),
        kms=keys,
        cloudtrail=CloudTrail(trail, seal_),
        identities=identities,
        regions=(REGION, "eu-west-1"),
        now=lambda: NOW,
    )
    try:
        yield World(directory, identities, dispatch, facts)
    finally:
        store.close()
        database.close()


async def _fill(world: World) -> None:
    """Buckets, objects, keys and what belongs to them, all of it alice's work."""
    carol = world.key("carol").principal.arn
    against = {"Effect": "Deny", "Principal": {"AWS": carol}}
    for bucket in ("letters", "empty"):
        await world.s3("PUT", f"/{bucket}")
        policy = _policy(
            {
                **against,
                "Action": "s3:*",
                "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
            }
        )
        ask = with_md5(Question("PUT", f"/{bucket}?policy", {}, policy.encode()))
        assert (await world.ask(ask)).status == 204
    await world.s3("PUT", "/letters/a", b"the letter a")
    started = await world.s3("POST", "/letters/parts?uploads")
    upload = re.search(rb"<UploadId>([^<]+)", started.body)
    assert upload is not None
    world.facts["upload"] = upload[1].decode()
    part = await world.s3("PUT", f"/letters/parts?partNumber=1&uploadId={upload[1].decode()}", b"x")
    world.facts["part"] = part.headers["etag"]
    await _fill_kms(world, {**against, "Action": "kms:*", "Resource": "*"})
    sealed = Question(
        "PUT",
        "/letters/sealed",
        {
            "x-amz-server-side-encryption": "aws:kms",
            "x-amz-server-side-encryption-aws-kms-key-id": world.facts["key"],
        },
        b"a sealed letter",
    )
    assert (await world.ask(sealed)).status == 200


_KEYS: Mapping[str, Mapping[str, Any]] = {
    "key": {},
    "disabled": {},
    "dying": {},
    "signer": {"KeyUsage": "SIGN_VERIFY", "KeySpec": "ECC_NIST_P256"},
    "mac": {"KeyUsage": "GENERATE_VERIFY_MAC", "KeySpec": "HMAC_256"},
    "agreement": {"KeyUsage": "KEY_AGREEMENT", "KeySpec": "ECC_NIST_P256"},
    "kem": {"KeyUsage": "ENCAPSULATE_DECAPSULATE", "KeySpec": "ML_KEM_768"},
    "other": {},
    "external": {"Origin": "EXTERNAL"},
    "imported": {"Origin": "EXTERNAL"},
    "multi": {"MultiRegion": True},
    "replicated": {"MultiRegion": True},
}


async def _fill_kms(world: World, against: Mapping[str, Any]) -> None:
    root = f"arn:aws:iam::{ACCOUNT}:root"
    delegate = {"Effect": "Allow", "Principal": {"AWS": root}, "Action": "kms:*", "Resource": "*"}
    facts = world.facts
    facts["policy"] = _policy(delegate, against)
    for name, parameters in _KEYS.items():
        made = await world.kms("CreateKey", Policy=facts["policy"], **parameters)
        facts[name] = made["KeyMetadata"]["Arn"]
    key = facts["key"]
    await world.kms("DisableKey", KeyId=facts["disabled"])
    await world.kms("ScheduleKeyDeletion", KeyId=facts["dying"])
    await world.kms("CreateAlias", AliasName="alias/letters", TargetKeyId=key)
    await world.kms("TagResource", KeyId=key, Tags=[{"TagKey": "team", "TagValue": "blue"}])
    grant = await world.kms(
        "CreateGrant",
        KeyId=key,
        GranteePrincipal=world.key("nightly").principal.role_arn,
        RetiringPrincipal=world.key("alice").principal.arn,
        Operations=["Decrypt"],
    )
    facts["grant"] = grant["GrantId"]
    message = base64.b64encode(b"attack at dawn").decode()
    facts["message"] = message
    facts["ciphertext"] = (await world.kms("Encrypt", KeyId=key, Plaintext=message))[
        "CiphertextBlob"
    ]
    facts["signature"] = (
        await world.kms(
            "Sign", KeyId=facts["signer"], Message=message, SigningAlgorithm="ECDSA_SHA_256"
        )
    )["Signature"]
    facts["tag"] = (
        await world.kms(
            "GenerateMac", KeyId=facts["mac"], Message=message, MacAlgorithm="HMAC_SHA_256"
        )
    )["Mac"]
    public = await world.kms("GetPublicKey", KeyId=facts["agreement"])
    facts["public"] = public["PublicKey"]
    shared = await world.kms("Encapsulate", KeyId=facts["kem"], EncapsulationAlgorithm="ML_KEM")
    facts["encapsulated"] = shared["SharedSecretCiphertextBlob"]
    await world.kms("ReplicateKey", KeyId=facts["replicated"], ReplicaRegion="eu-west-1")
    facts["material"] = await _wrapped_material(world, facts["external"])
    again = await _wrapped_material(world, facts["imported"])
    await world.kms("ImportKeyMaterial", KeyId=facts["imported"], **again)


async def _wrapped_material(world: World, key: str) -> dict[str, Any]:
    """What ImportKeyMaterial takes."""
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    found = await world.kms(
        "GetParametersForImport",
        KeyId=key,
        WrappingAlgorithm="RSAES_OAEP_SHA_256",
        WrappingKeySpec="RSA_2048",
    )
    public = load_der_public_key(base64.b64decode(found["PublicKey"]))
    assert isinstance(public, rsa.RSAPublicKey)
    oaep = padding.OAEP(padding.MGF1(SHA256()), SHA256(), None)
    return {
        "ImportToken": found["ImportToken"],
        "EncryptedKeyMaterial": base64.b64encode(public.encrypt(bytes(range(32)), oaep)).decode(),
        "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE",
    }


def with_md5(ask: Question) -> Question:
    """The request with the digest that S3 wants of some bodies."""
    digest = hashlib.md5(ask.body, usedforsecurity=False).digest()
    headers = {**ask.headers, "Content-MD5": base64.b64encode(digest).decode()}
    return Question(ask.method, ask.target, headers, ask.body, ask.service, ask.secure)


@dataclass(frozen=True)
class Template:
    """A filled endpoint on disk, closed; and what opens it."""

    directory: Path
    seal: Seal
    identities: Identities
    facts: dict[str, Any]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    directory = tmp_path_factory.mktemp("template") / "endpoint"
    directory.mkdir()
    made = Template(directory, Seal.ephemeral(), _people(), {})

    async def fill() -> None:
        async with _open(directory, made.seal, made.identities, made.facts) as world:
            await _fill(world)

    trio.run(fill)
    return made


@pytest.fixture
async def world(template: Template, tmp_path: Path) -> AsyncIterator[World]:
    directory = tmp_path / "endpoint"
    shutil.copytree(template.directory, directory)
    async with _open(directory, template.seal, template.identities, dict(template.facts)) as opened:
        yield opened
