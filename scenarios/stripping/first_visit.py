"""TLS stripped off the web: the victim never begins it, so there is nothing for TLS to refuse.

Whoever types `shop.test` asks for http://shop.test/ first, and is led to https from there. A man in
the middle keeps that redirect to himself and answers in the clear, with pages that he fetches over
TLS. Only what the browser knew before it asked can help: HTTP Strict Transport Security (RFC 6797).
"""

from datetime import timedelta

from tlslab import Lab, scenario

A_YEAR = "max-age=31536000"


@scenario(group="stripping", outcome="breached", twin="hsts_learned_before_keeps_tls")
async def first_visit_is_stripped(lab: Lab) -> None:
    """On a first visit, the browser does not know that the shop has TLS, and is never told."""
    shop = await lab.website("shop.test", hsts=A_YEAR)
    browser = lab.browser()
    mallory = await lab.stripper(browser)
    password = lab.canary("password")

    page = await browser.visit("shop.test")
    await browser.submit(page, password)

    lab.expect(shop).received(password)
    lab.expect(mallory).saw(password)


@scenario(group="stripping", twin="first_visit_is_stripped")
async def hsts_learned_before_keeps_tls(lab: Lab) -> None:
    """A browser that was at the shop before, over TLS, goes there over TLS alone for a year."""
    shop = await lab.website("shop.test", hsts=A_YEAR)
    browser = lab.browser()
    await browser.visit("shop.test")
    mallory = await lab.stripper(browser)
    password = lab.canary("password")

    page = await browser.visit("shop.test")
    await browser.submit(page, password)

    lab.expect(shop).received(password)
    lab.expect(mallory).saw_no(password)


@scenario(group="stripping", twin="first_visit_is_stripped")
async def preloaded_host_is_safe_at_first_visit(lab: Lab) -> None:
    """A browser that came with the shop on its list goes there over TLS from the first visit on."""
    shop = await lab.website("shop.test", hsts=f"{A_YEAR}; includeSubDomains; preload")
    browser = lab.browser(preloaded=["shop.test"])
    mallory = await lab.stripper(browser)
    password = lab.canary("password")

    page = await browser.visit("shop.test")
    await browser.submit(page, password)

    lab.expect(shop).received(password)
    lab.expect(mallory).saw_no(password)


@scenario(group="stripping", outcome="breached", twin="hsts_learned_before_keeps_tls")
async def moved_clock_ends_hsts(lab: Lab) -> None:
    """A forged answer of a time server moves the clock on by a year, and what was known expires."""
    shop = await lab.website("shop.test", hsts=A_YEAR)
    browser = lab.browser()
    await browser.visit("shop.test")
    mallory = await lab.stripper(browser)
    password = lab.canary("password")

    browser.move_clock(timedelta(days=366))
    page = await browser.visit("shop.test")
    await browser.submit(page, password)

    lab.expect(shop).received(password)
    lab.expect(mallory).saw(password)


@scenario(group="stripping", twin="login_page_without_tls_is_rewritten")
async def typed_https_leaves_nothing_to_strip(lab: Lab) -> None:
    """Who types https:// begins with TLS, and the man in the middle can only carry it on."""
    shop = await lab.website("shop.test", over_http="page")
    browser = lab.browser()
    mallory = await lab.stripper(browser)
    password = lab.canary("password")

    page = await browser.visit("https://shop.test/")
    await browser.submit(page, password)

    lab.expect(shop).received(password)
    lab.expect(mallory).saw_no(password)


@scenario(group="stripping", outcome="breached", twin="typed_https_leaves_nothing_to_strip")
async def login_page_without_tls_is_rewritten(lab: Lab) -> None:
    """A form that is sent over TLS is no use on a page that came without: its action is rewritten.

    Many sites had their login form on an http page, with a padlock drawn beside it.
    """
    shop = await lab.website("shop.test", over_http="page")
    browser = lab.browser()
    mallory = await lab.stripper(browser)
    password = lab.canary("password")

    page = await browser.visit("shop.test")
    await browser.submit(page, password)

    lab.expect(shop).received(password)
    lab.expect(mallory).saw(password)
