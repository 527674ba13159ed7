"""Recorded today, and the server's private key stolen a year later: what is it good for?"""

from tlslab import KeyType, Lab, Version, scenarios


@scenarios(
    {
        "AES128-GCM-SHA256": {"cipher": "AES128-GCM-SHA256"},
        "AES256-GCM-SHA384": {"cipher": "AES256-GCM-SHA384"},
        "AES256-SHA256": {"cipher": "AES256-SHA256"},
        "AES128-SHA": {"cipher": "AES128-SHA"},
    },
    group="key-compromise",
    outcome="breached",
    twin="ephemeral_keys_leave_nothing_to_steal[TLS 1.2]",
)
async def static_rsa_is_opened_with_the_servers_key(lab: Lab, cipher: str) -> None:
    """With {cipher} the client encrypts the secret to the server's key: one theft opens the past.

    Static RSA has no forward secrecy. The thief needs no place on the path any more, only the
    recording: it decrypts the secret in each ClientKeyExchange, and with it the connection.
    """
    shop = await lab.server("shop.test", key_type=KeyType.RSA_2048, ciphers=cipher)
    client = lab.client(ciphers=cipher, maximum=Version.TLS_1_2)
    thief = lab.server_key_thief(shop)
    card = lab.canary("card number")

    await client.post(shop.url("/pay"), card)

    lab.expect(shop).received(card)
    lab.expect(thief).saw(card)


@scenarios(
    {
        "TLS 1.2": {"version": Version.TLS_1_2},
        "TLS 1.3": {"version": Version.TLS_1_3},
    },
    group="key-compromise",
    twin="static_rsa_is_opened_with_the_servers_key[AES128-GCM-SHA256]",
)
async def ephemeral_keys_leave_nothing_to_steal(lab: Lab, version: Version) -> None:
    """The same thief with the same key: with ephemeral keys ({version}) the recording stays shut.

    The server's key only signed. What the secret was made of was thrown away with the connection.
    """
    shop = await lab.server("shop.test", key_type=KeyType.RSA_2048)
    client = lab.client(maximum=version)
    thief = lab.server_key_thief(shop)
    card = lab.canary("card number")

    await client.post(shop.url("/pay"), card)

    lab.expect(shop).received(card)
    lab.expect(thief).saw_no(card)
    lab.expect(thief).learned(tls_version=version.value)
