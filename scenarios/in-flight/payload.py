"""Who reads the payload on the cable: everybody, or nobody."""

from tlslab import Lab, scenario


@scenario(group="in-flight", outcome="breached", twin="tls_hides_the_payload", headline=True)
async def plaintext_is_read(lab: Lab) -> None:
    """A sniffer on the path of a plain HTTP connection reads the payload as it is."""
    shop = await lab.server("shop.test", tls=False)
    sniffer = lab.sniffer()
    card = lab.canary("card number")

    await lab.client().post(shop.url("/pay"), card)

    lab.expect(shop).received(card)
    lab.expect(sniffer).saw(card)


@scenario(group="in-flight", twin="plaintext_is_read", headline=True)
async def tls_hides_the_payload(lab: Lab) -> None:
    """A sniffer on the path of a TLS connection reads no byte of the payload.

    It still learns whom the client talks to, and how much they say to each other.
    """
    shop = await lab.server("shop.test")
    sniffer = lab.sniffer()
    card = lab.canary("card number")

    await lab.client().post(shop.url("/pay"), card)

    lab.expect(shop).received(card)
    lab.expect(sniffer).saw_no(card)
    lab.expect(sniffer).learned(server_name="shop.test")
