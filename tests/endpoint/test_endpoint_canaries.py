"""Nothing that was sealed is readable on the store's side: disks, databases, logs, cables.

Every kind of encryption gets a canary of its own, through the TLS-terminating proxy, in every shape
that an object has: small, large, in parts, unfinished, and in what is said of it. Then everything
is searched, in all encodings. In the plain twin the same search finds it.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import boto3
import trio
from botocore.config import Config

from tests.endpoint.going_up import going_up
from tlslab.capture import read_capture, search_capture
from tlslab.capture.canary import Canary, search_file
from tlslab.clientside import ApplicationKey, ApplicationKeyring, KMSKeyring, encrypt_stream
from tlslab.clientside.objects import OVERHEAD_BYTES
from tlslab.lab.lab import open_lab

BUCKET = "letters"
PART = 5 * 1024**2
SHAPES = {"small": 4096, "large": 300_000, "parts": 100_000}
"""Bytes: in the database, in a file, uploaded as a part."""

TWO_PARTS = SHAPES | {"parts": PART + 1000}

CUSTOMER_KEY = b"the customer's key has 32 bytes!"
"""As a canary: it is searched for like the content."""


in_thread = trio.to_thread.run_sync


@dataclass
class Sealed:
    """The canaries of one kind of encryption, and what its requests say to get it.

    `keyring` encrypts before upload; what is said of an object is then sealed by the store alone.
    """

    content: Canary
    put: Mapping[str, Any]
    get: Mapping[str, Any] = field(default_factory=dict)
    keyring: Any = None

    def body(self, size: int) -> bytes:
        block = self.content.token + b" "
        return (block * (size // len(block) + 1))[:size]


def kinds(kms: Any, application_key: ApplicationKey) -> dict[str, Sealed]:
    """Every kind of encryption, with a key of the KMS where it takes one."""
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    with_kms = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": arn}
    customer = {"SSECustomerKey": CUSTOMER_KEY, "SSECustomerAlgorithm": "AES256"}

    async def generate(context: Mapping[str, str]) -> tuple[bytes, bytes]:
        ask = partial(kms.generate_data_key, KeyId=arn, KeySpec="AES_256")
        made = await in_thread(partial(ask, EncryptionContext=dict(context)))
        return made["Plaintext"], made["CiphertextBlob"]

    async def decrypt(blob: bytes, context: Mapping[str, str]) -> bytes:
        ask = partial(kms.decrypt, CiphertextBlob=blob)
        opened = await in_thread(partial(ask, EncryptionContext=dict(context)))
        return bytes(opened["Plaintext"])

    def sealed(label: str, put: Mapping[str, Any] | None = None, **more: Any) -> Sealed:
        return Sealed(Canary.fresh(label), put or {}, **more)

    return {
        "SSE-S3": sealed("sse s3", {"ServerSideEncryption": "AES256"}),
        "SSE-KMS": sealed("sse kms", with_kms | {"BucketKeyEnabled": False}),
        "bucket-key": sealed("bucket key", with_kms | {"BucketKeyEnabled": True}),
        "dsse": sealed("dsse", with_kms | {"ServerSideEncryption": "aws:kms:dsse"}),
        "SSE-C": sealed("sse c", customer, get=customer),
        "application-key": sealed("application", keyring=ApplicationKeyring(application_key)),
        "client-kms": sealed("client kms", keyring=KMSKeyring(generate, decrypt)),
    }  # fmt: skip


async def encrypted(sealed: Sealed, body: bytes) -> tuple[dict[str, str], bytes]:
    """What is sent of a body: metadata and content."""
    if sealed.keyring is None:
        return {"note": sealed.content.text}, body

    async def once() -> AsyncIterator[bytes]:
        yield body

    made = await encrypt_stream(once(), sealed.keyring)
    return dict(made.metadata), b"".join([piece async for piece in made.body])


async def write(s3: Any, name: str, sealed: Sealed, shapes: Mapping[str, int]) -> None:
    """Objects of every shape, read again, so that reading leaves its traces too."""
    for shape, size in shapes.items():
        metadata, body = await encrypted(sealed, sealed.body(size))
        more = {**sealed.put, "Metadata": metadata, "ContentType": "text/plain"}
        if sealed.keyring is None:
            more["Tagging"] = f"tag={sealed.content.text}"
        put = put_parts if shape == "parts" else put_whole
        where = {"Bucket": BUCKET, "Key": f"{name}/{shape}"}
        await in_thread(put, s3, where, body, more, sealed.get)
        assert await in_thread(get, s3, where, sealed.get) == body
    await in_thread(leave_unfinished, s3, name, sealed)


def put_whole(
    s3: Any, where: Mapping[str, str], body: bytes, more: Mapping[str, Any], key: Mapping[str, Any]
) -> None:
    s3.put_object(**where, Body=body, **more)


def put_parts(
    s3: Any, where: Mapping[str, str], body: bytes, more: Mapping[str, Any], key: Mapping[str, Any]
) -> None:
    """... each with the customer's key, if there is one."""
    upload = {**where, "UploadId": s3.create_multipart_upload(**where, **more)["UploadId"]}
    parts = []
    for number, start in enumerate(range(0, len(body), PART), start=1):
        data = body[start : start + PART]
        made = s3.upload_part(**upload, PartNumber=number, Body=data, **key)
        parts.append({"PartNumber": number, "ETag": made["ETag"]})
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}, **key)


