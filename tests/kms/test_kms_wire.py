"""Real clients over a real socket: boto3 and the aws command line."""

from __future__ import annotations

import base64
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import trio

from tlslab.http import Request, Response, serve_http
from tlslab.kms.face import handle

World: TypeAlias = Any
boto3 = pytest.importorskip("boto3", reason="boto3 is not installed")
exceptions = pytest.importorskip("botocore.exceptions", reason="botocore is not installed")

REGION = "eu-west-2"
KEY = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/kms/aws4_request")


@asynccontextmanager
async def served(world: World) -> AsyncIterator[str]:
    """The URL of the KMS; whoever names an access key is believed to be its owner."""
    callers = {each.access_key_id: each for each in (world.root, world.bob)}

    async def answer(request: Request) -> Response:
        found = KEY.search(request.header("authorization") or "")
        assert found is not None
        target = request.header("x-amz-target") or ""
        caller = callers[found.group(1)]
        return await handle(world.kms, caller, request, target, found.group(2))

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listener.socket.getsockname()[1]
        handler = partial(serve_http, handler=answer)
        nursery.start_soon(partial(trio.serve_listeners, handler, [listener]))
        yield f"http://127.0.0.1:{port}"
        nursery.cancel_scope.cancel()


def client(url: str, by: Any) -> Any:
    return boto3.client(
        "kms",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=by.access_key_id,
        aws_secret_access_key="x",
    )


async def with_boto3(world: World, work: Callable[[Any], None], by: Any = None) -> None:
    async with served(world) as url:
        made = client(url, by or world.root)
        try:
            await trio.to_thread.run_sync(work, made)
        finally:
            made.close()


def _imports(kms: Any) -> None:
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    key = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    given = kms.get_parameters_for_import(
        KeyId=key, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048"
    )
    public = load_der_public_key(given["PublicKey"])
    assert isinstance(public, rsa.RSAPublicKey)
    wrapped = public.encrypt(os.urandom(32), padding.OAEP(padding.MGF1(SHA256()), SHA256(), None))
    valid_to = given["ParametersValidTo"]
    kms.import_key_material(
        KeyId=key, ImportToken=given["ImportToken"], EncryptedKeyMaterial=wrapped, ValidTo=valid_to
    )
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["ValidTo"] == valid_to
    kms.delete_imported_key_material(KeyId=key)


