"""ws for wss: a WebSocket is stripped with the page whose link it is."""

from tlslab import Lab, scenario


@scenario(group="stripping", outcome="breached", twin="hsts_keeps_the_websocket_within_tls")
async def websocket_is_stripped_with_its_page(lab: Lab) -> None:
    """The page says wss, and what the browser gets says ws: the chat goes in the clear."""
    chat = await lab.website("chat.test", links={"chat": "wss://chat.test/room"})
    browser = lab.browser()
    mallory = await lab.stripper(browser)
    gossip = lab.canary("gossip")

    page = await browser.visit("chat.test")
    async with browser.websocket(page.link("chat")) as room:
        await room.send_message(gossip.token)
        await room.get_message()

    lab.expect(chat).received(gossip)
    lab.expect(mallory).saw(gossip)


@scenario(group="stripping", twin="websocket_is_stripped_with_its_page")
async def hsts_keeps_the_websocket_within_tls(lab: Lab) -> None:
    """HSTS is for ws as well: the page and its WebSocket come over TLS."""
    chat = await lab.website("chat.test", links={"chat": "wss://chat.test/room"},
                             hsts="max-age=31536000")  # fmt: skip
    browser = lab.browser()
    await browser.visit("chat.test")
    mallory = await lab.stripper(browser)
    gossip = lab.canary("gossip")

    page = await browser.visit("chat.test")
    async with browser.websocket(page.link("chat")) as room:
        await room.send_message(gossip.token)
        await room.get_message()

    lab.expect(chat).received(gossip)
    lab.expect(mallory).saw_no(gossip)
