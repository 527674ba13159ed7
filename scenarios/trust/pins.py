"""Pins: the client knows the server's key, and no CA in the world can talk it out of that."""

from tlslab import Lab, scenario


@scenario(group="trust", outcome="breached", twin="pin_stops_the_rogue_root")
async def rogue_root_vouches_for_anybody(lab: Lab) -> None:
    """A root too many in the trust store, and every name can be taken by whoever has its key.

    Hundreds of CAs are in the store of a browser, and each can vouch for every name there is.
    """
    shop = await lab.server("shop.test")
    client = lab.client()
    mallory = await lab.interceptor(victim=client)
    client.trust(mallory.authority.root)
    card = lab.canary("card number")

    await client.post(shop.url("/pay"), card)

    lab.expect(mallory).saw(card)


@scenario(group="trust", twin="rogue_root_vouches_for_anybody")
async def pin_stops_the_rogue_root(lab: Lab) -> None:
    """The chain is in order and its root is trusted, but the key is not the one that was pinned.

    The pin is checked before anything is sent. A second, spare key is pinned for bad days.
    """
    shop = await lab.server("shop.test")
    spare = lab.ca.issue("shop.test")
    client = lab.client(pins=[shop.credential.certificate, spare.certificate])
    mallory = await lab.interceptor(victim=client)
    client.trust(mallory.authority.root)
    card = lab.canary("card number")

    with lab.expect(client).refuses(x509=50, alert="handshake_failure"):
        await client.post(shop.url("/pay"), card)

    lab.expect(mallory).saw_no(card)
    lab.expect(shop).received_no(card)


@scenario(group="trust", outcome="breached", twin="pinning_the_key_stops_misissuance")
async def trusted_ca_issues_to_the_wrong_one(lab: Lab) -> None:
    """A CA that everybody trusts was deceived, and issued a certificate for the shop to Mallory.

    The client pins that CA's key, which is of no use: it is the very CA that was deceived.
    """
    shop = await lab.server("shop.test")
    client = lab.client(pins=[lab.ca.intermediate, lab.ca.root])
    mallory = await lab.interceptor(victim=client, genuine=lab.ca.issue("shop.test"))
    card = lab.canary("card number")

    await client.post(shop.url("/pay"), card)

    lab.expect(mallory).saw(card)


@scenario(group="trust", twin="trusted_ca_issues_to_the_wrong_one")
async def pinning_the_key_stops_misissuance(lab: Lab) -> None:
    """A genuine certificate of the right CA for the right name, but not with the shop's own key."""
    shop = await lab.server("shop.test")
    spare = lab.ca.issue("shop.test")
    client = lab.client(pins=[shop.credential.certificate, spare.certificate])
    mallory = await lab.interceptor(victim=client, genuine=lab.ca.issue("shop.test"))
    card = lab.canary("card number")

    with lab.expect(client).refuses(x509=50, alert="handshake_failure"):
        await client.post(shop.url("/pay"), card)

    lab.expect(mallory).saw_no(card)


@scenario(group="trust", twin="pins_switched_off_after_a_lockout")
async def spare_pin_survives_a_new_key(lab: Lab) -> None:
    """The shop has to change its key in a hurry and takes the spare one, which was pinned as well.

    The client goes on as before, and Mallory, whose root is trusted, is still refused.
    """
    shop = await lab.server("shop.test")
    spare = lab.ca.issue("shop.test")
    client = lab.client(pins=[shop.credential.certificate, spare.certificate])
    card = lab.canary("card number")

    shop.renew(spare)
    await client.post(shop.url("/pay"), card)

    mallory = await lab.interceptor(victim=client)
    client.trust(mallory.authority.root)
    with lab.expect(client).refuses(x509=50, alert="handshake_failure"):
        await client.post(shop.url("/pay"), card)

    lab.expect(shop).received(card)
    lab.expect(mallory).saw_no(card)


@scenario(group="trust", outcome="breached", twin="spare_pin_survives_a_new_key")
async def pins_switched_off_after_a_lockout(lab: Lab) -> None:
    """The spare key was lost, and the shop's new key is one that nobody has pinned.

    Every client is locked out until pinning is switched off, which Mallory was waiting for.
    """
    shop = await lab.server("shop.test")
    lost = lab.ca.issue("shop.test")
    client = lab.client(pins=[shop.credential.certificate, lost.certificate])
    card = lab.canary("card number")

    shop.renew(lab.ca.issue("shop.test"))
    with lab.expect(client).refuses(x509=50, alert="handshake_failure"):
        await client.post(shop.url("/pay"), card)

    hasty = lab.client("hasty client")
    mallory = await lab.interceptor(victim=hasty)
    hasty.trust(mallory.authority.root)
    await hasty.post(shop.url("/pay"), card)

    lab.expect(mallory).saw(card)
