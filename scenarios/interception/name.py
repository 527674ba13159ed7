"""A genuine certificate for another name: the chain is in order, the name is not."""

from tlslab import Lab, scenario


@scenario(group="interception", outcome="breached", twin="wrong_name_is_refused", headline=True)
async def client_that_skips_the_name_is_read(lab: Lab) -> None:
    """A client that checks the chain but not the name takes anybody's genuine certificate."""
    shop = await lab.server("shop.test")
    client = lab.client(verify_name=False)
    mallory = await lab.interceptor(victim=client, genuine=lab.ca.issue("mallory.test"))
    card = lab.canary("card number")

    await client.post(shop.url("/pay"), card)

    lab.expect(mallory).saw(card)
    lab.expect(shop).received(card)


@scenario(group="interception", twin="client_that_skips_the_name_is_read")
async def wrong_name_is_refused(lab: Lab) -> None:
    """A certificate from a trusted CA, but for another name, is refused by its name alone."""
    shop = await lab.server("shop.test")
    client = lab.client()
    mallory = await lab.interceptor(victim=client, genuine=lab.ca.issue("mallory.test"))
    card = lab.canary("card number")

    with lab.expect(client).refuses(x509=62, alert="bad_certificate"):
        await client.post(shop.url("/pay"), card)

    lab.expect(mallory).saw_no(card)
    lab.expect(shop).received_no(card)
