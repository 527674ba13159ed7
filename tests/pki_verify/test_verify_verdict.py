"""Verdicts: who decides, where, by which number; names, dates, paths, pins and timestamps."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from tlslab.errors import UsageError
from tlslab.pki import Authority, Profile, TrustStore
from tlslab.pki.credential import Chain
from tlslab.pki.ct_log import CTLog
from tlslab.pki.sct import SCT_LIST, sct_list_extension, without_extension
from tlslab.pki.template import draft
from tlslab.pki.verify import (
    DEFAULT,
    PUBLIC,
    STRICT,
    Policy,
    Purpose,
    Verdict,
    pin_of,
    pinned,
    verify,
)
from tlslab.pki.verify.material import Sent
from tlslab.pki.verify.opinions import CRYPTOGRAPHY, OPENSSL
from tlslab.pki.verify.reference import reference_name

DAY = timedelta(days=1)
POLICIES = pytest.mark.parametrize("policy", [DEFAULT, STRICT, PUBLIC], ids=lambda p: p.name)

Ask = Callable[..., Verdict]


@pytest.fixture
def chain(authority: Authority, now: datetime) -> Chain:
    return authority.issue("shop.test", "*.shop.test", "192.0.2.1", "::1", now=now).chain


@pytest.fixture
def ask(authority: Authority, chain: Chain, now: datetime) -> Ask:
    def verdict(policy: Policy = STRICT, name: str | None = "shop.test", **more: object) -> Verdict:
        arguments = {"trust": authority.trust, "now": now, "policy": policy, **more}
        return verify(chain, name, **arguments)  # type: ignore[arg-type]

    return verdict


@POLICIES
def test_a_flawless_chain_is_accepted(
    ask: Ask, chain: Chain, authority: Authority, policy: Policy
) -> None:
    verdict = ask(policy)
    assert verdict.accepted
    assert verdict.decided_by is None
    assert verdict.path == (*chain, authority.root)
    assert [(o.verifier, o.accepted, o.number) for o in verdict.opinions] == [
        (OPENSSL, True, 0),
        (CRYPTOGRAPHY, True, None),
    ]


@POLICIES
@pytest.mark.parametrize("name", ["SHOP.test", "shop.test.", "a.shop.test", "192.0.2.1", "::1"])
def test_names_that_fit(ask: Ask, policy: Policy, name: str) -> None:
    assert ask(policy, name).accepted


@POLICIES
@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("bank.test", 62),
        ("a.b.shop.test", 62),
        ("192.0.2.2", 64),
        ("::2", 64),
        ("xn--628h.test", 62),
    ],
)
def test_names_that_do_not(
    ask: Ask,
    chain: Chain,
    authority: Authority,
    openssl_verify: Callable[..., int],
    policy: Policy,
    name: str,
    number: int,
) -> None:
    verdict = ask(policy, name)
    assert verdict.decided_by is not None
    assert (verdict.decided_by.check, verdict.decided_by.depth) == (f"x509-{number}", 0)
    assert verdict.decided_by.number == number
    assert not verdict.opinion(CRYPTOGRAPHY).accepted
    option = "-verify_ip" if number == 64 else "-verify_hostname"
    assert openssl_verify((authority.root,), chain, option, name) == number


def test_an_address_may_be_parsed_already(ask: Ask) -> None:
    assert ask(name=ipaddress.ip_address("192.0.2.1")).accepted
    assert not ask(name=ipaddress.ip_address("192.0.2.2")).accepted


@pytest.mark.parametrize("name", ["", "*.shop.test", "a b", "a" * 300, "192.0.2", "fe80::1%eth0"])
def test_names_that_no_host_has(ask: Ask, name: str) -> None:
    with pytest.raises(UsageError):
        ask(name=name)


def test_an_international_name_becomes_ascii() -> None:
    assert reference_name("bücher.test") == x509.DNSName("xn--bcher-kva.test")


def test_without_a_name_nothing_is_verified_unless_that_is_wanted(ask: Ask) -> None:
    with pytest.raises(UsageError):
        ask(name=None)
    lesson = ask(replace(STRICT, check_name=False), name=None)
    assert lesson.accepted
    assert lesson.opinion(CRYPTOGRAPHY).accepted
    assert lesson.name is None


@POLICIES
@pytest.mark.parametrize(("days", "number", "depth"), [(-2, 9, 0), (91, 10, 0), (365 * 11, 10, 0)])
def test_dates(
    ask: Ask,
    chain: Chain,
    authority: Authority,
    now: datetime,
    openssl_verify: Callable[..., int],
    policy: Policy,
    days: int,
    number: int,
    depth: int,
) -> None:
    then = now + days * DAY
    decided = ask(policy, now=then).decided_by
    assert decided is not None
    assert decided.number == number == openssl_verify((authority.root,), chain, at=then)


def test_the_end_counts_and_fractions_of_a_second_do_not(ask: Ask, chain: Chain) -> None:
    end = chain[0].not_valid_after_utc
    assert ask(now=end).accepted
    assert ask(now=end + timedelta(milliseconds=999)).opinion(OPENSSL).accepted
    assert not ask(now=end + timedelta(seconds=1)).accepted


def test_a_time_without_a_zone_is_the_callers_fault(ask: Ask) -> None:
    with pytest.raises(ValueError, match="aware"):
        ask(now=datetime(2026, 6, 1))


@POLICIES
def test_trust_decides(ask: Ask, chain: Chain, now: datetime, policy: Policy) -> None:
    stranger = Authority.create("verify test", now=now)
    assert not ask(policy, trust=stranger.trust).accepted
    empty = ask(policy, trust=TrustStore())
    assert empty.decided_by is not None
    assert empty.decided_by.number == 20


def test_an_intermediate_as_anchor_is_the_policys_choice(ask: Ask, authority: Authority) -> None:
    trust = TrustStore((authority.intermediate,))
    assert ask(STRICT, trust=trust).accepted
    assert not ask(replace(STRICT, partial_chain=False), trust=trust).accepted
    assert not ask(DEFAULT, trust=trust).accepted


@POLICIES
def test_an_incomplete_chain_and_one_with_junk(
    authority: Authority, chain: Chain, now: datetime, policy: Policy
) -> None:
    def accepted(*sent: x509.Certificate) -> bool:
        found = verify(sent, "shop.test", trust=authority.trust, now=now, policy=policy)
        return found.accepted

    stranger = Authority.create("stranger", now=now)
    assert not accepted(chain[0])
    assert accepted(chain[0], stranger.root, stranger.intermediate, authority.root, *chain)


def test_every_form_of_a_chain(ask: Ask, authority: Authority, chain: Chain, now: datetime) -> None:
    pem = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in chain)
    der = [certificate.public_bytes(Encoding.DER) for certificate in chain]
    forms: list[Sent] = [pem, der, [pem], list(chain), [chain[0], der[1]]]
    for sent in forms:
        assert verify(sent, "shop.test", trust=authority.trust, now=now, policy=STRICT).accepted


def test_another_path_is_found_where_openssl_takes_the_wrong_one(
    authority: Authority, chain: Chain, now: datetime
) -> None:
    """The same CA, issued again by a root that nobody trusts: its certificate comes first."""
    other = Authority.create("other", now=now)
    assert authority.root_key is not None
    assert other.root_key is not None
    again = draft(
        Profile.named("intermediate"),
        subject=authority.intermediate.subject,
        public_key=authority.intermediate_key.public_key(),
        issuer=other.root,
        now=now,
    ).signed_by(other.root_key)
    sent = (chain[0], again, other.root, authority.intermediate)
    by_openssl = verify(sent, "shop.test", trust=authority.trust, now=now, policy=DEFAULT)
    assert not by_openssl.accepted
    strict = verify(sent, "shop.test", trust=authority.trust, now=now, policy=STRICT)
    assert strict.accepted
    assert strict.path == (chain[0], authority.intermediate, authority.root)


def test_the_depth_is_limited(ask: Ask) -> None:
    assert ask(replace(STRICT, max_intermediates=1)).accepted
    refused = ask(replace(STRICT, max_intermediates=0)).decided_by
    assert refused is not None
    assert refused.check == "path-too-long"


def test_purposes(authority: Authority, now: datetime) -> None:
    client = authority.issue(profile="client", common_name="alice", now=now).chain
    server = authority.issue("shop.test", now=now).chain
    for policy in (DEFAULT, replace(STRICT, checks=())):
        as_client = replace(policy, purpose=Purpose.CLIENT)
        for_clients = verify(client, None, trust=authority.trust, now=now, policy=as_client)
        assert for_clients.accepted
        wrong = verify(server, None, trust=authority.trust, now=now, policy=as_client)
        assert wrong.decided_by is not None
        assert wrong.decided_by.number == 26


def test_the_policy_says_who_decides(authority: Authority, chain: Chain, now: datetime) -> None:
    """Only cryptography refuses names that are critical beside a subject."""
    template = authority.draft(
        "shop.test",
        public_key=authority.intermediate_key.public_key(),
        profile=Profile.named("server"),
        now=now,
    )
    changed = tuple(
        x509.Extension(one.oid, True, one.value)
        if isinstance(one.value, x509.SubjectAlternativeName)
        else one
        for one in template.extensions
    )
    odd = replace(template, extensions=changed).signed_by(authority.intermediate_key)

    def accepted(*deciders: str) -> bool:
        policy = replace(DEFAULT, deciders=deciders)
        found = verify((odd, chain[1]), "shop.test", trust=authority.trust, now=now, policy=policy)
        assert found.opinion(OPENSSL).accepted
        assert not found.opinion(CRYPTOGRAPHY).accepted
        return found.accepted

    assert accepted(OPENSSL)
    assert not accepted(CRYPTOGRAPHY)
    assert not accepted(OPENSSL, CRYPTOGRAPHY)
    with pytest.raises(ValueError, match="decide"):
        replace(DEFAULT, deciders=())


@POLICIES
def test_pins(ask: Ask, chain: Chain, authority: Authority, policy: Policy) -> None:
    backup = b"\x00" * 32
    for certificate in (*chain, authority.root):
        assert ask(pinned(policy, [pin_of(certificate), backup])).accepted
    refused = ask(pinned(policy, [b"\x01" * 32, backup]))
    assert [finding.check for finding in refused.findings] == ["pin-mismatch"]


@pytest.mark.parametrize("pins", [[], [b"\x00" * 32], [b"\x00" * 32] * 2, [b"short", b"pins"]])
def test_pins_need_a_backup_and_a_size(pins: list[bytes]) -> None:
    with pytest.raises(UsageError):
        pinned(STRICT, pins)


def test_transparency(authority: Authority, chain: Chain, now: datetime) -> None:
    log, other = CTLog(), CTLog()
    key = ec.generate_private_key(ec.SECP256R1())
    template = authority.draft(
        "shop.test", public_key=key.public_key(), profile=Profile.named("server"), now=now
    )
    bare = without_extension(
        template.signed_by(authority.intermediate_key).tbs_certificate_bytes, SCT_LIST
    )
    sct = log.promise(bare, authority.intermediate, now=now)
    value = sct_list_extension([sct])
    listed: x509.Extension[x509.ExtensionType] = x509.Extension(value.oid, False, value)
    leaf = replace(template, extensions=(*template.extensions, listed)).signed_by(
        authority.intermediate_key
    )

    def accepted(sent: Chain, *logs: CTLog, wanted: int = 1, at: datetime = now) -> bool:
        policy = replace(STRICT, scts_required=wanted)
        known = {one.id: one.public_key for one in logs}
        found = verify(sent, "shop.test", trust=authority.trust, now=at, policy=policy, logs=known)
        assert {finding.check for finding in found.findings} <= {"sct-missing"}
        return found.accepted

    signed = (leaf, authority.intermediate)
    assert accepted(signed, log)
    assert accepted(signed, log, other)
    assert not accepted(signed, other)
    assert not accepted(signed, log, other, wanted=2)
    assert not accepted(signed, log, at=now - timedelta(seconds=1))
    assert not accepted(chain, log)
    assert accepted(chain, wanted=0)


def test_any_zone_will_do(ask: Ask, now: datetime) -> None:
    assert ask(now=now.astimezone(timezone(timedelta(hours=9)))).accepted
