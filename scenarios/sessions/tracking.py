"""A session ticket is a name badge: who shows it twice is recognised, wherever he is."""

from typing import Literal

from tlslab import Lab, Version, scenario, scenarios


@scenarios(
    {
        "TLS 1.2": {"version": Version.TLS_1_2, "resumption": "fresh tickets"},
        "TLS 1.3, one ticket": {"version": Version.TLS_1_3, "resumption": "one ticket"},
    },
    group="sessions",
    outcome="breached",
    twin="fresh_tickets_are_recognised_by_nobody",
)
async def a_ticket_recognises_the_traveller(
    lab: Lab, version: Version, resumption: Literal["fresh tickets", "one ticket"]
) -> None:
    """At home and in the café, from two addresses: the ticket in plain sight says it is the same.

    In TLS 1.2 the server hands the ticket out in plain and the client shows it in plain. In TLS 1.3
    it is handed out encrypted, but shown in plain, so that showing it twice is once too often.
    """
    mail = await lab.server("mail.test")
    home = lab.client("home", maximum=version, resumption=resumption)
    cafe = lab.client("cafe", maximum=version, resumption=resumption)
    onlooker = lab.onlooker("tickets")

    await home.get(mail.url("/"))
    with onlooker.studying("Alice"):
        await home.get(mail.url("/"))
    cafe.sessions = home.sessions  # the same laptop, elsewhere
    with onlooker.guessing("Alice"):
        await cafe.get(mail.url("/"))

    lab.expect(onlooker).achieved("inferred")
    lab.expect(onlooker).learned(guess="Alice", resumed="no")


@scenario(group="sessions", twin="a_ticket_recognises_the_traveller[TLS 1.3, one ticket]")
async def fresh_tickets_are_recognised_by_nobody(lab: Lab) -> None:
    """A TLS 1.3 client that uses each ticket once resumes as quickly, and shows nothing twice."""
    mail = await lab.server("mail.test")
    home = lab.client("home", resumption="fresh tickets")
    cafe = lab.client("cafe", resumption="fresh tickets")
    onlooker = lab.onlooker("tickets")

    await home.get(mail.url("/"))
    with onlooker.studying("Alice"):
        await home.get(mail.url("/"))
    cafe.sessions = home.sessions  # the same laptop, elsewhere
    with onlooker.guessing("Alice"):
        await cafe.get(mail.url("/"))

    lab.expect(onlooker).achieved_nothing()
    lab.expect(onlooker).learned(guess="unknown", resembles="nothing")
