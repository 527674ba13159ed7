"""Each row of the table of checks: chains that it refuses, and beside them those that pass."""

from __future__ import annotations

import ipaddress
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import pytest
from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tlslab.pki import Profile, Template, TrustStore
from tlslab.pki.faults import forge
from tlslab.pki.names import subject_name
from tlslab.pki.template import draft
from tlslab.pki.verify import DEFAULT, PUBLIC, STRICT, Policy, Verdict, verify
from tlslab.pki.verify.checks import PUBLIC_CHECKS, STRICT_CHECKS

NOW = datetime(2026, 6, 1, tzinfo=UTC)
NAME = "shop.test"

Change: TypeAlias = Callable[[Template], Template]


@dataclass(frozen=True)
class Fault:
    """What is different from a flawless chain. Children are issued as if their CA were flawless."""

    root: Change = lambda template: template
    intermediate: Change = lambda template: template
    leaf: Change = lambda template: template
    names: tuple[str, ...] = (NAME,)
    key_types: dict[str, str] = field(default_factory=dict)  # by "root", "intermediate", "leaf"
    hash_name: str | None = None  # of the leaf's signature
    version: int = 3  # of the leaf


@dataclass(frozen=True)
class Chain:
    """What the faulty chain is, as a peer sends it, and who is trusted."""

    sent: tuple[bytes, ...]
    trust: TrustStore
    keys: dict[str, Any] = field(repr=False)

    def verdict(self, policy: Policy = STRICT, name: str | None = NAME, **more: Any) -> Verdict:
        more.setdefault("now", NOW)
        return verify(self.sent, name, trust=self.trust, policy=policy, **more)


_keys: dict[tuple[str, str], Any] = {}


def _key(role: str, key_type: str) -> Any:
    if (role, key_type) not in _keys:
        _keys[role, key_type] = forge.generate(key_type)
    return _keys[role, key_type]


def common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def make(fault: Fault) -> Chain:
    keys = {
        role: _key(role, fault.key_types.get(role, "ecdsa-p256"))
        for role in ("root", "intermediate", "leaf")
    }

    def template(role: str, profile: str, issuer: x509.Certificate | None) -> Template:
        return draft(
            Profile.named(profile),
            subject=common_name(fault.names[0] if role == "leaf" else f"the {role}"),
            public_key=keys[role].public_key(),
            names=tuple(map(subject_name, fault.names)) if role == "leaf" else (),
            issuer=issuer,
            now=NOW,
        )

    root = template("root", "root", None)
    clean_root = _load(forge.sign(root, keys["root"]))
    intermediate = template("intermediate", "intermediate", clean_root)
    clean_intermediate = _load(forge.sign(intermediate, keys["root"]))
    leaf = template("leaf", "server", clean_intermediate)
    return Chain(
        (
            forge.sign(
                fault.leaf(leaf),
                keys["intermediate"],
                hash_name=fault.hash_name,
                version=fault.version,
            ),
            forge.sign(fault.intermediate(intermediate), keys["root"]),
        ),
        TrustStore((_load(forge.sign(fault.root(root), keys["root"])),)),
        keys,
    )


def _load(der: bytes) -> x509.Certificate:
    with warnings.catch_warnings():
        # cryptography warns of odd serial numbers, and those are what we make.
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        return x509.load_der_x509_certificate(der)


def drop(kind: type[x509.ExtensionType]) -> Change:
    return lambda template: replace(
        template,
        extensions=tuple(one for one in template.extensions if not isinstance(one.value, kind)),
    )


def put(value: x509.ExtensionType, *, critical: bool = False) -> Change:
    """Add an extension, or set it in the place of the one of its kind."""

    def change(template: Template) -> Template:
        rest = [one for one in template.extensions if one.oid != value.oid]
        added: x509.Extension[x509.ExtensionType] = x509.Extension(value.oid, critical, value)
        return replace(template, extensions=(*rest, added))

    return change


def say(**fields: Any) -> Change:
    """Change plain fields."""
    return lambda template: replace(template, **fields)


def usage(*names: str) -> x509.KeyUsage:
    bits = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(**(bits | dict.fromkeys(names, True)))


def checks(verdict: Verdict) -> set[str]:
    """The identifiers of all that was found."""
    return {finding.check for finding in verdict.findings}


def other_key(digest: bytes = b"another key's identifier") -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier(digest, None, None)


