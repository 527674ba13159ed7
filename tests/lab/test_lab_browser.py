"""The browser and the website: which connection an address, a redirect or a header leads to."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tlslab.errors import UsageError
from tlslab.http import Request, Response
from tlslab.lab import Lab, open_lab
from tlslab.lab.browser import MAX_REDIRECTS
from tlslab.lab.website import Website
from tlslab.tls import CertificateRefused


def redirects(monkeypatch: pytest.MonkeyPatch, status: int, to: str, times: int) -> list[str]:
    """Let every website answer its first requests with redirects; the requests' lines."""
    asked: list[str] = []

    def answer(site: Website, request: Request, body: bytes, stream: object, peer: str) -> Response:
        asked.append(f"{request.method} {request.target} {body.decode()}".rstrip())
        if len(asked) <= times:
            return Response(status, [(b"Location", to.encode())])
        return Response(200, [], b"<form><input name=p></form>")

    monkeypatch.setattr(Website, "answer", answer)
    return asked


async def test_an_address_without_a_scheme_is_http_first(tmp_path: Path) -> None:
    async with open_lab(tmp_path, "lab") as lab:
        shop = await lab.website("shop.test")
        page = await lab.browser().visit("shop.test/x?y")
        assert page.url == "https://shop.test/x?y"
        assert [line.split('"')[1] for line in shop.access_log] == ["GET /x?y HTTP/1.1"] * 2


async def test_hsts_changes_scheme_and_default_port_only(tmp_path: Path) -> None:
    async with open_lab(tmp_path, "lab") as lab:
        await lab.website("shop.test")
        browser = lab.browser(preloaded=["shop.test"])
        assert (await browser.visit("http://shop.test:443/x")).url == "https://shop.test:443/x"
        assert (await browser.visit("http://shop.test:80/x")).url == "https://shop.test/x"


async def test_hsts_is_taken_from_verified_tls_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(site: Website, request: Request, body: bytes, stream: object, peer: str) -> Response:
        return Response(200, [(b"Strict-Transport-Security", b"max-age=1000")])

    monkeypatch.setattr(Website, "answer", answer)
    async with open_lab(tmp_path, "lab") as lab:
        await lab.website("shop.test")
        browser = lab.browser(clicks_through=True)
        await browser.visit("http://shop.test/")
        assert not browser.hsts.covers("shop.test")  # without TLS
        browser.distrust(lab.ca.root)
        await browser.visit("https://shop.test/")
        assert not browser.hsts.covers("shop.test")  # the warning was clicked away
        browser.trust(lab.ca.root)
        await browser.visit("https://shop.test/")
        assert browser.hsts.covers("shop.test")


async def test_clicking_through_is_for_one_request(tmp_path: Path) -> None:
    async with open_lab(tmp_path, "lab") as lab:
        await lab.website("shop.test")
        browser = lab.browser(clicks_through=True)
        browser.distrust(lab.ca.root)
        await browser.visit("https://shop.test/")
        assert browser.policy.verify_chain
        assert browser.policy.verify_name
        browser.clicks_through = False
        with pytest.raises(CertificateRefused):
            await browser.visit("https://shop.test/")


async def test_a_moved_clock_is_the_browsers_alone(tmp_path: Path) -> None:
    async with open_lab(tmp_path, "lab") as lab:
        await lab.website("shop.test", hsts="max-age=86400")
        one, other = lab.browser("one"), lab.browser("other")
        for browser in (one, other):
            await browser.visit("shop.test")
        one.move_clock(timedelta(hours=23))
        assert one.hsts.covers("shop.test")
        one.move_clock(timedelta(hours=2))
        assert not one.hsts.covers("shop.test")
        assert other.hsts.covers("shop.test")


@pytest.mark.parametrize(
    ("status", "second"),
    [(301, "GET /b"), (302, "GET /b"), (303, "GET /b"), (307, "POST /b p=x"), (308, "POST /b p=x")],
)
async def test_redirects_keep_the_method_or_change_it_to_get(
    status: int, second: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = redirects(monkeypatch, status, "/b#part", times=1)
    async with open_lab(tmp_path, "lab") as lab:
        await lab.website("shop.test")
        browser = lab.browser()
        page = await browser._navigate("POST", "https://shop.test/a", b"p=x")
        assert page.url == "https://shop.test/b"
    assert asked == ["POST /a p=x", second]


@pytest.mark.parametrize("times", [MAX_REDIRECTS, MAX_REDIRECTS + 1])
async def test_redirects_are_followed_up_to_the_limit(
    times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = redirects(monkeypatch, 302, "/on", times)
    async with open_lab(tmp_path, "lab") as lab:
        await lab.website("shop.test")
        if times > MAX_REDIRECTS:
            with pytest.raises(UsageError):
                await lab.browser().visit("https://shop.test/")
        else:
            assert (await lab.browser().visit("https://shop.test/")).status == 200
    assert len(asked) == MAX_REDIRECTS + 1


@pytest.mark.parametrize("location", ["http://[", "ftp://shop.test/", "http://"])
async def test_a_redirect_to_no_url_is_told(
    location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    redirects(monkeypatch, 302, location, times=1)
    async with open_lab(tmp_path, "lab") as lab:
        await lab.website("shop.test")
        with pytest.raises(UsageError):
            await lab.browser().visit("https://shop.test/")


async def head_of(lab: Lab, url: str) -> dict[bytes, bytes]:
    answer = await lab.client().get(url)
    return {name.lower(): value for name, value in answer.headers}


async def test_a_website_says_hsts_over_tls_only(tmp_path: Path) -> None:
    async with open_lab(tmp_path, "lab") as lab:
        await lab.website("shop.test", hsts="max-age=5", over_http="page")
        assert (await head_of(lab, "https://shop.test/"))[
            b"strict-transport-security"
        ] == b"max-age=5"
        assert b"strict-transport-security" not in await head_of(lab, "http://shop.test/")


async def test_a_page_shows_what_it_is_told_as_text(tmp_path: Path) -> None:
    async with open_lab(tmp_path, "lab") as lab:
        links = {'<b>"x"</b>': 'https://shop.test/?a="<b>'}
        await lab.website("shop.test", links=links)
        page = await lab.browser().visit("https://shop.test/")
        assert {link.text: link.url for link in page.links} == links
        assert page.form().fields == ("password",)
