"""Sessions stored to be resumed: what does a copy of them open?

A thief of the server's ticket key gets the same: the session is what is inside the ticket.
"""

from tlslab import Lab, Version, scenario


@scenario(group="key-compromise", outcome="breached", twin="a_stored_session_opens_no_tls13")
async def a_stored_session_opens_tls12(lab: Lab) -> None:
    """In TLS 1.2 every connection of a session has the same master secret, the first one included.

    So a session file that lies about for a day undoes the forward secrecy of that day.
    """
    mail = await lab.server("mail.test")
    client = lab.client(maximum=Version.TLS_1_2, resumption="fresh tickets")
    thief = lab.session_thief(client)
    letter = lab.canary("letter")

    await client.post(mail.url("/send"), letter)
    await client.get(mail.url("/inbox"))

    lab.expect(mail).received(letter)
    lab.expect(thief).saw(letter)


@scenario(group="key-compromise", twin="a_stored_session_opens_tls12")
async def a_stored_session_opens_no_tls13(lab: Lab) -> None:
    """In TLS 1.3 a resumed connection agrees on new keys, and the session knows none of the old."""
    mail = await lab.server("mail.test")
    client = lab.client(resumption="fresh tickets")
    thief = lab.session_thief(client)
    letter = lab.canary("letter")

    await client.get(mail.url("/inbox"))
    await client.post(mail.url("/send"), letter)

    lab.expect(mail).received(letter)
    lab.expect(thief).saw_no(letter)
    lab.expect(thief).learned(resumed="no")
