"""The types of parameters, and AWS's words for what breaks their limits.

Two kinds of mistakes: a value of the wrong JSON type is a SerializationException and ends the
matter; values beyond their limits are collected over the whole request into one ValidationException
("2 validation errors detected: ..."). Members that are not declared are ignored, as AWS does.

Source: the API's model; the wording as AWS was recorded to answer.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tlslab.kms.errors import KMSError, invalid


class Shape(Protocol):
    """A type of parameter."""

    def problems(self, path: str, value: Any) -> Iterator[str]:
        """What breaks a limit. Raises KMSError (SerializationException) for another type."""


@dataclass(frozen=True)
class Text:
    """A string with limits of length, and a pattern that all of it must match."""

    least: int = 0
    most: int | None = None
    pattern: str | None = None

    def problems(self, path: str, value: Any) -> Iterator[str]:
        """See Shape."""
        _typed(value, str)
        yield from _length(path, value, value, self.least, self.most)
        if "\0" in value:  # which PostgreSQL does not store
            yield _failed(path, value, "not contain the character U+0000")
        if self.pattern is not None and not re.fullmatch(self.pattern, value):
            yield _failed(path, value, f"satisfy regular expression pattern: {self.pattern}")


@dataclass(frozen=True)
class Choice:
    """A string out of a set."""

    values: Sequence[str]

    def problems(self, path: str, value: Any) -> Iterator[str]:
        """See Shape."""
        _typed(value, str)
        if value not in self.values:
            yield _failed(path, value, f"satisfy enum value set: [{', '.join(self.values)}]")


@dataclass(frozen=True)
class Number:
    """A whole number within limits."""

    least: int
    most: int

    def problems(self, path: str, value: Any) -> Iterator[str]:
        """See Shape."""
        _typed(value, int, excluded=bool)
        if value < self.least:
            yield _failed(path, value, f"have value greater than or equal to {self.least}")
        elif value > self.most:
            yield _failed(path, value, f"have value less than or equal to {self.most}")


@dataclass(frozen=True)
class Flag:
    """True or false."""

    def problems(self, path: str, value: Any) -> Iterator[str]:
        """See Shape."""
        _typed(value, bool)
        return iter(())


@dataclass(frozen=True)
class Time:
    """A point in time."""

    def problems(self, path: str, value: Any) -> Iterator[str]:
        """See Shape."""
        _typed(value, datetime.datetime)
        return iter(())


@dataclass(frozen=True)
class Blob:
    """Bytes, base64 on the wire. Their value is never repeated in an error."""

    least: int
    most: int

    def problems(self, path: str, value: Any) -> Iterator[str]:
        """See Shape."""
        _typed(value, bytes)
        yield from _length(path, value, None, self.least, self.most)


@dataclass(frozen=True)
class Items:
    """A list of values of one type."""

    of: Shape
    least: int = 0
    most: int | None = None

    def problems(self, path: str, value: Any) -> Iterator[str]:
        """See Shape."""
        _typed(value, list)
        yield from _length(path, value, "[]", self.least, self.most)
        for number, each in enumerate(value, start=1):
            yield from self.of.problems(f"{path}.{number}.member", each)


@dataclass(frozen=True)
class Pairs:
    """A map from strings to strings, such as an encryption context; `most` characters in all."""

    most: int

    def problems(self, path: str, value: Any) -> Iterator[str]:
        """See Shape."""
        _typed(value, dict)
        for name, each in value.items():
            _typed(name, str)
            _typed(each, str)
        if sum(len(name) + len(each) for name, each in value.items()) > self.most:
            yield f"Value at '{path}' failed to satisfy constraint: Member must have size less " \
                f"than or equal to {self.most}"  # fmt: skip


@dataclass(frozen=True)
class Members:
    """A structure; the operation's parameters are one."""

    shapes: Mapping[str, Shape]
    required: frozenset[str] = frozenset()

    def problems(self, path: str, value: Any) -> Iterator[str]:
        """See Shape."""
        _typed(value, dict)
        for name, shape in self.shapes.items():
            found = value.get(name)
            if found is None and name not in self.required:
                continue
            place = f"{path}.{_lower(name)}" if path else _lower(name)
            if found is not None:
                yield from shape.problems(place, found)
            else:
                yield _failed(place, None, "not be null").replace("Value", "Value null", 1)


def validated(members: Members, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The declared members that are there. Raises KMSError."""
    found = list(members.problems("", parameters))
    if found:
        errors = "error" if len(found) == 1 else "errors"
        raise invalid(f"{len(found)} validation {errors} detected: {'; '.join(found)}")
    return {name: parameters[name] for name in members.shapes if parameters.get(name) is not None}


def _typed(value: Any, kind: type, excluded: type | None = None) -> None:
    if not isinstance(value, kind) or (excluded is not None and isinstance(value, excluded)):
        raise KMSError("SerializationException")
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:  # half of a surrogate pair, which JSON can express
            raise KMSError("SerializationException") from None


def _length(
    path: str, value: Sequence[Any], shown: str | None, least: int, most: int | None
) -> Iterator[str]:
    if len(value) < least:
        yield _failed(path, shown, f"have length greater than or equal to {least}")
    elif most is not None and len(value) > most:
        yield _failed(path, shown, f"have length less than or equal to {most}")


def _failed(path: str, shown: object, rule: str) -> str:
    value = "Value" if shown is None else f"Value '{shown}'"
    return f"{value} at '{path}' failed to satisfy constraint: Member must {rule}"


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]
