"""A table of a TOML file, read strictly: errors say where, and what would be allowed.

What a table holds beyond what is asked for is an error, because a misspelt `active = false` would
otherwise leave a key in use. No message repeats a value: it may be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tlslab.errors import UsageError


@dataclass(frozen=True, slots=True)
class Section:
    """The table called `name` (`accounts.111122223333.users.alice`) of a file; `key` is its end."""

    file: str
    name: str
    key: str
    table: Mapping[str, Any] = field(repr=False)

    def error(self, problem: str, hint: str) -> UsageError:
        """What is wrong in this table, for raising."""
        where = f"{self.file}: {self.name}" if self.name else self.file
        return UsageError(f"{where}: {problem}", hint=hint)

    def only(self, *names: str) -> None:
        """Raise UsageError if the table holds anything else."""
        for name in self.table:
            if name not in names:
                raise self.error(f"{name} is not known here", f"allowed: {', '.join(names)}")

    def text(self, name: str, valid: re.Pattern[str], what: str, default: str | None = None) -> str:
        """A string that is wholly `valid`, which `what` describes. Raises UsageError."""
        value = self.table.get(name, default)
        if value is None:
            raise self.error(f"{name} is missing", f"it is {what}")
        if not isinstance(value, str) or not valid.fullmatch(value):
            raise self.error(f"{name} cannot be that", f"it is {what}")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """True or false. Raises UsageError."""
        value = self.table.get(name, default)
        if not isinstance(value, bool):
            raise self.error(f"{name} cannot be that", "it is true or false")
        return value

    def inner(self, name: str) -> Section:
        """A table within; empty if it is missing. Raises UsageError if it is something else."""
        return Section(self.file, self._path(name), name, self._of_type(name, dict, "a table"))

    def tables(self, name: str, valid: Callable[[str], object], what: str) -> Iterator[Section]:
        """The tables within a table, whose names are `valid`. Raises UsageError."""
        inner = self.inner(name)
        for key in inner.table:
            if not valid(key):
                raise inner.error(f"{key} cannot be a name here", f"it is {what}")
            yield inner.inner(key)

    def listed(self, name: str) -> Iterator[Section]:
        """The tables in a list; none if it is missing. Raises UsageError."""
        for number, table in enumerate(self._of_type(name, list, "a list of tables")):
            section = Section(self.file, f"{self._path(name)}[{number}]", name, table)
            if not isinstance(table, dict):
                raise section.error("it cannot be that", "it is a table")
            yield section

    def _of_type(self, name: str, kind: type[Any], what: str) -> Any:
        value = self.table.get(name, kind())
        if not isinstance(value, kind):
            raise self.error(f"{name} cannot be that", f"it is {what}")
        return value

    def _path(self, name: str) -> str:
        return f"{self.name}.{name}" if self.name else name
