"""Strict reading of TOML tables: every key is known, every value of its kind, or a UsageError.

The error names the file, the key with the tables it is in, and what is allowed. Knows nothing of
what the tables are about.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from tlslab.errors import UsageError

MAX_FILE_SIZE: Final = 64 * 1024  # bytes; a fault has one or two thousand
MAX_OFFSET: Final = timedelta(days=36500)  # a century: no date that it leads to leaves the calendar
MAX_TEXT: Final = 2000  # characters; a paragraph

_OFFSET = re.compile(r"([+-]?)([0-9]{1,9})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True)
class Rule:
    """How one key is read (raises ValueError), what to tell who got it wrong, whether it must be.

    `read` raises UsageError itself where the value is a table with rules of its own.
    """

    read: Callable[[Any, str], Any]
    allowed: str
    required: bool = False


def read_toml(path: Path) -> dict[str, Any]:
    """The table in a file; raises UsageError."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_SIZE + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    return parse_toml(data, str(path))


def parse_toml(data: bytes, source: str) -> dict[str, Any]:
    """The table in `data`; `source` is what errors call it (UsageError)."""
    if len(data) > MAX_FILE_SIZE:
        raise UsageError(f"{source}: larger than {MAX_FILE_SIZE} bytes")
    try:
        return tomllib.loads(data.decode())
    except UnicodeDecodeError as error:
        raise UsageError(f"{source}: not UTF-8 at byte {error.start}") from error
    except (ValueError, RecursionError) as error:  # ValueError: also an impossible date
        raise UsageError(f"{source}: not TOML: {error}".replace("\n", " ")) from error


def read_table(table: object, rules: Mapping[str, Rule], source: str) -> dict[str, Any]:
    """The values of `table` by `rules`; keys that it leaves out are left out."""
    if not isinstance(table, dict):
        raise UsageError(f"{source} is not a table", hint=f"its keys are {', '.join(rules)}")
    for key in table:
        if key not in rules:
            near = difflib.get_close_matches(key, rules, n=1)
            hint = f"did you mean {near[0]}?" if near else f"allowed are {', '.join(rules)}"
            raise UsageError(f"{source}: unknown key {key!r}", hint=hint)
    values: dict[str, Any] = {}
    for key, rule in rules.items():
        if key in table:
            try:
                values[key] = rule.read(table[key], f"{source}: {key}")
            except ValueError as error:
                shown = repr(table[key])[:60]
                raise UsageError(
                    f"{source}: {key} cannot be {shown}", hint=f"{key} takes {rule.allowed}"
                ) from error
        elif rule.required:
            raise UsageError(f"{source}: {key} is missing", hint=f"{key} takes {rule.allowed}")
    return values


# Each function below makes the rule for one kind of value.


def text(*, required: bool = False) -> Rule:
    """A text of one line."""

    def read(value: object, _: str) -> str:
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            raise ValueError
        if len(value) > MAX_TEXT:
            raise ValueError
        return value

    return Rule(read, f"a text of one line, up to {MAX_TEXT} characters", required)


def any_text() -> Rule:
    """Any text, hostile ones too; control characters are the point of some faults."""

    def read(value: object, _: str) -> str:
        if not isinstance(value, str):
            raise ValueError
        return value

    return Rule(read, "a text")


def matching(pattern: str, allowed: str, *, required: bool = False) -> Rule:
    """A text that a regular expression matches in full."""
    compiled = re.compile(pattern)

    def read(value: object, _: str) -> str:
        if not isinstance(value, str) or compiled.fullmatch(value) is None:
            raise ValueError
        return value

    return Rule(read, allowed, required)


def one_of(*allowed: str, required: bool = False) -> Rule:
    """One of some words."""

    def read(value: object, _: str) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise ValueError
        return value

    return Rule(read, f"one of {', '.join(allowed)}", required)


def list_of(item: Rule, *, required: bool = False, distinct: bool = True) -> Rule:
    """A list of values of one kind, by default each different."""

    def read(value: object, source: str) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise ValueError
        items = tuple(item.read(one, f"{source}[{n}]") for n, one in enumerate(value))
        if distinct and any(one in items[:n] for n, one in enumerate(items)):
            raise ValueError
        return items

    return Rule(
        read, f"a list{', each different,' if distinct else ''} of {item.allowed}", required
    )


def flag(*, required: bool = False) -> Rule:
    """True or false."""

    def read(value: object, _: str) -> bool:
        if not isinstance(value, bool):
            raise ValueError
        return value

    return Rule(read, "true or false", required)


def whole_number(low: int, high: int) -> Rule:
    """A whole number from `low` to `high`."""

    def read(value: object, _: str) -> int:
        # type() and not isinstance(): a TOML boolean is an int in Python
        if type(value) is not int or not low <= value <= high:
            raise ValueError
        return value

    return Rule(read, f"a whole number from {low} to {high}")


def offset() -> Rule:
    """A time as the distance from now, such as "-10d" or "2h"."""

    def read(value: object, _: str) -> timedelta:
        match = _OFFSET.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise ValueError
        span = timedelta(**{_UNITS[match[3]]: int(match[2])})
        if span > MAX_OFFSET:
            raise ValueError
        return -span if match[1] == "-" else span

    return Rule(read, f'a distance from now such as "-10d" or "2h", up to {MAX_OFFSET.days}d')


def table(rules: Mapping[str, Rule], make: Callable[..., Any], *, required: bool = False) -> Rule:
    """A table with rules of its own; its values are `make`'s arguments."""

    def read(value: object, source: str) -> Any:
        return make(**read_table(value, rules, source))

    return Rule(read, f"a table of {', '.join(rules)}", required)


def named_tables(rule: Rule, name: Rule) -> Rule:
    """A table of tables of one kind, each under a name."""

    def read(value: object, source: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValueError
        return {
            name.read(key, source): rule.read(inner, f"{source}.{key}")
            for key, inner in value.items()
        }

    return Rule(read, f"tables named by {name.allowed}")
