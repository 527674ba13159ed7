"""Active attacks on the path between two parties, at the level of TLS records. No attack has a key.

    plain.py         protocols without TLS, split into messages
    units.py         the pieces that pass on a path: records, or those messages
    attack.py        what an attack is
    path.py          an attack put on the path: the only module that waits
    client_hello.py  ClientHellos edited, with every length made to fit
    records.py       attacks on the record layer
    handshakes.py    attacks on a handshake in flight
    hellos.py        attacks on what is negotiated
    strip.py         what a page becomes when TLS is stripped off it
    starttls.py      attacks on what is said before STARTTLS
    registry.py      all of them, and what cannot be shown

An attack never says whether it won. That is measured at the ends, by whoever has them.
"""

from __future__ import annotations

from tlslab.attack.attack import Attack, Tampering
from tlslab.attack.handshakes import (
    CutServerFlight,
    FlipServerFlight,
    ForgedAlert,
    RelayCertificate,
)
from tlslab.attack.hellos import (
    DropHellos,
    EditServerName,
    KeepCiphers,
    KeepSignatures,
    Redirect,
    StripALPN,
    StripExtendedMasterSecret,
    StripGroups,
    StripVersions,
)
from tlslab.attack.path import Passed, tamper
from tlslab.attack.records import (
    Drop,
    FlipBit,
    ForgedClose,
    Reflect,
    Reorder,
    Replay,
    Splice,
    Truncate,
    WrongLength,
    WrongType,
)
from tlslab.attack.registry import ATTACKS, ELSEWHERE, IMPOSSIBLE, Elsewhere, Impossible
from tlslab.attack.units import Unit

__all__ = [
    "ATTACKS",
    "ELSEWHERE",
    "IMPOSSIBLE",
    "Attack",
    "CutServerFlight",
    "Drop",
    "DropHellos",
    "EditServerName",
    "Elsewhere",
    "FlipBit",
    "FlipServerFlight",
    "ForgedAlert",
    "ForgedClose",
    "Impossible",
    "KeepCiphers",
    "KeepSignatures",
    "Passed",
    "Redirect",
    "Reflect",
    "RelayCertificate",
    "Reorder",
    "Replay",
    "Splice",
    "StripALPN",
    "StripExtendedMasterSecret",
    "StripGroups",
    "StripVersions",
    "Tampering",
    "Truncate",
    "Unit",
    "WrongLength",
    "WrongType",
    "tamper",
]
