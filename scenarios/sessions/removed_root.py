"""Resumption verifies nothing: a session outlives the trust on which it was founded."""

from tlslab import Lab, Version, scenarios

VERSIONS = {
    "TLS 1.2": {"version": Version.TLS_1_2},
    "TLS 1.3": {"version": Version.TLS_1_3},
}


@scenarios(VERSIONS, group="sessions", outcome="breached",
           twin="sessions_are_forgotten_with_their_trust[{case}]")  # fmt: skip
async def a_session_outlives_the_removed_root(lab: Lab, version: Version) -> None:
    """The rogue root was found and removed. The client resumes its session with the intruder.

    No certificate is shown on resumption, so nothing asks the trust store ({version}).
    """
    shop = await lab.server("shop.test")
    client = lab.client(maximum=version, resumption="fresh tickets", forgets_sessions=False)
    mallory = await lab.interceptor(victim=client)
    client.trust(mallory.authority.root)
    card = lab.canary("card number")

    await client.get(shop.url("/"))
    client.distrust(mallory.authority.root)
    await client.post(shop.url("/pay"), card)

    lab.expect(mallory).saw(card)
    lab.expect(shop).received(card)


@scenarios(VERSIONS, group="sessions", twin="a_session_outlives_the_removed_root[{case}]")
async def sessions_are_forgotten_with_their_trust(lab: Lab, version: Version) -> None:
    """A client that forgets its sessions when its trust store changes verifies anew."""
    shop = await lab.server("shop.test")
    client = lab.client(maximum=version, resumption="fresh tickets")
    mallory = await lab.interceptor(victim=client)
    client.trust(mallory.authority.root)
    card = lab.canary("card number")

    await client.get(shop.url("/"))
    client.distrust(mallory.authority.root)
    with lab.expect(client).refuses(x509=20, alert="unknown_ca"):
        await client.post(shop.url("/pay"), card)

    lab.expect(mallory).saw_no(card)
    lab.expect(shop).received_no(card)