def san(*names: x509.GeneralName) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName(names)


def dns(*names: str) -> Fault:
    """A leaf with DNS names just as they are, `shop.test` first."""
    every = (x509.DNSName(NAME), *(x509.DNSName._init_without_validation(name) for name in names))
    return Fault(leaf=put(san(*every)))


def constrained(*, permitted: tuple[str, ...] = (), excluded: tuple[str, ...] = ()) -> Change:
    return put(
        x509.NameConstraints(
            [x509.DNSName(name) for name in permitted] or None,
            [x509.DNSName(name) for name in excluded] or None,
        ),
        critical=True,
    )


def named(text: str, *more: x509.GeneralName) -> Fault:
    """A leaf with this common name."""

    def change(template: Template) -> Template:
        return put(san(x509.DNSName(NAME), *more))(say(subject=common_name(text))(template))

    return Fault(leaf=change)


def both(*changes: Change) -> Change:
    def change(template: Template) -> Template:
        for one in changes:
            template = one(template)
        return template

    return change


EMPTY = x509.Name([])
EKU = ExtendedKeyUsageOID
ADDRESS = x509.IPAddress(ipaddress.ip_address("2001:db8::1"))
IPV4 = x509.IPAddress(ipaddress.ip_address("192.0.2.1"))

REFUSED: dict[str, list[Fault]] = {
    "key-too-weak": [
        Fault(key_types={"leaf": "rsa-1024"}),
        Fault(key_types={"leaf": "ecdsa-p192"}),
        Fault(key_types={"root": "rsa-1024"}),
    ],
    "signature-too-weak": [
        Fault(hash_name="sha1"),
        Fault(hash_name="md5", key_types={"intermediate": "rsa-2048"}),
    ],
    "key-not-permitted": [
        Fault(key_types={"leaf": "ecdsa-secp256k1"}),
        Fault(key_types={"leaf": "ed25519"}),
        Fault(key_types={"leaf": "rsa-2052"}),
    ],
    "version-not-3": [Fault(version=1)],
    "serial-number": [
        Fault(leaf=say(serial=0)),
        Fault(leaf=say(serial=-5)),
        Fault(leaf=say(serial=2**159)),
        Fault(intermediate=say(serial=0)),
    ],
    "issuer-empty": [Fault(intermediate=say(subject=EMPTY), leaf=say(issuer=EMPTY))],
    "subject-empty": [Fault(intermediate=say(subject=EMPTY), leaf=say(issuer=EMPTY))],
    "extension-criticality": [
        Fault(leaf=put(x509.SubjectKeyIdentifier(b"key"), critical=True)),
        Fault(intermediate=put(x509.PolicyConstraints(0, None))),
        Fault(root=put(x509.SubjectKeyIdentifier(b"key"), critical=True)),
    ],
    "authority-key-identifier": [
        Fault(leaf=drop(x509.AuthorityKeyIdentifier)),
        Fault(intermediate=drop(x509.AuthorityKeyIdentifier)),
        Fault(root=put(other_key())),
        Fault(root=put(x509.AuthorityKeyIdentifier(None, None, None))),
        Fault(
            leaf=put(
                x509.AuthorityKeyIdentifier(b"key", [x509.DirectoryName(common_name("root"))], 1)
            )
        ),
    ],
    "subject-key-identifier": [
        Fault(intermediate=drop(x509.SubjectKeyIdentifier)),
        Fault(root=drop(x509.SubjectKeyIdentifier)),
    ],
    "ca-basic-constraints": [
        Fault(intermediate=put(x509.BasicConstraints(True, 0))),
        Fault(root=put(x509.BasicConstraints(True, None))),
        Fault(intermediate=drop(x509.BasicConstraints)),
        Fault(intermediate=put(x509.BasicConstraints(False, None), critical=True)),
    ],
    "ca-key-usage": [
        Fault(intermediate=put(usage("crl_sign"), critical=True)),
        Fault(root=put(usage("crl_sign"), critical=True)),
    ],
    "root-extended-key-usage": [Fault(root=put(x509.ExtendedKeyUsage([EKU.SERVER_AUTH])))],
    "name-constraints-form": [
        Fault(intermediate=constrained(permitted=(".shop.test",))),
        Fault(
            intermediate=put(
                x509.NameConstraints(
                    None, [x509.RFC822Name._init_without_validation("a@b@bank.test")]
                ),
                critical=True,
            )
        ),
        Fault(root=constrained(excluded=(".bank.test",))),
    ],
    "leaf-is-ca": [
        Fault(leaf=put(x509.BasicConstraints(True, None), critical=True)),
        Fault(leaf=put(usage("digital_signature", "key_cert_sign"), critical=True)),
    ],
    "leaf-name-constraints": [Fault(leaf=constrained(permitted=(NAME,)))],
    "leaf-key-usage": [Fault(leaf=put(usage("key_agreement"), critical=True))],
    "leaf-extended-key-usage": [
        Fault(leaf=drop(x509.ExtendedKeyUsage)),
        Fault(leaf=put(x509.ExtendedKeyUsage([EKU.SERVER_AUTH]), critical=True)),
        Fault(leaf=put(x509.ExtendedKeyUsage([EKU.ANY_EXTENDED_KEY_USAGE, EKU.SERVER_AUTH]))),
        Fault(leaf=put(x509.ExtendedKeyUsage([EKU.CLIENT_AUTH]))),
    ],
    "name-missing": [Fault(leaf=drop(x509.SubjectAlternativeName))],
    "name-criticality": [
        Fault(leaf=put(san(x509.DNSName(NAME)), critical=True)),
        Fault(leaf=both(say(subject=EMPTY), put(san(x509.DNSName(NAME))))),
    ],
    "name-form": [
        dns("a_b.test"),
        dns(".shop.test"),
        dns("192.0.2.1"),
        dns("*.test"),
        dns("*"),
        dns("w*.shop.test"),
        dns("a.*.test"),
        dns("-a.test"),
        dns(""),
        dns(f"{'a' * 64}.test"),
        dns(".".join(["a" * 60] * 5)),
        dns("<script>.test"),
        Fault(
            leaf=put(
                san(x509.DNSName(NAME), x509.RFC822Name._init_without_validation("a@b@shop.test"))
            )
        ),
    ],
    "common-name-spelling": [
        named("SHOP.test"),
        named("2001:0db8::1", ADDRESS),
        named("2001:DB8::1", ADDRESS),
        named("0xC0000201", IPV4),
        named("192.000.002.001", IPV4),
        named("bücher.test", x509.DNSName("xn--bcher-kva.test")),
    ],
    "common-name": [
        named("another.test"),
        Fault(leaf=say(subject=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)] * 2))),
    ],
    "wildcard-meets-constraint": [
        Fault(names=("*.shop.test", NAME), intermediate=constrained(excluded=("a.shop.test",))),
        Fault(names=("*.shop.test", NAME), root=constrained(excluded=("shop.test",))),
        Fault(names=("*.shop.test", NAME), intermediate=constrained(permitted=("a.shop.test",))),
    ],
    "lifetime": [Fault(leaf=say(not_before=NOW, not_after=NOW + timedelta(days=200)))],
}
"""By check: what it refuses. Whether anything else does too, is another matter."""

