"""Stapling: the server brings the proof along, and the client needs no one else.

What stapling is worth is decided by what the client does when there is no staple. The thief, who
has the key, would rather show none.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeAlias

from tlslab import Lab, Version, scenario, scenarios
from tlslab.pki import Authority, Credential
from tlslab.pki.revocation import make_ocsp_responder

CA_HOSTS = ("crl.tlslab.test", "ocsp.tlslab.test")
"""What the thief keeps out of reach."""

Forge: TypeAlias = Callable[..., Any]
"""Makes the thief's staple."""


@scenarios(
    {"tls12": {"version": Version.TLS_1_2}, "tls13": {"version": Version.TLS_1_3}},
    group="revocation",
    twin="nobody_asks_whether_it_was_revoked",
)
async def revoked_staple_is_refused(lab: Lab, version: Version) -> None:
    """A staple that says "revoked" ends the handshake with an alert of its own, in {version}.

    No honest server would show it, but some show whatever the responder has told them.
    """
    ca = await lab.ca_services()
    shop = await lab.server("shop.test")
    ca.revoke(shop)
    client = lab.client(revocation="soft", maximum=version)
    staple = ca.staple(shop)
    thief = await lab.interceptor("thief", victim=client, genuine=shop.credential, staple=staple)
    card = lab.canary("card number")

    with lab.expect(client).refuses(x509=23, alert="bad_certificate_status_response"):
        await client.post(shop.url("/pay"), card)

    lab.expect(thief).saw_no(card)


@scenario(group="revocation", outcome="breached", twin="must_staple_is_enforced")
async def thief_leaves_the_staple_out(lab: Lab) -> None:
    """The thief staples nothing and keeps the responder away: soft-fail goes on all the same.

    The certificate even says that there must be a staple, but OpenSSL and most clients do not look.
    """
    ca = await lab.ca_services()
    shop = await lab.server("shop.test", must_staple=True)
    shop.staple(ca.staple(shop))
    client = lab.client(revocation="soft")
    thief = await lab.interceptor("thief", victim=client, genuine=shop.credential, blocks=CA_HOSTS)
    ca.revoke(shop)
    card = lab.canary("card number")

    await client.post(shop.url("/pay"), card)

    lab.expect(thief).saw(card)


@scenario(group="revocation", twin="thief_leaves_the_staple_out")
async def must_staple_is_enforced(lab: Lab) -> None:
    """A client that enforces must-staple refuses the certificate without its staple.

    This is hard-fail without its price: nobody but the server has to be reachable.
    """
    ca = await lab.ca_services()
    shop = await lab.server("shop.test", must_staple=True)
    shop.staple(ca.staple(shop))
    client = lab.client(revocation="soft", must_staple=True)
    thief = await lab.interceptor("thief", victim=client, genuine=shop.credential, blocks=CA_HOSTS)
    ca.revoke(shop)
    card = lab.canary("card number")

    with lab.expect(client).refuses(alert="bad_certificate_status_response"):
        await client.post(shop.url("/pay"), card)

    lab.expect(thief).saw_no(card)


@scenario(group="revocation", twin="thief_leaves_the_staple_out")
async def genuine_server_staples(lab: Lab) -> None:
    """The defence lets the real server through: with its staple, a strict client is content.

    It asks nobody else, so no one on the path learns from a question whom it visits.
    """
    ca = await lab.ca_services()
    shop = await lab.server("shop.test", must_staple=True)
    shop.staple(ca.staple(shop))
    client = lab.client(revocation="soft", must_staple=True, sources=["staple"])
    sniffer = lab.sniffer()
    card = lab.canary("card number")

    await client.post(shop.url("/pay"), card)

    lab.expect(shop).received(card)
    lab.expect(sniffer).saw_no(card)


@scenario(group="revocation", outcome="breached", twin="staple_past_its_date_is_refused")
async def old_staple_is_replayed(lab: Lab) -> None:
    """A good response from before the theft is replayed by the thief, and still within its date.

    Stapling has no nonce, so the date alone limits it: short-lived responses are the defence.
    """
    ca = await lab.ca_services()
    shop = await lab.server("shop.test", must_staple=True)
    client = lab.client(revocation="hard", must_staple=True)
    staple = ca.staple(shop, age=timedelta(hours=20))
    thief = await lab.interceptor("thief", victim=client, genuine=shop.credential, staple=staple)
    ca.revoke(shop)
    card = lab.canary("card number")

    await client.post(shop.url("/pay"), card)

    lab.expect(thief).saw(card)


