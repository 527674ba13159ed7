"""The AWS CLI."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

Run: TypeAlias = Callable[..., str]
Payload: TypeAlias = Callable[[int], Path]
MIB = 2**20


@pytest.mark.parametrize("size", [0, 9 * MIB])
def test_files_go_up_and_come_down(
    service: Any, bucket: str, run: Run, payload: Payload, tmp_path: Path, size: int
) -> None:
    """9 MiB are above the threshold for an upload in parts, and for a download in ranges."""
    source, target = payload(size), tmp_path / "back"
    run(service, "aws", "s3", "cp", source, f"s3://{bucket}/a dir/ü+&=.bin")
    run(service, "aws", "s3", "cp", f"s3://{bucket}/a dir/ü+&=.bin", target)
    assert target.read_bytes() == source.read_bytes()
    listed = run(service, "aws", "s3", "ls", f"s3://{bucket}/a dir/")
    assert str(size) in listed
    assert "ü+&=.bin" in listed


def test_a_bucket_from_making_to_removing(secure_service: Any, run: Run, tmp_path: Path) -> None:
    name = f"cli-{os.urandom(4).hex()}"
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    for path in ("one", "sub/two", "sub/three"):
        (tree / path).write_text(path)
    run(secure_service, "aws", "s3", "mb", f"s3://{name}")
    assert name in run(secure_service, "aws", "s3", "ls")
    run(secure_service, "aws", "s3", "sync", tree, f"s3://{name}/tree")
    assert (
        run(secure_service, "aws", "s3", "sync", tree, f"s3://{name}/tree") == ""
    )  # nothing to do
    run(secure_service, "aws", "s3", "mv", f"s3://{name}/tree/one", f"s3://{name}/moved")
    run(secure_service, "aws", "s3", "sync", f"s3://{name}", tmp_path / "back")
    found = {p.relative_to(tmp_path / "back").as_posix(): p.read_text()
             for p in (tmp_path / "back").rglob("*") if p.is_file()}  # fmt: skip
    assert found == {"moved": "one", "tree/sub/two": "sub/two", "tree/sub/three": "sub/three"}
    refused = run(secure_service, "aws", "s3", "rb", f"s3://{name}", fails=True)
    assert "BucketNotEmpty" in refused
    run(secure_service, "aws", "s3", "rm", f"s3://{name}", "--recursive")
    run(secure_service, "aws", "s3", "rb", f"s3://{name}")


def test_a_stream_from_a_pipe(
    secure_service: Any, secure_bucket: str, run: Run, payload: Payload
) -> None:
    data = payload(9 * MIB).read_bytes()
    run(secure_service, "aws", "s3", "cp", "-", f"s3://{secure_bucket}/piped", stdin=data)
    head = json.loads(
        run(
            secure_service,
            "aws",
            "s3api",
            "head-object",
            "--bucket",
            secure_bucket,
            "--key",
            "piped",
        )
    )
    assert head["ContentLength"] == len(data)
    assert head["ServerSideEncryption"] == "AES256"


def test_a_presigned_url_needs_no_credentials(
    secure_service: Any, secure_bucket: str, run: Run, payload: Payload, tmp_path: Path
) -> None:
    source, target = payload(1000), tmp_path / "back"
    run(secure_service, "aws", "s3", "cp", source, f"s3://{secure_bucket}/k y")
    url = run(secure_service, "aws", "s3", "presign", f"s3://{secure_bucket}/k y").strip()
    get = ["curl", "-sS", "--cacert", secure_service.ca_file, "-o", target, "-w", "%{http_code}"]
    assert run(secure_service, *get, url) == "200"
    assert target.read_bytes() == source.read_bytes()
    assert run(secure_service, *get, url.partition("?")[0]) == "403"
    assert b"AccessDenied" in target.read_bytes()


def test_kms_encrypts_objects_and_the_key_decides(
    secure_service: Any, secure_bucket: str, run: Run, payload: Payload, tmp_path: Path
) -> None:
    made = json.loads(run(secure_service, "aws", "kms", "create-key"))["KeyMetadata"]
    source, target = payload(70000), tmp_path / "back"
    copy = ["aws", "s3", "cp"]
    run(secure_service, *copy, source, f"s3://{secure_bucket}/k", "--sse", "aws:kms",
        "--sse-kms-key-id", made["KeyId"])  # fmt: skip
    head = json.loads(
        run(secure_service, "aws", "s3api", "head-object", "--bucket", secure_bucket, "--key", "k")
    )
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", made["Arn"])
    run(secure_service, *copy, f"s3://{secure_bucket}/k", target)
    assert target.read_bytes() == source.read_bytes()
    run(secure_service, "aws", "kms", "disable-key", "--key-id", made["KeyId"])
    said = run(secure_service, *copy, f"s3://{secure_bucket}/k", tmp_path / "not", fails=True)
    assert "KMS.DisabledException" in said or "400" in said


def test_a_customers_key(
    secure_service: Any, secure_bucket: str, run: Run, payload: Payload, tmp_path: Path
) -> None:
    """In parts, so that every request has to carry the key."""
    key = tmp_path / "key"
    key.write_bytes(os.urandom(32))
    source, target = payload(9 * MIB), tmp_path / "back"
    where = f"s3://{secure_bucket}/k"
    sse_c = ["--sse-c", "AES256", "--sse-c-key", f"fileb://{key}"]
    run(secure_service, "aws", "s3", "cp", source, where, *sse_c)
    run(secure_service, "aws", "s3", "cp", where, target, *sse_c)
    assert target.read_bytes() == source.read_bytes()
    said = run(secure_service, "aws", "s3", "cp", where, tmp_path / "not", fails=True)
    assert "400" in said


def test_kms_encrypts_and_decrypts(secure_service: Any, run: Run, tmp_path: Path) -> None:
    made = json.loads(run(secure_service, "aws", "kms", "create-key"))["KeyMetadata"]
    (tmp_path / "plain").write_bytes(b"attack at dawn")
    sealed = json.loads(run(secure_service, "aws", "kms", "encrypt", "--key-id", made["KeyId"],
                            "--plaintext", "fileb://plain"))  # fmt: skip
    (tmp_path / "sealed").write_bytes(base64.b64decode(sealed["CiphertextBlob"]))
    opened = json.loads(
        run(secure_service, "aws", "kms", "decrypt", "--ciphertext-blob", "fileb://sealed")
    )
    assert base64.b64decode(opened["Plaintext"]) == b"attack at dawn"


def test_who_am_i_and_what_did_i_do(secure_service: Any, run: Run) -> None:
    who = json.loads(run(secure_service, "aws", "sts", "get-caller-identity"))
    assert who["Arn"] == secure_service.key.principal.arn
    run(secure_service, "aws", "kms", "list-keys")
    found = json.loads(
        run(secure_service, "aws", "cloudtrail", "lookup-events", "--max-items", "5")
    )
    assert any(event["EventName"] == "ListKeys" for event in found["Events"])


def test_a_wrong_secret_is_told_to_everybody(
    secure_service: Any, secure_bucket: str, run: Run
) -> None:
    wrong = {"AWS_SECRET_ACCESS_KEY": "w" * 40}
    for command, code in (
        (["s3api", "list-objects-v2", "--bucket", secure_bucket], "SignatureDoesNotMatch"),
        (["kms", "list-keys"], "InvalidSignatureException"),
    ):
        said = run(secure_service, "aws", *command, environment=wrong, fails=True)
        assert code in said


def test_nobody_gets_nothing(secure_service: Any, secure_bucket: str, run: Run) -> None:
    command = ["s3api", "list-objects-v2", "--bucket", secure_bucket, "--no-sign-request"]
    said = run(secure_service, "aws", *command, fails=True)
    assert "AccessDenied" in said
