"""Identities from a file: strict, private, and the same after writing and reading."""

from __future__ import annotations

import errno
import os
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlslab.errors import UsageError
from tlslab.iam import ACCOUNT, OTHER_ACCOUNT, AccessKey, Identities, root_arn
from tlslab.iam.identity_file import MAX_IDENTITY_POLICY_CHARACTERS, MAX_TAGS, write_toml

POLICY = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
SECRET = "correct horse".replace(" ", "-") + "-battery"
FILE = f"""
[accounts.111122223333.root]
access_keys = [{{ id = "AKIAROOTROOTROOTROOT", secret = "{SECRET}" }}]

[accounts.111122223333.users.alice]
path = "/staff/"
access_keys = [
  {{ id = "AKIAALICE1ALICE1ALIC", secret = "{SECRET}" }},
  {{ id = "AKIAALICE2ALICE2ALIC", secret = "{SECRET}", active = false }},
  {{ id = "AKIAALICE3ALICE3ALIC", secret = "{SECRET}", active = true }},
]
tags = {{ team = "blue" }}

[accounts.111122223333.users.alice.policies]
text = '{POLICY}'

[accounts.111122223333.users.alice.policies.table]
Version = "2012-10-17"
Statement = [{{ Effect = "Deny", Action = "s3:*", Resource = "*" }}]

[accounts.111122223333.users.silent]

[accounts.111122223333.roles.backup]
id = "AROABACKUPBACKUPB"
sessions = [
  {{ name = "nightly", id = "ASIABACKUPBACKUPBACK", secret = "{SECRET}", token = "{SECRET}" }},
]

[accounts.444455556666.users."dotted.users.name"]
access_keys = [{{ id = "AKIADOTTEDDOTTEDDOTT", secret = "{SECRET}" }}]
"""


def parse(text: str) -> Identities:
    return Identities(tomllib.loads(text), file="people.toml")


