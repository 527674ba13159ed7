"""What `tlslab up` prints to be pasted into a shell works there, and so do the documents' lines."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

BIN = Path(sys.executable).parent


@pytest.fixture
def printed(tmp_path: Path) -> Iterator[list[str]]:
    """The lines that a lab prints, which is up meanwhile."""
    command = [sys.executable, "-m", "tlslab", "up", "--quiet", "--state", str(tmp_path / "a b")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines: list[str] = []
        try:
            while not lines or not lines[-1].startswith("Ctrl-C"):
                lines.append(process.stdout.readline())
                assert lines[-1]
            yield lines
        finally:
            process.terminate()


def test_pasted_into_a_shell_it_works(printed: list[str], tmp_path: Path) -> None:
    if not (BIN / "aws").exists():
        pytest.skip("aws is not installed")
    exports = "".join(line for line in printed if line.strip().startswith("export "))
    (spelt_out,) = (line.strip() for line in printed if " --ca-bundle " in line)
    clean = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(tmp_path)}

    def shell(script: str) -> str:
        done = subprocess.run(
            ["sh", "-ec", exports + script], env=clean, cwd=tmp_path, capture_output=True,
            text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    settings = dict(line.split("=", 1) for line in shell("env").splitlines() if "=" in line)
    kms = boto3.client(
        "kms",
        endpoint_url=settings["AWS_ENDPOINT_URL"],
        verify=settings["AWS_CA_BUNDLE"],
        region_name=settings["AWS_REGION"],
        aws_access_key_id=settings["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=settings["AWS_SECRET_ACCESS_KEY"],
    )
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/tutorial", TargetKeyId=key)
    kms.close()
    (tmp_path / "example.txt").write_text("attack at dawn")
    shell(
        "aws kms encrypt --key-id alias/tutorial --plaintext fileb://example.txt "
        "--output text --query CiphertextBlob --region eu-west-2 > example-encrypted.base64\n"
        "base64 -d example-encrypted.base64 > example-encrypted\n"
    )
    assert b"dawn" not in (tmp_path / "example-encrypted").read_bytes()
    opened = shell(
        "aws kms decrypt --ciphertext-blob fileb://example-encrypted --output text "
        "--query Plaintext --region eu-west-2"
    )
    assert base64.b64decode(opened) == b"attack at dawn"
    # Without the exports for address and CA, as it says.
    assert "demo" in shell(f"unset AWS_ENDPOINT_URL AWS_CA_BUNDLE; {spelt_out}")


def test_what_curl_puts_is_not_on_the_disk(printed: list[str]) -> None:
    """By the printed lines: neither its content nor, what lies there in the clear, its name."""

    def shell(*words: str) -> subprocess.CompletedProcess[str]:
        (line,) = (one[10:].partition("   (")[0] for one in printed if all(w in one for w in words))
        return subprocess.run(
            ["sh", "-c", line], capture_output=True, text=True, timeout=60, check=False
        )

    assert shell("echo hello", "-X PUT").returncode == 0
    assert shell("          curl --cacert").stdout == "hello\n"
    found = shell("grep -r hello")
    assert (found.returncode, found.stdout) == (1, "")
