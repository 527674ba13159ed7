"""No secret of a request is in the trail, whatever the KMS was asked to do with it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tlslab import audit, kms
from tlslab.audit import Trail
from tlslab.database import Database
from tlslab.iam import ACCOUNT, Caller, Identities
from tlslab.kms import KMS, KMSError
from tlslab.seal import Seal

SECRET = b"CANARY-plaintext-of-a-request"
CONTEXT = "CANARY-encryption-context"


def encodings(secret: bytes) -> Iterator[bytes]:
    yield secret
    yield base64.b64encode(secret)
    yield base64.b64encode(secret).rstrip(b"=")
    yield base64.urlsafe_b64encode(secret)
    yield secret.hex().encode()


async def test_plaintexts_ciphertexts_and_tokens_stay_out(tmp_path: Path) -> None:
    """Pair: the encryption context, which is shown on purpose, is found by the same search."""
    root = Identities.generate().root(ACCOUNT)
    assert root is not None
    caller = Caller(root.principal, root.id, "192.0.2.7", "tests", secure=True)
    path = tmp_path / "kms.db"
    secrets = [SECRET, root.secret.encode()]
    with closing(Database(str(path), audit.metadata, kms.metadata)) as database:
        seal = Seal.ephemeral()
        service = KMS(database, seal, Trail(database, seal))

        async def ask(operation: str, **parameters: object) -> dict[str, Any]:
            answer = await service.invoke(caller, operation, parameters, region="eu-west-2")
            secrets.extend(value for value in answer.values() if isinstance(value, bytes))
            return answer

        key = (await ask("CreateKey"))["KeyMetadata"]["KeyId"]
        context = {"purpose": CONTEXT}
        sealed = await ask("Encrypt", KeyId=key, Plaintext=SECRET, EncryptionContext=context)
        blob = sealed["CiphertextBlob"]
        await ask("Decrypt", CiphertextBlob=blob, EncryptionContext=context)
        with pytest.raises(KMSError):
            await ask("Decrypt", CiphertextBlob=blob, EncryptionContext={"purpose": "another"})
        with pytest.raises(KMSError):
            await ask("Encrypt", KeyId="alias/none", Plaintext=SECRET)
        await ask("GenerateDataKey", KeyId=key, KeySpec="AES_256")
        await ask("GenerateRandom", NumberOfBytes=32)
        grant = await ask(
            "CreateGrant", KeyId=key, GranteePrincipal=root.principal.arn, Operations=["Decrypt"]
        )
        token = grant["GrantToken"]
        secrets.append(token.encode())
        await ask("Decrypt", CiphertextBlob=blob, EncryptionContext=context, GrantTokens=[token])
        events = (await Trail(database, seal).lookup(audit.Query())).found
    records = b"".join(found.record for found in events)
    assert len(events) == 9
    assert len(secrets) >= 8
    for secret in secrets:
        for encoded in encodings(secret):
            assert encoded not in records
    assert CONTEXT.encode() in records
    assert b"AccessDenied" not in records
    assert records.count(b"errorCode") == 2
