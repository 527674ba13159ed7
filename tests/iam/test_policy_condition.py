"""Condition operators, each with a value it accepts, one it does not, and no value at all."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlslab.iam.policy.condition import parse_condition
from tlslab.iam.policy.malformed import MalformedPolicy
from tlslab.iam.policy.situation import Situation

ARN = "arn:aws:iam::111122223333:role/staff/backup"


def holds(operator: str, policy: Any, request: Any) -> bool:
    """Whether an operator with the policy's values holds for the request's; None: no such key."""
    texts = [policy] if isinstance(policy, str) else policy
    condition = parse_condition(operator, "s3:Key", texts, variables=True)
    return condition.holds(Situation({} if request is None else {"S3:key": request}))


POSITIVE = [
    # operator, the policy's values, values that match, values that do not
    ("StringEquals", ["a", "b*"], ["a", "b*"], ["A", "bc", ""]),
    ("StringEqualsIgnoreCase", ["AbC"], ["abc", "ABC"], ["ab"]),
    ("StringLike", ["a*c?"], ["acd", "abbcd"], ["ac", "Acd", ""]),
    ("NumericEquals", ["10"], ["10", "10.0", "+10"], ["11", "ten", "", "1e1"]),
    ("NumericLessThan", ["10"], ["9.99", "-3"], ["10", "11", "x"]),
    ("NumericLessThanEquals", ["10"], ["10", "3"], ["10.01"]),
    ("NumericGreaterThan", ["10"], ["10.5"], ["10", "9", "Infinity", "NaN"]),
    ("NumericGreaterThanEquals", ["10"], ["10", "11"], ["9"]),
    (
        "DateEquals",
        ["2026-11-20T19:00:00Z"],
        ["2026-11-20T19:00:00Z", "2026-11-20T20:00:00+01:00", "1795201200"],
        ["2026-11-20", "never", "1795201201"],
    ),
    ("DateLessThan", ["2026-11-20"], ["2026-11-19T23:59:59.9Z"], ["2026-11-20", "2027"]),
    ("DateLessThanEquals", ["2026-11"], ["2026-11-01", "2026"], ["2026-11-01T00:00:01Z"]),
    ("DateGreaterThan", ["2026-11-20"], ["2026-11-20T00:00:01Z"], ["2026-11-20", "2026-02-31"]),
    ("DateGreaterThanEquals", ["1795132800"], ["2026-11-20"], ["2026-11-19"]),
    ("Bool", ["True"], ["true", "TRUE"], ["false", "1", ""]),
    ("BinaryEquals", ["QmluYXJ5"], ["QmluYXJ5"], ["QmluYXJ4", "!", "Ä"]),
    (
        "IpAddress",
        ["203.0.113.0/24", "2001:db8::/32", "192.0.2.7"],
        ["203.0.113.9", "2001:db8::1", "192.0.2.7", "::ffff:203.0.113.9"],
        ["203.0.114.1", "2001:db9::1", "192.0.2.8", "x", ""],
    ),
    (
        "ArnLike",
        ["arn:aws:iam::*:role/staff/*"],
        [ARN, "arn:aws:iam::444455556666:role/staff/a:b"],
        ["arn:aws:iam::111122223333:role/other", "arn:aws:iam::1:2:role/staff/x", "x"],
    ),
    ("ArnEquals", [ARN], [ARN], [ARN + "x"]),
]
NEGATED = {
    "StringEquals": "StringNotEquals",
    "StringEqualsIgnoreCase": "StringNotEqualsIgnoreCase",
    "StringLike": "StringNotLike",
    "NumericEquals": "NumericNotEquals",
    "DateEquals": "DateNotEquals",
    "IpAddress": "NotIpAddress",
    "ArnLike": "ArnNotLike",
    "ArnEquals": "ArnNotEquals",
}


@pytest.mark.parametrize(("operator", "policy", "good", "bad"), POSITIVE)
def test_an_operator_and_its_opposite(
    operator: str, policy: list[str], good: list[str], bad: list[str]
) -> None:
    for value in good:
        assert holds(operator, policy, value), value
    for value in bad:
        assert not holds(operator, policy, value), value
    opposite = NEGATED.get(operator)
    if opposite is not None:
        assert not any(holds(opposite, policy, value) for value in good)
        assert all(holds(opposite, policy, value) for value in bad)


@pytest.mark.parametrize(("operator", "policy"), [row[:2] for row in POSITIVE])
def test_an_absent_key(operator: str, policy: list[str]) -> None:
    assert not holds(operator, policy, None)
    assert holds(operator + "IfExists", policy, None)
    assert holds("ForAllValues:" + operator, policy, None)
    assert not holds("ForAnyValue:" + operator, policy, None)
    assert holds("ForAnyValue:" + operator + "IfExists", policy, None)
    assert holds("ForAllValues:" + operator, policy, [])  # as if it were absent
    opposite = NEGATED.get(operator)
    if opposite is not None:
        assert holds(opposite, policy, None)
        assert not holds("ForAnyValue:" + opposite, policy, None)


@pytest.mark.parametrize(("operator", "policy", "good", "bad"), POSITIVE)
def test_if_exists_changes_nothing_else(
    operator: str, policy: list[str], good: list[str], bad: list[str]
) -> None:
    assert all(holds(operator + "IfExists", policy, value) for value in good)
    assert not any(holds(operator + "IfExists", policy, value) for value in bad)


@pytest.mark.parametrize(
    ("operator", "request_values", "expected"),
    [
        # The table of "Multivalued context keys", for the policy's values a and b.
        ("ForAllValues:StringEquals", ["a"], True),
        ("ForAllValues:StringEquals", ["a", "b"], True),
        ("ForAllValues:StringEquals", ["a", "c"], False),
        ("ForAnyValue:StringEquals", ["a", "c"], True),
        ("ForAnyValue:StringEquals", ["c"], False),
        ("ForAllValues:StringNotEquals", ["c", "d"], True),
        ("ForAllValues:StringNotEquals", ["a", "c"], False),
        ("ForAnyValue:StringNotEquals", ["a", "c"], True),
        ("ForAnyValue:StringNotEquals", ["a", "b"], False),
        ("StringEquals", ["a", "c"], True),
        ("StringNotEquals", ["a", "c"], False),
        ("StringNotEquals", ["c", "d"], True),
    ],
)
def test_several_values(operator: str, request_values: list[str], expected: bool) -> None:
    assert holds(operator, ["a", "b"], request_values) is expected


def test_null_asks_whether_a_key_is_there() -> None:
    assert holds("Null", "true", None)
    assert holds("Null", "true", [])
    assert not holds("Null", "true", "x")
    assert not holds("Null", "false", None)
    assert holds("Null", "FALSE", "")  # an empty value is one
    assert holds("Null", ["true", "false"], "x")


def test_variables_stand_in_strings_and_arns() -> None:
    situation = Situation({"s3:prefix": "home/alice/x", "aws:username": "alice"})
    condition = parse_condition(
        "StringLike", "s3:prefix", ["home/${aws:username}/*"], variables=True
    )
    assert condition.holds(situation)
    plain = parse_condition("StringLike", "s3:prefix", ["home/${aws:username}/*"], variables=False)
    assert not plain.holds(situation)
    arn = parse_condition(
        "ArnLike", "aws:a", ["arn:aws:iam::*:user/${aws:username}"], variables=True
    )
    assert arn.holds(Situation({"aws:a": "arn:aws:iam::1:user/alice", "aws:username": "alice"}))
    assert not arn.holds(Situation({"aws:a": "arn:aws:iam::1:user/bob", "aws:username": "alice"}))
    literal = parse_condition("StringEquals", "s3:prefix", ["${*}"], variables=True)
    assert literal.holds(Situation({"s3:prefix": "*"}))


@pytest.mark.parametrize(
    "operator",
    [
        "StringMatches",
        "stringequals",
        "StringEqualsifexists",
        "NullIfExists",
        "ForAllValues:Null",
        "ForSomeValues:StringEquals",
        "ForAllValues:",
        ":StringEquals",
        "IfExists",
        "",
        "ForAllValues:ForAnyValue:StringEquals",
    ],
)
def test_an_unknown_operator_is_refused(operator: str) -> None:
    with pytest.raises(MalformedPolicy, match="Invalid Condition type"):
        holds(operator, "true", "x")


@pytest.mark.parametrize(
    ("operator", "value"),
    [
        ("NumericEquals", "ten"),
        ("NumericEquals", "1" * 41),
        ("DateEquals", "yesterday"),
        ("DateEquals", "2026-02-30"),
        ("Bool", "yes"),
        ("Null", "maybe"),
        ("BinaryEquals", "not base64!"),
        ("IpAddress", "10.0.0.0/33"),
        ("IpAddress", "${aws:SourceIp}"),  # variables stand in strings and ARNs only
        ("ArnLike", "role/backup"),
        ("ArnEquals", "x:aws:iam::1:role/x"),
    ],
)
def test_a_value_that_its_operator_cannot_take_is_refused(operator: str, value: str) -> None:
    with pytest.raises(MalformedPolicy):
        holds(operator, value, "x")


@pytest.mark.parametrize("key", ["prefix", ":prefix", "s3:", "s3: ", "", "s 3:prefix"])
def test_a_key_needs_its_service(key: str) -> None:
    with pytest.raises(MalformedPolicy, match="condition key"):
        parse_condition("StringEquals", key, ["x"], variables=True)


OPERATORS = [row[0] for row in POSITIVE] + list(NEGATED.values())


@given(
    st.sampled_from(OPERATORS),
    st.sampled_from(["", "ForAllValues:", "ForAnyValue:"]),
    st.sampled_from(["", "IfExists"]),
    st.lists(st.text(max_size=12) | st.sampled_from(["10", ARN, "true", "::1"]), max_size=3),
)
def test_no_request_makes_a_condition_fail(
    operator: str, prefix: str, suffix: str, values: list[str]
) -> None:
    policy = next(row[1] for row in POSITIVE if operator in (row[0], NEGATED.get(row[0])))
    assert holds(prefix + operator + suffix, policy, values) in (True, False)
