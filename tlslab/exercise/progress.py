"""The learner's progress: which exercises were started and solved, and how many hints it took.

Kept in one JSON file beside the exercises' folders, written whole or not at all. It knows nothing
of what an exercise is about.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from tlslab.errors import UsageError

FILE = "progress.json"


@dataclass
class Standing:
    """How one exercise stands."""

    hints: int = 0
    attempts: int = 0
    solved: bool = False


class Progress:
    """Progress in `folder`, read when made and written by `save`."""

    def __init__(self, folder: Path) -> None:
        """Raises UsageError where the file is damaged: nothing is thrown away unasked."""
        self._path = folder / FILE
        self._standings: dict[str, Standing] = {}
        if not self._path.exists():
            return
        try:
            kept = json.loads(self._path.read_text(encoding="utf-8"))
            self._standings = {name: Standing(**standing) for name, standing in kept.items()}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise UsageError(
                f"{self._path} is damaged", hint="repair it, or remove it to start anew"
            ) from error

    def of(self, exercise: str) -> Standing:
        """How an exercise stands; a fresh one is untouched."""
        return self._standings.setdefault(exercise, Standing())

    def forget(self, exercise: str) -> None:
        """Start an exercise anew."""
        self._standings.pop(exercise, None)

    def save(self) -> None:
        """Write it down."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        kept = {name: asdict(standing) for name, standing in self._standings.items()}
        handle, temporary = tempfile.mkstemp(dir=self._path.parent, prefix=".progress-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(kept, file, indent=2)
            Path(temporary).replace(self._path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
