"""Every way in which a certificate can be wrong, shown by somebody in the middle.

The faults lie in `certs/faults/`, one file each, and are made anew in each run. What a careful
client answers stands in the same file: the scenario holds it to that.
"""

from typing import Any

from tlslab import Lab, scenarios
from tlslab.pki.faults import Fault, shipped_faults
from tlslab.tls import Alert

NAME_MISMATCH = 62
"""The X509 error of a certificate that is in order, but for somebody else."""


def told(fault: Fault) -> dict[str, Any]:
    """What a scenario needs to know of a fault, and what its learner reads."""
    refusal = fault.expected.openssl
    return {
        "fault": fault.id,
        "title": fault.title,
        "wrong": fault.wrong,
        "rule": fault.rule,
        "wins": fault.wins,
        "about_names": "names" in fault.tags or refusal.x509 == NAME_MISMATCH,
        "x509": refusal.x509,
        "alert": None if refusal.alert is None else Alert(refusal.alert).name,
    }


def by_name(fault: Fault) -> bool:
    """Whether its client asks for a name; the lab's network has no others."""
    return not fault.recipe.ask.replace(".", "").isdigit()


REFUSED = {
    fault.id: told(fault)
    for fault in shipped_faults().values()
    if fault.must_refuse and fault.expected.openssl.x509 is not None and by_name(fault)
}
"""The faults that OpenSSL refuses with its defaults."""


@scenarios(REFUSED, group="certificates", twin="faulty_certificate_is_taken[{case}]")
async def faulty_certificate_is_refused(
    lab: Lab, fault: str, x509: int, alert: str, **_: Any
) -> None:
    """{title}: refused.

    {wrong} A client that verifies chain and name breaks off. The rule: {rule}.
    """
    faulty = lab.faulty(fault)
    shop = await lab.server(faulty.name)
    client = lab.client(trust=faulty.trust)
    mallory = await lab.interceptor(victim=client, showing=faulty)
    card = lab.canary("card number")

    with lab.expect(client).refuses(x509=x509, alert=alert):
        await client.post(shop.url("/pay"), card)

    lab.expect(mallory).saw_no(card)
    lab.expect(shop).received_no(card)


@scenarios(REFUSED, group="certificates", outcome="breached",
           twin="faulty_certificate_is_refused[{case}]")  # fmt: skip
async def faulty_certificate_is_taken(
    lab: Lab, fault: str, x509: int, about_names: bool, **_: Any
) -> None:
    """{title}: taken by a client that does not look.

    {wrong} The client leaves out the check that would have told. When the attacker wins: {wins}
    """
    faulty = lab.faulty(fault)
    shop = await lab.server(faulty.name)
    client = lab.client(
        trust=faulty.trust,
        verify_chain=x509 == NAME_MISMATCH,
        verify_name=not about_names,
    )
    mallory = await lab.interceptor(victim=client, showing=faulty)
    card = lab.canary("card number")

    await client.post(shop.url("/pay"), card)

    lab.expect(mallory).saw(card)
    lab.expect(shop).received(card)