ACCEPTED: dict[str, Fault] = {
    "flawless": Fault(),
    "RSA of 2048 bits": Fault(key_types={"leaf": "rsa-2048"}),
    "P-521": Fault(key_types={"leaf": "ecdsa-p521"}),
    "SHA-384": Fault(hash_name="sha384"),
    "20 octets of serial number": Fault(leaf=say(serial=2**159 - 1)),
    "serial number 1": Fault(leaf=say(serial=1)),
    "root with the serial number 0": Fault(root=say(serial=0)),
    "critical policy constraints": Fault(
        intermediate=put(x509.PolicyConstraints(None, 0), critical=True)
    ),
    "root with its own identifier": Fault(
        root=lambda template: put(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(template.public_key)
        )(template)
    ),
    "CA without key usage": Fault(intermediate=drop(x509.KeyUsage)),
    "intermediate for servers": Fault(intermediate=put(x509.ExtendedKeyUsage([EKU.SERVER_AUTH]))),
    "permitted": Fault(intermediate=constrained(permitted=(NAME,))),
    "something else excluded": Fault(intermediate=constrained(excluded=("bank.test",))),
    "no key usage": Fault(leaf=drop(x509.KeyUsage)),
    "no basic constraints": Fault(leaf=drop(x509.BasicConstraints)),
    "more uses": Fault(leaf=put(x509.ExtendedKeyUsage([EKU.SERVER_AUTH, EKU.CLIENT_AUTH]))),
    "no subject": Fault(leaf=both(say(subject=EMPTY), put(san(x509.DNSName(NAME)), critical=True))),
    "odd but good names": dns("a-b.test", "xn--628h.test", "1.shop.test", "*.shop.test", "a" * 63),
    "address as common name": named("2001:db8::1", ADDRESS),
    "wildcard that is permitted": Fault(
        names=("*.shop.test", NAME), intermediate=constrained(permitted=(NAME,))
    ),
    "200 days": Fault(
        leaf=say(not_before=NOW, not_after=NOW + timedelta(days=200) - timedelta(seconds=1))
    ),
}


