"""The registry is complete, and what it calls impossible is."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys

import pytest
from OpenSSL import SSL

from tlslab import attack
from tlslab.attack import ATTACKS, IMPOSSIBLE, Attack
from tlslab.attack.attack import Listed
from tlslab.attack.hellos import EditHello, OnClientHello
from tlslab.attack.records import AtData

ABSTRACT = {Listed, Attack, AtData, OnClientHello, EditHello}


def test_every_attack_is_listed_once() -> None:
    modules = (attack.hellos, attack.records, attack.handshakes, attack.strip, attack.starttls)
    classes = {
        value
        for module in modules
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, Listed)
    }
    assert classes - ABSTRACT == set(ATTACKS)
    assert len({one.id for one in ATTACKS}) == len(ATTACKS) == 26


@pytest.mark.parametrize("one", ATTACKS, ids=lambda one: one.id)
def test_an_attack_says_what_it_is(one: type[Listed]) -> None:
    assert one.title
    assert one.defeated_by
    assert one.wins_when
    assert one.catalogue


@pytest.mark.parametrize("cipher", ["RC4", "3DES", "DES-CBC3-SHA", "EXPORT", "EXP-RC4-MD5"])
def test_ciphers_that_are_gone_are_gone(cipher: str) -> None:
    with pytest.raises(SSL.Error):
        SSL.Context(SSL.TLS_METHOD).set_cipher_list(f"{cipher}:@SECLEVEL=0".encode())


def test_ssl_3_is_gone() -> None:
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_VERSION)  # the oldest that there is
    with pytest.raises(SSL.Error):
        context.set_min_proto_version(SSL.SSL3_VERSION)


def test_the_command_lists_them() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tlslab", "attack", "list", "--json"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    listed = json.loads(done.stdout)
    assert [one["id"] for one in listed["attacks"]] == [one.id for one in ATTACKS]
    assert len(listed["impossible"]) == len(IMPOSSIBLE)
    text = subprocess.run(
        [sys.executable, "-m", "tlslab", "attack", "list"],
        capture_output=True, text=True, timeout=60, check=True, env={"COLUMNS": "160"},
    ).stdout  # fmt: skip
    assert "flip-bit" in text
