"""What an attack on the path is: it sees each piece that passes, and says what is sent instead.

An attack has no key. It knows what stands on the wire, and decides: pass it on, alter it, keep it,
send something of its own, end a direction. It does no I/O (that is `path`) and never says whether
it won: that is measured at the ends.
"""

from __future__ import annotations

import abc
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from tlslab.attack.units import Unit
from tlslab.net import Direction


@dataclass(frozen=True, slots=True)
class Send:
    """Put `data` on the wire towards the end that `way` leads to."""

    way: Direction
    data: bytes


@dataclass(frozen=True, slots=True)
class End:
    """End a direction with a FIN, as if its sender had. What it sends afterwards is swallowed."""

    way: Direction


@dataclass(frozen=True, slots=True)
class Cut:
    """End the connection on both sides."""


Action: TypeAlias = Send | End | Cut


def passed_on(unit: Unit) -> tuple[Action, ...]:
    """The unit as it came."""
    return (Send(unit.way, unit.raw),)


class Tampering:
    """One attack at work on one connection. This one tampers with nothing."""

    def on_unit(self, unit: Unit) -> Iterable[Action]:
        """What to do instead of passing `unit` on."""
        return passed_on(unit)

    def on_end(self, way: Direction) -> Iterable[Action]:
        """What to do when the sender of this direction has ended it."""
        return (End(way),)


class Listed:
    """What a list says of an attack.

    `id` names it, `catalogue` are the ids in the catalogue of attacks that it covers.
    `defeated_by` names the defence and its source, `wins_when` what must be missing.
    """

    id: ClassVar[str]
    title: ClassVar[str]
    catalogue: ClassVar[tuple[str, ...]]
    defeated_by: ClassVar[str]
    wins_when: ClassVar[str]


class Attack(Listed, abc.ABC):
    """An attack, to be used on any number of connections."""

    @abc.abstractmethod
    def begin(self) -> Tampering:
        """The attack on a new connection."""

    def destination(self, name: str, port: int) -> tuple[str, int]:
        """Where a connection meant for `port` of `name` is really led."""
        return name, port
