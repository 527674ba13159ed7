"""Mutual TLS: a man in the middle, even a trusted one, cannot pass itself off as the client.

The secret is the bank's: a statement that only the account's owner may have. The attacker's root is
installed on the client, so the client is deceived; whether the bank is, is the question.
"""

from tlslab import Lab, scenario


@scenario(group="interception", twin="without_mutual_tls_mitm_is_the_client", headline=True)
async def mutual_tls_keeps_mitm_from_being_the_client(lab: Lab) -> None:
    """The bank asks for a client certificate, and the man in the middle has no key for one."""
    statement = lab.canary("account statement")
    bank = await lab.server("bank.test", reply=statement, client_certificate="required")
    client = lab.client(certificate=True)
    mallory = await lab.interceptor(victim=client)
    client.trust(mallory.authority.root)

    with lab.expect(bank).refuses(alert="certificate_required"):
        await client.get(bank.url("/statement"))

    lab.expect(mallory).saw_no(statement)
    lab.expect(client).received_no(statement)


@scenario(group="interception", outcome="breached",
          twin="mutual_tls_keeps_mitm_from_being_the_client")  # fmt: skip
async def without_mutual_tls_mitm_is_the_client(lab: Lab) -> None:
    """A bank that asks for no client certificate gives its answer to whoever is in the middle."""
    statement = lab.canary("account statement")
    bank = await lab.server("bank.test", reply=statement)
    client = lab.client(certificate=True)
    mallory = await lab.interceptor(victim=client)
    client.trust(mallory.authority.root)

    await client.get(bank.url("/statement"))

    lab.expect(mallory).saw(statement)
    lab.expect(client).received(statement)
