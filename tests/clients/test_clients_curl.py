"""curl with its own signing (`--aws-sigv4`), and with none."""

from __future__ import annotations

import subprocess
from base64 import b64encode
from collections.abc import Callable
from hashlib import md5, sha256
from pathlib import Path
from typing import Any, TypeAlias

import pytest

Run: TypeAlias = Callable[..., str]
Payload: TypeAlias = Callable[[int], Path]


@pytest.fixture
def curl(run: Run, tmp_path: Path) -> Callable[..., tuple[int, bytes]]:
    """Send a request, signed unless told otherwise; status and body."""
    known = subprocess.run(["curl", "--help", "all"], capture_output=True, check=False).stdout
    if b"--aws-sigv4" not in known:
        pytest.skip("this curl cannot sign")

    def curl(
        service: Any,
        path: str,
        *options: str | Path,
        signed: bool = True,
        name: str = "s3",
        hashed: bool = True,
    ) -> tuple[int, bytes]:
        target = tmp_path / "answer"
        target.write_bytes(b"")
        sign: list[str] = []
        if signed:
            secret = f"{service.key.id}:{service.key.secret}"
            (tmp_path / "secret").write_text(f'user = "{secret}"\n')
            fields = (
                ["-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD"] if name == "s3" and hashed else []
            )
            sign = [
                *fields,
                "--aws-sigv4",
                f"aws:amz:eu-west-2:{name}",
                "--config",
                str(tmp_path / "secret"),
            ]
        status = run(
            service, "curl", "-sS", "--cacert", service.ca_file, "-o", target,
            "-w", "%{http_code}", *sign, *options, service.url + path,
        )  # fmt: skip
        return int(status), target.read_bytes()

    return curl


Curl: TypeAlias = Callable[..., tuple[int, bytes]]


def test_an_object_goes_up_and_comes_down(
    service: Any, bucket: str, curl: Curl, payload: Payload
) -> None:
    source = payload(100_000)
    path = f"/{bucket}/dir/a%20b"
    assert curl(service, path, "-T", source)[0] == 200
    assert curl(service, path) == (200, source.read_bytes())
    assert curl(service, path, "-r", "10-19") == (206, source.read_bytes()[10:20])
    assert curl(service, path, "-I")[0] == 200
    assert curl(service, path, signed=False)[0] == 403
    assert curl(service, path, "-X", "DELETE")[0] == 204
    assert curl(service, path)[0] == 404


def test_parameters(service: Any, bucket: str, curl: Curl) -> None:
    for key in ("dir/one", "dir/two"):
        assert curl(service, f"/{bucket}/{key}", "-X", "PUT", "-d", key)[0] == 200
    status, found = curl(service, f"/{bucket}?list-type=2&max-keys=1&prefix=dir%2F")
    assert (status, found.count(b"<Key>dir/one</Key>")) == (200, 1)
    assert b"<Key>dir/two</Key>" not in found
    assert curl(service, f"/{bucket}?location=")[0] == 200


def test_a_body_that_is_hashed(service: Any, bucket: str, curl: Curl) -> None:
    path = f"/{bucket}/k"
    for body, status in ((b"hello", 200), (b"jello", 400)):
        declared = f"x-amz-content-sha256: {sha256(b'hello').hexdigest()}"
        put = ["-X", "PUT", "-H", declared, "--data-binary", body.decode()]
        assert curl(service, path, *put, hashed=False)[0] == status
    assert curl(service, path) == (200, b"hello")


def test_kms(service: Any, curl: Curl) -> None:
    status, found = curl(
        service, "/", "-X", "POST", "-H", "X-Amz-Target: TrentService.ListKeys",
        "-H", "Content-Type: application/x-amz-json-1.1", "-d", "{}", name="kms",
    )  # fmt: skip
    assert status == 200
    assert b'"Keys"' in found


def test_a_wrong_region_says_which_is_right(service: Any, bucket: str, curl: Curl) -> None:
    wrong = ["--aws-sigv4", "aws:amz:mars-north-1:s3"]
    status, found = curl(service, f"/{bucket}", *wrong)
    assert status == 400
    assert b"<Region>eu-west-2</Region>" in found


def test_plain_http_is_refused_for_customer_keys(service: Any, bucket: str, curl: Curl) -> None:
    header = "x-amz-server-side-encryption-customer"
    digest = b64encode(md5(bytes(32), usedforsecurity=False).digest()).decode()
    fields = ["-H", f"{header}-algorithm: AES256", "-H", f"{header}-key: {'A' * 43}=",
              "-H", f"{header}-key-MD5: {digest}"]  # fmt: skip
    status, found = curl(service, f"/{bucket}/k", "-X", "PUT", "-d", "x", *fields)
    if service.secure:
        assert status == 200
    else:
        assert status == 400
        assert b"secure connection" in found
