"""Names in certificates: what is accepted, how it is encoded, and what is refused."""

from __future__ import annotations

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from tlslab.errors import UsageError
from tlslab.pki.names import name_text, readable, subject_name

ACCEPTED = {
    "shop.test": "shop.test",
    "Shop.TEST": "shop.test",
    "shop.test.": "shop.test",
    "localhost": "localhost",
    "*.shop.test": "*.shop.test",
    "bücher.test": "xn--bcher-kva.test",
    "BÜCHER.test": "xn--bcher-kva.test",
    "*.bücher.test": "*.xn--bcher-kva.test",
    "xn--bcher-kva.test": "xn--bcher-kva.test",
    "faß.test": "xn--fa-hia.test",  # IDNA 2003 would make it fass.test: somebody else's name
    "例え.テスト": "xn--r8jz45g.xn--zckzah",
    "1.shop.test": "1.shop.test",
    "3com.test": "3com.test",
    "192.0.2.1": "192.0.2.1",
    "2001:DB8:0::1": "2001:db8::1",
}

REFUSED = [
    "",
    ".",
    "*",
    "*.",
    "*.test",
    "*.*.shop.test",
    "a*.shop.test",
    "shop.*.test",
    "*.192.0.2.1",
    "a b.test",
    " shop.test",
    "my_shop.test",
    "-shop.test",
    "shop-.test",
    "ab--cd.test",
    "xn--a.test",
    "a..test",
    ".shop.test",
    "shop.test..",
    "shop.test\n",
    "shop\x00.test",
    "a\u202eb.test",
    "a\u200bb_.test",
    "\ud800.test",
    "192.0.2",
    "192.0.2.256",
    "192.0.2.1:443",
    "192.0.2.0/24",
    "0x7f.1",
    "[::1]",
    "fe80::1%eth0",
    "https://shop.test",
    "shop.test:443",
    "alice@shop.test",
    "[red]shop[/red]",
    "a" * 64 + ".test",
    "x" * 100_000,
]


@pytest.mark.parametrize(("text", "encoded"), ACCEPTED.items())
def test_accepted(text: str, encoded: str) -> None:
    assert str(name_text(subject_name(text))) == encoded


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: ascii(text)[:30])
def test_refused(text: str) -> None:
    with pytest.raises(UsageError) as told:
        subject_name(text)
    assert told.value.message.isprintable()
    assert len(told.value.message) < 600


def test_the_length_limits_from_both_sides() -> None:
    assert subject_name("a" * 63 + ".test")
    name = ".".join(["a" * 49] * 5) + ".bc"  # 252 characters
    assert len(name_text(subject_name(name + "d"))) == 253
    with pytest.raises(UsageError):
        subject_name(name + "de")
    with pytest.raises(UsageError):
        subject_name("*." + name)  # fits only without its wildcard


def test_the_length_limit_counts_the_ascii_form() -> None:
    label = "a" * 40 + "ü"
    host = ".".join([label] * 5)  # 209 characters, many more once encoded
    encoded = len(name_text(subject_name(host)))
    assert len(host) + 20 < encoded < 251
    longest = "b" * (251 - encoded - 1) + "." + host
    assert len(name_text(subject_name("*." + longest))) == 253
    with pytest.raises(UsageError, match="longer than 253"):
        subject_name("*.b" + longest)


@given(st.text(max_size=300))
def test_any_text_is_a_name_or_the_users_mistake(text: str) -> None:
    try:
        name = subject_name(text)
    except UsageError as error:
        told = error.message
    else:
        told = name_text(name)
        assert told.isascii()
        assert subject_name(told) == name
    assert told.isprintable()


@given(st.ip_addresses())
def test_every_address_is_an_address(address: object) -> None:
    assert subject_name(str(address)) == x509.IPAddress(address)  # type: ignore[arg-type]


@given(st.text(max_size=300))
def test_readable_takes_any_text(text: str) -> None:
    assert readable(text).startswith(text)


def test_readable_shows_both_forms() -> None:
    assert readable("*.xn--bcher-kva.test") == "*.xn--bcher-kva.test (*.bücher.test)"
    assert readable("shop.test") == "shop.test"
