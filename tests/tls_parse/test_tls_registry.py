"""The names of numbers, against two tables that others keep: OpenSSL's and Wireshark's."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tlslab.tls.registry import CIPHER_SUITES, GROUPS, VERSIONS


def output(*command: str) -> list[str]:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.splitlines()


def test_openssl_gives_cipher_suites_the_same_names() -> None:
    known = {}
    for line in output("openssl", "ciphers", "-V", "-stdname", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"):
        code, _, name = line.split()[:3]
        high, low = code.split(",")
        known[int(high, 16) << 8 | int(low, 16)] = name
    shared = CIPHER_SUITES.keys() & known.keys()
    assert len(shared) > 30
    assert {n: CIPHER_SUITES[n] for n in shared} == {n: known[n] for n in shared}


def test_wireshark_gives_the_same_names() -> None:
    known: dict[str, dict[int, str]] = {}
    for line in output("tshark", "-G", "values"):
        parts = line.split("\t")
        if parts[0] == "V" and parts[1].startswith("tls."):
            known.setdefault(parts[1], {})[int(parts[2], 0)] = parts[3]
    suites = known["tls.handshake.ciphersuite"]
    assert {n: suites[n] for n in CIPHER_SUITES} == CIPHER_SUITES
    versions = known["tls.record.version"]
    assert {n: versions[n] for n in VERSIONS} == VERSIONS
    groups = known["tls.handshake.extensions_supported_group"]
    # From 0x200 on, Wireshark of before 2024 names what was tried before ML-KEM was registered.
    shared = {n for n in GROUPS.keys() & groups.keys() if n < 0x200}
    assert len(shared) == 12
    assert {n: GROUPS[n] for n in shared} == {n: groups[n] for n in shared}
