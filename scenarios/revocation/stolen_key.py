"""A server's key was stolen, and the CA took its certificate back. Does the client ask?

The thief stands between the client and the server and shows the genuine certificate, with the
genuine key. Chain, name and dates are in order. Only revocation tells the thief from the server.
"""

from tlslab import Lab, scenario


@scenario(group="revocation", outcome="breached", twin="revocation_list_stops_the_thief")
async def nobody_asks_whether_it_was_revoked(lab: Lab) -> None:
    """A client that does not ask takes a revoked certificate, as most programs do."""
    ca = await lab.ca_services()
    shop = await lab.server("shop.test")
    client = lab.client()
    thief = await lab.interceptor("thief", victim=client, genuine=shop.credential)
    ca.revoke(shop)
    card = lab.canary("card number")

    await client.post(shop.url("/pay"), card)

    lab.expect(thief).saw(card)
    lab.expect(shop).received(card)


@scenario(group="revocation", twin="nobody_asks_whether_it_was_revoked")
async def revocation_list_stops_the_thief(lab: Lab) -> None:
    """The client fetches the CA's revocation list, finds the certificate in it and refuses."""
    ca = await lab.ca_services()
    shop = await lab.server("shop.test")
    client = lab.client(revocation="soft", sources=["crl"])
    thief = await lab.interceptor("thief", victim=client, genuine=shop.credential)
    ca.revoke(shop)
    card = lab.canary("card number")

    with lab.expect(client).refuses(x509=23, alert="certificate_revoked"):
        await client.post(shop.url("/pay"), card)

    lab.expect(thief).saw_no(card)
    lab.expect(shop).received_no(card)


@scenario(group="revocation", twin="nobody_asks_whether_it_was_revoked")
async def asking_the_responder_stops_the_thief(lab: Lab) -> None:
    """The client asks the CA's OCSP responder after this one certificate and refuses.

    The question travels in the clear, so whoever listens learns whom the client is about to visit.
    """
    ca = await lab.ca_services()
    shop = await lab.server("shop.test")
    client = lab.client(revocation="soft", sources=["ocsp"])
    thief = await lab.interceptor("thief", victim=client, genuine=shop.credential)
    ca.revoke(shop)
    card = lab.canary("card number")

    with lab.expect(client).refuses(x509=23, alert="certificate_revoked"):
        await client.post(shop.url("/pay"), card)

    lab.expect(thief).saw_no(card)


@scenario(group="revocation", outcome="breached", twin="both_levels_are_checked")
async def only_the_leaf_is_checked(lab: Lab) -> None:
    """The intermediate was revoked, but a client that looks at the leaf alone does not notice.

    The thief has the intermediate's key and issues whatever it likes; its own list is clean.
    """
    ca = await lab.ca_services()
    shop = await lab.server("shop.test")
    client = lab.client(revocation="soft", whole_chain=False)
    thief = await lab.interceptor("thief", victim=client, authority=lab.ca)
    ca.revoke(lab.ca.intermediate)
    card = lab.canary("card number")

    await client.post(shop.url("/pay"), card)

    lab.expect(thief).saw(card)


@scenario(group="revocation", twin="only_the_leaf_is_checked")
async def both_levels_are_checked(lab: Lab) -> None:
    """The root's list says that the intermediate was revoked, and all that it issued falls."""
    ca = await lab.ca_services()
    shop = await lab.server("shop.test")
    client = lab.client(revocation="soft")
    thief = await lab.interceptor("thief", victim=client, authority=lab.ca)
    ca.revoke(lab.ca.intermediate)
    card = lab.canary("card number")

    with lab.expect(client).refuses(x509=23, alert="certificate_revoked"):
        await client.post(shop.url("/pay"), card)

    lab.expect(thief).saw_no(card)


@scenario(group="revocation", outcome="breached", twin="every_connection_is_judged_anew")
async def resumed_session_outlives_the_revocation(lab: Lab) -> None:
    """A resumed session shows no certificate, so nothing is asked about it again.

    The thief was there before the revocation and gave the client a ticket, good for days.
    """
    ca = await lab.ca_services()
    shop = await lab.server("shop.test")
    client = lab.client(revocation="hard", resumption="fresh tickets")
    thief = await lab.interceptor("thief", victim=client, genuine=shop.credential)
    card = lab.canary("card number")

    await client.get(shop.url())
    ca.revoke(shop)
    await client.post(shop.url("/pay"), card)

    lab.expect(thief).saw(card)


@scenario(group="revocation", twin="resumed_session_outlives_the_revocation")
async def every_connection_is_judged_anew(lab: Lab) -> None:
    """A client that resumes no session asks each time, and learns of the revocation at once."""
    ca = await lab.ca_services()
    shop = await lab.server("shop.test")
    client = lab.client(revocation="hard")
    thief = await lab.interceptor("thief", victim=client, genuine=shop.credential)
    card = lab.canary("card number")

    await client.get(shop.url())
    ca.revoke(shop)
    with lab.expect(client).refuses(x509=23, alert="certificate_revoked"):
        await client.post(shop.url("/pay"), card)

    lab.expect(thief).saw_no(card)
