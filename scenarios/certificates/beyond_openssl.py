"""What OpenSSL takes by default and a stricter client does not.

The certificates here come from a CA that is trusted, and chain, name and dates are in order; they
are in Mallory's hands all the same. A rule that the CA broke, or a log that has never heard of the
certificate, is then all that can give it away. Each refusal is the client's own: OpenSSL has no
number for it, so the alert is a general one.
"""

from typing import Any

from tlslab import Lab, scenarios
from tlslab.pki.faults import Fault


def told(*faults: str, **more: str) -> dict[str, dict[str, Any]]:
    """Cases by fault, with what a learner reads."""
    found = {name: Fault.named(name) for name in faults}
    return {
        name: {"fault": name, "title": fault.title, "wrong": fault.wrong, "rule": fault.rule} | more
        for name, fault in found.items()
    }


SLOPPY = told(
    "may-not-sign",
    "no-extended-key-usage",
    "server-is-ca",
    "serial-too-long",
    "hostile-control-characters",
    "hostile-markup",
    policy="strict",
) | told("valid-for-too-long", policy="public")

UNLOGGED = told(
    "sct-missing", "sct-bad-signature", "sct-for-another", "sct-of-the-future", "sct-unknown-log"
)


@scenarios(SLOPPY, group="certificates", twin="sloppy_certificate_is_taken[{case}]")
async def sloppy_certificate_is_refused(lab: Lab, fault: str, policy: Any, **_: Any) -> None:
    """{title}: refused by the policy "{policy}".

    {wrong} The rule: {rule}.
    """
    faulty = lab.faulty(fault)
    shop = await lab.server(faulty.name)
    client = lab.client(trust=faulty.trust, policy=policy)
    mallory = await lab.interceptor(victim=client, showing=faulty)
    card = lab.canary("card number")

    with lab.expect(client).refuses(x509=50, alert="handshake_failure"):
        await client.post(shop.url("/pay"), card)

    lab.expect(mallory).saw_no(card)


@scenarios(SLOPPY, group="certificates", outcome="breached",
           twin="sloppy_certificate_is_refused[{case}]")  # fmt: skip
async def sloppy_certificate_is_taken(lab: Lab, fault: str, **_: Any) -> None:
    """{title}: taken by OpenSSL with its defaults.

    {wrong} The rule: {rule}.
    """
    faulty = lab.faulty(fault)
    shop = await lab.server(faulty.name)
    client = lab.client(trust=faulty.trust)
    mallory = await lab.interceptor(victim=client, showing=faulty)
    card = lab.canary("card number")

    await client.post(shop.url("/pay"), card)

    lab.expect(mallory).saw(card)


@scenarios(UNLOGGED, group="certificates", twin="unlogged_certificate_is_taken[{case}]")
async def unlogged_certificate_is_refused(lab: Lab, fault: str, **_: Any) -> None:
    """{title}: refused by a client that wants a log's timestamp.

    {wrong} A certificate that is in a log is seen by whoever watches over the name.
    """
    faulty = lab.faulty(fault)
    shop = await lab.server(faulty.name)
    client = lab.client(scts=1, logs=faulty.logs)
    mallory = await lab.interceptor(victim=client, showing=faulty)
    card = lab.canary("card number")

    with lab.expect(client).refuses(x509=50, alert="handshake_failure"):
        await client.post(shop.url("/pay"), card)

    lab.expect(mallory).saw_no(card)


@scenarios(UNLOGGED, group="certificates", outcome="breached",
           twin="unlogged_certificate_is_refused[{case}]")  # fmt: skip
async def unlogged_certificate_is_taken(lab: Lab, fault: str, **_: Any) -> None:
    """{title}: taken by a client that asks for none.

    {wrong} OpenSSL does not look at timestamps unless it is told to.
    """
    faulty = lab.faulty(fault)
    shop = await lab.server(faulty.name)
    client = lab.client()
    mallory = await lab.interceptor(victim=client, showing=faulty)
    card = lab.canary("card number")

    await client.post(shop.url("/pay"), card)

    lab.expect(mallory).saw(card)