@scenario(group="revocation", twin="old_staple_is_replayed")
async def staple_past_its_date_is_refused(lab: Lab) -> None:
    """The same replay four hours later: the response is past its date, and proves nothing."""
    ca = await lab.ca_services()
    shop = await lab.server("shop.test", must_staple=True)
    client = lab.client(revocation="hard", must_staple=True)
    staple = ca.staple(shop, age=timedelta(hours=25))
    thief = await lab.interceptor("thief", victim=client, genuine=shop.credential, staple=staple)
    ca.revoke(shop)
    card = lab.canary("card number")

    with lab.expect(client).refuses(alert="bad_certificate_status_response"):
        await client.post(shop.url("/pay"), card)

    lab.expect(thief).saw_no(card)


WORTHLESS = {
    "stolen-key": {
        "what": "signed by the stolen key, whose certificate lacks OCSPSigning",
        "forge": lambda lab, ca, shop: ca.forged(shop, by=shop.credential),
    },
    "another-ca": {
        "what": "signed by a responder of a CA that nobody trusts",
        "forge": lambda lab, ca, shop: ca.forged(shop, by=responder_of("another CA")),
    },
    "same-name-ca": {
        "what": "signed by a responder of a CA that took the name of the genuine one",
        "forge": lambda lab, ca, shop: ca.forged(shop, by=responder_of(lab.ca.name)),
    },
}


def responder_of(ca: str) -> Credential:
    """A responder with all that belongs to it, but of the wrong CA."""
    return make_ocsp_responder(Authority.create(ca))


@scenarios(WORTHLESS, group="revocation", twin="worthless_staple_is_passed_over[{case}]")
async def worthless_staple_is_refused(lab: Lab, what: str, forge: Forge) -> None:
    """A staple that is {what} proves nothing, and a client that insists on proof refuses it."""
    ca = await lab.ca_services()
    shop = await lab.server("shop.test", must_staple=True)
    client = lab.client(revocation="soft", must_staple=True)
    staple = forge(lab, ca, shop)
    thief = await lab.interceptor(
        "thief", victim=client, genuine=shop.credential, staple=staple, blocks=CA_HOSTS
    )
    ca.revoke(shop)
    card = lab.canary("card number")

    with lab.expect(client).refuses(alert="bad_certificate_status_response"):
        await client.post(shop.url("/pay"), card)

    lab.expect(thief).saw_no(card)


@scenarios(WORTHLESS, group="revocation", outcome="breached",
           twin="worthless_staple_is_refused[{case}]")  # fmt: skip
async def worthless_staple_is_passed_over(lab: Lab, what: str, forge: Forge) -> None:
    """A staple that is {what} does as well as any, where the client does not look at it."""
    ca = await lab.ca_services()
    shop = await lab.server("shop.test", must_staple=True)
    client = lab.client()
    staple = forge(lab, ca, shop)
    thief = await lab.interceptor(
        "thief", victim=client, genuine=shop.credential, staple=staple, blocks=CA_HOSTS
    )
    ca.revoke(shop)
    card = lab.canary("card number")

    await client.post(shop.url("/pay"), card)

    lab.expect(thief).saw(card)


@scenario(group="revocation", twin="worthless_staple_is_passed_over[stolen-key]")
async def worthless_staple_makes_the_client_ask(lab: Lab) -> None:
    """A client to whom a staple proves nothing asks the CA, and learns of the revocation."""
    ca = await lab.ca_services()
    shop = await lab.server("shop.test")
    client = lab.client(revocation="soft")
    staple = ca.forged(shop, by=shop.credential)
    thief = await lab.interceptor("thief", victim=client, genuine=shop.credential, staple=staple)
    ca.revoke(shop)
    card = lab.canary("card number")

    with lab.expect(client).refuses(x509=23, alert="certificate_revoked"):
        await client.post(shop.url("/pay"), card)

    lab.expect(thief).saw_no(card)
