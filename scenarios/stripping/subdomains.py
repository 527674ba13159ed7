"""HSTS without includeSubDomains: the names that it does not cover are stripped as if it was not.

The browser has been at the shop before, over TLS, and knows its policy.
"""

from tlslab import Lab, scenario

A_YEAR = "max-age=31536000"
WITH_SUBDOMAINS = f"{A_YEAR}; includeSubDomains"


@scenario(group="stripping", outcome="breached", twin="covered_subdomain_keeps_tls")
async def new_subdomain_is_stripped(lab: Lab) -> None:
    """What the browser knows of shop.test says nothing of pay.shop.test."""
    await lab.website("shop.test", hsts=A_YEAR)
    till = await lab.website("pay.shop.test", hsts=A_YEAR)
    browser = lab.browser()
    await browser.visit("shop.test")
    mallory = await lab.stripper(browser)
    password = lab.canary("password")

    page = await browser.visit("pay.shop.test")
    await browser.submit(page, password)

    lab.expect(till).received(password)
    lab.expect(mallory).saw(password)


@scenario(group="stripping", twin="new_subdomain_is_stripped")
async def covered_subdomain_keeps_tls(lab: Lab) -> None:
    """With includeSubDomains, a visit to shop.test protects the first one to pay.shop.test."""
    await lab.website("shop.test", hsts=WITH_SUBDOMAINS)
    till = await lab.website("pay.shop.test", hsts=A_YEAR)
    browser = lab.browser()
    await browser.visit("shop.test")
    mallory = await lab.stripper(browser)
    password = lab.canary("password")

    page = await browser.visit("pay.shop.test")
    await browser.submit(page, password)

    lab.expect(till).received(password)
    lab.expect(mallory).saw_no(password)


@scenario(group="stripping", outcome="breached", twin="made_up_name_is_covered")
async def made_up_name_evades_hsts(lab: Lab) -> None:
    """A link on a page without TLS is given another name: wwww.shop.test, which nobody knows yet.

    The man in the middle answers the question where that is, too (sslstrip2).
    """
    shop = await lab.website("shop.test", hsts=A_YEAR)
    await lab.website("news.test", tls=False, links={"our shop": shop.url()})
    browser = lab.browser()
    await browser.visit("shop.test")
    mallory = await lab.stripper(browser, renames=True)
    password = lab.canary("password")

    news = await browser.visit("news.test")
    page = await browser.follow(news, "our shop")
    await browser.submit(page, password)

    lab.expect(shop).received(password)
    lab.expect(mallory).saw(password)


@scenario(group="stripping", twin="made_up_name_evades_hsts")
async def made_up_name_is_covered(lab: Lab) -> None:
    """includeSubDomains covers names that do not exist: no certificate is for wwww.shop.test."""
    shop = await lab.website("shop.test", hsts=WITH_SUBDOMAINS)
    await lab.website("news.test", tls=False, links={"our shop": shop.url()})
    browser = lab.browser()
    await browser.visit("shop.test")
    mallory = await lab.stripper(browser, renames=True)
    password = lab.canary("password")

    news = await browser.visit("news.test")
    with lab.expect(browser).refuses(x509=62, alert="bad_certificate"):
        page = await browser.follow(news, "our shop")
        await browser.submit(page, password)

    lab.expect(shop).received_no(password)
    lab.expect(mallory).saw_no(password)