def refused(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert SECRET not in caught.value.message + (caught.value.hint or "")
    assert caught.value.hint
    return caught.value.message


def test_a_file_says_who_signs_with_what() -> None:
    people = parse(FILE)
    assert people.accounts == (ACCOUNT, OTHER_ACCOUNT)
    alice = people.find("AKIAALICE1ALICE1ALIC")
    assert alice is not None
    assert alice.secret == SECRET
    assert alice.token is None
    principal = alice.principal
    assert principal.arn == f"arn:aws:iam::{ACCOUNT}:user/staff/alice"
    assert (principal.kind, principal.name, principal.account) == ("user", "alice", ACCOUNT)
    assert principal.user_id.startswith("AIDA")
    assert principal.tags == (("team", "blue"),)
    assert len(principal.policies) == 2
    root = people.root(ACCOUNT)
    assert root is not None
    assert (root.id, root.principal.arn) == ("AKIAROOTROOTROOTROOT", root_arn(ACCOUNT))
    assert people.root(OTHER_ACCOUNT) is None
    dotted = people.find("AKIADOTTEDDOTTEDDOTT")
    assert dotted is not None
    assert dotted.principal.name == "dotted.users.name"
    assert people.user("dotted.users.name", OTHER_ACCOUNT) == dotted


def test_a_disabled_key_is_no_key_and_a_user_has_several() -> None:
    people = parse(FILE)
    assert people.find("AKIAALICE2ALICE2ALIC") is None
    assert people.find("AKIAALICE3ALICE3ALIC") is not None
    assert people.find("AKIANOBODYNOBODYNOBO") is None
    assert "AKIAALICE2ALICE2ALIC" not in {key.id for key in people.keys}


def test_a_session_is_an_assumed_role_with_a_token() -> None:
    key = parse(FILE).find("ASIABACKUPBACKUPBACK")
    assert key is not None
    principal = key.principal
    assert key.token == SECRET
    assert principal.kind == "assumed-role"
    assert principal.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/backup/nightly"
    assert principal.policy_arn == f"arn:aws:iam::{ACCOUNT}:role/backup"
    assert principal.user_id == "AROABACKUPBACKUPB:nightly"
    assert principal.session == "nightly"
    assert principal.name == "backup"


@pytest.mark.parametrize(
    ("arn", "exists"),
    [
        (ACCOUNT, True),
        (root_arn(ACCOUNT), True),
        (root_arn(OTHER_ACCOUNT), True),
        (f"arn:aws:iam::{ACCOUNT}:user/staff/alice", True),
        (f"arn:aws:iam::{ACCOUNT}:user/silent", True),
        (f"arn:aws:iam::{ACCOUNT}:role/backup", True),
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/backup/any", True),
        ("AROABACKUPBACKUPB", True),
        (f"arn:aws:iam::{ACCOUNT}:user/alice", False),
        (f"arn:aws:iam::{OTHER_ACCOUNT}:user/silent", False),
        (f"arn:aws:sts::{OTHER_ACCOUNT}:assumed-role/backup/any", False),
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/backup/", False),
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/other/any", False),
        ("123456789012", False),
        ("AKIAROOTROOTROOTROOT", False),
        ("", False),
        ("alice", False),
    ],
)
def test_who_exists(arn: str, exists: bool) -> None:
    assert parse(FILE).principal_exists(arn) is exists


KEY = f'{{ id = "AKIAROOTROOTROOTROOT", secret = "{SECRET}" }}'
ROOT = "[accounts.111122223333.root]\n"
ALICE = "[accounts.111122223333.users.alice]\n"
ROLE = "[accounts.111122223333.roles.r]\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["people.toml", "no account"]),
        ("[accounts]", ["no account"]),
        ("accounts = 1", ["accounts"]),
        ("[people]", ["people is not known"]),
        ("[accounts.alice]", ["accounts", "alice"]),
        ("[accounts.11112222333]", ["11112222333"]),
        ("[accounts.111122223333.group]", ["accounts.111122223333", "group"]),
        (ROOT + "policies = {}", ["accounts.111122223333.root", "policies"]),
        (ROOT + "access_keys = 1", ["root", "access_keys"]),
        (ROOT + "access_keys = [1]", ["root.access_keys[0]"]),
        (ROOT + 'access_keys = [{ id = "short", secret = "x" }]', ["access_keys[0]", "id"]),
        (ROOT + "access_keys = [{ id = 'AKIAROOTROOTROOTROOT' }]", ["secret is missing"]),
        (ROOT + f"access_keys = [{KEY[:-2]}, activ = false }}]", ["activ is not known"]),
        (ROOT + f"access_keys = [{KEY[:-2]}, active = 'no' }}]", ["active"]),
        (ROOT + f"access_keys = [{KEY[:-2]}, token = 'x' }}]", ["token is not known"]),
        (ROOT + f"access_keys = [{KEY}, {KEY}]", ["access_keys[1]", "id is another key's"]),
        (
            ROOT + f"access_keys = [{KEY}]\n{ALICE}access_keys=[{KEY}]",
            ["users.alice.access_keys[0]"],
        ),
        (ROOT + "access_keys = [{ id = 'AKIAROOTROOTROOTROOT', secret = 'short' }]", ["secret"]),
        (ALICE + "groups = []", ["users.alice", "groups"]),
        (ALICE + "path = 'staff'", ["path"]),
        (ALICE + "path = '/a*/'", ["path"]),
        (ALICE + "id = 'AROABACKUPBACKUPB'", ["id"]),
        (ALICE + "tags = { a = 1 }", ["users.alice.tags", "a"]),
        (ALICE + "policies = { a = 1 }", ["users.alice.policies", "a"]),
        (ALICE + "policies = { a = '{}' }", ["users.alice.policies", "Missing required field"]),
        (ALICE + f"policies = {{ 'a b' = '{POLICY}' }}", ["a b"]),
        ("[accounts.111122223333.users.'a b']", ["a b"]),
        ("[accounts.111122223333.users.'*']", ["*"]),
        (ROLE + f"sessions = [{KEY[:-2]}, name = 'xy' }}]", ["sessions[0]", "token is missing"]),
        (ROLE + f"sessions = [{KEY[:-2]}, name = 'x', token = '{SECRET}' }}]", ["name"]),
        (ROLE + f"access_keys = [{KEY}]", ["access_keys is not known"]),
    ],
)
def test_what_is_wrong_is_named(text: str, words: list[str]) -> None:
    message = refused(text)
    assert all(word in message for word in ["people.toml", *words]), message


