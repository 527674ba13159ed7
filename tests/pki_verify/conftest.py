"""An authority, and OpenSSL's command line as a second opinion."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tlslab.pki import Authority
from tlslab.pki.credential import Chain, to_pem


@pytest.fixture(scope="session")
def now() -> datetime:
    """The time of all these tests, whatever the clock says."""
    return datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture(scope="session")
def authority(now: datetime) -> Authority:
    return Authority.create("verify test", now=now)


OpenSSLVerify = Callable[..., int]


@pytest.fixture
def openssl_verify(tmp_path: Path, now: datetime) -> OpenSSLVerify:
    """`openssl verify` as a function: 0 if it accepts, else its first X509 error number."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")

    def verify(
        roots: Chain, chain: Chain, *options: str, crls: tuple[bytes, ...] = (), at: datetime = now
    ) -> int:
        (tmp_path / "root.pem").write_bytes(to_pem(roots))
        (tmp_path / "leaf.pem").write_bytes(to_pem(chain[:1]))
        command = ["openssl", "verify", "-no-CAfile", "-no-CApath", "-no-CAstore"]
        if roots:
            command += ["-CAfile", str(tmp_path / "root.pem")]
        if chain[1:]:
            (tmp_path / "untrusted.pem").write_bytes(to_pem(chain[1:]))
            command += ["-untrusted", str(tmp_path / "untrusted.pem")]
        for number, crl in enumerate(crls):
            file = tmp_path / f"{number}.crl"
            file.write_bytes(x509.load_der_x509_crl(crl).public_bytes(Encoding.PEM))
            command += ["-CRLfile", str(file)]
        command += ["-attime", str(int(at.timestamp())), *options, str(tmp_path / "leaf.pem")]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        found = re.search(r"^error (\d+) at ", done.stdout + done.stderr, re.MULTILINE)
        assert (found is None) == (done.returncode == 0), done.stdout + done.stderr
        return int(found[1]) if found else 0

    return verify
