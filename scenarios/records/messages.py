"""A bank takes payment orders over a WebSocket, and somebody on the path tampers with them.

No secret is at stake here: the attacker may read every order. The question is whether the bank
takes orders that the client did not give.
"""

from tlslab import Lab, Version, scenario, scenarios
from tlslab.attack import Drop, FlipBit, Reflect, Reorder, Replay, Splice

ALICE, BOB = b"pay 10 to alice", b"pay 20 to bob"
BOC = b"pay 20 to boc"  # what one flipped bit makes of it

VERSIONS = {"TLS 1.2": Version.TLS_1_2, "TLS 1.3": Version.TLS_1_3}

TAMPERING = {
    "flip": (FlipBit, "changes a bit of a record", (BOC, ALICE), "forged"),
    "replay": (Replay, "sends a record twice", (BOB, BOB, ALICE), "replayed"),
    "drop": (Drop, "swallows a record", (ALICE,), "dropped"),
    "reorder": (Reorder, "swaps two records", (ALICE, BOB), "reordered"),
}


@scenarios(
    {
        f"{name}, {number}": {"attack": attack, "does": does, "version": version,
                              "twin": f"altered_orders_are_taken[{name}]"}
        for name, (attack, does, _, _) in TAMPERING.items()
        for number, version in VERSIONS.items()
    },
    group="records",
)  # fmt: skip
async def altered_orders_are_refused(
    lab: Lab, attack: type[FlipBit], does: str, version: Version
) -> None:
    """Under {version} the bank finds out at once when somebody {does}.

    Each record is sealed together with its number, which is never sent: both ends count.
    """
    bank = await lab.server("bank.test", maximum=version)
    client = lab.client()
    mallory = await lab.tamperer(attack())

    with lab.expect(bank).refuses(alert="bad_record_mac"):
        async with client.websocket(bank.ws_url("/orders")) as orders:
            await orders.send_message(BOB)
            await orders.send_message(ALICE)
            await orders.get_message()

    lab.expect(mallory).achieved_nothing()


@scenarios(
    {
        name: {"attack": attack, "does": does, "taken": taken, "harm": harm,
               "twin": f"altered_orders_are_refused[{name}, TLS 1.3]"}
        for name, (attack, does, taken, harm) in TAMPERING.items()
    },
    group="records",
    outcome="breached",
)  # fmt: skip
async def altered_orders_are_taken(
    lab: Lab, attack: type[FlipBit], does: str, taken: tuple[bytes, ...], harm: str
) -> None:
    """Without TLS nothing tells the bank that somebody {does}: it takes whatever comes."""
    bank = await lab.server("bank.test", tls=False)
    client = lab.client()
    mallory = await lab.tamperer(attack())

    async with client.websocket(bank.ws_url("/orders")) as orders:
        await orders.send_message(BOB)
        await orders.send_message(ALICE)
        for _ in taken:
            await orders.get_message()

    lab.expect(bank).took(*taken)
    lab.expect(mallory).achieved(harm)


@scenarios(
    {number: {"version": version} for number, version in VERSIONS.items()},
    group="records",
    twin="order_of_another_connection_is_taken",
)
async def order_of_another_connection_is_refused(lab: Lab, version: Version) -> None:
    """Under {version} a record of an earlier connection is noise in a later one, by other keys."""
    bank = await lab.server("bank.test", maximum=version)
    client = lab.client()
    mallory = await lab.tamperer(Splice())

    async with client.websocket(bank.ws_url("/orders")) as orders:
        await orders.send_message(BOB)
        await orders.get_message()
    with lab.expect(bank).refuses(alert="bad_record_mac"):
        async with client.websocket(bank.ws_url("/orders")) as orders:
            await orders.send_message(ALICE)
            await orders.get_message()

    lab.expect(bank).took(BOB)
    lab.expect(mallory).achieved_nothing()


@scenario(
    group="records", outcome="breached", twin="order_of_another_connection_is_refused[TLS 1.3]"
)
async def order_of_another_connection_is_taken(lab: Lab) -> None:
    """Without TLS, yesterday's order, put in the place of today's, is carried out again."""
    bank = await lab.server("bank.test", tls=False)
    client = lab.client()
    mallory = await lab.tamperer(Splice())

    for order in (BOB, ALICE):
        async with client.websocket(bank.ws_url("/orders")) as orders:
            await orders.send_message(order)
            await orders.get_message()

    lab.expect(bank).took(BOB, BOB)
    lab.expect(mallory).achieved("replayed")


@scenarios(
    {number: {"version": version} for number, version in VERSIONS.items()},
    group="records",
    twin="reflected_order_is_taken",
)
async def reflected_order_is_refused(lab: Lab, version: Version) -> None:
    """Under {version} a client that gets its own record back refuses it: each way has its key."""
    bank = await lab.server("bank.test", maximum=version)
    client = lab.client()
    mallory = await lab.tamperer(Reflect())

    with lab.expect(client).refuses(alert="bad_record_mac"):
        async with client.websocket(bank.ws_url("/orders")) as orders:
            await orders.send_message(BOB)
            await orders.get_message()

    lab.expect(mallory).achieved_nothing()


@scenario(group="records", outcome="breached", twin="reflected_order_is_refused[TLS 1.3]")
async def reflected_order_is_taken(lab: Lab) -> None:
    """Without TLS a client takes its own order, sent back, for the bank's answer."""
    bank = await lab.server("bank.test", tls=False)
    client = lab.client()
    mallory = await lab.tamperer(Reflect())

    async with client.websocket(bank.ws_url("/orders")) as orders:
        await orders.send_message(BOB)
        await orders.get_message()

    lab.expect(bank).took()
    lab.expect(mallory).achieved("forged")
