"""Condition operators: `{operator: {key: values}}` as a test of the request.

All conditions of a statement must hold; of one condition's values, one must match. An operator with
`Not` is the opposite of the one without, so it holds if *no* value matches.

    key absent from the request   plain: false; `Not`: true; `...IfExists` and `ForAllValues`: true;
                                  `ForAnyValue`: false
    several values in it          `ForAllValues`: all must pass; `ForAnyValue`: one must;
                                  without either, the operator is asked whether any of them matches

Source: IAM, "IAM JSON policy elements: Condition operators" and "Multivalued context keys".
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeAlias, TypeVar

from tlslab.iam.policy import values as read
from tlslab.iam.policy.malformed import MalformedPolicy
from tlslab.iam.policy.pattern import Test, any_of
from tlslab.iam.policy.situation import Situation

Quantifier: TypeAlias = Literal["all", "any"] | None

_T = TypeVar("_T")

_QUANTIFIERS: dict[str, Quantifier] = {"ForAllValues": "all", "ForAnyValue": "any"}
_IF_EXISTS = "IfExists"
_KEY = re.compile(r"[A-Za-z0-9-]+:\S(?:.*\S)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator applied to one key. `key` is in lower case."""

    key: str
    test: Test
    negated: bool
    quantifier: Quantifier
    when_absent: bool

    def holds(self, situation: Situation) -> bool:
        """Whether the request meets it."""
        found = situation.values(self.key)
        if not found:
            return self.when_absent
        if self.quantifier == "all":
            return all(self.test(value, situation) != self.negated for value in found)
        if self.quantifier == "any":
            return any(self.test(value, situation) != self.negated for value in found)
        return any(self.test(value, situation) for value in found) != self.negated


@dataclass(frozen=True, slots=True)
class Presence:
    """The operator Null: whether a key is absent from the request."""

    key: str
    absent: frozenset[bool]

    def holds(self, situation: Situation) -> bool:
        """Whether the request meets it."""
        return (not situation.values(self.key)) in self.absent


def parse_condition(
    name: str, key: str, texts: Sequence[str], *, variables: bool
) -> Condition | Presence:
    """The operator `name` applied to `key` with a policy's values.

    Raises MalformedPolicy for an unknown operator, for a key that cannot be one and for values that
    the operator cannot take.
    """
    if not _KEY.fullmatch(key):
        raise MalformedPolicy("Policy has an invalid condition key")
    if name == "Null":
        return Presence(key.lower(), frozenset(_all(read.boolean, texts, name)))
    prefix, colon, rest = name.rpartition(":")
    base = rest.removesuffix(_IF_EXISTS)
    if (colon and prefix not in _QUANTIFIERS) or base not in _OPERATORS:
        raise MalformedPolicy(f"Invalid Condition type : {name}")
    negated, make = _OPERATORS[base]
    quantifier = _QUANTIFIERS[prefix] if colon else None
    if_exists = rest != base
    when_absent = if_exists or (negated if quantifier is None else quantifier == "all")
    return Condition(key.lower(), make(base, texts, variables), negated, quantifier, when_absent)


_Make: TypeAlias = Callable[[str, Sequence[str], bool], Test]


def _all(reader: Callable[[str], _T | None], texts: Sequence[str], name: str) -> list[_T]:
    """All values read, or MalformedPolicy."""
    found = [reader(text) for text in texts]
    good = [value for value in found if value is not None]
    if len(good) != len(found):
        raise MalformedPolicy(f"Invalid value for condition operator {name}")
    return good


def _string(*, wildcards: bool = False, fold: bool = False) -> _Make:
    def make(name: str, texts: Sequence[str], variables: bool) -> Test:
        return any_of(texts, variables=variables, wildcards=wildcards, fold=fold)

    return make


def _compared(
    reader: Callable[[str], Decimal | None], compare: Callable[[Decimal, Decimal], bool]
) -> _Make:
    def make(name: str, texts: Sequence[str], variables: bool) -> Test:
        bounds = _all(reader, texts, name)

        def test(value: str, situation: Situation) -> bool:
            number = reader(value)
            return number is not None and any(compare(number, bound) for bound in bounds)

        return test

    return make


def _member(reader: Callable[[str], _T | None]) -> _Make:
    def make(name: str, texts: Sequence[str], variables: bool) -> Test:
        wanted = _all(reader, texts, name)

        def test(value: str, situation: Situation) -> bool:
            found = reader(value)
            return found is not None and found in wanted

        return test

    return make


def _address(name: str, texts: Sequence[str], variables: bool) -> Test:
    networks: list[read.Network] = _all(read.network, texts, name)

    def test(value: str, situation: Situation) -> bool:
        address = read.address(value)
        return address is not None and any(address in network for network in networks)

    return test


def _arn(name: str, texts: Sequence[str], variables: bool) -> Test:
    """Each of the six parts is matched by itself, so that no wildcard reaches into the next."""
    patterns = []
    for text in texts:
        parts = _arn_parts(text)
        if parts is None or parts[0] != "arn":
            raise MalformedPolicy(f"Invalid value for condition operator {name}")
        patterns.append([any_of([part], variables=variables) for part in parts])

    def test(value: str, situation: Situation) -> bool:
        parts = value.split(":", 5)
        return len(parts) == 6 and any(
            all(part_test(part, situation) for part_test, part in zip(tests, parts, strict=True))
            for tests in patterns
        )

    return test


_COLON = re.compile(r"(\$\{[^}]*\})|:")


def _arn_parts(text: str) -> list[str] | None:
    """The six parts of an ARN with wildcards; the colon within a variable parts nothing."""
    parts: list[str] = []
    start = 0
    for match in _COLON.finditer(text):
        if match[1] is None and len(parts) < 5:
            parts.append(text[start : match.start()])
            start = match.end()
    parts.append(text[start:])
    return parts if len(parts) == 6 else None


_OPERATORS: dict[str, tuple[bool, _Make]] = {
    "StringEquals": (False, _string()),
    "StringNotEquals": (True, _string()),
    "StringEqualsIgnoreCase": (False, _string(fold=True)),
    "StringNotEqualsIgnoreCase": (True, _string(fold=True)),
    "StringLike": (False, _string(wildcards=True)),
    "StringNotLike": (True, _string(wildcards=True)),
    "NumericEquals": (False, _compared(read.number, operator.eq)),
    "NumericNotEquals": (True, _compared(read.number, operator.eq)),
    "NumericLessThan": (False, _compared(read.number, operator.lt)),
    "NumericLessThanEquals": (False, _compared(read.number, operator.le)),
    "NumericGreaterThan": (False, _compared(read.number, operator.gt)),
    "NumericGreaterThanEquals": (False, _compared(read.number, operator.ge)),
    "DateEquals": (False, _compared(read.seconds, operator.eq)),
    "DateNotEquals": (True, _compared(read.seconds, operator.eq)),
    "DateLessThan": (False, _compared(read.seconds, operator.lt)),
    "DateLessThanEquals": (False, _compared(read.seconds, operator.le)),
    "DateGreaterThan": (False, _compared(read.seconds, operator.gt)),
    "DateGreaterThanEquals": (False, _compared(read.seconds, operator.ge)),
    "Bool": (False, _member(read.boolean)),
    "BinaryEquals": (False, _member(read.octets)),
    "IpAddress": (False, _address),
    "NotIpAddress": (True, _address),
    "ArnEquals": (False, _arn),
    "ArnNotEquals": (True, _arn),
    "ArnLike": (False, _arn),
    "ArnNotLike": (True, _arn),
}
"""By name: whether it is negated, and what makes its test. `Arn...Equals` takes wildcards too."""
