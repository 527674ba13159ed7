"""Wildcards and variables: against a reference that tries everything, and against attackers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlslab.iam.policy.malformed import MalformedPolicy
from tlslab.iam.policy.pattern import any_of, matches
from tlslab.iam.policy.situation import Situation

NOTHING = Situation({})


def reference(pattern: str, value: str) -> bool:
    """The definition of `*` and `?`, without a thought for time."""
    if not pattern:
        return not value
    if pattern[0] == "*":
        return any(reference(pattern[1:], value[start:]) for start in range(len(value) + 1))
    return bool(value) and pattern[0] in ("?", value[0]) and reference(pattern[1:], value[1:])


@given(st.text("ab*?", max_size=8), st.text("ab*?\n", max_size=8))
def test_wildcards_mean_what_they_mean(pattern: str, value: str) -> None:
    assert matches(pattern, value) is reference(pattern, value)


@given(st.text(max_size=20))
def test_characters_that_mean_something_elsewhere_are_text(value: str) -> None:
    pattern = value.replace("*", "").replace("?", "")
    assert matches(pattern, pattern)
    assert matches("*" + pattern, "x" + pattern)
    assert not matches(pattern + ".", pattern + "x")


@given(st.lists(st.text("ab*?", max_size=5), max_size=4), st.text("ab", max_size=5))
def test_one_of_several_is_enough(patterns: list[str], value: str) -> None:
    test = any_of(patterns, variables=False)
    assert test(value, NOTHING) is any(reference(pattern, value) for pattern in patterns)


def test_nobody_makes_matching_slow() -> None:
    """A matcher that tries all ways to share the value among the stars would not come back."""
    value = "a" * 5000
    assert not matches("*a" * 500 + "*b", value)
    assert not matches("*" * 1000 + "b", value)


def test_case_counts_unless_it_is_folded() -> None:
    assert not any_of(["Ab*"], variables=False)("aB", NOTHING)
    assert any_of(["Ab*", "X"], variables=False, fold=True)("aB", NOTHING)
    assert any_of(["Ab*", "X"], variables=False, fold=True)("x", NOTHING)
    folded = any_of(["${aws:userName}-X"], variables=True, fold=True)
    assert folded("ALICE-x", Situation({"aws:username": "Alice"}))


HOME = "arn:aws:s3:::home/${aws:username}/*"


@pytest.mark.parametrize(
    ("context", "value", "expected"),
    [
        ({"aws:username": "alice"}, "arn:aws:s3:::home/alice/x", True),
        ({"AWS:UserName": "alice"}, "arn:aws:s3:::home/alice/x", True),
        ({"aws:username": ["alice"]}, "arn:aws:s3:::home/alice/x", True),
        ({"aws:username": "bob"}, "arn:aws:s3:::home/alice/x", False),
        ({"aws:username": "*"}, "arn:aws:s3:::home/alice/x", False),  # a value is no pattern
        ({"aws:username": "*"}, "arn:aws:s3:::home/*/x", True),
        ({}, "arn:aws:s3:::home//x", False),
        ({}, "arn:aws:s3:::home/${aws:username}/x", False),
        ({"aws:username": ["alice", "bob"]}, "arn:aws:s3:::home/alice/x", False),
    ],
)
def test_a_variable_stands_for_one_value(
    context: dict[str, str | list[str]], value: str, expected: bool
) -> None:
    assert any_of([HOME], variables=True)(value, Situation(context)) is expected


def test_without_variables_a_dollar_is_a_dollar() -> None:
    test = any_of([HOME], variables=False)
    assert test("arn:aws:s3:::home/${aws:username}/x", Situation({"aws:username": "alice"}))
    assert not test("arn:aws:s3:::home/alice/x", Situation({"aws:username": "alice"}))


@pytest.mark.parametrize(
    ("pattern", "value"),
    [
        ("${*}", "*"),
        ("${?}x", "?x"),
        ("${$}{aws:username}", "${aws:username}"),
        ("a$b", "a$b"),
        ("${aws:username, 'nobody'}", "nobody"),
        ("${aws:username,''}x", "x"),
        ("${aws:PrincipalTag/cost center}", "blue"),
    ],
)
def test_escapes_and_defaults(pattern: str, value: str) -> None:
    test = any_of([pattern], variables=True)
    situation = Situation({"aws:principaltag/cost center": "blue"})
    assert test(value, situation)
    assert not test("something else", situation)


@pytest.mark.parametrize("pattern", ["${", "${}", "${aws:username", "${username}", "${a:b,c}"])
def test_a_variable_that_is_none_is_refused(pattern: str) -> None:
    with pytest.raises(MalformedPolicy):
        any_of([pattern], variables=True)
