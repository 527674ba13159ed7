"""Facts as the database keeps them: JSON, sealed and bound to what they are about.

What is bound (bucket, key, version, size, ...) stands beside the sealed facts in the clear; if any
of it was changed, or moved to another row, the facts do not open. So whoever changes the database
can remove rows or put back old ones, but make up or swap none.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from tlslab.envelope import encode_context, open_box, seal_box
from tlslab.errors import IntegrityError


class SealedFacts:
    """Seals and opens facts under one key; without a key they lie open, for failing twins."""

    def __init__(self, key: bytes | None) -> None:
        self._key = key

    def seal(self, facts: Mapping[str, Any], purpose: str, bound: Mapping[str, str]) -> bytes:
        """The facts, sealed so that they open only with the same purpose and bound values."""
        plain = json.dumps(facts, separators=(",", ":"), ensure_ascii=False).encode()
        if self._key is None:
            return plain
        return seal_box(self._key, plain, purpose=purpose, context=encode_context(bound))

    def open(self, sealed: bytes, purpose: str, bound: Mapping[str, str]) -> dict[str, Any]:
        """The facts. Raises IntegrityError."""
        plain = sealed
        if self._key is not None:
            plain = open_box(self._key, sealed, purpose=purpose, context=encode_context(bound))
        try:
            facts = json.loads(plain)
        except ValueError:
            raise IntegrityError(f"a {purpose} is malformed") from None
        if not isinstance(facts, dict):
            raise IntegrityError(f"a {purpose} is malformed")
        return facts


def to_text(value: bytes) -> str:
    """Bytes as JSON can hold them: base64."""
    return base64.b64encode(value).decode()


def to_bytes(text: str) -> bytes:
    """The bytes that `to_text` was given."""
    return base64.b64decode(text)
