"""Every case that a client is probed with: faulty certificates, bad protocols, attacks.

Faults are data that ships with tlslab; here they are given the name by which this client reaches
its servers. What a client cannot be probed with is left out, and it is said why.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from tlslab.attack import Attack
from tlslab.attack.handshakes import FlipServerFlight
from tlslab.attack.hellos import StripGroups, StripVersions
from tlslab.pki import Authority, KeyType
from tlslab.pki.faults import Fault, build, shipped_faults
from tlslab.pki.faults.recipe import LEAF, NAME, CertificateRecipe
from tlslab.probe.case import CONTROL, Case, Served, Severity
from tlslab.probe.names import Reach
from tlslab.tls import RetiredVersion, ServerPolicy, Version

LOCAL = "localhost"
"""The name that every client resolves without help."""

BY_CHOICE = frozenset({"ocsp", "transparency"})
"""What these faults are about few clients look at unless told to; by default it is only told."""


_FIX = "leave verification to the TLS library, switch none of it off, and keep it up to date"

_FIXES = {
    "names": "let the TLS library check the host name, against alternative names and nothing else",
    "dates": "let the TLS library check validity, and keep the clock right",
    "trust": "trust only roots that you mean to trust; look through the trust store",
    "keys": "leave the library's security level alone, so that it refuses short keys",
    "signatures": "leave the library's security level alone, so that it refuses SHA-1 and MD5",
    "usage": "let the library verify for the purpose of a TLS server, not just the chain",
    "revocation": "ask for revocation: CRLs, or require a stapled OCSP response",
    "ocsp": "ask for a stapled response, verify it, and refuse where it must be there and is not",
    "transparency": "require signed certificate timestamps where the library can",
}
"""What to do about it, by what a fault is about."""


@dataclass(frozen=True)
class LeftOut:
    """A fault with which this client cannot be probed, and why."""

    id: str
    reason: str


@dataclass(frozen=True)
class Catalog:
    """The cases, the control first, and what was left out."""

    cases: list[Case]
    left_out: list[LeftOut]

    @classmethod
    def of(cls, reach: Reach, *, strict: bool = False) -> Catalog:
        """All cases for a client that finds its servers so.

        `strict` makes stapled responses and transparency matters that must be enforced.
        """
        authority = Authority.create("tlslab probe")
        name = LOCAL if reach is Reach.LOCALHOST else NAME
        cases = [_control(authority, name)]
        left_out = []
        for shipped_one in shipped_faults().values():
            fault = _renamed(shipped_one, name)
            reason = _why_not(fault, reach)
            if reason is None:
                cases.append(_of_fault(fault, authority, strict=strict))
            else:
                left_out.append(LeftOut(fault.id, reason))
        cases += _protocols(authority, name)
        cases += _attacks(authority, name)
        return cls(cases, left_out)


def _control(authority: Authority, name: str) -> Case:
    def make() -> Served:
        return Served(ServerPolicy(authority.issue(name)), authority.trust)

    return Case(CONTROL, "nothing is wrong", Severity.CRITICAL, False, name, make, tags=(CONTROL,))


def _renamed(fault: Fault, name: str) -> Fault:
    """The fault, with a server called `name` instead of the one that recipes speak of."""
    recipe = fault.recipe

    def rename(text: str) -> str:
        return text.replace(NAME, name)

    def renamed(one: CertificateRecipe) -> CertificateRecipe:
        names = one.names
        if names is None and one.like == "server":
            names = (f"dns:{NAME}",)
        return dataclasses.replace(
            one,
            names=None if names is None else tuple(map(rename, names)),
            common_name=None if one.common_name is None else rename(one.common_name),
            permitted=tuple(map(rename, one.permitted)),
            excluded=tuple(map(rename, one.excluded)),
        )

    certificates = {LEAF: CertificateRecipe(), **recipe.certificates}
    changed = dataclasses.replace(
        recipe,
        ask=rename(recipe.ask),
        certificates={key: renamed(one) for key, one in certificates.items()},
    )
    return dataclasses.replace(fault, recipe=changed, wrong=rename(fault.wrong))


def _why_not(fault: Fault, reach: Reach) -> str | None:
    if fault.expected.openssl.by == "loading":
        return "OpenSSL will not serve it"
    if fault.expected.openssl.by == "server":
        return "OpenSSL finds no way to serve it"
    if "control" in fault.tags:
        return "nothing is wrong with it"
    if "revocation" in fault.tags and "ocsp" not in fault.tags:
        return "the probe has no revocation lists to give to a client"
    if reach is Reach.LOCALHOST:
        if fault.recipe.ask not in (LOCAL, "127.0.0.1"):
            return "its name does not resolve (try --reach proxy)"
        if _constrains_common_name(fault):
            return "a name without dots is no DNS name to constrain (try --reach proxy)"
    return None


def _constrains_common_name(fault: Fault) -> bool:
    certificates = fault.recipe.certificates.values()
    constrained = any(one.permitted or one.excluded for one in certificates)
    return constrained and any(one.common_name for one in certificates)


def _of_fault(fault: Fault, authority: Authority, *, strict: bool) -> Case:
    def make() -> Served:
        made = build(fault, authority)
        maximum = Version(made.maximum)
        policy = ServerPolicy(
            made.credential, ciphers=made.ciphers, maximum=maximum, staple=made.staple
        )
        return Served(policy, made.trust)

    by_choice = not BY_CHOICE.isdisjoint(fault.tags)
    return Case(
        id=fault.id,
        title=fault.title,
        severity=Severity[fault.severity.upper()],
        must_refuse=strict if by_choice else fault.must_refuse,
        host=fault.recipe.ask,
        make=make,
        wrong=fault.wrong,
        rule=fault.rule or "",
        fix=next((_FIXES[tag] for tag in fault.tags if tag in _FIXES), _FIX),
        tags=fault.tags,
    )


@dataclass(frozen=True)
class _Protocol:
    """A server whose certificate is good and whose protocol is not."""

    id: str
    title: str
    severity: Severity
    must_refuse: bool
    version: Version | RetiredVersion
    ciphers: str
    wrong: str
    rule: str
    fix: str
    key_type: KeyType | None = None


_OLD = "raise the client's minimum to TLS 1.2"
_SUITES = "take the library's default cipher list"

_PROTOCOLS = (
    _Protocol(
        "tls-1-0", "only TLS 1.0", Severity.HIGH, True, RetiredVersion.TLS_1_0,
        "ALL:@SECLEVEL=0", "the server speaks nothing newer than TLS 1.0", "RFC 8996", _OLD,
    ),
    _Protocol(
        "tls-1-1", "only TLS 1.1", Severity.HIGH, True, RetiredVersion.TLS_1_1,
        "ALL:@SECLEVEL=0", "the server speaks nothing newer than TLS 1.1", "RFC 8996", _OLD,
    ),
    _Protocol(
        "null-cipher", "a suite without encryption", Severity.CRITICAL, True, Version.TLS_1_2,
        "eNULL:@SECLEVEL=0", "the connection is authenticated but not encrypted",
        "RFC 9325 section 4.1", _SUITES,
    ),
    _Protocol(
        "anonymous-cipher", "a suite without a certificate", Severity.CRITICAL, True,
        Version.TLS_1_2, "AECDH-AES128-SHA:@SECLEVEL=0", "the server shows no certificate at all",
        "RFC 9325 section 4.1", _SUITES,
    ),
    _Protocol(
        "static-rsa", "static RSA key exchange", Severity.LOW, False, Version.TLS_1_2,
        "AES128-GCM-SHA256", "who records this and steals the server's key later reads it all",
        "RFC 9325 section 4.1", "offer only suites with ephemeral key exchange", KeyType.RSA_2048,
    ),
)  # fmt: skip


def _protocols(authority: Authority, name: str) -> Iterator[Case]:
    for one in _PROTOCOLS:
        yield Case(
            id=one.id,
            title=one.title,
            severity=one.severity,
            must_refuse=one.must_refuse,
            host=name,
            make=partial(_serve_protocol, one, authority, name),
            wrong=one.wrong,
            rule=one.rule,
            fix=one.fix,
            tags=("protocol",),
        )


def _serve_protocol(one: _Protocol, authority: Authority, name: str) -> Served:
    policy = ServerPolicy(
        authority.issue(name, key_type=one.key_type),
        minimum=one.version,
        maximum=one.version,
        ciphers=one.ciphers,
    )
    return Served(policy, authority.trust)


_ATTACKS: tuple[Attack, ...] = (StripVersions(), FlipServerFlight(), StripGroups())
"""Attacks on the handshake that a client has to notice by itself."""


def _attacks(authority: Authority, name: str) -> Iterator[Case]:
    for attack in _ATTACKS:
        yield Case(
            id=attack.id,
            title=f"on the path: {attack.title}",
            severity=Severity.CRITICAL,
            must_refuse=True,
            host=name,
            make=partial(_attacked, attack, authority, name),
            wrong="somebody on the path changed the handshake, and the client goes on",
            rule=attack.defeated_by,
            fix=_FIX,
            tags=("attack",),
        )


def _attacked(attack: Attack, authority: Authority, name: str) -> Served:
    return Served(ServerPolicy(authority.issue(name)), authority.trust, attack)
