"""HTTP Strict Transport Security: what a browser remembers of it (RFC 6797).

A policy is read from a header field, a store keeps policies by host and says which URLs they
upgrade. Nothing here connects: whether a header came over a verified connection, its user knows.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

MAX_AGE: Final = 10 * 365 * 86_400
"""Seconds; a longer max-age is taken for this one, since no number is too long to be sent."""

MAX_HOSTS: Final = 10_000
"""Hosts that are remembered; a site with a name for every visit would fill any store."""

_SECURE: Final = {"http": "https", "ws": "wss"}

# RFC 6797 section 6.1: a token, alone or with a token or a quoted string (RFC 2616 section 2.2).
_DIRECTIVE: Final = re.compile(
    r"""[ \t]*(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*
        (?:=[ \t]*(?:(?P<token>[!#$%&'*+.^_`|~0-9A-Za-z-]+)
                    |"(?P<quoted>(?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[\x20-\x7e])*)")[ \t]*)?""",
    re.VERBOSE,
)
_SECONDS: Final = re.compile(r"[0-9]+")
_ENOUGH_DIGITS: Final = len(str(MAX_AGE))


@dataclass(frozen=True)
class HSTSPolicy:
    """How long (seconds) a host is to be reached over TLS alone, and whether its subdomains are."""

    max_age: int
    include_subdomains: bool = False


def read_policy(value: str) -> HSTSPolicy | None:
    """The policy in a Strict-Transport-Security field; None if the field must be ignored.

    That is so if it is malformed anywhere, if a directive stands there twice, or without max-age
    (RFC 6797 section 6.1). Directives that nobody knows are passed over.
    """
    directives: dict[str, str | None] = {}
    rest = value
    while rest.strip(" \t;"):
        match = _DIRECTIVE.match(rest.lstrip(" \t;"))
        if match is None:
            return None
        rest = rest.lstrip(" \t;")[match.end() :]
        name = match["name"].lower()
        if (rest and rest[0] != ";") or name in directives:
            return None
        directives[name] = match["token"] if match["quoted"] is None else match["quoted"]
    seconds = directives.get("max-age")
    if seconds is None or not _SECONDS.fullmatch(seconds):
        return None
    if directives.get("includesubdomains") is not None:  # it takes no value
        return None
    digits = seconds.lstrip("0") or "0"
    age = MAX_AGE if len(digits) > _ENOUGH_DIGITS else min(int(digits), MAX_AGE)
    return HSTSPolicy(age, "includesubdomains" in directives)


@dataclass(frozen=True)
class _Known:
    policy: HSTSPolicy
    until: float


@dataclass
class HSTSStore:
    """The hosts that a browser reaches over TLS alone.

    `clock` gives seconds. `preloaded` are hosts that the browser's maker has put in, with their
    subdomains (RFC 6797 section 12.3); they never expire.
    """

    clock: Callable[[], float]
    preloaded: frozenset[str] = frozenset()
    _known: dict[str, _Known] = field(default_factory=dict)

    def note(self, host: str, value: str) -> None:
        """Take notice of a field that came from `host` over a verified TLS connection.

        Addresses are not remembered (section 8.1.1); a max-age of 0 makes a host forgotten.
        """
        policy, host = read_policy(value), _canonical(host)
        if policy is None or _is_address(host):
            return
        self._known.pop(host, None)
        if policy.max_age == 0:
            return
        if len(self._known) >= MAX_HOSTS:
            del self._known[min(self._known, key=lambda known: self._known[known].until)]
        self._known[host] = _Known(policy, self.clock() + policy.max_age)

    def covers(self, host: str) -> bool:
        """Whether `host` is to be reached over TLS alone (section 8.2)."""
        host = _canonical(host)
        if _is_address(host):
            return False
        return any(
            parent in self.preloaded or self._holds(parent, itself=parent == host)
            for parent in _with_parents(host)
        )

    def upgraded_scheme(self, scheme: str, host: str) -> str:
        """The scheme under which `host` is reached: https for http, where it is covered."""
        return _SECURE.get(scheme, scheme) if self.covers(host) else scheme

    def _holds(self, host: str, *, itself: bool) -> bool:
        known = self._known.get(host)
        if known is None or known.until <= self.clock():
            return False
        return itself or known.policy.include_subdomains


def _canonical(host: str) -> str:
    return host.lower().rstrip(".")


def _with_parents(host: str) -> Iterable[str]:
    labels = host.split(".")
    return (".".join(labels[at:]) for at in range(len(labels)))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
