"""The tree of errors, for every package of tlslab.

    TlslabError                 anything tlslab raises on purpose; has a `hint`
    ├── UsageError              the user's mistake: the command line exits with 2
    ├── PKIError                a certificate, key or CA directory that cannot be used
    ├── TLSError                a TLS connection that did not come about or broke
    ├── HTTPError               a peer that broke HTTP/1.1, or one of our limits
    ├── NetworkError            a name, port or host of the lab's network
    │   └── AddressInUse        the port asked for is taken
    ├── CaptureError            a capture file that cannot be read or written
    ├── StoreError              an object store request that cannot be served
    │   ├── NotFound            no such bucket or object
    │   └── IntegrityError      stored bytes that do not authenticate
    └── ScenarioError           a scenario that is wrong in itself (not one whose attack won)

Errors carry data (whose fault, number, depth, alert); text is for people, and code never matches
on text. A subclass exists only where somebody catches it. Subclasses that carry data are declared
in the package that raises them and derive from the names here; this module knows none of them and
imports nothing.
"""

from __future__ import annotations


class TlslabError(Exception):
    """Anything that tlslab raises on purpose.

    `message` is one line in lower case, `hint` says what to do about it (or is None).
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(TlslabError):
    """The user's mistake: a bad argument, file or name."""


class PKIError(TlslabError):
    """A certificate, a key or a CA directory that cannot be used."""


class TLSError(TlslabError):
    """A TLS connection that did not come about, or broke."""


class HTTPError(TlslabError):
    """A peer that broke HTTP/1.1, or went beyond one of our limits."""


class NetworkError(TlslabError):
    """A name, port or host of the lab's network that cannot be used."""


class AddressInUse(NetworkError):
    """The port asked for is taken."""


class CaptureError(TlslabError):
    """A capture file that cannot be read or written."""


class StoreError(TlslabError):
    """A request to the object store that cannot be served."""


class NotFound(StoreError):
    """No such bucket or object."""


class IntegrityError(StoreError):
    """Stored bytes that do not authenticate; none of them was handed out."""


class ScenarioError(TlslabError):
    """A scenario that is wrong in itself, as opposed to one whose attack won."""
