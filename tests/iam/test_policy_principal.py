"""Whom a statement is about: users, roles and sessions, accounts, services, everybody, nobody."""

from __future__ import annotations

from typing import Any

import pytest

from tlslab.iam import Caller, MalformedPolicy, Principal, root_arn
from tlslab.iam.policy.principal import parse_principals

ACCOUNT, OTHER = "111122223333", "444455556666"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/ops/backup"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/backup/nightly"

root = Principal(root_arn(ACCOUNT), ACCOUNT, "root", "root", ACCOUNT)
alice = Principal(
    f"arn:aws:iam::{ACCOUNT}:user/alice", ACCOUNT, "user", "alice", "AIDAALICEALICEALI"
)
bob = Principal(f"arn:aws:iam::{ACCOUNT}:user/bob", ACCOUNT, "user", "bob", "AIDABOBBOBBOBBOBB")
mallory = Principal(
    f"arn:aws:iam::{OTHER}:user/mallory", OTHER, "user", "mallory", "AIDAMALLORYMALLOR"
)
backup = Principal(
    SESSION, ACCOUNT, "assumed-role", "backup", "AROABACKUPBACKUPB:nightly", role_arn=ROLE
)
s3 = Caller.service("s3.amazonaws.com", ACCOUNT).principal
assert s3 is not None
EVERYONE: dict[str, Principal | None] = {
    "root": root, "alice": alice, "bob": bob, "mallory": mallory, "backup": backup, "s3": s3,
    "anonymous": None,
}  # fmt: skip
PEOPLE = {"root", "alice", "bob", "mallory", "backup", "anonymous"}


def matched(element: Any, *, allows: bool, negated: bool = False) -> set[str]:
    principals = parse_principals(element, negated=negated)
    return {name for name, who in EVERYONE.items() if principals.match(who, allows=allows)}


def direct(element: Any, *, negated: bool = False) -> set[str]:
    principals = parse_principals(element, negated=negated)
    return {
        name
        for name, who in EVERYONE.items()
        if principals.match(who, allows=True) and principals.direct(who)
    }


@pytest.mark.parametrize(
    ("element", "about", "directly"),
    [
        ("*", PEOPLE | {"s3"}, PEOPLE | {"s3"}),
        ({"AWS": "*"}, PEOPLE, PEOPLE),
        ({"AWS": ["*", alice.arn]}, PEOPLE, PEOPLE),
        ({"AWS": alice.arn}, {"alice"}, {"alice"}),
        ({"AWS": [alice.arn, mallory.arn]}, {"alice", "mallory"}, {"alice", "mallory"}),
        ({"AWS": alice.user_id}, {"alice"}, {"alice"}),
        ({"AWS": ACCOUNT}, {"root", "alice", "bob", "backup"}, {"root"}),
        ({"AWS": root_arn(ACCOUNT)}, {"root", "alice", "bob", "backup"}, {"root"}),
        ({"AWS": [ACCOUNT, bob.arn]}, {"root", "alice", "bob", "backup"}, {"root", "bob"}),
        ({"AWS": ROLE}, {"backup"}, {"backup"}),
        ({"AWS": SESSION}, {"backup"}, {"backup"}),
        ({"AWS": SESSION + "x"}, set(), set()),
        ({"AWS": "AROABACKUPBACKUPB"}, {"backup"}, {"backup"}),
        ({"Service": "s3.amazonaws.com"}, {"s3"}, {"s3"}),
        ({"Service": ["ec2.amazonaws.com"]}, set(), set()),
        ({"Federated": "accounts.example.com"}, set(), set()),
        ({"AWS": alice.arn, "Service": "s3.amazonaws.com"}, {"alice", "s3"}, {"alice", "s3"}),
    ],
)
def test_principal(element: Any, about: set[str], directly: set[str]) -> None:
    assert matched(element, allows=True) == about
    assert matched(element, allows=False) == about
    assert direct(element) == directly


@pytest.mark.parametrize(
    ("element", "spared"),
    [
        # Account, role and session must all be listed.
        ({"AWS": [ACCOUNT, alice.arn]}, {"root", "alice"}),
        ({"AWS": alice.arn}, set()),
        ({"AWS": ACCOUNT}, {"root"}),
        ({"AWS": [ACCOUNT, ROLE, SESSION]}, {"root", "backup"}),
        ({"AWS": [ACCOUNT, ROLE]}, {"root"}),
        ({"Service": "s3.amazonaws.com"}, {"s3"}),
    ],
)
def test_not_principal_denies_all_but_those_listed_in_full(element: Any, spared: set[str]) -> None:
    assert matched(element, allows=False, negated=True) == set(EVERYONE) - spared


@pytest.mark.parametrize(
    ("element", "excepted"),
    [
        ({"AWS": alice.arn}, {"alice"}),
        ({"AWS": alice.user_id}, {"alice"}),
        ({"AWS": ACCOUNT}, {"root", "alice", "bob", "backup"}),
        ({"AWS": ROLE}, {"backup"}),
    ],
)
def test_not_principal_allows_none_of_those_listed(element: Any, excepted: set[str]) -> None:
    assert matched(element, allows=True, negated=True) == set(EVERYONE) - excepted
    assert direct(element, negated=True) == set(EVERYONE) - excepted


@pytest.mark.parametrize(
    "element",
    [
        None, "", "alice", [], {}, ["*"], {"AWS": []}, {"AWS": {}}, {"AWS": 111122223333},
        {"AWS": ""},
        {"aws": "*"}, {"Service": "*"}, {"Federated": "*"}, {"CanonicalUser": "a" * 64},
        {"AWS": "11112222333"}, {"AWS": "alice"}, {"AWS": ["*", 1]},
        {"AWS": f"arn:aws:iam::{ACCOUNT}:user/*"}, {"AWS": f"arn:aws:iam::{ACCOUNT}:*"},
        {"AWS": f"arn:aws:iam::{ACCOUNT}:group/staff"}, {"AWS": "arn:aws:iam::*:root"},
        {"AWS": f"arn:aws:s3::{ACCOUNT}:root"}, {"AWS": f"arn:aws:iam:x:{ACCOUNT}:root"},
        {"AWS": f"arn:aws:sts::{ACCOUNT}:assumed-role/backup"}, {"AWS": "AKIAIOSFODNN7EXAMPLE"},
        {"AWS": "*", "Other": "x"}, {"Service": "S3"},
    ],
)  # fmt: skip
def test_what_names_nobody_is_refused(element: Any) -> None:
    with pytest.raises(MalformedPolicy, match="Invalid principal"):
        parse_principals(element, negated=False)


@pytest.mark.parametrize("element", ["*", {"AWS": "*"}, {"AWS": ["*", ACCOUNT]}])
def test_everybody_but_everybody_is_refused(element: Any) -> None:
    with pytest.raises(MalformedPolicy):
        parse_principals(element, negated=True)
