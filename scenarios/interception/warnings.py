"""A warning that can be clicked away: the browser refuses, and the user overrules it."""

from tlslab import Lab, scenario


@scenario(group="interception", outcome="breached", twin="hsts_leaves_no_warning_to_click_away")
async def warning_is_clicked_away(lab: Lab) -> None:
    """The browser finds the forged certificate, warns, and is told to go on."""
    shop = await lab.website("shop.test")
    browser = lab.browser(clicks_through=True)
    mallory = await lab.interceptor(victim=browser)
    password = lab.canary("password")

    with lab.expect(browser).refuses(x509=20, alert="unknown_ca"):
        page = await browser.visit("https://shop.test/")
        await browser.submit(page, password)

    lab.expect(shop).received(password)
    lab.expect(mallory).saw(password)


@scenario(group="interception", twin="warning_is_clicked_away")
async def hsts_leaves_no_warning_to_click_away(lab: Lab) -> None:
    """For a host with HSTS the browser offers no way around its refusal (RFC 6797 section 12.1)."""
    shop = await lab.website("shop.test", hsts="max-age=31536000")
    browser = lab.browser(clicks_through=True)
    await browser.visit("https://shop.test/")
    mallory = await lab.interceptor(victim=browser)
    password = lab.canary("password")

    with lab.expect(browser).refuses(x509=20, alert="unknown_ca"):
        page = await browser.visit("https://shop.test/")
        await browser.submit(page, password)

    lab.expect(shop).received_no(password)
    lab.expect(mallory).saw_no(password)
