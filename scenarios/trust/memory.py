"""Trust without a CA: the key that came first, and people who want to go on."""

from contextlib import suppress

from tlslab import Lab, TlslabError, scenario


@scenario(group="trust", twin="attacker_is_there_at_first")
async def attacker_comes_later(lab: Lab) -> None:
    """A client that remembers the first key it saw notices that another one takes its place.

    This is trust on first use, as in SSH: no CA is needed, and none can be deceived.
    """
    shop = await lab.server("shop.test")
    client = lab.client(first_use=True)
    await client.get(shop.url())
    mallory = await lab.interceptor(victim=client)
    card = lab.canary("card number")

    with lab.expect(client).refuses(x509=50, alert="handshake_failure"):
        await client.post(shop.url("/pay"), card)

    lab.expect(mallory).saw_no(card)


@scenario(group="trust", outcome="breached", twin="attacker_comes_later")
async def attacker_is_there_at_first(lab: Lab) -> None:
    """Whoever comes first is believed ever after: this time it is Mallory.

    Had the fingerprint been compared by another channel, it would have come to light.
    """
    shop = await lab.server("shop.test")
    client = lab.client(first_use=True)
    mallory = await lab.interceptor(victim=client)
    card = lab.canary("card number")

    await client.get(shop.url())
    await client.post(shop.url("/pay"), card)

    lab.expect(mallory).saw(card)


@scenario(group="trust", outcome="breached", twin="warning_without_a_way_around")
async def user_clicks_the_warning_away(lab: Lab) -> None:
    """The client refuses, says so, and offers to go on nevertheless. People go on."""
    shop = await lab.server("shop.test")
    client, overridden = lab.client(), lab.client("same client", verify_chain=False)
    mallory = await lab.interceptor()
    card = lab.canary("card number")

    with lab.expect(client).refuses(x509=20, alert="unknown_ca"):
        await client.post(shop.url("/pay"), card)
    await overridden.post(shop.url("/pay"), card)

    lab.expect(mallory).saw(card)


@scenario(group="trust", twin="user_clicks_the_warning_away")
async def warning_without_a_way_around(lab: Lab) -> None:
    """The client refuses however often it is asked: there is no button (RFC 6797 section 12.1)."""
    shop = await lab.server("shop.test")
    client = lab.client()
    mallory = await lab.interceptor(victim=client)
    card = lab.canary("card number")

    with lab.expect(client).refuses(x509=20, alert="unknown_ca"):
        await client.post(shop.url("/pay"), card)
    with suppress(TlslabError):
        await client.post(shop.url("/pay"), card)

    lab.expect(mallory).saw_no(card)
