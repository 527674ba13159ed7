"""The fallback dance: break every good connection, until the client tries a worse one.

Nothing is edited, so nothing can be noticed. It works because some clients retry with less where
they meet an old server, and cannot tell one from an attacker.
"""

from typing import Any

from tlslab import Lab, Version, scenario, scenarios
from tlslab.attack import DropHellos
from tlslab.pki import KeyType
from tlslab.tls import RetiredVersion

RETRIES = {
    "TLS 1.2": {
        "retry": {"maximum": Version.TLS_1_2},
        "dropped": ("TLS 1.3",),
        "twin": "fallback_scsv_gives_the_game_away",
    },
    "no post-quantum group": {
        "retry": {"groups": ("X25519", "P-256")},
        "dropped": ("MLKEM",),
        "twin": "client_that_never_retries_gets_no_less[MLKEM]",
    },
    "no ALPN": {
        "retry": {"alpn": ()},
        "dropped": ("http/1.1",),
        "twin": "client_that_never_retries_gets_no_less[http-1.1]",
    },
    "static RSA": {
        "retry": {"maximum": Version.TLS_1_2, "ciphers": "AES128-GCM-SHA256"},
        "dropped": ("TLS 1.3", "ECDHE"),
        "twin": "client_that_never_retries_gets_no_less[ECDHE]",
    },
}


@scenarios(RETRIES, group="downgrade", outcome="breached")
async def client_that_retries_gets_less(
    lab: Lab, retry: dict[str, Any], dropped: tuple[str, ...]
) -> None:
    """Every connection that offers the better thing is broken, so the client comes back without.

    Both ends could do better, and neither notices that they do not.
    """
    shop = await lab.server("shop.test", alpn=("http/1.1",), key_type=KeyType.RSA_2048)
    client = lab.client(alpn=("http/1.1",))
    client.fall_back(**retry)
    mallory = await lab.tamperer(DropHellos(offering=dropped))
    card = lab.canary("card number")

    await client.post(shop.url("/pay"), card)

    lab.expect(shop).received(card)
    lab.expect(mallory).achieved("downgraded").saw_no(card)


@scenarios(
    {
        "TLS 1.3": {"dropped": ("TLS 1.3",), "twin": "client_that_retries_gets_less[TLS 1.2]"},
        "MLKEM": {
            "dropped": ("MLKEM",),
            "twin": "client_that_retries_gets_less[no post-quantum group]",
        },
        "http-1.1": {"dropped": ("http/1.1",), "twin": "client_that_retries_gets_less[no ALPN]"},
        "ECDHE": {"dropped": ("ECDHE",), "twin": "client_that_retries_gets_less[static RSA]"},
    },
    group="downgrade",
)
async def client_that_never_retries_gets_no_less(lab: Lab, dropped: tuple[str, ...]) -> None:
    """Without a second attempt there is nothing to gain from breaking good connections."""
    shop = await lab.server("shop.test", alpn=("http/1.1",))
    client = lab.client(alpn=("http/1.1",))
    mallory = await lab.tamperer(DropHellos(offering=dropped))

    with lab.expect(client).refuses():
        await client.post(shop.url("/pay"), b"card")

    lab.expect(shop).took()
    lab.expect(mallory).achieved_nothing()


@scenario(group="downgrade", twin="client_that_retries_gets_less[TLS 1.2]")
async def fallback_scsv_gives_the_game_away(lab: Lab) -> None:
    """The second attempt says that it is one, and the server, which could do better, refuses it.

    That is what TLS_FALLBACK_SCSV is for: a cipher suite that is none (RFC 7507).
    """
    shop = await lab.server("shop.test")
    client = lab.client()
    client.fall_back(maximum=Version.TLS_1_2, fallback_scsv=True)
    mallory = await lab.tamperer(DropHellos(offering=("TLS 1.3",)))

    with lab.expect(shop).refuses(alert="inappropriate_fallback"):
        await client.post(shop.url("/pay"), b"card")

    lab.expect(shop).took()
    lab.expect(mallory).achieved_nothing()


RETIRED = {
    "TLS 1.0": {"version": RetiredVersion.TLS_1_0},
    "TLS 1.1": {"version": RetiredVersion.TLS_1_1},
}
LAX = "ALL:@SECLEVEL=0"


@scenarios(
    RETIRED, group="downgrade", outcome="breached", twin="retired_version_is_refused[{case}]"
)
async def retired_version_is_spoken(lab: Lab, version: RetiredVersion) -> None:
    """Two ends that still speak {version} for somebody's sake can be brought to speak it."""
    shop = await lab.server("shop.test", minimum=version, ciphers=LAX)
    client = lab.client()
    client.fall_back(minimum=version, maximum=version, ciphers=LAX)
    mallory = await lab.tamperer(DropHellos(offering=("TLS 1.3", "TLS 1.2")))
    card = lab.canary("card number")

    await client.post(shop.url("/pay"), card)

    lab.expect(shop).received(card)
    lab.expect(mallory).achieved("downgraded").saw_no(card)


@scenarios(RETIRED, group="downgrade", twin="retired_version_is_spoken[{case}]")
async def retired_version_is_refused(lab: Lab, version: RetiredVersion) -> None:
    """A server that has nothing below TLS 1.2 refuses {version}, however lax the client is."""
    shop = await lab.server("shop.test")
    client = lab.client()
    client.fall_back(minimum=version, maximum=version, ciphers=LAX)
    mallory = await lab.tamperer(DropHellos(offering=("TLS 1.3", "TLS 1.2")))

    with lab.expect(shop).refuses(alert="protocol_version"):
        await client.post(shop.url("/pay"), b"card")

    lab.expect(shop).took()
    lab.expect(mallory).achieved_nothing()
