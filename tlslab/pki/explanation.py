"""How an error number is explained to a learner; shared by X509 errors and TLS alerts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Explanation:
    """An error's name in its specification or library, what it means, its usual cause, the fix."""

    name: str
    meaning: str
    cause: str
    fix: str
