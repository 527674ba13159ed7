"""Pages: links and forms as a browser finds them, in any bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlslab.errors import ScenarioError
from tlslab.lab.page import MAX_ELEMENTS, MAX_PAGE, Form, Link, read_page

BASE = "https://shop.test/a/b"


def test_links_and_forms_with_absolute_urls() -> None:
    page = read_page(
        BASE,
        200,
        b'<a href="/x?a=1&amp;b=2">to <b>x</b></a> <A HREF=c>c</A> <a name=y>no link</a>'
        b'<input name=stray><form action="http://shop.test/login"><input name=user>'
        b"<input type=password name=password><input></form><form><input name=q></form>",
    )
    assert page.links == (
        Link("to x", "https://shop.test/x?a=1&b=2"),
        Link("c", "https://shop.test/a/c"),
    )
    assert page.forms == (
        Form("http://shop.test/login", ("user", "password")),
        Form(BASE, ("q",)),
    )
    assert page.link("c") == "https://shop.test/a/c"
    assert page.form().fields == ("user", "password")


def test_what_is_not_there_is_the_scripts_mistake() -> None:
    page = read_page(BASE, 404, b"<p>nothing")
    with pytest.raises(ScenarioError):
        page.link("x")
    with pytest.raises(ScenarioError):
        page.form()


@given(st.binary(max_size=500) | st.text("<>a/=\"' href-!form", max_size=200).map(str.encode))
def test_any_bytes_are_a_page(content: bytes) -> None:
    page = read_page(BASE, 200, content)
    assert page.url == BASE


def test_a_page_is_read_up_to_the_limit() -> None:
    link = b"<a href=/x>x</a>"
    within = b" " * (MAX_PAGE - len(link)) + link
    assert len(read_page(BASE, 200, within).links) == 1
    assert len(read_page(BASE, 200, b" " + within).links) == 0


@pytest.mark.parametrize("element", [b"<a href=/>x</a>", b"<form>"])
def test_a_page_has_as_many_elements_as_the_limit(element: bytes) -> None:
    page = read_page(BASE, 200, element * (MAX_ELEMENTS + 1))
    assert len(page.links) + len(page.forms) == MAX_ELEMENTS


def test_a_url_that_is_none_is_kept_as_it_is() -> None:
    assert read_page(BASE, 200, b"<a href='http://['>x</a>").links == (Link("x", "http://["),)
