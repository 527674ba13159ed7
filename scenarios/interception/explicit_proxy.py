"""An explicit proxy that leads the tunnel elsewhere: CONNECT shop.test, and mallory.test answers.

Its certificate is genuine, and for the name of its own server. A captive portal does the same.
"""

from tlslab import Lab, scenario


@scenario(group="interception", twin="cheating_proxy_is_believed")
async def cheating_proxy_is_found_out_by_the_name(lab: Lab) -> None:
    """The client checks the name that it asked for, whatever the proxy says."""
    shop = await lab.server("shop.test")
    proxy = await lab.cheating_proxy("proxy.test", genuine=lab.ca.issue("mallory.test"))
    client = lab.proxied_client("proxy.test")
    card = lab.canary("card number")

    with lab.expect(client).refuses(x509=62, alert="bad_certificate"):
        await client.post(shop.url("/pay"), card)

    lab.expect(shop).received_no(card)
    lab.expect(proxy).saw_no(card)


@scenario(group="interception", outcome="breached", twin="cheating_proxy_is_found_out_by_the_name")
async def cheating_proxy_is_believed(lab: Lab) -> None:
    """A client that checks the chain only takes the end of the tunnel for the shop."""
    shop = await lab.server("shop.test")
    proxy = await lab.cheating_proxy("proxy.test", genuine=lab.ca.issue("mallory.test"))
    client = lab.proxied_client("proxy.test", verify_name=False)
    card = lab.canary("card number")

    await client.post(shop.url("/pay"), card)

    lab.expect(shop).received(card)
    lab.expect(proxy).saw(card)
