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


@dataclass(frozen=True)
class Elsewhere:
    """An attack that is not a way to tamper with bytes, and how a scenario makes it in one line."""

    title: str
    catalogue: tuple[str, ...]
    use: str


ELSEWHERE: Final = (
    Elsewhere(
        "stand in the middle with a forged certificate",
        ("B01", "B04", "B07", "I03", "K01"),
        "await lab.interceptor(victim=client)  # authority=… where it got hold of a trusted CA",
    ),
    Elsewhere(
        "show any faulty certificate, or a genuine one for another name",
        ("A01", "A04", "L01", "M01"),
        "await lab.interceptor(victim=client, showing=lab.faulty('expired-leaf'))",
    ),
    Elsewhere("replay early data", ("E11",), "await lab.replayer().replay(service, times=3)"),
    Elsewhere(
        "record now, and open it later with a stolen key",
        ("F01", "F03", "F04", "H01"),
        "lab.server_key_thief(service), lab.key_log_reader(party), lab.session_thief(client), "
        "lab.quantum_computer()",
    ),
    Elsewhere(
        "conclude from what cannot be hidden",
        ("G04", "G05", "G07", "G08"),
        "lab.onlooker('sizes')",
    ),
)
"""What `Lab` has besides: adversaries with a position, a key or a guess."""
