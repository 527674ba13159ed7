"""Revocation lists: what they say, and what OpenSSL makes of each, good or wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from tlslab.errors import PKIError, UsageError
from tlslab.pki import Authority, Credential, KeyType
from tlslab.pki.revocation import Revocations, Revoked, make_crl

DAY = timedelta(days=1)

CrlCheck = Callable[..., int]

REVOKED, NO_CRL, BAD_SIGNATURE, EXPIRED, NOT_YET, SCOPE = 23, 3, 8, 12, 11, 44


def test_openssl_agrees_on_good_and_revoked(world: Any, crl_check: CrlCheck) -> None:
    crl = world.revocations.crl(now=world.now)
    assert crl_check(world, world.good, crl) == 0
    assert crl_check(world, world.revoked, crl) == REVOKED
    assert crl_check(world, world.good) == NO_CRL


@pytest.mark.parametrize("key_type", [KeyType.RSA_2048, KeyType.ED25519])
def test_other_key_types_sign_lists_that_openssl_accepts(
    world: Any, crl_check: CrlCheck, key_type: KeyType
) -> None:
    authority = Authority.create("other keys", key_type=key_type)
    revocations = Revocations(authority)
    leaf, other = authority.issue("a.test"), authority.issue("b.test")
    revocations.revoke(other.certificate)
    world = replace(world, authority=authority)
    crl = revocations.crl()
    assert crl_check(world, leaf, crl) == 0
    assert crl_check(world, other, crl) == REVOKED


def test_a_list_that_is_over_or_yet_to_come_is_refused(world: Any, crl_check: CrlCheck) -> None:
    issuer, now = world.revocations.signer("intermediate"), world.now
    stale = make_crl(issuer, now=now - 2 * DAY, next_update=now - DAY)
    early = make_crl(issuer, now=now + DAY, next_update=now + 2 * DAY)
    assert crl_check(world, world.good, stale) == EXPIRED
    assert crl_check(world, world.good, early) == NOT_YET


def test_a_list_by_the_wrong_key_is_no_list(world: Any, crl_check: CrlCheck) -> None:
    issuer = world.revocations.signer("intermediate")
    forged = make_crl(
        replace(issuer, key=world.good.key), now=world.now, next_update=world.now + DAY
    )
    assert crl_check(world, world.good, forged) == BAD_SIGNATURE
    stranger = Revocations(Authority.create("stranger")).crl()
    assert crl_check(world, world.good, stranger) == NO_CRL


def test_the_root_revokes_the_intermediate(world: Any, crl_check: CrlCheck) -> None:
    leaves = world.revocations.crl(now=world.now)
    before = world.revocations.crl("root", now=world.now)
    assert crl_check(world, world.good, leaves, before, every=True) == 0
    world.revocations.revoke(world.authority.intermediate, when=world.now)
    after = world.revocations.crl("root", now=world.now)
    assert crl_check(world, world.good, leaves, after, every=True) == REVOKED
    assert crl_check(world, world.good, leaves, after) == 0  # who looks at the leaf alone, misses


def test_a_scope_limits_what_a_list_is_about(world: Any, crl_check: CrlCheck) -> None:
    only_cas = x509.IssuingDistributionPoint(None, None, False, True, None, False, False)
    crl = make_crl(
        world.revocations.signer("intermediate"),
        now=world.now,
        next_update=world.now + DAY,
        scope=only_cas,
    )
    assert crl_check(world, world.good, crl) == SCOPE


def test_what_a_list_says(world: Any) -> None:
    serial, reason = 4711, x509.ReasonFlags.key_compromise
    entries = [Revoked(serial, world.now, reason), (1, world.now, x509.ReasonFlags.unspecified)]
    made = make_crl(
        world.revocations.signer("intermediate"),
        entries,
        now=world.now,
        next_update=world.now + DAY,
        number=7,
    )
    crl = x509.load_der_x509_crl(made)
    assert crl.is_signature_valid(world.authority.intermediate.public_key())
    assert (crl.last_update_utc, crl.next_update_utc) == (world.now, world.now + DAY)
    number = crl.extensions.get_extension_for_class(x509.CRLNumber)
    identifier = crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    assert (number.value.crl_number, number.critical, identifier.critical) == (7, False, False)
    entry = crl.get_revoked_certificate_by_serial_number(serial)
    assert entry is not None
    assert entry.extensions.get_extension_for_class(x509.CRLReason).value.reason is reason
    unspecified = crl.get_revoked_certificate_by_serial_number(1)
    assert unspecified is not None
    assert list(unspecified.extensions) == []  # RFC 5280 section 5.3.1: SHOULD be absent


def test_list_numbers_grow(world: Any) -> None:
    def number() -> int:
        crl = x509.load_der_x509_crl(world.revocations.crl(now=world.now))
        return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number

    assert number() < number() < number()


def test_what_no_list_can_say_is_told(world: Any) -> None:
    issuer = world.revocations.signer("intermediate")
    with pytest.raises(UsageError):
        make_crl(issuer, now=world.now, next_update=world.now - DAY)
    with pytest.raises(UsageError):
        make_crl(issuer, [(1 << 160, world.now, None)], now=world.now, next_update=world.now + DAY)


def test_a_registry_knows_its_own_certificates_only(world: Any) -> None:
    stranger = Authority.create("stranger").issue("good.test")
    with pytest.raises(PKIError):
        world.revocations.revoke(stranger.certificate)
    assert world.revocations.status(world.good.certificate) == "good"
    entry = world.revocations.status(world.revoked.certificate)
    assert isinstance(entry, Revoked)
    assert entry.serial == world.revoked.certificate.serial_number


def test_without_the_roots_key_nobody_signs_for_it(world: Any) -> None:
    locked = Revocations(replace(world.authority, root_key=None))
    assert locked.crl()
    with pytest.raises(PKIError):
        locked.crl("root")


_ISSUER = Revocations(Authority.create("property")).signer("intermediate")
_TIMES = st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)).map(
    lambda time: time.replace(microsecond=0)
)


@settings(deadline=None, max_examples=50)
@given(
    st.dictionaries(
        st.integers(1, (1 << 159) - 1),
        st.tuples(_TIMES, st.sampled_from([None, *set(x509.ReasonFlags)])),
        max_size=20,
    ),
    st.integers(0, (1 << 159) - 1),
)
def test_every_entry_is_found_again(
    entries: dict[int, tuple[datetime, x509.ReasonFlags | None]], number: int
) -> None:
    from datetime import UTC

    now = datetime(2050, 1, 1, tzinfo=UTC)
    revoked = [Revoked(s, w.replace(tzinfo=UTC), r) for s, (w, r) in entries.items()]
    crl = x509.load_der_x509_crl(
        make_crl(_ISSUER, revoked, now=now, next_update=now + DAY, number=number)
    )
    assert {e.serial_number: e.revocation_date_utc for e in crl} == {
        e.serial: e.when for e in revoked
    }
    assert isinstance(_ISSUER, Credential)
