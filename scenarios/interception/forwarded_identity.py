"""An identity in a header field: the proxy has verified the certificate, the server believes it.

Behind a proxy that ends TLS, a server learns in the field Client-Cert whose certificate the proxy
has seen (RFC 9440). A certificate is no secret, so the field is worth as much as who sets it.
"""

from tlslab import Lab, scenario


@scenario(group="interception", outcome="breached", twin="only_the_proxy_tells_who_it_is")
async def anybody_tells_who_it_is(lab: Lab) -> None:
    """The bank is reached without the proxy too, and believes what the field says."""
    statement = lab.canary("account statement")
    bank = await lab.owners_server(
        "bank.test", owner="alice.test", reply=statement, identified_by="forwarded certificate",
        client_certificate="optional",
    )  # fmt: skip
    alice = lab.client("alice", certificate=True)
    front = await lab.identifying_proxy("front.test", bank)
    mallory = lab.impostor()

    await alice.get(front.url("/statement"))
    await mallory.get(bank.url("/statement"), claiming=alice)

    lab.expect(alice).received(statement)
    lab.expect(mallory).saw(statement)


@scenario(group="interception", twin="anybody_tells_who_it_is")
async def only_the_proxy_tells_who_it_is(lab: Lab) -> None:
    """The bank believes the field only from the proxy, which proves itself by mutual TLS.

    Mallory has a genuine certificate of the same CA, which lets her connect, and no further.
    """
    statement = lab.canary("account statement")
    bank = await lab.owners_server(
        "bank.test", owner="alice.test", reply=statement, identified_by="forwarded certificate",
        proxy="front.test",
    )  # fmt: skip
    alice = lab.client("alice", certificate=True)
    front = await lab.identifying_proxy("front.test", bank)
    mallory = lab.impostor(certificate=lab.ca.issue("mallory.test", profile="client"))

    await alice.get(front.url("/statement"))
    with lab.expect(bank).refuses():
        await mallory.get(bank.url("/statement"), claiming=alice)

    lab.expect(alice).received(statement)
    lab.expect(mallory).saw_no(statement)


@scenario(group="interception", outcome="breached", twin="proxy_removes_a_forged_identity")
async def proxy_passes_a_forged_identity_on(lab: Lab) -> None:
    """The proxy sets the field for clients with a certificate, and passes on what others set."""
    statement = lab.canary("account statement")
    bank = await lab.owners_server(
        "bank.test", owner="alice.test", reply=statement, identified_by="forwarded certificate",
        proxy="front.test",
    )  # fmt: skip
    alice = lab.client("alice", certificate=True)
    front = await lab.identifying_proxy("front.test", bank, removes_forged=False)
    mallory = lab.impostor()

    await mallory.get(front.url("/statement"), claiming=alice)

    lab.expect(mallory).saw(statement)


@scenario(group="interception", twin="proxy_passes_a_forged_identity_on")
async def proxy_removes_a_forged_identity(lab: Lab) -> None:
    """A careful proxy removes the field from every request, before it sets it or does not."""
    statement = lab.canary("account statement")
    bank = await lab.owners_server(
        "bank.test", owner="alice.test", reply=statement, identified_by="forwarded certificate",
        proxy="front.test",
    )  # fmt: skip
    alice = lab.client("alice", certificate=True)
    front = await lab.identifying_proxy("front.test", bank)
    mallory = lab.impostor()

    await alice.get(front.url("/statement"))
    with lab.expect(bank).refuses():
        await mallory.get(front.url("/statement"), claiming=alice)

    lab.expect(alice).received(statement)
    lab.expect(mallory).saw_no(statement)