def test_every_row_has_a_chain_that_it_refuses() -> None:
    assert REFUSED.keys() == {check.id for check in PUBLIC_CHECKS}


def test_identifiers_are_unique_and_explained() -> None:
    assert len({check.id for check in PUBLIC_CHECKS}) == len(PUBLIC_CHECKS)
    for check in PUBLIC_CHECKS:
        assert "section" in check.rule, check.id
        for text in (check.explanation.meaning, check.explanation.cause, check.explanation.fix):
            assert text.endswith("."), check.id


@pytest.mark.parametrize(
    ("check", "fault"),
    [
        pytest.param(check, fault, id=f"{check}-{number}")
        for check, faults in REFUSED.items()
        for number, fault in enumerate(faults)
    ],
)
def test_a_fault_is_refused_by_its_check(check: str, fault: Fault) -> None:
    verdict = make(fault).verdict(PUBLIC)
    assert not verdict.accepted
    assert check in checks(verdict)


@pytest.mark.parametrize("fault", ACCEPTED.values(), ids=ACCEPTED)
def test_what_is_in_order_is_accepted(fault: Fault) -> None:
    verdict = make(fault).verdict(PUBLIC)
    assert verdict.findings == ()


@pytest.mark.parametrize("check", [row.id for row in STRICT_CHECKS])
def test_the_check_is_what_refuses(check: str) -> None:
    """Without its row, a chain that only the row objects to is accepted: no row is for show."""
    without = replace(STRICT, checks=tuple(row for row in STRICT_CHECKS if row.id != check))
    alone = [fault for fault in REFUSED[check] if checks(make(fault).verdict(STRICT)) == {check}]
    if check in BACKED_UP:
        assert not alone, "it is no longer backed up by another"
        return
    assert alone, "no chain is refused by this row alone"
    for fault in alone:
        assert make(fault).verdict(without).accepted


BACKED_UP = {
    "version-not-3": "version 1 has no extensions, so the name is missing as well",
    "issuer-empty": "the issuer's subject is then empty, too",
    "subject-empty": "what it issued then has no issuer",
    "ca-key-usage": "OpenSSL calls it an invalid CA, with number 79",
    "name-missing": "OpenSSL does not find the name, either",
}
"""Rows whose chains something else refuses as well, and what."""


@pytest.mark.parametrize("check", ["key-too-weak", "signature-too-weak"])
def test_the_default_policy_has_a_level_of_strength(check: str) -> None:
    for fault in REFUSED[check]:
        chain = make(fault)
        assert checks(chain.verdict(DEFAULT)) == {check}
        assert chain.verdict(replace(DEFAULT, checks=())).accepted


@pytest.mark.parametrize(
    ("issued", "days"),
    [
        ("2018-03-01", 825),
        ("2020-09-01", 398),
        ("2026-03-14", 398),
        ("2026-03-15", 200),
        ("2027-03-15", 100),
        ("2029-03-15", 47),
    ],
)
def test_lifetimes_shrink(issued: str, days: int) -> None:
    start = datetime.fromisoformat(issued).replace(tzinfo=UTC)
    policy = replace(PUBLIC, checks=PUBLIC_CHECKS[-1:])
    for extra, accepted in ((-1, True), (0, False)):  # the last second counts (section 6.3.2)
        end = start + timedelta(days=days, seconds=extra)
        change = say(not_before=start, not_after=end)
        early = say(not_before=datetime(2018, 1, 1, tzinfo=UTC))
        chain = make(Fault(leaf=change, intermediate=early, root=early))
        verdict = chain.verdict(policy, now=start)
        assert ("lifetime" not in checks(verdict)) is accepted
