"""Statements into decisions: the published tables of evaluation, and what must hold always."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlslab.iam import (
    Access,
    Caller,
    Policy,
    Principal,
    decide_resource,
    evaluate,
    root_arn,
)

ACCOUNT, OTHER = "111122223333", "444455556666"
OBJECT = "arn:aws:s3:::bucket/key"


def policy(*statements: Mapping[str, Any], version: str = "2012-10-17") -> Policy:
    return Policy.parse({"Version": version, "Statement": list(statements)})


def statement(effect: str = "Allow", **elements: Any) -> dict[str, Any]:
    found = {"Effect": effect, "Action": "s3:*", "Resource": "*", **elements}
    for name in ("Action", "Resource"):
        if f"Not{name}" in elements:
            del found[name]
    return found


def user(name: str, *policies: Policy, account: str = ACCOUNT) -> Principal:
    arn = f"arn:aws:iam::{account}:user/{name}"
    return Principal(arn, account, "user", name, "AIDA" + name.upper() * 4, policies)


def caller(principal: Principal | None) -> Caller:
    return Caller(principal, None, "192.0.2.1", "test", secure=True)


def of_identity(
    *statements: Mapping[str, Any],
    action: str = "s3:GetObject",
    resource: str = OBJECT,
    version: str = "2012-10-17",
    **context: Any,
) -> Access:
    who = user("alice", policy(*statements, version=version))
    return evaluate(
        who.policies,
        principal=who,
        action=action,
        resource=resource,
        context={name.replace("_", ":"): value for name, value in context.items()},
        resource_based=False,
    )


def test_nothing_said_is_a_no() -> None:
    who = user("alice")
    access = evaluate(
        (), principal=who, action="s3:GetObject", resource=OBJECT, context={}, resource_based=False
    )
    assert access is Access.NONE


@pytest.mark.parametrize(
    ("elements", "action", "resource", "expected"),
    [
        ({}, "s3:GetObject", OBJECT, True),
        ({}, "kms:Decrypt", OBJECT, False),
        ({"Action": "*"}, "kms:Decrypt", OBJECT, True),
        ({"Action": "*:*"}, "kms:Decrypt", OBJECT, True),
        ({"Action": "S3:getobject"}, "s3:GetObject", OBJECT, True),
        ({"Action": "s3:Get*"}, "s3:GetObjectVersion", OBJECT, True),
        ({"Action": "s3:GetObject"}, "s3:GetObjectVersion", OBJECT, False),
        ({"Action": "s3:GetObjec?"}, "s3:GetObject", OBJECT, True),
        ({"Action": ["s3:Put*", "s3:Get*"]}, "s3:GetObject", OBJECT, True),
        ({"NotAction": "s3:Put*"}, "s3:GetObject", OBJECT, True),
        ({"NotAction": "s3:Get*"}, "s3:GetObject", OBJECT, False),
        ({"NotAction": ["kms:*", "s3:Get*"]}, "s3:PutObject", OBJECT, True),
        ({"Resource": "arn:aws:s3:::bucket/*"}, "s3:GetObject", OBJECT, True),
        ({"Resource": "arn:aws:s3:::bucket/*"}, "s3:ListBucket", "arn:aws:s3:::bucket", False),
        ({"Resource": "arn:aws:s3:::bucket"}, "s3:GetObject", OBJECT, False),
        ({"Resource": "arn:aws:s3:::BUCKET/*"}, "s3:GetObject", OBJECT, False),
        ({"Resource": "arn:aws:s3:::buck*"}, "s3:GetObject", OBJECT, True),
        ({"Resource": "arn:aws:s3:::b?cket/k*y"}, "s3:GetObject", OBJECT, True),
        ({"Resource": "arn:aws:*"}, "s3:GetObject", OBJECT, True),
        ({"NotResource": "arn:aws:s3:::bucket/*"}, "s3:GetObject", OBJECT, False),
        ({"NotResource": "arn:aws:s3:::other/*"}, "s3:GetObject", OBJECT, True),
        ({"Resource": "arn:aws:s3:::*"}, "s3:CreateSomething", "*", False),
    ],
)
def test_actions_and_resources(
    elements: dict[str, Any], action: str, resource: str, expected: bool
) -> None:
    access = of_identity(statement(**elements), action=action, resource=resource)
    assert access is (Access.ALLOW if expected else Access.NONE)


def test_all_conditions_must_hold() -> None:
    both = {"Bool": {"aws:a": "true"}, "StringEquals": {"aws:b": ["x", "y"], "aws:c": "z"}}
    allow = statement(Condition=both)
    assert of_identity(allow, aws_a="true", aws_b="y", aws_c="z") is Access.ALLOW
    for missing in ({"aws_a": "false"}, {"aws_b": "q"}, {"aws_c": ""}):
        context = {"aws_a": "true", "aws_b": "y", "aws_c": "z", **missing}
        assert of_identity(allow, **context) is Access.NONE


def test_a_deny_wins_wherever_it_stands() -> None:
    allow, deny = statement(), statement("Deny", Action="s3:GetObject")
    assert of_identity(allow, deny) is Access.DENY
    assert of_identity(deny, allow) is Access.DENY
    assert of_identity(allow, deny, action="s3:PutObject") is Access.ALLOW
    conditional = statement("Deny", Condition={"Bool": {"aws:SecureTransport": "false"}})
    assert of_identity(allow, conditional, aws_SecureTransport="true") is Access.ALLOW
    assert of_identity(allow, conditional, aws_SecureTransport="false") is Access.DENY


def test_variables_are_of_the_new_version() -> None:
    home = statement(Resource="arn:aws:s3:::home/${aws:username}/*")
    mine, literal = "arn:aws:s3:::home/alice/x", "arn:aws:s3:::home/${aws:username}/x"
    for version, resource in (("2012-10-17", mine), ("2008-10-17", literal)):
        for each in (mine, literal):
            access = of_identity(home, resource=each, version=version, aws_username="alice")
            assert (access is Access.ALLOW) is (each == resource)


def test_an_identity_policy_names_nobody() -> None:
    assert of_identity(statement(Principal="*")) is Access.NONE


def test_a_root_may_do_everything_in_its_account() -> None:
    root = Principal(root_arn(ACCOUNT), ACCOUNT, "root", "root", ACCOUNT)
    access = evaluate(
        (), principal=root, action="x:Y", resource="*", context={}, resource_based=False
    )
    assert access is Access.ALLOW


def of_resource(who: Principal | None, *statements: Mapping[str, Any]) -> Access:
    return evaluate(
        [policy(*statements)],
        principal=who,
        action="s3:GetObject",
        resource=OBJECT,
        context={},
        resource_based=True,
    )


def test_naming_the_account_leaves_it_to_the_account() -> None:
    alice = user("alice")
    by_account = statement(Principal={"AWS": ACCOUNT})
    by_name = statement(Principal={"AWS": alice.arn})
    assert of_resource(alice, by_account) is Access.DELEGATE
    assert of_resource(alice, by_name) is Access.ALLOW
    assert of_resource(alice, by_account, by_name) is Access.ALLOW
    assert of_resource(alice, by_name, by_account) is Access.ALLOW
    assert of_resource(alice, by_name, statement("Deny", Principal={"AWS": ACCOUNT})) is Access.DENY
    assert of_resource(user("bob"), by_name) is Access.NONE
    assert of_resource(alice, statement()) is Access.NONE  # names nobody


ALLOWS, DENIES = policy(statement()), policy(statement("Deny"))


@pytest.mark.parametrize(
    ("mine", "theirs", "same_account", "cross_account"),
    [
        # The principal's policies, the resource's; whether it may.
        (None, None, Access.NONE, Access.NONE),
        ("allow", None, Access.ALLOW, Access.NONE),
        (None, "direct", Access.ALLOW, Access.NONE),
        ("allow", "direct", Access.ALLOW, Access.ALLOW),
        (None, "account", Access.NONE, Access.NONE),
        ("allow", "account", Access.ALLOW, Access.ALLOW),
        (None, "everybody", Access.ALLOW, Access.NONE),
        ("allow", "everybody", Access.ALLOW, Access.ALLOW),
        ("deny", "direct", Access.DENY, Access.DENY),
        ("allow", "deny", Access.DENY, Access.DENY),
        ("deny", None, Access.DENY, Access.DENY),
    ],
)
def test_both_sides(
    mine: str | None, theirs: str | None, same_account: Access, cross_account: Access
) -> None:
    policies = {None: (), "allow": (ALLOWS,), "deny": (ALLOWS, DENIES)}[mine]
    for account, expected in ((ACCOUNT, same_account), (OTHER, cross_account)):
        who = user("alice", *policies, account=account)
        principals: dict[str, Any] = {
            "direct": {"AWS": who.arn},
            "account": {"AWS": account},
            "everybody": "*",
        }
        resource_policy = None
        if theirs == "deny":
            resource_policy = policy(
                statement(Principal="*"), statement("Deny", Principal={"AWS": who.arn})
            )
        elif theirs is not None:
            resource_policy = policy(statement(Principal=principals[theirs]))
        assert decide(who, resource_policy) is expected


def decide(who: Principal | None, resource_policy: Policy | None) -> Access:
    return decide_resource(
        caller(who),
        "s3:GetObject",
        OBJECT,
        owner_account=ACCOUNT,
        resource_policy=resource_policy,
        context={},
    )


def test_nobody_may_what_everybody_may() -> None:
    assert decide(None, None) is Access.NONE
    assert decide(None, policy(statement(Principal="*"))) is Access.ALLOW
    assert decide(None, policy(statement(Principal={"AWS": "*"}))) is Access.ALLOW
    assert decide(None, policy(statement(Principal={"AWS": ACCOUNT}))) is Access.NONE
    assert decide(None, policy(statement("Deny", Principal="*"))) is Access.DENY
    sparing = policy(statement("Deny", NotPrincipal={"AWS": [ACCOUNT]}), statement(Principal="*"))
    assert decide(None, sparing) is Access.DENY


def test_roots() -> None:
    owner = Principal(root_arn(ACCOUNT), ACCOUNT, "root", "root", ACCOUNT)
    foreign = Principal(root_arn(OTHER), OTHER, "root", "root", OTHER)
    assert decide(owner, None) is Access.ALLOW
    assert decide(foreign, None) is Access.NONE
    assert decide(foreign, policy(statement(Principal={"AWS": OTHER}))) is Access.ALLOW
    assert decide(owner, policy(statement("Deny", Principal="*"))) is Access.DENY


def test_a_service_has_the_resource_policy_alone() -> None:
    service = Caller.service("logging.s3.amazonaws.com", ACCOUNT).principal
    assert decide(service, None) is Access.NONE
    for name, expected in (("logging.s3.amazonaws.com", Access.ALLOW), ("x.y", Access.NONE)):
        assert decide(service, policy(statement(Principal={"Service": name}))) is expected


_effects = st.sampled_from(["Allow", "Deny"])
_statements = st.builds(
    statement,
    _effects,
    Action=st.sampled_from(["*", "s3:*", "s3:GetObject", "kms:*"]),
    Resource=st.sampled_from(["*", OBJECT, "arn:aws:s3:::bucket/${aws:username}"]),
    Principal=st.sampled_from(["*", {"AWS": ACCOUNT}, {"AWS": f"arn:aws:iam::{ACCOUNT}:user/bob"}]),
    Condition=st.sampled_from(
        [
            {},
            {"StringLike": {"aws:UserAgent": "a*"}},
            {"NumericLessThan": {"s3:max-keys": "10"}},
            {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
            {"ForAllValues:StringEquals": {"s3:RequestObjectTagKeys": ["a"]}},
        ]
    ),
)
_policies = st.lists(_statements, min_size=1, max_size=4).map(lambda found: policy(*found))
_contexts = st.dictionaries(
    st.sampled_from(
        ["aws:UserAgent", "s3:max-keys", "aws:SourceIp", "aws:username", "s3:RequestObjectTagKeys"]
    ),
    st.text(max_size=4) | st.lists(st.text(max_size=4), max_size=3),
)
_callers = st.sampled_from([None, user("alice"), user("bob"), user("eve", account=OTHER)])


@given(
    st.lists(_policies, max_size=2), _callers, st.text(max_size=12), st.text(max_size=12),
    _contexts, st.booleans(),
)  # fmt: skip
def test_evaluating_never_raises(
    policies: list[Policy],
    who: Principal | None,
    action: str,
    resource: str,
    context: dict[str, Any],
    resource_based: bool,
) -> None:
    access = evaluate(
        policies,
        principal=who,
        action=action,
        resource=resource,
        context=context,
        resource_based=resource_based,
    )
    assert resource_based or access is not Access.DELEGATE


@given(_policies, _callers, _contexts, st.booleans())
def test_no_allow_outweighs_a_deny(
    found: Policy, who: Principal | None, context: dict[str, Any], first: bool
) -> None:
    deny = policy(statement("Deny", Principal="*"))
    access = evaluate(
        [deny, found] if first else [found, deny],
        principal=who,
        action="s3:GetObject",
        resource=OBJECT,
        context=context,
        resource_based=True,
    )
    assert access is Access.DENY


@given(_policies, _callers, _contexts)
def test_without_its_allows_a_policy_allows_nothing(
    found: Policy, who: Principal | None, context: dict[str, Any]
) -> None:
    denies = [each for each in found.document["Statement"] if each["Effect"] == "Deny"]
    access = evaluate(
        [policy(*denies)] if denies else [],
        principal=who,
        action="s3:GetObject",
        resource=OBJECT,
        context=context,
        resource_based=True,
    )
    assert access in (Access.DENY, Access.NONE)
