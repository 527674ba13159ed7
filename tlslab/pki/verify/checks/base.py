"""What a check is: a row with an identifier, a rule, an explanation, and a small function.

The function gets one certificate in its place on the path and says what is wrong, or nothing.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeAlias, TypeVar

from cryptography import x509

from tlslab.pki.credential import Chain
from tlslab.pki.explanation import Explanation
from tlslab.pki.verify.verdict import Finding, shown

_T = TypeVar("_T", bound=x509.ExtensionType)


class Purpose(enum.Enum):
    """What the leaf is presented for."""

    SERVER = "server"
    CLIENT = "client"


class Place(enum.Flag):
    """Where on a path a certificate stands. A trusted leaf is a leaf."""

    LEAF = enum.auto()
    INTERMEDIATE = enum.auto()
    ANCHOR = enum.auto()


LEAF = Place.LEAF
ISSUED = Place.LEAF | Place.INTERMEDIATE
AUTHORITY = Place.INTERMEDIATE | Place.ANCHOR
EVERYWHERE = ISSUED | Place.ANCHOR


@dataclass(frozen=True)
class Present(Generic[_T]):
    """An extension that is there."""

    value: _T
    critical: bool


@dataclass(frozen=True)
class Link:
    """One certificate of a path, at its depth (0 is the leaf)."""

    path: Chain
    depth: int
    purpose: Purpose
    now: datetime

    @property
    def certificate(self) -> x509.Certificate:
        """The certificate itself."""
        return self.path[self.depth]

    @property
    def place(self) -> Place:
        """Where it stands."""
        if self.depth == 0:
            return Place.LEAF
        return Place.ANCHOR if self.depth == len(self.path) - 1 else Place.INTERMEDIATE

    def find(self, kind: type[_T]) -> Present[_T] | None:
        """The extension of that kind, if there is one."""
        try:
            extension = self.certificate.extensions.get_extension_for_class(kind)
        except x509.ExtensionNotFound:
            return None
        return Present(extension.value, extension.critical)


Problem: TypeAlias = Iterable[str]
"""What is wrong, one text each; empty if nothing is."""


@dataclass(frozen=True)
class Check:
    """A row of the table. `places` says of which certificates it is asked."""

    id: str
    rule: str
    places: Place
    explanation: Explanation
    run: Callable[[Link], Problem]

    def findings(self, link: Link) -> Iterator[Finding]:
        """What this check finds at `link`; raises whatever a malformed certificate makes it."""
        if link.place in self.places:
            for detail in self.run(link):
                yield Finding(self.id, link.depth, self.rule, self.explanation, shown(detail))


def check(
    identifier: str, rule: str, places: Place, *, means: str, cause: str, fix: str
) -> Callable[[Callable[[Link], Problem]], Check]:
    """Make a row of a function. Its identifier, in words, is the explanation's name."""
    explanation = Explanation(identifier.replace("-", " "), means, cause, fix)

    def row(run: Callable[[Link], Problem]) -> Check:
        return Check(identifier, rule, places, explanation, run)

    return row
