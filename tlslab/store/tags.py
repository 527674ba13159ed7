"""Which tags objects may have (Amazon S3 User Guide, "Categorizing your objects using tags")."""

from __future__ import annotations

from collections.abc import Mapping

from tlslab.store.refusals import Refused

MAX_TAGS = 10
MAX_KEY_CHARACTERS = 128
MAX_VALUE_CHARACTERS = 256


def check_tags(tags: Mapping[str, str]) -> None:
    """Raise Refused (BadRequest, InvalidTag) unless an object may have these tags."""
    if len(tags) > MAX_TAGS:
        raise Refused("BadRequest", f"Object tags cannot be greater than {MAX_TAGS}")
    for name, value in tags.items():
        if not 1 <= len(name) <= MAX_KEY_CHARACTERS:
            raise Refused("InvalidTag", "The TagKey you have provided is invalid")
        if len(value) > MAX_VALUE_CHARACTERS:
            raise Refused("InvalidTag", "The TagValue you have provided is invalid")
        if name.startswith("aws:"):
            raise Refused("InvalidTag", "System tags cannot be added/updated by requester")
