"""What a browser remembers of HSTS: RFC 6797, rule by rule, each from both sides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlslab.lab.hsts import MAX_AGE, MAX_HOSTS, HSTSPolicy, HSTSStore, read_policy

YEAR = 31_536_000


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> HSTSStore:
    return HSTSStore(clock)


@pytest.mark.parametrize(
    ("value", "policy"),
    [
        ("max-age=31536000", HSTSPolicy(YEAR)),
        ("max-age=31536000; includeSubDomains", HSTSPolicy(YEAR, include_subdomains=True)),
        (" MAX-AGE = 7 ;INCLUDESUBDOMAINS;", HSTSPolicy(7, include_subdomains=True)),
        ('max-age="31536000"', HSTSPolicy(YEAR)),
        ("includeSubDomains; max-age=0; preload", HSTSPolicy(0, include_subdomains=True)),
        (';;max-age=1;; x="a;b\\"c" ;', HSTSPolicy(1)),
        (f"max-age={MAX_AGE}", HSTSPolicy(MAX_AGE)),
        (f"max-age={MAX_AGE + 1}", HSTSPolicy(MAX_AGE)),
        ("max-age=" + "9" * 6000, HSTSPolicy(MAX_AGE)),
        ("max-age=" + "0" * 6000, HSTSPolicy(0)),
    ],
)
def test_a_field_is_read(value: str, policy: HSTSPolicy) -> None:
    assert read_policy(value) == policy


@pytest.mark.parametrize(
    "value",
    [
        "",
        ";",
        "includeSubDomains",  # max-age is required
        "max-age",
        "max-age=",
        "max-age=-1",
        "max-age=1.5",
        "max-age=٣",
        "max-age=1; max-age=1",  # a directive stands there once
        "max-age=1; includeSubDomains; includesubdomains",
        "max-age=1; includeSubDomains=yes",  # and takes no value
        "max-age=1 includeSubDomains",
        'max-age="1',
        "max-age=1; =x",
        "max-age=1, max-age=2",
    ],
)
def test_a_malformed_field_is_ignored(value: str) -> None:
    assert read_policy(value) is None


@given(st.text(max_size=200))
def test_any_text_is_a_policy_or_none(value: str) -> None:
    policy = read_policy(value)
    assert policy is None or 0 <= policy.max_age <= MAX_AGE


@given(st.integers(0, MAX_AGE), st.booleans())
def test_what_is_written_is_read(age: int, subdomains: bool) -> None:
    value = f"max-age={age}" + ("; includeSubDomains" if subdomains else "")
    assert read_policy(value) == HSTSPolicy(age, subdomains)


def test_a_host_is_covered_until_its_policy_expires(store: HSTSStore, clock: Clock) -> None:
    store.note("shop.test", "max-age=100")
    clock.now += 99.9
    assert store.covers("shop.test")
    clock.now += 0.1
    assert not store.covers("shop.test")


def test_each_visit_begins_the_time_anew(store: HSTSStore, clock: Clock) -> None:
    store.note("shop.test", "max-age=100")
    clock.now += 60
    store.note("shop.test", "max-age=100")
    clock.now += 60
    assert store.covers("shop.test")


@pytest.mark.parametrize("spelling", ["shop.test", "SHOP.test", "shop.test."])
def test_names_are_compared_without_case_and_last_dot(store: HSTSStore, spelling: str) -> None:
    store.note(spelling, "max-age=100")
    assert store.covers("Shop.Test")
    assert store.covers("shop.test.")


def test_subdomains_are_covered_if_the_policy_says_so(store: HSTSStore) -> None:
    store.note("shop.test", "max-age=100")
    assert not store.covers("pay.shop.test")
    store.note("shop.test", "max-age=100; includeSubDomains")
    assert store.covers("pay.shop.test")
    assert store.covers("a.b.shop.test")
    assert not store.covers("myshop.test")
    assert not store.covers("test")


def test_a_subdomain_of_its_own_policy_is_covered_by_the_parents(store: HSTSStore) -> None:
    store.note("shop.test", "max-age=100; includeSubDomains")
    store.note("pay.shop.test", "max-age=0")
    assert store.covers("pay.shop.test")


def test_max_age_0_forgets(store: HSTSStore) -> None:
    store.note("shop.test", "max-age=100")
    store.note("shop.test", "nonsense")
    assert store.covers("shop.test")
    store.note("shop.test", "max-age=0")
    assert not store.covers("shop.test")


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1", "[2001:db8::1]"])
def test_addresses_are_never_covered(store: HSTSStore, address: str) -> None:
    store.note(address, "max-age=100")
    assert not store.covers(address)


def test_a_preloaded_host_is_covered_with_its_subdomains(clock: Clock) -> None:
    store = HSTSStore(clock, frozenset(("shop.test",)))
    clock.now += 10 * MAX_AGE
    assert store.covers("shop.test")
    assert store.covers("pay.shop.test")
    assert not store.covers("shop2.test")


def test_a_full_store_drops_what_expires_first(store: HSTSStore) -> None:
    for number in range(MAX_HOSTS):
        store.note(f"host-{number}.test", f"max-age={1000 + number}")
    assert store.covers("host-0.test")
    store.note("one-more.test", "max-age=5000")
    assert store.covers("one-more.test")
    assert not store.covers("host-0.test")
    assert store.covers("host-1.test")


@pytest.mark.parametrize(
    ("given", "upgraded"), [("http", "https"), ("ws", "wss"), ("https", "https")]
)
def test_the_scheme_of_a_covered_host(store: HSTSStore, given: str, upgraded: str) -> None:
    assert store.upgraded_scheme(given, "shop.test") == given
    store.note("shop.test", "max-age=100")
    assert store.upgraded_scheme(given, "shop.test") == upgraded
