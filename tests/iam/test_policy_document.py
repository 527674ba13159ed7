"""Policies are read exactly: what is understood comes back the same, everything else is refused."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlslab.iam import MalformedPolicy, Policy
from tlslab.iam.policy import MAX_POLICY_BYTES

GOOD: dict[str, Any] = {
    "Sid": "One",
    "Effect": "Allow",
    "Action": "s3:GetObject",
    "Resource": "arn:aws:s3:::bucket/*",
}


def document(**changes: Any) -> dict[str, Any]:
    """A policy with one statement; None removes an element."""
    statement = {k: v for k, v in {**GOOD, **changes}.items() if v is not None}
    return {"Version": "2012-10-17", "Statement": [statement]}


def refused(source: Any, resource_based: bool | None = None) -> str:
    with pytest.raises(MalformedPolicy) as caught:
        Policy.parse(source, resource_based=resource_based)
    return caught.value.message


@pytest.mark.parametrize(
    "source",
    [
        b"", "x", "[]", '"x"', "1", b"\xff", "\ufeff{}", "{", "{'a': 1}", "[" * 100_000,
        '{"a":' * 20_000, '{"Statement": NaN}', '{"Statement": 1e999}', '{"Id": "\\ud800"}',
        '{"Statement": ' + "1" * 5000 + "}",
    ],
)  # fmt: skip
def test_what_is_not_json_is_refused(source: str | bytes) -> None:
    assert refused(source).startswith("Policies must be valid JSON")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({}, "Missing required field Statement"),
        ({"Statement": []}, "Missing required field Statement"),
        ({"Statement": "x"}, "Invalid policy syntax."),
        ({"Statement": [1]}, "Invalid policy syntax."),
        ({"Id": 1, "Statement": [GOOD]}, "Invalid policy syntax."),
        ({"Version": "2012-10-18", "Statement": [GOOD]}, "The policy must contain a valid version"),
        ({"Version": 20121017, "Statement": [GOOD]}, "The policy must contain a valid version"),
        ({"version": "2012-10-17", "Statement": [GOOD]}, "Unknown field version"),
        ({"Statement": [GOOD, GOOD]}, "Statement IDs (SID) in a single policy must be unique."),
        (document(Effect=None), "Missing required field Effect"),
        (document(Effect="allow"), "Invalid effect : allow"),
        (document(Effect=["Allow"]), "Invalid effect"),
        (document(Action=None), "Missing required field Action"),
        (document(Action=[]), "Missing required field Action"),
        (document(Action={}), "Invalid policy syntax."),
        (document(NotAction="s3:*"), "Invalid policy syntax."),
        (document(Action="GetObject"), "Policy has invalid action"),
        (document(Action="s3:"), "Policy has invalid action"),
        (document(Action="s3*:GetObject"), "Policy has invalid action"),
        (document(Action=["s3:Get*", 1]), "Policy has invalid action"),
        (document(Resource=None), "Missing required field Resource"),
        (document(NotResource="*"), "Invalid policy syntax."),
        (document(Resource="bucket/*"), "Policy has invalid resource"),
        (document(Resource="arn:aws:s3"), "Policy has invalid resource"),
        (document(Resource="arn:aws:s3:::"), "Policy has invalid resource"),
        (document(Resource="arn:aws:s3:::b/${oops"), "Invalid policy variable"),
        (document(Sid=1), "Invalid policy syntax."),
        (document(Resources="*"), "Unknown field Resources"),
        (document(Condition=[]), "Invalid policy syntax."),
        (document(Condition={"Bool": "aws:SecureTransport"}), "Invalid policy syntax."),
        (document(Condition={"Bool": {"aws:SecureTransport": []}}), "Invalid policy syntax."),
        (document(Condition={"Bool": {"aws:SecureTransport": {}}}), "Invalid policy syntax."),
        (document(Condition={"Bool": {"aws:SecureTransport": None}}), "Invalid policy syntax."),
        (document(Condition={"Boolean": {"a:b": "true"}}), "Invalid Condition type : Boolean"),
        (document(Principal="x"), "Invalid principal in policy"),
        (document(Principal="*", NotPrincipal={"AWS": "111122223333"}), "Invalid policy syntax."),
    ],
)
def test_what_is_no_policy_is_refused(source: dict[str, Any], message: str) -> None:
    assert refused(source).startswith(message)


def test_an_element_given_twice_is_refused() -> None:
    text = json.dumps(document())
    twice = text.replace('"Effect": "Allow"', '"Effect": "Deny", "Effect": "Allow"')
    assert twice != text
    assert refused(twice).startswith("Duplicate")


def test_principals_stand_where_they_belong() -> None:
    with_principal, without = document(Principal="*"), document()
    assert refused(without, resource_based=True) == "Missing required field Principal"
    assert "principal" in refused(with_principal, resource_based=False)
    Policy.parse(with_principal, resource_based=True)
    Policy.parse(without, resource_based=False)
    Policy.parse(without)
    Policy.parse(with_principal)


@pytest.mark.parametrize("over", [0, 1])
def test_the_length_is_bounded(over: int) -> None:
    text = json.dumps(document())
    padded = text + " " * (MAX_POLICY_BYTES - len(text) + over)
    if over:
        assert "too long" in refused(padded)
        assert "too long" in refused({**document(), "Id": "x" * MAX_POLICY_BYTES})
    else:
        assert Policy.parse(padded) == Policy.parse(text)


def test_white_space_is_not_part_of_a_policy() -> None:
    text = json.dumps(document(), indent=4)
    policy = Policy.parse(text.encode())
    assert policy == Policy.parse(document())
    assert hash(policy) == hash(Policy.parse(document()))
    assert " " not in policy.text


def test_a_document_is_a_copy() -> None:
    policy = Policy.parse(document())
    policy.document["Statement"].clear()
    assert policy.document == document()


def test_the_keys_that_conditions_ask_for() -> None:
    conditions = {"Bool": {"aws:SecureTransport": True}, "Null": {"s3:X": "true", "s3:Y": "true"}}
    assert Policy.parse(document(Condition=conditions)).condition_keys == {
        "aws:securetransport", "s3:x", "s3:y",
    }  # fmt: skip


_ARN = "arn:aws:s3:::{}/*"
_words = st.text("abcdefgh", min_size=1, max_size=6)


def one_or_more(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return values | st.lists(values, min_size=1, max_size=3)


_conditions = st.dictionaries(
    st.sampled_from(
        ["StringEquals", "StringNotLike", "ForAllValues:StringLike", "StringEqualsIfExists"]
    ),
    st.dictionaries(
        st.sampled_from(["aws:username", "s3:prefix", "s3:max-keys"]),
        one_or_more(_words | st.integers() | st.booleans() | st.just("${aws:username}")),
        max_size=2,
    ),
    max_size=2,
)
_statements = st.fixed_dictionaries(
    {
        "Effect": st.sampled_from(["Allow", "Deny"]),
        "Action": one_or_more(_words.map("s3:{}*".format) | st.just("*")),
        "Resource": one_or_more(_words.map(_ARN.format) | st.just("*")),
    },
    optional={
        "Principal": st.just("*") | one_or_more(st.just("111122223333")).map(lambda v: {"AWS": v}),
        "Condition": _conditions,
    },
)
policies = st.fixed_dictionaries(
    {"Statement": _statements | st.lists(_statements, min_size=1, max_size=3)},
    optional={
        "Version": st.sampled_from(["2012-10-17", "2008-10-17"]),
        "Id": st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    },
)


@given(policies)
def test_parsing_and_writing_is_identity(source: dict[str, Any]) -> None:
    policy = Policy.parse(source)
    assert policy.document == source
    again = Policy.parse(policy.document)
    assert again == policy
    assert Policy.parse(policy.text) == policy


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: (
    st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["Version", "Statement", "Effect", "Action", "Resource", "Principal", "Condition"]
        ),
        inner,
        max_size=5,
    )
), max_leaves=20))  # fmt: skip
def test_nothing_but_malformed_comes_out_of_parsing(source: Any) -> None:
    with contextlib.suppress(MalformedPolicy):
        Policy.parse(json.dumps(source))
