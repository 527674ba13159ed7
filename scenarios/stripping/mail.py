"""STARTTLS: mail begins in the clear, and whoever is on the path has a say in how it goes on."""

from tlslab import Lab, scenario
from tlslab.attack.starttls import InjectBeforeTLS, StripStartTLS


@scenario(group="stripping", outcome="breached", twin="required_starttls_sends_nothing_without")
async def starttls_if_offered_is_stripped(lab: Lab) -> None:
    """The server offers TLS, the attacker deletes the offer, and the client sends in the clear.

    Most mail between servers is sent that way: over TLS if offered, or else without.
    """
    server = await lab.mail_server()
    client = lab.mail_client(tls="if offered")
    mallory = await lab.tamperer(StripStartTLS(), victim=client)
    letter = lab.canary("letter")

    await client.send(server, "bob@mail.test", letter)

    lab.expect(server).received(letter)
    lab.expect(mallory).saw(letter)


@scenario(group="stripping", twin="starttls_if_offered_is_stripped")
async def required_starttls_sends_nothing_without(lab: Lab) -> None:
    """A client that insists on TLS keeps the letter: nobody reads it, and nobody gets it.

    MTA-STS (RFC 8461) and DANE (RFC 7672) tell mail servers when to insist.
    """
    server = await lab.mail_server()
    client = lab.mail_client(tls="required")
    mallory = await lab.tamperer(StripStartTLS(), victim=client)
    letter = lab.canary("letter")

    with lab.expect(client).refuses():
        await client.send(server, "bob@mail.test", letter)

    lab.expect(server).received_no(letter)
    lab.expect(mallory).saw_no(letter)


@scenario(group="stripping", twin="starttls_if_offered_is_stripped")
async def tls_from_the_start_cannot_be_stripped(lab: Lab) -> None:
    """On port 465 TLS comes first (RFC 8314): there is no offer to delete."""
    server = await lab.mail_server(implicit_tls=True)
    client = lab.mail_client(tls="from the start")
    mallory = await lab.tamperer(StripStartTLS(), victim=client)
    letter = lab.canary("letter")

    await client.send(server, "bob@mail.test", letter)

    lab.expect(server).received(letter)
    lab.expect(mallory).saw_no(letter)


@scenario(group="stripping", outcome="breached", twin="forgotten_buffer_stops_injected_commands")
async def commands_before_tls_are_obeyed_after_it(lab: Lab) -> None:
    """The attacker puts commands right behind STARTTLS; the server reads them after the handshake.

    They open a letter to the attacker, and everything that the client says over TLS, its own letter
    and all, becomes the text of it (CVE-2011-0411).
    """
    server = await lab.mail_server(forgets_buffer=False)
    client = lab.mail_client(tls="required")
    await lab.tamperer(InjectBeforeTLS("mallory@mail.test"), victim=client)
    reader = lab.mailbox_owner(server, "mallory@mail.test")
    letter = lab.canary("letter")

    await client.send(server, "bob@mail.test", letter)

    lab.expect(reader).saw(letter)


@scenario(group="stripping", twin="commands_before_tls_are_obeyed_after_it")
async def forgotten_buffer_stops_injected_commands(lab: Lab) -> None:
    """The server forgets what came before TLS, and only Bob gets the letter (RFC 3207 4.2)."""
    server = await lab.mail_server(forgets_buffer=True)
    client = lab.mail_client(tls="required")
    mallory = await lab.tamperer(InjectBeforeTLS("mallory@mail.test"), victim=client)
    reader = lab.mailbox_owner(server, "mallory@mail.test")
    letter = lab.canary("letter")

    await client.send(server, "bob@mail.test", letter)

    lab.expect(server).received(letter)
    lab.expect(reader).saw_no(letter)
    lab.expect(mallory).saw_no(letter)
