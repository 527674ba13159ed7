"""0-RTT: the request travels in the first flight, and the first flight can be sent again."""

from tlslab import Lab, scenario, scenarios
from tlslab.lab.early_data import Replays

ORDER = b"transfer 100 to Bob"


@scenario(group="sessions", outcome="breached",
          twin="a_copy_of_early_data_is_not_taken[tickets used once]")  # fmt: skip
async def early_data_is_replayed(lab: Lab) -> None:
    """Mallory has no key and reads nothing. She sends the recorded bytes again, and Bob is richer.

    Every other record of TLS is numbered and bound to its connection. Early data comes before the
    server has said a word, so nothing in it can belong to this connection only.
    """
    bank = await lab.early_server("bank.test")
    client = lab.early_client()
    mallory = lab.replayer()

    await client.get(bank.url("/balance"))
    await client.post(bank.url("/orders"), ORDER)
    await mallory.replay(bank, times=3)

    lab.expect(bank).took(b"/balance", *[b"/orders" + ORDER] * 4)
    lab.expect(mallory).achieved("replayed")


@scenarios(
    {
        "tickets used once": {"replays": "tickets used once"},
        "wait for the handshake": {"replays": "wait for the handshake"},
    },
    group="sessions",
    twin="early_data_is_replayed",
)
async def a_copy_of_early_data_is_not_taken(lab: Lab, replays: Replays) -> None:
    """The same copies against a bank that takes precautions: {replays}.

    Either it remembers which tickets were used, or it acts only when the handshake is complete,
    which takes a key. The second costs the round trip that early data was to save.
    """
    bank = await lab.early_server("bank.test", replays=replays)
    client = lab.early_client()
    mallory = lab.replayer()

    await client.get(bank.url("/balance"))
    await client.post(bank.url("/orders"), ORDER)
    await mallory.replay(bank, times=3)

    lab.expect(bank).took(b"/balance", b"/orders" + ORDER)
    lab.expect(mallory).achieved_nothing()
