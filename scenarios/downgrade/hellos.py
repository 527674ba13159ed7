"""Somebody edits the ClientHello, which travels in the clear, so that less is agreed on.

The edit is a perfect one: the server gets a valid hello and answers it. But both ends hash all that
they sent and received into their keys, and so the client's and the server's are not the same.
"""

from tlslab import Lab, Version, scenarios
from tlslab.attack import (
    Attack,
    EditServerName,
    KeepCiphers,
    KeepSignatures,
    StripALPN,
    StripExtendedMasterSecret,
    StripGroups,
    StripVersions,
)
from tlslab.pki import KeyType

WEB = ("h2", "http/1.1")
RSA_PKCS1_SHA256, RSA_PSS_RSAE_SHA256 = 0x0401, 0x0804

FALLEN, READ = "client_that_retries_gets_less[{}]", "client_without_verification_is_read"

EDITS = {
    "supported_versions": (StripVersions(), Version.TLS_1_3, "client", "illegal_parameter",
                           FALLEN.format("TLS 1.2")),
    "post-quantum group": (StripGroups(), Version.TLS_1_3, "client", "bad_record_mac",
                           FALLEN.format("no post-quantum group")),
    "post-quantum group only": (StripGroups(shares=False), Version.TLS_1_3, "server",
                                "illegal_parameter", FALLEN.format("no post-quantum group")),
    "ALPN, TLS 1.2": (StripALPN(), Version.TLS_1_2, "server", "bad_record_mac",
                      FALLEN.format("no ALPN")),
    "ALPN, TLS 1.3": (StripALPN(), Version.TLS_1_3, "client", "bad_record_mac",
                      FALLEN.format("no ALPN")),
    "server name, TLS 1.2": (EditServerName("bank.test"), Version.TLS_1_2, "server",
                             "bad_record_mac", READ),
    "server name, TLS 1.3": (EditServerName("bank.test"), Version.TLS_1_3, "client",
                             "bad_record_mac", READ),
    "extended_master_secret, TLS 1.2": (StripExtendedMasterSecret(), Version.TLS_1_2, "server",
                                        "decrypt_error", READ),
    "ciphers with forward secrecy, TLS 1.2": (KeepCiphers("TLS_RSA_"), Version.TLS_1_2, "server",
                                              "bad_record_mac", FALLEN.format("static RSA")),
    "strongest ciphers, TLS 1.3": (KeepCiphers("AES_128"), Version.TLS_1_3, "client",
                                   "bad_record_mac", FALLEN.format("TLS 1.2")),
    "older signatures, TLS 1.2": (KeepSignatures(RSA_PKCS1_SHA256), Version.TLS_1_2, "server",
                                  "bad_record_mac", READ),
    "fewer signatures, TLS 1.3": (KeepSignatures(RSA_PSS_RSAE_SHA256), Version.TLS_1_3, "client",
                                  "bad_record_mac", READ),
    "SHA-1 signatures, TLS 1.2": (KeepSignatures(), Version.TLS_1_2, "server",
                                  "handshake_failure", READ),
    "SHA-1 signatures, TLS 1.3": (KeepSignatures(), Version.TLS_1_3, "server",
                                  "handshake_failure", READ),
}  # fmt: skip


@scenarios(
    {
        name: {"edit": edit, "version": version, "refuser": who, "why": alert, "twin": twin}
        for name, (edit, version, who, alert, twin) in EDITS.items()
    },
    group="downgrade",
)
async def edited_hello_is_noticed(
    lab: Lab, edit: Attack, version: Version, refuser: str, why: str
) -> None:
    """A ClientHello of {version} is edited on its way: the {refuser} finds out, and says {why}."""
    shop = await lab.server("shop.test", alpn=WEB, key_type=KeyType.RSA_2048)
    client = lab.client(alpn=WEB, maximum=version)
    mallory = await lab.tamperer(edit)
    card = lab.canary("card number")

    with lab.expect(client if refuser == "client" else shop).refuses(alert=why):
        await client.post(shop.url("/pay"), card)

    lab.expect(shop).received_no(card)
    lab.expect(mallory).achieved_nothing().saw_no(card)
