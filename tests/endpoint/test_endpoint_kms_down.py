"""Without its KMS a store serves what does not need it, and nothing else."""

from __future__ import annotations

import pytest

from tests.endpoint.conftest import Endpoint

SSE = b"x-amz-server-side-encryption"


@pytest.mark.parametrize("bucket_key", [b"true", b"false"])
async def test_nothing_is_decrypted_while_the_kms_is_down(
    endpoint: Endpoint, bucket_key: bytes
) -> None:
    alice = endpoint.user("alice")
    key = (await endpoint.kms("CreateKey", alice)).json["KeyMetadata"]["Arn"].encode()
    kms = [(SSE, b"aws:kms"), (SSE + b"-aws-kms-key-id", key),
           (SSE + b"-bucket-key-enabled", bucket_key)]  # fmt: skip
    body = b"dear reader" * 10_000
    await endpoint.send("PUT", "/letters", user=alice)
    for name, headers in (("sealed", kms), ("open", [])):
        target = f"/letters/{name}"
        assert (await endpoint.send("PUT", target, body, headers, user=alice)).status == 200
        assert (await endpoint.send("GET", target, user=alice)).body == body

    endpoint.backend.kms._database.close()
    database = endpoint.state.kms_database
    database.parent.rename(database.parent.with_name("gone"))

    for target in ("/letters/sealed", "/letters/new"):
        method, sent = ("PUT", body) if target.endswith("new") else ("GET", b"")
        answer = await endpoint.send(method, target, sent, kms if sent else [], user=alice)
        assert answer.status == 503
        assert body[:11] not in answer.body
    assert (await endpoint.send("GET", "/letters/open", user=alice)).body == body
    assert (await endpoint.send("GET", "/letters/new", user=alice)).status == 404
    assert (await endpoint.kms("ListKeys", alice)).status == 500

    database.parent.with_name("gone").rename(database.parent)
    assert (await endpoint.send("GET", "/letters/sealed", user=alice)).body == body
