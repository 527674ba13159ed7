"""What a ciphertext belongs to, encoded as associated data for AES-GCM.

The encoding is injective: two different mappings never give the same bytes, whatever their names
and values contain, because every string is preceded by its length and names are sorted.
"""

from __future__ import annotations

from collections.abc import Mapping


def encode_context(context: Mapping[str, str]) -> bytes:
    """The mapping as bytes: names in order of their UTF-8, every string with its length before it.

    Raises ValueError for a string that is not Unicode text (a lone surrogate).
    """
    pairs = sorted((name.encode(), value.encode()) for name, value in context.items())
    fields = [field for pair in pairs for field in pair]
    return b"".join(len(field).to_bytes(4, "big") + field for field in fields)