def _everyday(kms: Any) -> None:
    key = kms.create_key(Tags=[{"TagKey": "a", "TagValue": "b"}])["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/a", TargetKeyId=key)
    context = {"EncryptionContext": {"k": "v"}}
    blob = kms.encrypt(KeyId="alias/a", Plaintext=b"x", **context)["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=blob, **context)["Plaintext"] == b"x"
    moved = kms.re_encrypt(
        CiphertextBlob=blob, SourceEncryptionContext={"k": "v"}, DestinationKeyId=key
    )["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=moved)["Plaintext"] == b"x"
    made = kms.generate_data_key(KeyId=key, KeySpec="AES_256")
    assert kms.decrypt(CiphertextBlob=made["CiphertextBlob"])["Plaintext"] == made["Plaintext"]
    kms.generate_data_key_without_plaintext(KeyId=key, NumberOfBytes=16)
    kms.generate_data_key_pair(KeyId=key, KeyPairSpec="ECC_NIST_P256")
    kms.generate_data_key_pair_without_plaintext(KeyId=key, KeyPairSpec="ECC_NIST_P256")
    assert len(kms.generate_random(NumberOfBytes=7)["Plaintext"]) == 7
    assert kms.get_key_last_usage(KeyId=key)["KeyLastUsage"]["Operation"]
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.update_alias(AliasName="alias/a", TargetKeyId=other)
    assert [page["Aliases"] for page in kms.get_paginator("list_aliases").paginate()]
    kms.delete_alias(AliasName="alias/a")
    kms.tag_resource(KeyId=key, Tags=[{"TagKey": "c", "TagValue": "d"}])
    kms.untag_resource(KeyId=key, TagKeys=["a"])
    assert kms.list_resource_tags(KeyId=key)["Tags"] == [{"TagKey": "c", "TagValue": "d"}]


def _managing(kms: Any) -> None:
    metadata = kms.create_key(MultiRegion=True)["KeyMetadata"]
    key = metadata["KeyId"]
    assert metadata["CreationDate"].tzinfo is not None
    policy = kms.get_key_policy(KeyId=key)["Policy"]
    kms.put_key_policy(KeyId=key, Policy=policy)
    assert kms.list_key_policies(KeyId=key)["PolicyNames"] == ["default"]
    kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=90)
    assert kms.get_key_rotation_status(KeyId=key)["RotationPeriodInDays"] == 90
    kms.rotate_key_on_demand(KeyId=key)
    assert len(kms.list_key_rotations(KeyId=key)["Rotations"]) == 1
    kms.disable_key_rotation(KeyId=key)
    kms.replicate_key(KeyId=key, ReplicaRegion="us-east-1")
    kms.update_primary_region(KeyId=key, PrimaryRegion="us-east-1")
    kms.update_key_description(KeyId=key, Description="d")
    kms.disable_key(KeyId=key)
    kms.enable_key(KeyId=key)
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    kms.cancel_key_deletion(KeyId=key)
    assert key in [each["KeyId"] for each in kms.list_keys()["Keys"]]


def _granting(kms: Any) -> None:
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    bob = "arn:aws:iam::111122223333:user/bob"
    for _ in range(3):
        made = kms.create_grant(
            KeyId=key, GranteePrincipal=bob, RetiringPrincipal=bob, Operations=["Decrypt"]
        )
    pages = kms.get_paginator("list_grants").paginate(KeyId=key, PaginationConfig={"PageSize": 1})
    assert sum(len(page["Grants"]) for page in pages) == 3
    assert len(kms.list_retirable_grants(RetiringPrincipal=bob)["Grants"]) == 3
    kms.retire_grant(GrantToken=made["GrantToken"])
    grant = kms.list_grants(KeyId=key)["Grants"][0]["GrantId"]
    kms.revoke_grant(KeyId=key, GrantId=grant)


def _asymmetric(kms: Any) -> None:
    def made(spec: str, usage: str) -> str:
        return str(kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["KeyId"])

    signing = {"KeyId": made("ECC_NIST_P256", "SIGN_VERIFY"), "Message": b"m",
               "SigningAlgorithm": "ECDSA_SHA_256"}  # fmt: skip
    assert kms.verify(Signature=kms.sign(**signing)["Signature"], **signing)["SignatureValid"]
    mac = {"KeyId": made("HMAC_256", "GENERATE_VERIFY_MAC"), "Message": b"m",
           "MacAlgorithm": "HMAC_SHA_256"}  # fmt: skip
    assert kms.verify_mac(Mac=kms.generate_mac(**mac)["Mac"], **mac)["MacValid"]
    one, two = (made("ECC_NIST_P256", "KEY_AGREEMENT") for _ in range(2))
    secrets = {
        kms.derive_shared_secret(
            KeyId=ours,
            KeyAgreementAlgorithm="ECDH",
            PublicKey=kms.get_public_key(KeyId=theirs)["PublicKey"],
        )["SharedSecret"]
        for ours, theirs in ((one, two), (two, one))
    }
    assert len(secrets) == 1
    kem = {"KeyId": made("ML_KEM_768", "ENCAPSULATE_DECAPSULATE"),
           "EncapsulationAlgorithm": "ML_KEM"}  # fmt: skip
    shared = kms.encapsulate(**kem)
    opened = kms.decapsulate(SharedSecretCiphertextBlob=shared["SharedSecretCiphertextBlob"], **kem)
    assert opened["SharedSecret"] == shared["SharedSecret"]


WORKS = [_everyday, _managing, _granting, _asymmetric, _imports]


@pytest.mark.parametrize("work", WORKS)
async def test_boto3(world: World, work: Callable[[Any], None]) -> None:
    await with_boto3(world, work)


def test_boto3_is_tried_with_every_operation() -> None:
    here = Path(__file__).read_text()
    tried = {*re.findall(r"kms\.([a-z_]+)\(", here), *re.findall(r'paginator\("([a-z_]+)"', here)}
    stub = boto3.client("kms", region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x")
    operations = set(stub.meta.method_to_api_mapping)
    stub.close()
    missing = {name for name in operations - tried if "custom_key_store" not in name}
    assert not missing


async def test_boto3_sees_errors_by_name(world: World) -> None:
    key = await world.key()

    def work(kms: Any) -> None:
        with pytest.raises(kms.exceptions.NotFoundException) as missing:
            kms.describe_key(KeyId="fake-key-id")
        assert missing.value.response["Error"]["Message"] == "Invalid keyId 'fake-key-id'"
        assert missing.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
        assert missing.value.response["ResponseMetadata"]["RequestId"]
        with pytest.raises(kms.exceptions.InvalidCiphertextException) as wrong:
            kms.decrypt(CiphertextBlob=b"nothing")
        assert wrong.value.response["Error"]["Message"] == ""
        with pytest.raises(exceptions.ClientError) as refused:
            kms.create_custom_key_store(CustomKeyStoreName="n")
        assert refused.value.response["Error"]["Code"] == "UnsupportedOperationException"
        assert kms.describe_key(KeyId=key)

    await with_boto3(world, work)


async def test_boto3_is_denied(world: World) -> None:
    key = await world.key()

    def work(kms: Any) -> None:
        with pytest.raises(exceptions.ClientError) as caught:
            kms.encrypt(KeyId=key, Plaintext=b"x")
        assert caught.value.response["Error"]["Code"] == "AccessDeniedException"

    await with_boto3(world, work, by=world.bob)


@pytest.mark.parametrize(("target", "body", "code"), [
    ("TrentService.Nothing", b"{}", "UnknownOperationException"),
    ("Other.Encrypt", b"{}", "UnknownOperationException"),
    ("TrentService.Encrypt", b"not json", "SerializationException"),
    ("TrentService.Encrypt", b"[]", "SerializationException"),
    ("TrentService.Encrypt", b"[" * 100_000, "SerializationException"),
    ("TrentService.Encrypt", b'{"KeyId":"x","Plaintext":"!"}', "SerializationException"),
    ("TrentService.Encrypt", b'{"KeyId":"x","Plaintext":7}', "SerializationException"),
    ("TrentService.Encrypt", b'{"KeyId":"\\ud800","Plaintext":"eA=="}', "SerializationException"),
    ("TrentService.ImportKeyMaterial", b'{"ValidTo":1e400}', "SerializationException"),
    ("TrentService.ImportKeyMaterial", b'{"ValidTo":"now"}', "SerializationException"),
    ("TrentService.GenerateRandom", b'{"NumberOfBytes":true}', "SerializationException"),
    ("TrentService.Encrypt", b"", "ValidationException"),
])  # fmt: skip
async def test_requests_that_are_none(world: World, target: str, body: bytes, code: str) -> None:
    async def sent() -> AsyncIterator[bytes]:
        yield body

    request = Request("POST", "/", [], sent())
    response = await handle(world.kms, world.root, request, target, REGION)
    assert isinstance(response.body, bytes)
    assert (response.status, json.loads(response.body)["__type"]) == (400, code)
    assert (b"Content-Type", b"application/x-amz-json-1.1") in response.headers


async def test_the_command_lines_of_the_documents(world: World, tmp_path: Path) -> None:
    aws = Path(sys.executable).with_name("aws")
    if not aws.exists():
        pytest.skip("aws is not installed")
    await world.do("CreateAlias", AliasName="alias/tutorial", TargetKeyId=await world.key())
    (tmp_path / "example.txt").write_bytes(b"attack at dawn\n")

    async def run(url: str, command: str) -> None:
        environment = {
            "PATH": f"{aws.parent}:/usr/bin:/bin",
            "HOME": str(tmp_path),
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": world.root.access_key_id,
            "AWS_SECRET_ACCESS_KEY": "x",
        }
        done = await trio.run_process(
            ["sh", "-ec", command], env=environment, cwd=tmp_path, capture_stderr=True, check=False
        )
        assert done.returncode == 0, done.stderr

    async with served(world) as url:
        await run(
            url,
            "aws kms encrypt --key-id alias/tutorial --plaintext fileb://example.txt "
            "--output text --query CiphertextBlob --region eu-west-2 > example-encrypted.base64",
        )
        await run(url, "base64 --decode example-encrypted.base64 > example-encrypted")
        assert b"dawn" not in (tmp_path / "example-encrypted").read_bytes()
        await run(
            url,
            "aws kms decrypt --ciphertext-blob fileb://example-encrypted --output text "
            "--query Plaintext --region eu-west-2 > decrypted.base64",
        )
    decrypted = (tmp_path / "decrypted.base64").read_bytes()
    assert base64.b64decode(decrypted) == b"attack at dawn\n"
