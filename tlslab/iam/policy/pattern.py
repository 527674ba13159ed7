r"""Wildcards, and variables in them.

    *                          any text, also none
    ?                          any one character
    ${aws:username}            the key's value in the request
    ${aws:username, 'nobody'}  the same, or this if it has none
    ${*} ${?} ${$}             the character itself

A value that a variable brings in is text: a `*` in it is no wildcard, or a user could widen his own
permissions by his name. A variable without a value matches nothing.

Matching takes time proportional to pattern times value at worst: each piece between two stars is
found at its first place, for good. That is right, because a later place would leave less for the
rest; so no regular expression here can be made to backtrack by whoever writes keys and policies.

Source: IAM, "IAM policy elements: Variables and tags" and "IAM JSON policy elements: Resource".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from tlslab.iam.policy.malformed import MalformedPolicy
from tlslab.iam.policy.situation import Situation

Test: TypeAlias = Callable[[str, Situation], bool]
"""Whether a value of the request is one that the policy means."""


@dataclass(frozen=True, slots=True)
class _Wildcard:
    regex: str


@dataclass(frozen=True, slots=True)
class _Variable:
    key: str  # in lower case
    default: str | None


_STAR: Final = _Wildcard("*")
_ANY: Final = _Wildcard(".")
_WILDCARDS: Final = {"*": _STAR, "?": _ANY}

_Part: TypeAlias = "str | _Wildcard | _Variable"
_Fixed: TypeAlias = "str | _Wildcard"

_TOKEN = re.compile(r"\$\{[^}]*\}?|[*?]|[^$*?]+|\$")
_VARIABLE = re.compile(
    r"\$\{(?:(?P<escaped>[*?$])"
    r"|(?P<key>[A-Za-z0-9-]+:[^{}$,']+?)\s*(?:,\s*'(?P<default>[^']*)'\s*)?)\}"
)


def any_of(
    patterns: Iterable[str], *, variables: bool, wildcards: bool = True, fold: bool = False
) -> Test:
    """A test whether a value matches one of the patterns.

    `variables` and `wildcards` say whether they mean anything; `fold` ignores case. Raises
    MalformedPolicy for a variable that is none.
    """
    exact: set[str] = set()
    fixed: list[Callable[[str], bool]] = []
    open_ones: list[tuple[_Part, ...]] = []
    for pattern in patterns:
        parts = _parse(pattern.lower() if fold else pattern, variables, wildcards)
        known = _without_variables(parts)
        if known is None:
            open_ones.append(parts)
        elif all(isinstance(part, str) for part in known):
            exact.add("".join(part for part in known if isinstance(part, str)))
        else:
            fixed.append(_matcher(known))

    def test(value: str, situation: Situation) -> bool:
        if fold:
            value = value.lower()
        return (
            value in exact
            or any(matches(value) for matches in fixed)
            or any(_matches_open(parts, value, situation, fold) for parts in open_ones)
        )

    return test


def matches(pattern: str, value: str) -> bool:
    """Whether a value matches a pattern of text and wildcards."""
    return any_of([pattern], variables=False)(value, Situation({}))


def _parse(pattern: str, variables: bool, wildcards: bool) -> tuple[_Part, ...]:
    parts: list[_Part] = []
    for token in _TOKEN.findall(pattern):
        if variables and token.startswith("${"):
            parts.append(_variable(token))
        elif wildcards and token in _WILDCARDS:
            parts.append(_WILDCARDS[token])
        else:  # without their meaning the characters are text, as in policies of version 2008-10-17
            parts.extend(_parse_text(token, wildcards))
    return tuple(parts)


def _parse_text(token: str, wildcards: bool) -> Iterable[_Fixed]:
    if not wildcards:
        return [token]
    return [_WILDCARDS.get(piece, piece) for piece in re.split(r"([*?])", token) if piece]


def _variable(token: str) -> _Part:
    match = _VARIABLE.fullmatch(token)
    if match is None:
        raise MalformedPolicy(f"Invalid policy variable: {token}")
    escaped: str | None = match["escaped"]
    if escaped is not None:
        return escaped
    return _Variable(match["key"].lower(), match["default"])


def _without_variables(parts: Sequence[_Part]) -> tuple[_Fixed, ...] | None:
    """The parts if none is a variable, otherwise None."""
    fixed = tuple(part for part in parts if not isinstance(part, _Variable))
    return fixed if len(fixed) == len(parts) else None


def _matches_open(parts: Iterable[_Part], value: str, situation: Situation, fold: bool) -> bool:
    """Whether a value matches once the variables have their values."""
    known: list[_Fixed] = []
    for part in parts:
        if isinstance(part, _Variable):
            text = situation.single(part.key)
            text = part.default if text is None else text
            if text is None:
                return False
            known.append(text.lower() if fold else text)
        else:
            known.append(part)
    return _matcher(tuple(known))(value)


@lru_cache(maxsize=1024)
def _matcher(parts: tuple[_Fixed, ...]) -> Callable[[str], bool]:
    """A test for a pattern of text and wildcards."""
    if parts == (_STAR,):
        return lambda value: True
    if len(parts) == 2 and isinstance(parts[0], str) and parts[1] == _STAR:
        prefix = parts[0]
        return lambda value: value.startswith(prefix)
    regex = re.compile(_regex(parts), re.DOTALL)
    return lambda value: regex.fullmatch(value) is not None


def _regex(parts: Iterable[_Fixed]) -> str:
    pieces = [""]
    for part in parts:
        if part == _STAR:
            pieces.append("")
        else:
            pieces[-1] += re.escape(part) if isinstance(part, str) else part.regex
    first, *middle = pieces
    if not middle:
        return first
    *middle, last = middle
    return first + "".join(f"(?>.*?{piece})" for piece in middle if piece) + ".*" + last
