"""What an exercise is: an objective, hints that lead all the way, and a check by the real thing.

An exercise lives in a folder of the learner's. `start` puts there what is needed; `check` looks at
what the learner made of it, or at the answer given, and runs it. It knows nothing of progress.
"""

from __future__ import annotations

import abc
import hashlib
import hmac
import json
import os
from pathlib import Path
from typing import ClassVar

from tlslab.errors import UsageError
from tlslab.lab.evidence import Check

SECRETS = ".answer.json"
"""File in an exercise's folder that knows the right answer, but only as a salted hash."""

SCRYPT_COST = {"n": 2**14, "r": 8, "p": 1}
"""RFC 7914's interactive parameters: guessing is possible, reading the answer off is not."""


class Exercise(abc.ABC):
    """One exercise. `wants` says what the answer is, or is None if the work itself is checked."""

    id: ClassVar[str]
    title: ClassVar[str]
    objective: ClassVar[str]
    hints: ClassVar[tuple[str, ...]]
    wants: ClassVar[str | None] = None

    @abc.abstractmethod
    async def start(self, folder: Path) -> None:
        """Put what the learner needs into `folder`, which is new."""

    @abc.abstractmethod
    async def check(self, folder: Path, answer: str | None) -> list[Check]:
        """Check the work in `folder`, or the answer; the exercise is solved if all checks hold."""


def remember(folder: Path, **answers: str) -> None:
    """Keep the right answers in `folder` so that they can be checked, but not read."""
    kept = {}
    for name, answer in answers.items():
        salt = os.urandom(16)
        kept[name] = {"salt": salt.hex(), "hash": _hash(answer, salt)}
    (folder / SECRETS).write_text(json.dumps(kept))


def is_right(folder: Path, name: str, answer: str) -> bool:
    """Whether an answer is the right one, compared in constant time."""
    try:
        kept = json.loads((folder / SECRETS).read_text())[name]
        salt, digest = bytes.fromhex(kept["salt"]), str(kept["hash"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"the exercise in {folder} is damaged", hint="start anew with `tlslab exercise reset`"
        ) from error
    return hmac.compare_digest(_hash(answer, salt), digest)


def _hash(answer: str, salt: bytes) -> str:
    n, r, p = SCRYPT_COST["n"], SCRYPT_COST["r"], SCRYPT_COST["p"]
    return hashlib.scrypt(answer.strip().encode(), salt=salt, n=n, r=r, p=p).hex()
