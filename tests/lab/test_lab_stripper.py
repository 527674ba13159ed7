"""The stripper between a browser and its sites, beyond what the scenarios show."""

from __future__ import annotations

from pathlib import Path

import pytest

from tlslab.capture import Canary
from tlslab.lab import Lab, open_lab
from tlslab.lab.evidence import PartyRecord
from tlslab.lab.stripper import Stripper


async def held(lab: Lab, stripper: Stripper) -> PartyRecord:
    """What the stripper turns out to hold."""
    await lab.collect()
    return stripper.taken


async def test_it_reads_nothing_of_tls(tmp_path: Path) -> None:
    async with open_lab(tmp_path, "lab") as lab:
        shop = await lab.website("shop.test")
        browser = lab.browser()
        mallory = await lab.stripper(browser)
        card = lab.canary("card number")
        await browser.post(shop.url("/pay"), card)
    record = await held(lab, mallory)
    assert record.sightings == []
    assert record.learned["server_name"] == "shop.test"  # it was on the path nevertheless


async def test_it_reads_what_never_had_tls(tmp_path: Path) -> None:
    async with open_lab(tmp_path, "lab") as lab:
        news = await lab.website("news.test", tls=False)
        browser = lab.browser()
        mallory = await lab.stripper(browser)
        name = lab.canary("name")
        await browser.submit(await browser.visit("news.test"), name)
        assert name.token in b"".join(news.received)
    assert [one.canary for one in (await held(lab, mallory)).sightings] == ["name"]


async def test_only_its_victim_is_stripped(tmp_path: Path) -> None:
    async with open_lab(tmp_path, "lab") as lab:
        await lab.website("shop.test")
        victim, other = lab.browser("victim"), lab.browser("other")
        await lab.stripper(victim)
        assert (await victim.visit("shop.test")).url == "http://shop.test/"
        assert (await other.visit("shop.test")).url == "https://shop.test/"


async def test_its_own_connections_are_careful(tmp_path: Path) -> None:
    async with open_lab(tmp_path, "lab") as lab:
        shop = await lab.website("shop.test")
        shop.renew(lab.ca.issue("other.test"))
        browser = lab.browser()
        await lab.stripper(browser)
        assert (await browser.visit("shop.test")).status == 502
        (refusal,) = lab.journal.refusals
        assert (refusal.refuser, refusal.x509_number) == ("mallory", 62)


async def test_a_session_cookie_loses_secure_and_is_read(tmp_path: Path) -> None:
    async with open_lab(tmp_path, "lab") as lab:
        session = lab.canary("session")
        await lab.website("shop.test", session=session)
        browser = lab.browser()
        mallory = await lab.stripper(browser)
        await browser.submit(await browser.visit("shop.test"), Canary.fresh("password"))
        assert browser.cookies.header("shop.test", secure=False) == f"session={session.text}"
    assert "session" in {one.canary for one in (await held(lab, mallory)).sightings}


@pytest.mark.parametrize("name", ["gone.test", "shop.test"])
async def test_a_host_that_is_not_there_is_a_bad_gateway(name: str, tmp_path: Path) -> None:
    async with open_lab(tmp_path, "lab") as lab:
        lab.network.host(name)
        browser = lab.browser()
        await lab.stripper(browser)
        assert (await browser.visit(name)).status == 502
