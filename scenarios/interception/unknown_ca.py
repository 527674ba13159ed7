"""A man in the middle whose CA nobody trusts, against clients careful and careless."""

from tlslab import Lab, scenario


@scenario(group="interception", twin="client_without_verification_is_read", headline=True)
async def mitm_with_unknown_ca_is_refused(lab: Lab) -> None:
    """The client finds no trusted root above the forged certificate and refuses to go on.

    The refusal comes before any application data: the man in the middle gets nothing.
    """
    shop = await lab.server("shop.test")
    client = lab.client()
    mallory = await lab.interceptor(victim=client)
    card = lab.canary("card number")

    with lab.expect(client).refuses(x509=20, alert="unknown_ca"):
        await client.post(shop.url("/pay"), card)

    lab.expect(mallory).saw_no(card)
    lab.expect(shop).received_no(card)


@scenario(
    group="interception",
    outcome="breached",
    twin="mitm_with_unknown_ca_is_refused",
    headline=True,
)
async def client_without_verification_is_read(lab: Lab) -> None:
    """Encrypted, but with whom? A client that verifies nothing talks to the man in the middle.

    Neither end notices: the payload arrives, and the connection is TLS on both legs.
    """
    shop = await lab.server("shop.test")
    client = lab.client(verify_chain=False, verify_name=False)
    mallory = await lab.interceptor(victim=client)
    card = lab.canary("card number")

    await client.post(shop.url("/pay"), card)

    lab.expect(mallory).saw(card)
    lab.expect(shop).received(card)
