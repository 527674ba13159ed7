"""Records with a wrong header, and a handshake with one wrong bit.

What a header says is checked before anything is decrypted; what stands in a handshake, at the
latest when its keys turn out to be different ones.
"""

from tlslab import Lab, Version, scenarios
from tlslab.attack import FlipServerFlight, WrongLength, WrongType

TLS_1_2, TLS_1_3 = Version.TLS_1_2, Version.TLS_1_3


@scenarios(
    {
        "type, TLS 1.2": {"attack": WrongType, "version": TLS_1_2, "why": "bad_record_mac"},
        "type, TLS 1.3": {"attack": WrongType, "version": TLS_1_3, "why": "unexpected_message"},
        "length, TLS 1.2": {"attack": WrongLength, "version": TLS_1_2, "why": "record_overflow"},
        "length, TLS 1.3": {"attack": WrongLength, "version": TLS_1_3, "why": "record_overflow"},
    },
    group="records",
    twin="altered_orders_are_taken[flip]",
)  # fmt: skip
async def wrong_record_header_is_refused(
    lab: Lab, attack: type[WrongType], version: Version, why: str
) -> None:
    """Under {version} a record with a header that cannot be is refused: {why}."""
    bank = await lab.server("bank.test", maximum=version)
    client = lab.client()
    mallory = await lab.tamperer(attack())

    with lab.expect(bank).refuses(alert=why):
        await client.post(bank.url("/orders"), b"pay 20 to bob")

    lab.expect(bank).took()
    lab.expect(mallory).achieved_nothing()


@scenarios(
    {
        "TLS 1.2": {"version": TLS_1_2, "why": "decrypt_error", "what": "signed key"},
        "TLS 1.3": {"version": TLS_1_3, "why": "bad_record_mac", "what": "encrypted extensions"},
    },
    group="records",
    twin="altered_orders_are_taken[flip]",
)  # fmt: skip
async def altered_handshake_is_refused(lab: Lab, version: Version, why: str, what: str) -> None:
    """Under {version} one wrong bit in the server's {what} ends the handshake: {why}."""
    bank = await lab.server("bank.test", maximum=version)
    client = lab.client()
    mallory = await lab.tamperer(FlipServerFlight())

    with lab.expect(client).refuses(alert=why):
        await client.post(bank.url("/orders"), b"pay 20 to bob")

    lab.expect(bank).took()
    lab.expect(mallory).achieved_nothing()