@pytest.mark.parametrize("over", [0, 1])
def test_limits(over: int) -> None:
    empty = POLICY.replace('"Effect"', '"Sid":"","Effect"')
    padding = "x" * (MAX_IDENTITY_POLICY_CHARACTERS - len(empty) + over)
    padded = empty.replace('""', f'"{padding}"')
    long_policy = ALICE + f"policies = {{ a = '{padded}' }}"
    tags = ", ".join(f"t{number} = 'x'" for number in range(MAX_TAGS + over))
    for text in (long_policy, ALICE + f"tags = {{ {tags} }}"):
        if over:
            assert "too" in refused(text)
        else:
            parse(text)


def test_nothing_shows_a_secret() -> None:
    people = parse(FILE)
    key = people.find("ASIABACKUPBACKUPBACK")
    assert SECRET not in repr(people) + repr(people.keys) + repr(key) + repr(people.__dict__.keys())


def test_made_up_identities_are_those_promised() -> None:
    people, others = Identities.generate(), Identities.generate()
    assert people.accounts == (ACCOUNT, OTHER_ACCOUNT)
    names = [key.principal.name for key in people.keys]
    assert names == ["root", "alice", "bob", "mallory"]
    secrets = {key.secret for each in (people, others) for key in each.keys}
    ids = {key.id for each in (people, others) for key in each.keys}
    assert len(secrets) == len(ids) == 8
    assert all(len(secret) == 40 for secret in secrets)
    mallory = people.user("mallory", OTHER_ACCOUNT)
    assert isinstance(mallory, AccessKey)
    assert mallory.principal.account == OTHER_ACCOUNT


def test_saving_and_loading_is_identity(tmp_path: Path) -> None:
    for number, people in enumerate((Identities.generate(), parse(FILE))):
        path = tmp_path / f"{number}.toml"
        people.save(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        loaded = Identities.load(path)
        assert loaded.keys == people.keys
        assert loaded.accounts == people.accounts
        assert [key.principal.policies for key in loaded.keys] == [
            key.principal.policies for key in people.keys
        ]
    assert "AKIAALICE2ALICE2ALIC" in path.read_text()  # a disabled key stays disabled, not lost
    assert sorted(file.name for file in tmp_path.iterdir()) == ["0.toml", "1.toml"]


def test_keys_are_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "identities.toml"
    first = Identities.generate()
    first.save(path)
    with pytest.raises(UsageError, match="exists already"):
        Identities.generate().save(path)
    assert Identities.load(path).keys == first.keys
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "identities.toml"
    Identities.generate().save(path)
    path.chmod(mode)
    with pytest.raises(UsageError, match="open to others"):
        Identities.load(path)
    path.chmod(0o400)
    Identities.load(path)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"x", "not TOML"),
        (b"\xff", "UTF-8"),
        (b"a = " + b"[" * 5000, "people.toml"),
        (b"#" * (4 * 1024 * 1024 + 1), "too long"),
        (b"[accounts.111122223333.oops]", "oops"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, data: bytes, word: str) -> None:
    path = tmp_path / "people.toml"
    path.touch(0o600)
    path.write_bytes(data)
    with pytest.raises(UsageError, match=word) as caught:
        Identities.load(path)
    assert str(path) in caught.value.message


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        Identities.load(tmp_path / "none.toml")
    with pytest.raises(UsageError, match="cannot read"):
        Identities.load(tmp_path)


@pytest.mark.parametrize("call", ["fsync", "link"])
def test_nothing_half_written_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "the disk is full")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="full"):
        Identities.generate().save(tmp_path / "x.toml")
    assert list(tmp_path.iterdir()) == []


_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_scalars: st.SearchStrategy[Any] = _texts | st.booleans()
_tables = st.dictionaries(
    _texts,
    _scalars | st.lists(st.dictionaries(_texts, _scalars, max_size=3), max_size=3),
    max_size=3,
)
_documents = st.dictionaries(
    _texts, _scalars | st.dictionaries(_texts, _tables, max_size=3), max_size=3
)


@given(_documents)
def test_every_document_comes_back(document: dict[str, Any]) -> None:
    assert tomllib.loads(write_toml(document)) == document
