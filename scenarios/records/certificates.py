"""A certificate is no secret: whoever saw it can show it. What nobody else has is its key.

Mallory keeps a copy of what the shop showed in one connection, leads the next one to a server of
hers, and puts the copy in the place of the certificate that this one shows.
"""

from typing import Any

from tlslab import Lab, Version, scenario, scenarios
from tlslab.attack import Redirect, RelayCertificate
from tlslab.pki import KeyType

NOBODY_LOOKS = {"verify_chain": False, "verify_name": False}

ECDSA = {"key": KeyType.ECDSA_P256, "other_key": KeyType.ECDSA_P256, "ciphers": None}
RSA = {"key": KeyType.RSA_2048, "other_key": KeyType.RSA_2048, "ciphers": None}

# Hers is the longer key: for a shorter one, what the client sealed may be too large a number, and
# then decrypt_error comes first.
STATIC_RSA = {"key": KeyType.RSA_2048, "other_key": KeyType.RSA_3072,
              "ciphers": "AES128-GCM-SHA256"}  # fmt: skip

CASES: dict[str, dict[str, Any]] = {
    "ECDSA": {**ECDSA, "checks": {}, "refuser": "client", "why": "decrypt_error"},
    "RSA": {**RSA, "checks": {}, "refuser": "client", "why": "decrypt_error"},
    "verifies nothing": {**ECDSA, "checks": NOBODY_LOOKS, "refuser": "client",
                         "why": "decrypt_error"},
    "static RSA": {**STATIC_RSA, "checks": {}, "refuser": "server", "why": "bad_record_mac"},
}  # fmt: skip


@scenarios(CASES, group="records", twin="certificate_for_another_name_is_taken")
async def copied_certificate_is_refused(
    lab: Lab,
    key: KeyType,
    other_key: KeyType,
    ciphers: str | None,
    checks: dict[str, Any],
    refuser: str,
    why: str,
) -> None:
    """Without its key a genuine certificate is worth nothing: here the {refuser} says {why}.

    What the server signs does not fit the certificate's key. Static RSA has no signature; but there
    the client seals its secret to that key, so the wrong server does not learn it.
    """
    tls12: dict[str, Any] = {"maximum": Version.TLS_1_2, "ciphers": ciphers}
    shop = await lab.server("shop.test", key_type=key, **tls12)
    fake = await lab.server("mallory.test", key_type=other_key, **tls12)
    client = lab.client(ciphers=ciphers, **checks)
    mallory = await lab.tamperer(RelayCertificate("mallory.test"))
    card = lab.canary("card number")

    await client.get(shop.url("/"))
    with lab.expect(client if refuser == "client" else fake).refuses(alert=why):
        await client.post(shop.url("/pay"), card)

    lab.expect(fake).received_no(card)
    lab.expect(mallory).achieved_nothing().saw_no(card)


@scenario(group="records", outcome="breached", twin="copied_certificate_is_refused[ECDSA]")
async def certificate_for_another_name_is_taken(lab: Lab) -> None:
    """Mallory's server need not copy anything where the client does not look at the name.

    It shows its own certificate, whose key it has, and the signature fits.
    """
    shop = await lab.server("shop.test", maximum=Version.TLS_1_2)
    fake = await lab.server("mallory.test", maximum=Version.TLS_1_2)
    client = lab.client(verify_name=False)
    mallory = await lab.tamperer(Redirect("mallory.test"))
    card = lab.canary("card number")

    await client.post(shop.url("/pay"), card)

    lab.expect(fake).received(card)
    lab.expect(mallory).achieved("misdirected").saw_no(card)
