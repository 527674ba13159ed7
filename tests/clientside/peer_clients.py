"""AWS's own encryption clients, driven over standard input: run by the interpreter that has them.

Each line is a JSON object with `do` and its arguments, and is answered by one with `result` or
`error`. Bytes travel in base64. Endpoint, region and credentials come from the environment.
"""

from __future__ import annotations

import base64
import io
import json
import sys
from typing import Any

import aws_encryption_sdk
import boto3
import botocore.session
from aws_encryption_sdk.identifiers import CommitmentPolicy
from botocore.config import Config
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from s3_encryption import S3EncryptionClient, S3EncryptionClientConfig
from s3_encryption.materials.keyring import S3Keyring
from s3_encryption.materials.kms_keyring import KmsKeyring
from s3_encryption.materials.materials import AlgorithmSuite
from s3_encryption.materials.materials import CommitmentPolicy as S3CommitmentPolicy

PATH_STYLE = Config(s3={"addressing_style": "path"})


class RawAESKeyring(S3Keyring):  # type: ignore[misc]
    """Unwraps AES/GCM as the specification says; the package itself has a KMS keyring only."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def on_encrypt(self, materials: Any) -> Any:
        raise NotImplementedError

    def on_decrypt(self, materials: Any, encrypted_data_keys: Any = None) -> Any:
        (wrapped,) = encrypted_data_keys or materials.encrypted_data_keys
        assert wrapped.key_provider_info == "AES/GCM"
        sealed = wrapped.encrypted_data_key
        aad = b"AES/GCM/NoPadding" if materials.iv else b"115"
        materials.plaintext_data_key = AESGCM(self._key).decrypt(sealed[:12], sealed[12:], aad)
        return materials


def s3_client(request: dict[str, Any]) -> Any:
    """Their client, for the format asked for, with the key asked for."""
    if "aes_key" in request:
        keyring = RawAESKeyring(base64.b64decode(request["aes_key"]))
    else:
        keyring = KmsKeyring(boto3.client("kms"), request["kms_key"])
    chosen = {}
    if request["format"] == "v2":
        chosen = {
            "encryption_algorithm": AlgorithmSuite.ALG_AES_256_GCM_IV12_TAG16_NO_KDF,
            "commitment_policy": S3CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT,
        }
    config = S3EncryptionClientConfig(keyring, **chosen)
    return S3EncryptionClient(boto3.client("s3", config=PATH_STYLE), config)


def with_context(request: dict[str, Any]) -> dict[str, Any]:
    return {"EncryptionContext": request["context"]} if request.get("context") else {}


def put(request: dict[str, Any]) -> None:
    s3_client(request).put_object(
        Bucket=request["bucket"],
        Key=request["key"],
        Body=base64.b64decode(request["body"]),
        **with_context(request),
    )


def put_parts(request: dict[str, Any]) -> None:
    """As an upload in parts of 5 MiB, encrypted as one object."""
    s3_client(request).upload_fileobj(
        io.BytesIO(base64.b64decode(request["body"])),
        request["bucket"],
        request["key"],
    )


def get(request: dict[str, Any]) -> str:
    answer = s3_client(request).get_object(
        Bucket=request["bucket"], Key=request["key"], **with_context(request)
    )
    return base64.b64encode(answer["Body"].read()).decode()


def sdk(request: dict[str, Any]) -> tuple[Any, Any]:
    policy = CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
    provider = aws_encryption_sdk.StrictAwsKmsMasterKeyProvider(
        key_ids=[request["kms_key"]], botocore_session=botocore.session.Session()
    )
    return aws_encryption_sdk.EncryptionSDKClient(commitment_policy=policy), provider


def sdk_encrypt(request: dict[str, Any]) -> str:
    client, provider = sdk(request)
    sealed, _ = client.encrypt(
        source=base64.b64decode(request["body"]),
        key_provider=provider,
        encryption_context=request["context"],
    )
    return base64.b64encode(sealed).decode()


def sdk_decrypt(request: dict[str, Any]) -> str:
    client, provider = sdk(request)
    plaintext, _ = client.decrypt(source=base64.b64decode(request["body"]), key_provider=provider)
    return base64.b64encode(plaintext).decode()


COMMANDS = {one.__name__: one for one in (put, put_parts, get, sdk_encrypt, sdk_decrypt)}


def main() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"result": COMMANDS[request["do"]](request)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


main()
