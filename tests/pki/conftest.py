"""Authorities shared by the tests of pki, and OpenSSL's command line as a second opinion."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tlslab.pki import Authority, KeyType
from tlslab.pki.credential import Chain, to_pem

_authorities: dict[KeyType, Authority] = {}


def authority_of(key_type: KeyType) -> Authority:
    """One authority of each key type for all tests: RSA keys are slow to make."""
    if key_type not in _authorities:
        _authorities[key_type] = Authority.create(f"{key_type.value} test", key_type=key_type)
    return _authorities[key_type]


@pytest.fixture(scope="session")
def authority() -> Authority:
    return authority_of(KeyType.ECDSA_P256)


@pytest.fixture(scope="session")
def authority_for() -> Callable[[KeyType], Authority]:
    return authority_of


OpenSSLVerify = Callable[..., int]


@pytest.fixture
def openssl_verify(tmp_path: Path) -> OpenSSLVerify:
    """`openssl verify -x509_strict` as a function: 0 if it accepts, else its X509 error number."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")

    def verify(root: bytes, chain: Chain, *options: str) -> int:
        (tmp_path / "root.pem").write_bytes(root)
        (tmp_path / "leaf.pem").write_bytes(to_pem(chain[:1]))
        command = ["openssl", "verify", "-x509_strict", "-CAfile", str(tmp_path / "root.pem")]
        if chain[1:]:
            (tmp_path / "untrusted.pem").write_bytes(to_pem(chain[1:]))
            command += ["-untrusted", str(tmp_path / "untrusted.pem")]
        done = subprocess.run(
            [*command, *options, str(tmp_path / "leaf.pem")],
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode == 0:
            return 0
        found = re.search(r"^error (\d+) at ", done.stdout + done.stderr, re.MULTILINE)
        assert found is not None, done.stdout + done.stderr
        return int(found[1])

    return verify
