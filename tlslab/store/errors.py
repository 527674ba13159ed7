"""What can go wrong with a request, where a caller acts on the difference.

Besides these: `tlslab.errors.NotFound`, `IntegrityError` and, for anything else, `StoreError`.
"""

from __future__ import annotations

from tlslab.errors import StoreError


class InvalidName(StoreError):
    """A bucket name, key or metadata that no object can have (HTTP 400)."""


class StorageFull(StoreError):
    """The disk, the quota or a file size limit is exhausted (HTTP 507); nothing was stored."""


class NotDurable(StoreError):
    """Stored and visible, but the disk failed to confirm it: a power cut may still undo it."""