def get(s3: Any, where: Mapping[str, str], key: Mapping[str, Any]) -> bytes:
    return bytes(s3.get_object(**where, **key)["Body"].read())


def leave_unfinished(s3: Any, name: str, sealed: Sealed) -> None:
    """An upload that nobody completes, a refused read, and a copy under the bucket's default."""
    if sealed.keyring is None:
        where = {"Bucket": BUCKET, "Key": f"{name}/left"}
        where["UploadId"] = s3.create_multipart_upload(**where, **sealed.put)["UploadId"]
        s3.upload_part(**where, PartNumber=1, Body=sealed.body(70_000), **sealed.get)
    theirs = {f"CopySource{key}": value for key, value in sealed.get.items()}
    source = {"Bucket": BUCKET, "Key": f"{name}/large"}
    s3.copy_object(Bucket=BUCKET, Key=f"{name}/copy", CopySource=source, **theirs)
    if sealed.get:
        with suppress(s3.exceptions.ClientError):  # the plain twin gives it to anybody
            s3.get_object(**source)


def found(folder: Path, canaries: list[Canary]) -> dict[str, set[str]]:
    """Where each canary can be read: names of files by label."""
    places: dict[str, set[str]] = {}
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 3
    for path in files:
        if path.suffix == ".pcapng":
            hits: Any = search_capture(read_capture(path), canaries)
        else:
            hits = search_file(path, canaries)
        for hit in hits:
            places.setdefault(hit.canary.label, set()).add(path.name)
    return places


async def write_all(
    s3: Any, kms: Any, shapes: Mapping[str, int] = SHAPES
) -> tuple[dict[str, Sealed], list[Canary]]:
    """Everything of every kind; what must not be found anywhere: contents, and clients' keys."""
    here = {"LocationConstraint": "eu-west-2"}
    await in_thread(lambda: s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=here))
    application_key = ApplicationKey.generate()
    all_kinds = await in_thread(kinds, kms, application_key)
    for name, sealed in all_kinds.items():
        await write(s3, name, sealed, shapes)
    keys = [Canary("customer key", CUSTOMER_KEY), Canary("application key", application_key.secret)]
    return all_kinds, [sealed.content for sealed in all_kinds.values()] + keys


