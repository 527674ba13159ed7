"""Policies as data: who decides, which further checks count, and what is asked of revocation.

A variation is a changed copy: `replace(STRICT, revocation=Revocation.HARD)`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from tlslab.errors import UsageError
from tlslab.pki.verify.checks import PUBLIC_CHECKS, STRENGTH_CHECKS, STRICT_CHECKS
from tlslab.pki.verify.checks.base import Check, Purpose
from tlslab.pki.verify.opinions import CRYPTOGRAPHY, OPENSSL

PIN_SIZE: Final = 32  # bytes of SHA-256; RFC 7469 section 2.1.1 knows no other hash

MAX_INTERMEDIATES: Final = 8
"""Webs of trust are two or three deep; cryptography's verifier has the same limit."""


class Revocation(enum.Enum):
    """What to make of revocation (RFC 5280 section 6.3, RFC 6960)."""

    NONE = "none"  # not asked
    SOFT = "soft"  # a certificate known to be revoked is refused, one of unknown status passes
    HARD = "hard"  # every certificate below the anchor has to be known as good


@dataclass(frozen=True)
class Policy:
    """What it takes to be accepted.

    `deciders` are the verifiers that have to accept; the other's opinion is only recorded. With
    `every_path` each path to an anchor is tried, not only the one that a verifier happens to find.
    `checks` are further rows, all of which have to pass on that path. `pins` are SHA-256 hashes of
    public keys (SPKI), of which one has to be on the path; none means no pinning. With
    `partial_chain` any certificate of the trust store is an anchor, not only a self-signed one.
    """

    name: str
    deciders: tuple[str, ...] = (OPENSSL,)
    checks: tuple[Check, ...] = ()
    purpose: Purpose = Purpose.SERVER
    every_path: bool = False
    partial_chain: bool = False
    check_name: bool = True
    revocation: Revocation = Revocation.NONE
    must_staple: bool = False
    scts_required: int = 0
    pins: frozenset[bytes] = frozenset()
    max_intermediates: int = MAX_INTERMEDIATES

    def __post_init__(self) -> None:
        if not set(self.deciders) & {OPENSSL, CRYPTOGRAPHY}:
            raise ValueError("a policy needs OpenSSL or cryptography to decide")


OPENSSL_DEPTH: Final = 100  # OpenSSL's default

DEFAULT: Final = Policy("default", checks=STRENGTH_CHECKS, max_intermediates=OPENSSL_DEPTH)
"""As a client on OpenSSL with its defaults (security level 2) decides."""

STRICT: Final = Policy(
    "strict",
    deciders=(OPENSSL,),
    checks=STRICT_CHECKS,
    every_path=True,
    partial_chain=True,
    must_staple=True,
)
"""RFC 5280 and the CA/Browser Forum's requirements to the letter, of trust anchors too.

A few public roots from before these rules do not pass. cryptography's verifier does not decide,
since it knows no constraints on directory names, which constrained CAs have to have.
"""

PUBLIC: Final = replace(STRICT, name="public", checks=PUBLIC_CHECKS)
"""As strict, and the certificate lives no longer than a public CA may let it."""

POLICIES: Final = {policy.name: policy for policy in (DEFAULT, STRICT, PUBLIC)}
"""Those with a name, by name."""


def pinned(policy: Policy, pins: Iterable[bytes]) -> Policy:
    """`policy`, and one of `pins` (SHA-256 of an SPKI) has to be on the path.

    Raises UsageError unless there are at least two: without a backup pin (RFC 7469 section 4.3) a
    lost key locks every client out, and whoever pins must not learn that on that day.
    """
    found = frozenset(pins)
    if any(len(pin) != PIN_SIZE for pin in found):
        raise UsageError(
            "a pin is the SHA-256 hash of a public key", hint="it has 32 bytes, or 64 hex digits"
        )
    if len(found) < 2:
        raise UsageError(
            "pinning needs a backup pin beside the pin in use",
            hint="pin a second key that is kept offline, or the CA's key",
        )
    return replace(policy, name=f"{policy.name}, pinned", pins=found)
