"""Every attack of this package, and those that cannot be shown with this OpenSSL, with the reason.

`tlslab attack list` prints it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tlslab.attack import handshakes, hellos, records, starttls, strip
from tlslab.attack.attack import Listed

ATTACKS: Final[tuple[type[Listed], ...]] = (
    hellos.StripVersions,
    hellos.DropHellos,
    hellos.KeepCiphers,
    hellos.KeepSignatures,
    hellos.StripGroups,
    hellos.StripALPN,
    hellos.EditServerName,
    hellos.StripExtendedMasterSecret,
    hellos.Redirect,
    strip.StripTLS,
    starttls.StripStartTLS,
    starttls.InjectBeforeTLS,
    records.FlipBit,
    handshakes.FlipServerFlight,
    records.Replay,
    records.Drop,
    records.Reorder,
    records.Splice,
    records.Reflect,
    records.Truncate,
    records.ForgedClose,
    handshakes.ForgedAlert,
    records.WrongType,
    records.WrongLength,
    handshakes.CutServerFlight,
    handshakes.RelayCertificate,
)
"""In the order of the catalogue."""


@dataclass(frozen=True)
class Impossible:
    """An attack that is not here, and why not."""

    title: str
    catalogue: tuple[str, ...]
    reason: str


IMPOSSIBLE: Final = (
    Impossible(
        "SSL 3.0 and SSL 2.0 (POODLE, DROWN)",
        ("C04",),
        "this OpenSSL has no SSL 3.0: no context can be made that speaks it",
    ),
    Impossible(
        "RC4, 3DES and export ciphers (FREAK, Logjam, SWEET32)",
        ("C07",),
        "this OpenSSL has none of these cipher suites: no cipher list selects one",
    ),
)
