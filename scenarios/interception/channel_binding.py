"""Channel binding: a token that is good on one TLS connection only, against a trusted middle.

The attacker's root is installed on the client, so the client is deceived. The bank gives the
statement to whoever shows the token; whether the man in the middle can show it, is the question.
"""

from tlslab import Lab, scenario


@scenario(group="interception", outcome="breached", twin="token_bound_to_the_connection_is_refused")
async def bearer_token_is_good_for_the_middle(lab: Lab) -> None:
    """A bearer token says nothing of the connection on which it is shown."""
    statement, token = lab.canary("account statement"), lab.canary("token")
    bank = await lab.token_server("bank.test", token, reply=statement)
    client = lab.token_client(token)
    mallory = await lab.interceptor(victim=client)
    client.trust(mallory.authority.root)

    await client.get(bank.url("/statement"))

    lab.expect(client).received(statement)
    lab.expect(mallory).saw(statement)
    lab.expect(mallory).saw(token)


@scenario(group="interception", twin="bearer_token_is_good_for_the_middle")
async def token_bound_to_the_connection_is_refused(lab: Lab) -> None:
    """Bound to keying material of the connection (tls-exporter, RFC 9266), it is good for one.

    The middle has one connection to each side, and their keys differ.
    """
    statement, token = lab.canary("account statement"), lab.canary("token")
    bank = await lab.token_server("bank.test", token, reply=statement, binding="tls-exporter")
    client = lab.token_client(token, binding="tls-exporter")
    await client.get(bank.url("/statement"))
    mallory = await lab.interceptor(victim=client)
    client.trust(mallory.authority.root)

    with lab.expect(bank).refuses():
        await client.get(bank.url("/statement"))

    lab.expect(client).received(statement)
    lab.expect(mallory).saw_no(statement)
    lab.expect(mallory).saw_no(token)


@scenario(group="interception", twin="end_point_binding_fails_with_the_servers_key")
async def end_point_binding_refuses_a_forged_certificate(lab: Lab) -> None:
    """Bound to the server's certificate (tls-server-end-point, RFC 5929), a forged one shows."""
    statement, token = lab.canary("account statement"), lab.canary("token")
    bank = await lab.token_server(
        "bank.test", token, reply=statement, binding="tls-server-end-point"
    )
    client = lab.token_client(token, binding="tls-server-end-point")
    await client.get(bank.url("/statement"))
    mallory = await lab.interceptor(victim=client)
    client.trust(mallory.authority.root)

    with lab.expect(bank).refuses():
        await client.get(bank.url("/statement"))

    lab.expect(client).received(statement)
    lab.expect(mallory).saw_no(statement)


@scenario(
    group="interception", outcome="breached", twin="exporter_binding_holds_against_a_stolen_key"
)
async def end_point_binding_fails_with_the_servers_key(lab: Lab) -> None:
    """Who has stolen the bank's key shows the bank's own certificate: the binding is the same."""
    statement, token = lab.canary("account statement"), lab.canary("token")
    bank = await lab.token_server(
        "bank.test", token, reply=statement, binding="tls-server-end-point"
    )
    client = lab.token_client(token, binding="tls-server-end-point")
    mallory = await lab.interceptor(victim=client, genuine=bank.credential)

    await client.get(bank.url("/statement"))

    lab.expect(client).received(statement)
    lab.expect(mallory).saw(statement)


@scenario(group="interception", twin="end_point_binding_fails_with_the_servers_key")
async def exporter_binding_holds_against_a_stolen_key(lab: Lab) -> None:
    """Even with the bank's key in the middle, the keys of the two connections differ."""
    statement, token = lab.canary("account statement"), lab.canary("token")
    bank = await lab.token_server("bank.test", token, reply=statement, binding="tls-exporter")
    client = lab.token_client(token, binding="tls-exporter")
    mallory = await lab.interceptor(victim=client, genuine=bank.credential)

    with lab.expect(bank).refuses():
        await client.get(bank.url("/statement"))

    lab.expect(client).received_no(statement)
    lab.expect(mallory).saw_no(statement)
