"""URLs: what is taken apart is what was put together; what is none is refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlslab.errors import UsageError
from tlslab.lab.url import DEFAULT_PORTS, URL

LABEL = st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
TARGET = st.from_regex(r"/[A-Za-z0-9/._~-]{0,30}(\?[a-z=&]{1,20})?", fullmatch=True)


@given(st.sampled_from(sorted(DEFAULT_PORTS)), LABEL, st.integers(1, 65535), TARGET)
def test_what_is_put_together_is_taken_apart(
    scheme: str, host: str, port: int, target: str
) -> None:
    url = URL.parse(f"{scheme}://{host}:{port}{target}")
    assert (url.scheme, url.host, url.port, url.target) == (scheme, host, port, target)
    assert url.secure is (scheme in ("https", "wss"))
    assert URL.parse(f"{scheme}://{url.authority}{target}") == url


@given(st.text())
def test_anything_else_is_refused_as_the_users_mistake(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert URL.parse(text).host


@pytest.mark.parametrize(
    "text", ["", "shop.test", "ftp://shop.test/", "https://", "http://x:99999"]
)
def test_no_url_of_the_lab(text: str) -> None:
    with pytest.raises(UsageError):
        URL.parse(text)


def test_a_missing_path_is_the_root() -> None:
    assert URL.parse("https://shop.test?q=1") == URL("https", "shop.test", 443, "/?q=1")
