"""What a root of trust is: somebody who wraps the master key and unwraps it again.

It lies outside of the database that it protects: a passphrase in a head, a key in another machine's
HSM. It is asked once, when a seal is opened, and nothing of what it answers is ever written down.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class RootOfTrust(Protocol):
    """Wraps and unwraps a secret of 32 bytes, bound to a context."""

    @property
    def kind(self) -> str:
        """What it is, as kept beside what it wrapped, to say later what is missing."""

    async def wrap(self, secret: bytes, context: Mapping[str, str]) -> bytes:
        """The secret so that only this root of trust unwraps it.

        Raises UsageError if the root of trust cannot be reached or refuses.
        """

    async def unwrap(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """The secret. Raises UsageError as `wrap`, and if it wrapped something else."""