async def test_a_killed_lab_left_nothing_readable_and_everything_whole(tmp_path: Path) -> None:
    """Searched are its state folder with write-ahead logs, and all that the process printed."""
    with going_up(tmp_path) as up, closing(up.client()) as s3, closing(up.client("kms")) as kms:
        all_kinds, canaries = await write_all(s3, kms, TWO_PARTS)
        name = Canary.fresh("name")  # those of objects lie open: the search finds what is there
        await in_thread(lambda: s3.put_object(Bucket=BUCKET, Key=name.text, Body=b""))
        assert any(path.name.endswith("-wal") for path in tmp_path.rglob("*"))
        up.kill()
        assert b"handshake" in up.log.read_bytes()
        places = found(tmp_path, [name, *canaries])
        assert places.keys() == {"name"}
        assert any(place.startswith("store.sqlite") for place in places["name"])
    with going_up(tmp_path) as up, closing(up.client()) as s3:
        for kind, sealed in all_kinds.items():
            for shape, size in TWO_PARTS.items():
                where = {"Bucket": BUCKET, "Key": f"{kind}/{shape}"}
                data = await in_thread(get, s3, where, sealed.get)
                if sealed.keyring is None:
                    assert data == sealed.body(size)
                else:
                    assert len(data) == size + OVERHEAD_BYTES


@dataclass
class Behind:
    """What there is behind the proxy of a lab: folder, and what to search for."""

    folder: Path
    canaries: list[Canary]


async def behind_the_proxy(folder: Path, *, encrypted: bool) -> Behind:
    """Write everything through a proxy with a sniffer and a log reader behind it.

    `encrypted`: at rest, and on the cable to the store. Otherwise neither.
    """
    async with open_lab(folder, "lab") as lab:
        store = await lab.store(encrypted=encrypted, tls=encrypted)
        edge = await lab.terminating_proxy("localhost", store)
        assert edge.address is not None
        port = edge.address[1]
        adversaries = [lab.sniffer("behind", between=(edge, store)), lab.log_reader()]
        (folder / "ca.pem").write_bytes(lab.ca.root_pem)
        alice = store.user("alice")

        def client(service: str, **config: Any) -> Any:
            return boto3.client(
                service,
                endpoint_url=f"https://localhost:{port}",
                region_name="eu-west-2",
                aws_access_key_id=alice.id,
                aws_secret_access_key=alice.secret,
                verify=str(folder / "ca.pem"),
                config=Config(retries={"max_attempts": 0}, **config),
            )

        with closing(client("s3")) as s3, closing(client("kms")) as kms:
            all_kinds, canaries = await write_all(s3, kms)
            where = {"Bucket": BUCKET, "Key": "SSE-C/small", **all_kinds["SSE-C"].get}
            with closing(client("s3", signature_version="s3")) as older:
                url = older.generate_presigned_url("get_object", where)
            await in_thread(get_by_url, url, folder / "ca.pem")
    for adversary in adversaries:
        taken = folder / adversary.name
        taken.mkdir()
        assert await adversary.take(taken)
    return Behind(folder, canaries)


def get_by_url(url: str, ca: Path) -> None:
    """A customer's key in a URL, where Signature Version 2 has it, and where logs would have it."""
    assert "-server-side-encryption-customer-key=" in url
    with urlopen(url, context=ssl.create_default_context(cafile=ca)) as answer:
        assert len(answer.read()) == SHAPES["small"]


async def test_neither_disk_nor_cable_nor_log_has_any_of_it(tmp_path: Path) -> None:
    behind = await behind_the_proxy(tmp_path, encrypted=True)
    assert found(behind.folder, behind.canaries) == {}


async def test_in_the_plain_twin_all_but_what_clients_encrypted_is_found(tmp_path: Path) -> None:
    behind = await behind_the_proxy(tmp_path, encrypted=False)
    places = found(behind.folder, behind.canaries)
    assert places.pop("customer key") == {"behind.pcapng"}
    assert places.keys() == {"sse s3", "sse kms", "bucket key", "dsse", "sse c"}
    for files in places.values():
        assert "behind.pcapng" in files
        assert any(name.startswith("store.sqlite") for name in files)
        assert any(len(name) >= 32 for name in files)  # blobs are named by random numbers
