"""An authority with something revoked, and OpenSSL's command line as a second opinion."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tlslab.pki import Authority, Credential
from tlslab.pki.credential import to_pem
from tlslab.pki.revocation import Revocations


@dataclass(frozen=True)
class World:
    """One authority, a good and a revoked leaf, and the registry that says so."""

    authority: Authority
    good: Credential
    revoked: Credential
    revocations: Revocations
    now: datetime


def make_world() -> World:
    now = datetime.now(UTC).replace(microsecond=0)
    authority = Authority.create("revocation test", now=now)
    good, revoked = authority.issue("good.test", now=now), authority.issue("bad.test", now=now)
    revocations = Revocations(authority)
    revocations.revoke(revoked.certificate, when=now)
    return World(authority, good, revoked, revocations, now)


@pytest.fixture
def world() -> World:
    return make_world()


OpenSSL = Callable[..., str]


@pytest.fixture
def openssl(tmp_path: Path) -> OpenSSL:
    """OpenSSL's command line: arguments in, all its output out; bytes are handed over as files."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")

    def run(*arguments: str | bytes) -> str:
        command = ["openssl"]
        for number, argument in enumerate(arguments):
            if isinstance(argument, str):
                command.append(argument)
            else:
                path = tmp_path / f"argument-{number}"
                path.write_bytes(argument)
                command.append(str(path))
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        return done.stdout + done.stderr

    return run


@pytest.fixture
def crl_check(openssl: OpenSSL) -> Callable[..., int]:
    """`openssl verify -crl_check`: 0 if it accepts, else the number of the first X509 error."""

    def check(world: World, leaf: Credential, *crls: bytes, every: bool = False) -> int:
        lists: list[str | bytes] = []
        for crl in crls:
            lists += ["-CRLfile", pem(crl)]
        output = openssl(
            "verify",
            "-x509_strict",
            "-crl_check_all" if every else "-crl_check",
            "-CAfile",
            world.authority.root_pem,
            "-untrusted",
            to_pem((world.authority.intermediate,)),
            *lists,
            leaf.certificate_pem,
        )
        found = re.search(r"^error (\d+) at ", output, re.MULTILINE)
        assert found or output.rstrip().endswith(": OK"), output
        return int(found[1]) if found else 0

    return check


def pem(crl: bytes) -> bytes:
    return x509.load_der_x509_crl(crl).public_bytes(Encoding.PEM)
