"""The CA cannot be reached. Is no news good news? Soft-fail says yes, hard-fail no.

Whoever stands in the middle with a stolen key can keep the answer away as well. Soft-fail protects
from nobody who is able to attack; hard-fail makes the CA's services a condition of everything.
"""

from datetime import timedelta
from typing import Literal

from tlslab import Lab, scenario, scenarios

Source = Literal["crl", "ocsp"]

KEEPS_AWAY = {
    "crl": {"source": "crl", "host": "crl.tlslab.test"},
    "ocsp": {"source": "ocsp", "host": "ocsp.tlslab.test"},
}


@scenarios(KEEPS_AWAY, group="revocation", outcome="breached",
           twin="hard_fail_needs_an_answer[{case}]")  # fmt: skip
async def soft_fail_takes_silence_for_good(lab: Lab, source: Source, host: str) -> None:
    """The thief of the key keeps {host} out of reach, and a soft-fail client goes on.

    The certificate is revoked, the CA says so to everybody who asks, and it does not matter.
    """
    ca = await lab.ca_services()
    shop = await lab.server("shop.test")
    client = lab.client(revocation="soft", sources=[source])
    thief = await lab.interceptor("thief", victim=client, genuine=shop.credential, blocks=[host])
    ca.revoke(shop)
    card = lab.canary("card number")

    await client.post(shop.url("/pay"), card)

    lab.expect(thief).saw(card)
    lab.expect(shop).received(card)


@scenarios(
    {
        "crl": KEEPS_AWAY["crl"] | {"number": 3, "alert": "unknown_ca"},
        "ocsp": KEEPS_AWAY["ocsp"] | {"number": 3, "alert": "unknown_ca"},
    },
    group="revocation",
    twin="soft_fail_takes_silence_for_good[{case}]",
)
async def hard_fail_needs_an_answer(
    lab: Lab, source: Source, host: str, number: int, alert: str
) -> None:
    """The thief of the key keeps {host} out of reach, and a hard-fail client refuses to go on."""
    ca = await lab.ca_services()
    shop = await lab.server("shop.test")
    client = lab.client(revocation="hard", sources=[source])
    thief = await lab.interceptor("thief", victim=client, genuine=shop.credential, blocks=[host])
    ca.revoke(shop)
    card = lab.canary("card number")

    with lab.expect(client).refuses(x509=number, alert=alert):
        await client.post(shop.url("/pay"), card)

    lab.expect(thief).saw_no(card)


@scenario(group="revocation", outcome="breached", twin="stale_list_is_no_list_to_hard_fail")
async def stale_list_satisfies_soft_fail(lab: Lab) -> None:
    """The CA's list is from before the theft and past its date; a soft-fail client shrugs.

    So does one whose list is kept from being renewed: an old list is as easily served as none.
    """
    ca = await lab.ca_services()
    shop = await lab.server("shop.test")
    client = lab.client(revocation="soft", sources=["crl"])
    thief = await lab.interceptor("thief", victim=client, genuine=shop.credential)
    ca.publish(age=timedelta(days=8))
    ca.revoke(shop)
    card = lab.canary("card number")

    await client.post(shop.url("/pay"), card)

    lab.expect(thief).saw(card)


@scenario(group="revocation", twin="stale_list_satisfies_soft_fail")
async def stale_list_is_no_list_to_hard_fail(lab: Lab) -> None:
    """A list past its date proves nothing, and a hard-fail client wants proof."""
    ca = await lab.ca_services()
    shop = await lab.server("shop.test")
    client = lab.client(revocation="hard", sources=["crl"])
    thief = await lab.interceptor("thief", victim=client, genuine=shop.credential)
    ca.publish(age=timedelta(days=8))
    ca.revoke(shop)
    card = lab.canary("card number")

    with lab.expect(client).refuses(x509=12, alert="certificate_expired"):
        await client.post(shop.url("/pay"), card)

    lab.expect(thief).saw_no(card)


@scenario(group="revocation", outcome="breached", twin="revocation_list_stops_the_thief")
async def list_within_its_date_hides_the_news(lab: Lab) -> None:
    """The list of yesterday is good for a week, and the key was stolen today.

    Even a hard-fail client is satisfied: revocation by lists takes effect with the next list.
    """
    ca = await lab.ca_services()
    shop = await lab.server("shop.test")
    client = lab.client(revocation="hard", sources=["crl"])
    thief = await lab.interceptor("thief", victim=client, genuine=shop.credential)
    ca.publish(age=timedelta(days=1))
    ca.revoke(shop)
    card = lab.canary("card number")

    await client.post(shop.url("/pay"), card)

    lab.expect(thief).saw(card)
