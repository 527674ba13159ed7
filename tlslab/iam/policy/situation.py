"""The request's context keys, as conditions and policy variables look them up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

Context: TypeAlias = Mapping[str, "str | Sequence[str]"]
"""Condition keys such as `aws:SourceIp`, in any case, and their value or values."""


class Situation:
    """A context, with names folded: condition keys are not case-sensitive (IAM, "Condition")."""

    __slots__ = ("_context", "_folded")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._folded: dict[str, tuple[str, ...]] | None = None  # most statements never look

    def values(self, key: str) -> tuple[str, ...]:
        """All values of a key given in lower case; none if it is not in the request."""
        if self._folded is None:
            self._folded = {
                name.lower(): (value,) if isinstance(value, str) else tuple(value)
                for name, value in self._context.items()
            }
        return self._folded.get(key, ())

    def single(self, key: str) -> str | None:
        """The value of a key with exactly one, or None: a variable cannot stand for several."""
        values = self.values(key)
        return values[0] if len(values) == 1 else None
