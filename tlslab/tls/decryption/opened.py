"""What comes out of a recording, and the error for what does not. Plain values."""

from __future__ import annotations

from dataclasses import dataclass, field

from tlslab.errors import TLSError


class CannotDecrypt(TLSError):
    """A connection that stays shut for whoever holds these secrets; the message says why."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """The application data of one record.

    `end` is how many bytes of its direction had passed when the record was complete. `early` marks
    0-RTT data, which a client sends before the server answers (RFC 8446 section 2.3).
    """

    data: bytes = field(repr=False)
    end: int
    early: bool = False


@dataclass(frozen=True, slots=True)
class OpenedSide:
    """One direction of an opened connection.

    `closed` tells whether close_notify was seen. `left` says why what follows the last fragment, or
    some of what lies between, was not opened; None if all was.
    """

    fragments: tuple[Fragment, ...]
    closed: bool
    left: str | None

    @property
    def data(self) -> bytes:
        """The application data, joined."""
        return b"".join(fragment.data for fragment in self.fragments)


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection that was opened. `by` says with what; numbers are IANA's (see `registry`).

    `group` is the key agreement's, None where there was none or it was not seen.
    """

    version: int
    cipher_suite: int
    group: int | None
    by: str
    to_server: OpenedSide
    to_client: OpenedSide
