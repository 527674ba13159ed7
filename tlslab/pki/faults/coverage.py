"""What badssl.com shows, host by host, and what shows the same here, or why nothing does.

Data in `certs/faults/coverage/`. Knows nothing of how a setting of a server becomes a policy.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from tlslab.errors import UsageError
from tlslab.pki.faults import table as t
from tlslab.pki.faults.fault import shipped_faults
from tlslab.pki.faults.recipe import KEYS
from tlslab.shipped import shipped

VERSIONS: Final = ("TLS 1.0", "TLS 1.1", "TLS 1.2", "TLS 1.3")


@dataclass(frozen=True)
class Setting:
    """How a server with a good certificate is set, and what a careful client makes of it.

    The names are those of a server's policy. `client_certificate` says whether the server demands
    one, and whether the client has it. `alert` is what ends a handshake that is not `accepted`.
    """

    accepted: bool
    ciphers: str | None = None
    minimum: str = "TLS 1.2"
    maximum: str = "TLS 1.3"
    groups: tuple[str, ...] | None = None
    key: str = "ecdsa-p256"
    client_certificate: Literal["none", "shown", "missing"] = "none"
    alert: int | None = None


@dataclass(frozen=True)
class BadsslHost:
    """One host. Exactly one of `fault` (its id), `setting` and `reason` (why nothing) is given.

    `note` tells how far they are the same. `no_cipher` is a list of suites that OpenSSL lacks.
    """

    host: str
    family: str
    fault: str | None = None
    setting: Setting | None = None
    reason: str | None = None
    note: str | None = None
    no_cipher: str | None = None


@functools.cache
def badssl_hosts() -> tuple[BadsslHost, ...]:
    """All hosts of badssl.com, by family."""
    return load_hosts(shipped("certs") / "faults" / "coverage" / "badssl.toml")


def load_hosts(path: Path) -> tuple[BadsslHost, ...]:
    """The hosts in a file; raises UsageError that names the file, the key and the cure."""
    return tuple(
        _host(host, family, entry, f"{path}: {family}.{host}")
        for family, entries in t.read_toml(path).items()
        for host, entry in _family(entries, f"{path}: {family}").items()
    )


def _family(entries: object, source: str) -> dict[str, Any]:
    if not isinstance(entries, dict):
        raise UsageError(f"{source} is not a table", hint="it takes a table of hosts")
    return entries


def _host(host: str, family: str, entry: object, source: str) -> BadsslHost:
    values = t.read_table(entry, _ENTRY, source)
    if sum(key in values for key in ("fault", "setting", "reason")) != 1:
        raise UsageError(f"{source}: takes exactly one of fault, setting and reason")
    if "fault" in values and values["fault"] not in shipped_faults():
        raise UsageError(f"{source}: there is no fault {values['fault']!r}")
    return BadsslHost(host, family, **values)


_SETTING = {
    "accepted": t.flag(required=True),
    "ciphers": t.text(),
    "minimum": t.one_of(*VERSIONS),
    "maximum": t.one_of(*VERSIONS),
    "groups": t.list_of(t.text()),
    "key": t.one_of(*KEYS),
    "client_certificate": t.one_of("none", "shown", "missing"),
    "alert": t.whole_number(0, 255),
}
_ENTRY = {
    "fault": t.text(),
    "setting": t.table(_SETTING, Setting),
    "reason": t.text(),
    "note": t.text(),
    "no_cipher": t.text(),
}
