"""s3cmd, which signs by itself, in both versions."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import pytest

Run: TypeAlias = Callable[..., str]
Payload: TypeAlias = Callable[[int], Path]
S3cmd: TypeAlias = Callable[..., str]
MIB = 2**20


@pytest.fixture
def s3cmd(run: Run, tmp_path: Path) -> S3cmd:
    """Run s3cmd with a configuration for the service."""

    def s3cmd(service: Any, *arguments: str | Path, fails: bool = False) -> str:
        host = urlsplit(service.url).netloc
        config = tmp_path / "s3cfg"
        config.write_text(
            f"[default]\nhost_base = {host}\nhost_bucket = {host}\n"
            f"use_https = {service.secure}\nca_certs_file = {service.ca_file}\n"
            f"access_key = {service.key.id}\nsecret_key = {service.key.secret}\n"
            "bucket_location = eu-west-2\nmax_retries = 0\n"
        )
        return run(service, "s3cmd", "-c", config, "--no-progress", *arguments, fails=fails)

    return s3cmd


def test_a_bucket_from_making_to_removing(
    service: Any, s3cmd: S3cmd, payload: Payload, tmp_path: Path
) -> None:
    """Over TLS with Signature Version 4, in the clear with Version 2."""
    version = [] if service.secure else ["--signature-v2"]
    bucket = f"s3://cmd-{os.urandom(4).hex()}"
    s3cmd(service, "mb", bucket, *version)
    small, large = payload(5000), payload(6 * MIB)
    s3cmd(service, "put", small, f"{bucket}/dir/a b+ü", "--add-header=x-amz-meta-who:me", *version)
    s3cmd(service, "put", large, f"{bucket}/large", "--multipart-chunk-size-mb=5", *version)
    for source, key in ((small, "dir/a b+ü"), (large, "large")):
        s3cmd(service, "get", "--force", f"{bucket}/{key}", tmp_path / "back", *version)
        assert (tmp_path / "back").read_bytes() == source.read_bytes()
    assert "dir/a b+ü" in s3cmd(service, "ls", "-r", bucket, *version)
    assert "me" in s3cmd(service, "info", f"{bucket}/dir/a b+ü", *version)
    s3cmd(service, "cp", f"{bucket}/large", f"{bucket}/copy", *version)
    s3cmd(service, "mv", f"{bucket}/copy", f"{bucket}/moved", *version)
    s3cmd(service, "rm", f"{bucket}/dir/a b+ü", *version)
    s3cmd(service, "rb", bucket, *version, fails=True)
    s3cmd(service, "del", "--recursive", "--force", bucket, *version)
    s3cmd(service, "rb", bucket, *version)


def test_sync(service: Any, bucket: str, s3cmd: S3cmd, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    for name in ("one", "sub/two", "sub/ü (1)"):
        (tree / name).write_text(name)
    s3cmd(service, "sync", f"{tree}/", f"s3://{bucket}/t/")
    again = s3cmd(service, "sync", f"{tree}/", f"s3://{bucket}/t/")
    assert "upload:" not in again
    (tmp_path / "back").mkdir()
    s3cmd(service, "sync", f"s3://{bucket}/t/", f"{tmp_path}/back/")
    assert (tmp_path / "back/sub/ü (1)").read_text() == "sub/ü (1)"


def test_a_signed_url(
    service: Any, bucket: str, s3cmd: S3cmd, run: Run, payload: Payload, tmp_path: Path
) -> None:
    source = payload(100)
    s3cmd(service, "put", source, f"s3://{bucket}/a b")
    url = s3cmd(service, "signurl", f"s3://{bucket}/a b", "+600").strip()
    scheme = urlsplit(service.url).scheme
    target = tmp_path / "back"
    get = ["curl", "-sS", "--cacert", service.ca_file, "-o", target, "-w", "%{http_code}"]
    assert run(service, *get, f"{scheme}:{url.partition(':')[2]}") == "200"
    assert target.read_bytes() == source.read_bytes()


def test_encryption(service: Any, bucket: str, s3cmd: S3cmd, payload: Payload) -> None:
    s3cmd(service, "put", payload(10), f"s3://{bucket}/k", "--server-side-encryption")
    assert "AES256" in s3cmd(service, "info", f"s3://{bucket}/k")
