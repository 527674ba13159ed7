"""Stripping: what a page over TLS becomes for who came without it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlslab.attack.strip import MAX_ORIGINS, Origin, StripTLS

HTML = (b"Content-Type", b"text/html; charset=utf-8")


def stripped(body: bytes, strip: StripTLS | None = None) -> bytes:
    return (strip or StripTLS()).response([HTML], body)[1]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'<form action="https://shop.test/login">', b'<form action="http://shop.test/login">'),
        (b"wss://chat.test/room", b"ws://chat.test/room"),
        (b"HTTPS://SHOP.test", b"http://shop.test"),
        (b"https://shop.test:443/", b"http://shop.test/"),
        (b"https://shop.test:8443/", b"http://shop.test/"),
        (b"http://shop.test/ and ws://shop.test", b"http://shop.test/ and ws://shop.test"),
        (b"https://", b"https://"),
        (b"https://[2001:db8::1]/", b"https://[2001:db8::1]/"),
        (b"https://shop.test:0/ https://shop.test:99999/", b"https://shop.test:0/ https://shop.test:99999/"),
    ],
)  # fmt: skip
def test_urls_lose_their_tls(before: bytes, after: bytes) -> None:
    assert stripped(before) == after


def test_what_was_stripped_is_asked_for_over_tls() -> None:
    strip = StripTLS()
    assert strip.origin("shop.test") == Origin("shop.test", 80, tls=False)
    stripped(b"https://shop.test/ https://pay.test:8443/", strip)
    assert strip.origin("SHOP.test") == Origin("shop.test", 443, tls=True)
    assert strip.origin("pay.test") == Origin("pay.test", 8443, tls=True)
    assert strip.origin("news.test") == Origin("news.test", 80, tls=False)
    assert strip.made_up() == set()


def test_two_ports_of_one_host_are_not_confused() -> None:
    strip = StripTLS()
    assert stripped(b"https://shop.test/ https://shop.test:8443/", strip) == (
        b"http://shop.test/ https://shop.test:8443/"
    )
    assert strip.origin("shop.test").port == 443


def test_made_up_names_lead_to_the_real_ones() -> None:
    strip = StripTLS(renames=True)
    assert stripped(b"https://shop.test/", strip) == b"http://wwww.shop.test/"
    assert strip.made_up() == {"wwww.shop.test"}
    origin = strip.origin("wwww.shop.test")
    assert origin == Origin("shop.test", 443, tls=True)
    asked = strip.request([(b"Host", b"wwww.shop.test"), (b"Cookie", b"a=1")], origin)
    assert asked == [(b"Host", b"shop.test"), (b"Cookie", b"a=1")]


def test_a_port_other_than_the_schemes_stands_in_host() -> None:
    (host, *_) = StripTLS().request([], Origin("shop.test", 8443, tls=True))
    assert host == (b"Host", b"shop.test:8443")


def test_a_request_asks_for_no_compression() -> None:
    headers = [(b"accept-encoding", b"gzip"), (b"Content-Length", b"3"), (b"X", b"y")]
    assert StripTLS().request(headers, Origin("shop.test", 80, tls=False))[1:] == [(b"X", b"y")]


def test_fields_that_lead_back_to_tls_are_removed() -> None:
    headers = [
        HTML,
        (b"Strict-Transport-Security", b"max-age=1"),
        (b"content-security-policy", b"upgrade-insecure-requests"),
        (b"Alt-Svc", b'h3=":443"'),
        (b"Location", b"https://shop.test/x"),
        (b"Set-Cookie", b"a=secure; Secure; HttpOnly"),
        (b"Set-Cookie", b"b=2;secure"),
        (b"Content-Length", b"17"),
    ]
    assert StripTLS().response(headers, b"")[0] == [
        HTML,
        (b"Location", b"http://shop.test/x"),
        (b"Set-Cookie", b"a=secure; HttpOnly"),
        (b"Set-Cookie", b"b=2"),
    ]


@pytest.mark.parametrize("kind", [b"image/png", b"application/octet-stream", None])
def test_what_is_no_text_passes_as_it_is(kind: bytes | None) -> None:
    headers = [] if kind is None else [(b"Content-Type", kind)]
    assert StripTLS().response(headers, b"https://shop.test/")[1] == b"https://shop.test/"


@given(st.lists(st.sampled_from([b"https://a.test", b"wss://b.test/", b" ", b'"', b"x", b"://"])))
def test_no_url_with_tls_is_left_and_stripping_twice_changes_nothing(parts: list[bytes]) -> None:
    strip = StripTLS()
    once = stripped(b" ".join(parts), strip)
    assert not re.search(rb"(https|wss)://[ab]\.test", once)
    assert stripped(once, strip) == once


@given(st.binary(max_size=300))
def test_any_body_can_be_stripped(body: bytes) -> None:
    assert len(stripped(body)) <= len(body)


def test_origins_are_limited() -> None:
    strip = StripTLS()
    body = b" ".join(b"https://h%d.test/" % number for number in range(MAX_ORIGINS + 1))
    urls = stripped(body, strip).split()
    assert len(strip.origins) == MAX_ORIGINS
    assert urls[-2] == b"http://h%d.test/" % (MAX_ORIGINS - 1)
    assert urls[-1] == b"https://h%d.test/" % MAX_ORIGINS
    assert stripped(b"https://h0.test/", strip) == b"http://h0.test/"
