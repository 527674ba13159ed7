"""A site with TLS that leaves one door open: a form, a cookie or a link that goes without.

No attacker has to interfere with anything here: a sniffer is enough.
"""

from tlslab import Lab, scenario


@scenario(group="stripping", outcome="breached", twin="upgraded_form_is_sent_over_tls")
async def form_without_tls_on_a_page_with_tls(lab: Lab) -> None:
    """A form on a page with TLS is sent where its action says: here to an old http URL."""
    shop = await lab.website("shop.test", form_action="http://shop.test/login", over_http="page")
    browser = lab.browser()
    sniffer = lab.sniffer()
    password = lab.canary("password")

    page = await browser.visit("https://shop.test/")
    await browser.submit(page, password)

    lab.expect(shop).received(password)
    lab.expect(sniffer).saw(password)


@scenario(group="stripping", twin="form_without_tls_on_a_page_with_tls")
async def upgraded_form_is_sent_over_tls(lab: Lab) -> None:
    """The same old page with `upgrade-insecure-requests`: the browser makes http URLs https ones.

    A site with many old pages can do that in its server's configuration.
    """
    shop = await lab.website("shop.test", form_action="http://shop.test/login", over_http="page",
                             csp="upgrade-insecure-requests")  # fmt: skip
    browser = lab.browser()
    sniffer = lab.sniffer()
    password = lab.canary("password")

    page = await browser.visit("https://shop.test/")
    await browser.submit(page, password)

    lab.expect(shop).received(password)
    lab.expect(sniffer).saw_no(password)


@scenario(group="stripping", outcome="breached", twin="secure_cookie_stays_within_tls")
async def cookie_without_secure_is_sent_in_the_clear(lab: Lab) -> None:
    """A session that began over TLS is stolen with the next request without it.

    Anybody can make a browser send one: an image with an http URL on any page will do.
    """
    session, password = lab.canary("session"), lab.canary("password")
    shop = await lab.website("shop.test", session=session, cookie_attributes="HttpOnly")
    browser = lab.browser()
    sniffer = lab.sniffer()

    page = await browser.visit("https://shop.test/")
    await browser.submit(page, password)
    await browser.visit("http://shop.test/")

    lab.expect(shop).received(password)
    lab.expect(sniffer).saw(session)


@scenario(group="stripping", twin="cookie_without_secure_is_sent_in_the_clear")
async def secure_cookie_stays_within_tls(lab: Lab) -> None:
    """A cookie marked Secure is not sent without TLS (RFC 6265 section 5.4)."""
    session, password = lab.canary("session"), lab.canary("password")
    shop = await lab.website("shop.test", session=session, cookie_attributes="Secure; HttpOnly")
    browser = lab.browser()
    sniffer = lab.sniffer()

    page = await browser.visit("https://shop.test/")
    await browser.submit(page, password)
    await browser.visit("http://shop.test/")

    lab.expect(shop).received(password)
    lab.expect(sniffer).saw_no(session)
