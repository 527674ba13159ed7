"""Cookies: which are taken, and over what they are sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlslab.lab.cookies import MAX_COOKIE, MAX_COOKIES, CookieJar


def jar(*fields: str, secure: bool = True) -> CookieJar:
    made = CookieJar()
    for field in fields:
        made.note("shop.test", field, secure=secure)
    return made


def test_a_cookie_goes_back_to_its_host_only() -> None:
    cookies = jar("a=1; HttpOnly", "b=2; Path=/x")
    assert cookies.header("shop.test", secure=False) == "a=1; b=2"
    assert cookies.header("SHOP.test", secure=True) == "a=1; b=2"
    assert cookies.header("pay.shop.test", secure=True) == ""


@pytest.mark.parametrize("attribute", ["Secure", "secure", " SECURE ", "Secure=no"])
def test_a_secure_cookie_goes_over_tls_only(attribute: str) -> None:
    cookies = jar(f"a=1; {attribute}")
    assert cookies.header("shop.test", secure=True) == "a=1"
    assert cookies.header("shop.test", secure=False) == ""


def test_without_tls_secure_cookies_are_neither_set_nor_overwritten() -> None:
    cookies = jar("a=1; Secure")
    cookies.note("shop.test", "a=2", secure=False)
    cookies.note("shop.test", "b=2; Secure", secure=False)
    cookies.note("shop.test", "c=2", secure=False)
    assert cookies.header("shop.test", secure=True) == "a=1; c=2"


@pytest.mark.parametrize("field", ["", "a", "=1", "a b=1", "a=1\r\nX: y", "a\x00=1", "ä=1"])
def test_a_malformed_field_is_ignored(field: str) -> None:
    assert jar(field).header("shop.test", secure=True) == ""


def test_a_cookie_may_be_as_long_as_the_limit() -> None:
    assert jar("a=" + "x" * (MAX_COOKIE - 1)).header("shop.test", secure=True)
    assert not jar("a=" + "x" * MAX_COOKIE).header("shop.test", secure=True)


def test_a_host_has_as_many_as_the_limit_and_may_change_them() -> None:
    cookies = jar(*(f"n{number}=1" for number in range(MAX_COOKIES + 1)), "n0=2")
    sent = cookies.header("shop.test", secure=True).split("; ")
    assert len(sent) == MAX_COOKIES
    assert sent[0] == "n0=2"


@given(st.text(max_size=100))
def test_what_is_sent_is_one_field_of_a_head(field: str) -> None:
    sent = jar(field).header("shop.test", secure=True)
    assert not {"\r", "\n", "\x00"} & set(sent)
