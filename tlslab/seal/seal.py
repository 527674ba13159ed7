"""An opened seal: the master key in memory, and what it may be used for.

Nothing is ever encrypted or signed with the master key itself: it is only derived from (see
`tlslab.envelope.keys`), with a purpose that keeps the uses apart. It stays the same when the root
of trust that wraps it changes, so everything below it stays readable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tlslab.envelope import encode_context, new_key, open_box, seal_box
from tlslab.envelope.keys import derive


@dataclass(frozen=True)
class Seal:
    """What wraps every long-lived secret of a state. Its repr shows nothing."""

    _master: bytes = field(repr=False)

    @classmethod
    def ephemeral(cls) -> Seal:
        """A fresh one that lives in memory alone: what it wraps is lost with it.

        For tests, and for a lab whose store does not outlive it.
        """
        return cls(new_key())

    def wrap(self, value: bytes, *, purpose: str, context: Mapping[str, str]) -> bytes:
        """Seal a secret so that it opens only with the same seal, purpose and context."""
        return seal_box(
            self._master, value, purpose=_purpose(purpose), context=encode_context(context)
        )

    def unwrap(self, box: bytes, *, purpose: str, context: Mapping[str, str]) -> bytes:
        """The secret in a box.

        Raises IntegrityError for another seal, purpose or context, and for changed bytes; which of
        these it was cannot be told.
        """
        return open_box(
            self._master, box, purpose=_purpose(purpose), context=encode_context(context)
        )

    def derive(self, purpose: str) -> bytes:
        """A key of 32 bytes that only this seal and purpose give, for as long as the data lives."""
        return derive(self._master, b"", "seal derived " + purpose)


def _purpose(purpose: str) -> str:
    return "seal " + purpose
