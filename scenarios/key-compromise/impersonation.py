"""A stolen server key opens no recording where keys are ephemeral. But its holder is the server."""

from datetime import UTC, datetime, timedelta

from tlslab import Lab, scenario


@scenario(group="key-compromise", outcome="breached", twin="an_expired_certificate_ends_the_theft")
async def thief_of_the_key_is_the_server(lab: Lab) -> None:
    """With the server's key and certificate a man in the middle passes every check."""
    shop = await lab.server("shop.test")
    client = lab.client()
    assert shop.policy is not None
    mallory = await lab.interceptor(victim=client, genuine=shop.policy.credential)
    card = lab.canary("card number")

    await client.post(shop.url("/pay"), card)

    lab.expect(mallory).saw(card)
    lab.expect(shop).received(card)


@scenario(group="key-compromise", twin="thief_of_the_key_is_the_server")
async def an_expired_certificate_ends_the_theft(lab: Lab) -> None:
    """A key that was stolen last month is worth nothing once its certificate has expired.

    That is why certificates become short-lived: expiry needs nobody to notice the theft.
    """
    shop = await lab.server("shop.test")
    last_month = datetime.now(UTC) - timedelta(days=31)
    stolen = lab.ca.issue("shop.test", now=last_month, lifetime=timedelta(days=7))
    client = lab.client()
    mallory = await lab.interceptor(victim=client, genuine=stolen)
    card = lab.canary("card number")

    with lab.expect(client).refuses(x509=10, alert="certificate_expired"):
        await client.post(shop.url("/pay"), card)

    lab.expect(mallory).saw_no(card)
