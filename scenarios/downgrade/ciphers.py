"""Cipher suites that encrypt nothing: they exist, and both ends can be told to use them.

No attack is needed here, only two mistakes. With one of them, nothing comes about.
"""

from tlslab import Lab, Version, scenarios
from tlslab.attack import KeepCiphers
from tlslab.pki import KeyType

NULLS = {
    "RSA": {"suite": "NULL-SHA256", "key": KeyType.RSA_2048},
    "ECDHE": {"suite": "ECDHE-ECDSA-NULL-SHA", "key": KeyType.ECDSA_P256},
    "anonymous": {"suite": "AECDH-NULL-SHA", "key": KeyType.ECDSA_P256},
}


@scenarios(NULLS, group="downgrade", outcome="breached", twin="null_cipher_is_refused[{case}]")
async def null_cipher_is_read(lab: Lab, suite: str, key: KeyType) -> None:
    """With {suite} it is TLS, with a handshake and a key exchange, and anybody can read it."""
    weak = f"{suite}:@SECLEVEL=0"
    shop = await lab.server("shop.test", maximum=Version.TLS_1_2, ciphers=weak, key_type=key)
    sniffer = lab.sniffer()
    client = lab.client(ciphers=weak, maximum=Version.TLS_1_2)
    card = lab.canary("card number")

    await client.post(shop.url("/pay"), card)

    lab.expect(shop).received(card)
    lab.expect(sniffer).saw(card).learned(tls_version="TLS 1.2")


@scenarios(NULLS, group="downgrade", twin="null_cipher_is_read[{case}]")
async def null_cipher_is_refused(lab: Lab, suite: str, key: KeyType) -> None:
    """A server with a sane cipher list has none in common with a client that offers {suite}."""
    shop = await lab.server("shop.test", maximum=Version.TLS_1_2, key_type=key)
    sniffer = lab.sniffer()
    client = lab.client(ciphers=f"{suite}:@SECLEVEL=0", maximum=Version.TLS_1_2)
    card = lab.canary("card number")

    with lab.expect(shop).refuses(alert="handshake_failure"):
        await client.post(shop.url("/pay"), card)

    lab.expect(sniffer).saw_no(card)


@scenarios(NULLS, group="downgrade", twin="null_cipher_is_read[{case}]")
async def null_cipher_cannot_be_forced(lab: Lab, suite: str, key: KeyType) -> None:
    """Even ends that list {suite} last cannot be brought to use it: the edited hello is noticed."""
    lax = f"ALL:{suite}:@SECLEVEL=0"
    shop = await lab.server("shop.test", maximum=Version.TLS_1_2, ciphers=lax, key_type=key)
    client = lab.client(ciphers=lax, maximum=Version.TLS_1_2)
    mallory = await lab.tamperer(KeepCiphers("_NULL_"))
    card = lab.canary("card number")

    with lab.expect(shop).refuses():
        await client.post(shop.url("/pay"), card)

    lab.expect(mallory).achieved_nothing().saw_no(card)
