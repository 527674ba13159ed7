"""A root that should not be in the trust store: verification works, and the attacker passes it."""

from tlslab import Lab, scenario


@scenario(group="interception", outcome="breached", twin="without_the_rogue_root_mitm_is_refused",
          headline=True)  # fmt: skip
async def rogue_root_lets_mitm_read(lab: Lab) -> None:
    """With the attacker's root installed, every check passes, and the man in the middle reads.

    This is how corporate inspection, some antivirus software and some pre-installed programs work.
    """
    shop = await lab.server("shop.test")
    client = lab.client()
    mallory = await lab.interceptor(victim=client)
    client.trust(mallory.authority.root)
    card = lab.canary("card number")

    await client.post(shop.url("/pay"), card)

    lab.expect(mallory).saw(card)
    lab.expect(shop).received(card)


@scenario(group="interception", twin="rogue_root_lets_mitm_read")
async def without_the_rogue_root_mitm_is_refused(lab: Lab) -> None:
    """The same attacker and the same client, whose trust store was kept clean."""
    shop = await lab.server("shop.test")
    client = lab.client()
    mallory = await lab.interceptor(victim=client)
    card = lab.canary("card number")

    with lab.expect(client).refuses(x509=20, alert="unknown_ca"):
        await client.post(shop.url("/pay"), card)

    lab.expect(mallory).saw_no(card)
    lab.expect(shop).received_no(card)
