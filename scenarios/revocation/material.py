"""What a revocation list or a staple proves, and what it does not: each fault, shown in the middle.

Mallory holds a certificate of the trusted CA. The client has the list already, or gets the staple
with the certificate; nothing is fetched. (A response about another certificate is missing here:
OpenSSL 4 as a server does not send one, so Mallory would need another library.)
"""

from typing import Any

from tlslab import Lab, scenarios
from tlslab.pki.faults import Fault
from tlslab.tls import Alert


def told(fault: str, x509: int, alert: int) -> dict[str, Any]:
    """What the scenario needs to know of a fault, and what its learner reads."""
    known = Fault.named(fault)
    name = Alert(alert).name
    return {"fault": fault, "title": known.title, "wrong": known.wrong, "x509": x509, "alert": name}


LISTS = {
    "revoked-leaf": told("revoked-leaf", 23, 44),
    "revoked-intermediate": told("revoked-intermediate", 23, 44),
    "crl-missing": told("crl-missing", 3, 48),
    "crl-expired": told("crl-expired", 12, 45),
    "crl-not-yet-valid": told("crl-not-yet-valid", 11, 42),
    "crl-forged": told("crl-forged", 8, 51),
}

STAPLES = {
    "staple-revoked": told("staple-revoked", 23, 113),
    "staple-unknown": told("staple-unknown", 50, 113),
    "staple-stale": told("staple-stale", 50, 113),
    "staple-by-stranger": told("staple-by-stranger", 50, 113),
    "staple-by-unauthorized-responder": told("staple-by-unauthorized-responder", 50, 113),
}


@scenarios(LISTS, group="revocation", twin="list_is_not_looked_at[{case}]")
async def list_is_held_against_the_certificate(
    lab: Lab, fault: str, x509: int, alert: str, **_: Any
) -> None:
    """{title}: a hard-fail client refuses.

    {wrong}
    """
    faulty = lab.faulty(fault)
    shop = await lab.server(faulty.name)
    client = lab.client(trust=faulty.trust, revocation="hard", sources=[], crls=faulty.crls)
    mallory = await lab.interceptor(victim=client, showing=faulty)
    card = lab.canary("card number")

    with lab.expect(client).refuses(x509=x509, alert=alert):
        await client.post(shop.url("/pay"), card)

    lab.expect(mallory).saw_no(card)


@scenarios(LISTS, group="revocation", outcome="breached",
           twin="list_is_held_against_the_certificate[{case}]")  # fmt: skip
async def list_is_not_looked_at(lab: Lab, fault: str, **_: Any) -> None:
    """{title}: a client that looks at no list goes on.

    {wrong}
    """
    faulty = lab.faulty(fault)
    shop = await lab.server(faulty.name)
    client = lab.client(trust=faulty.trust)
    mallory = await lab.interceptor(victim=client, showing=faulty)
    card = lab.canary("card number")

    await client.post(shop.url("/pay"), card)

    lab.expect(mallory).saw(card)


@scenarios(STAPLES, group="revocation", twin="staple_is_not_looked_at[{case}]")
async def staple_is_held_against_the_certificate(
    lab: Lab, fault: str, x509: int, alert: str, **_: Any
) -> None:
    """{title}: refused, even by soft-fail.

    {wrong} A response that is there and not in order is worse than none (RFC 6066 section 8).
    """
    faulty = lab.faulty(fault)
    shop = await lab.server(faulty.name)
    client = lab.client(trust=faulty.trust, revocation="soft", sources=["staple"])
    mallory = await lab.interceptor(victim=client, showing=faulty)
    card = lab.canary("card number")

    with lab.expect(client).refuses(x509=x509, alert=alert):
        await client.post(shop.url("/pay"), card)

    lab.expect(mallory).saw_no(card)


@scenarios(STAPLES, group="revocation", outcome="breached",
           twin="staple_is_held_against_the_certificate[{case}]")  # fmt: skip
async def staple_is_not_looked_at(lab: Lab, fault: str, **_: Any) -> None:
    """{title}: a client that asks for no staple goes on.

    {wrong}
    """
    faulty = lab.faulty(fault)
    shop = await lab.server(faulty.name)
    client = lab.client(trust=faulty.trust)
    mallory = await lab.interceptor(victim=client, showing=faulty)
    card = lab.canary("card number")

    await client.post(shop.url("/pay"), card)

    lab.expect(mallory).saw(card)
