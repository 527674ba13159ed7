"""How a connection ends: by close_notify, by an alert, or because somebody cut it.

A server sends an account statement without saying how long it is: it ends with the connection.
"""

from tlslab import Lab, Version, scenario, scenarios
from tlslab.attack import CutServerFlight, ForgedAlert, ForgedClose, Truncate

STATEMENT = b"+10 salary\n" * 3000 + b"-90 rent\n"
HALF = 16_000

VERSIONS = {"TLS 1.2": Version.TLS_1_2, "TLS 1.3": Version.TLS_1_3}
NO_ALERT = {Version.TLS_1_2: "bad_record_mac", Version.TLS_1_3: "unexpected_message"}
CASES = {number: {"version": version} for number, version in VERSIONS.items()}


@scenarios(CASES, group="records", twin="half_a_statement_is_taken[{case}]")
async def half_a_statement_is_refused(lab: Lab, version: Version) -> None:
    """Under {version} a client that insists on close_notify knows that something is missing.

    Anybody can send a FIN; only the server can say, with the keys, that this was all.
    """
    bank = await lab.server("bank.test", maximum=version, reply=STATEMENT, until_close=True)
    client = lab.client()
    mallory = await lab.tamperer(Truncate(after=HALF))

    with lab.expect(client).refuses():
        await client.get(bank.url("/statement"))

    lab.expect(mallory).achieved_nothing()


@scenarios(CASES, group="records", outcome="breached", twin="half_a_statement_is_refused[{case}]")
async def half_a_statement_is_taken(lab: Lab, version: Version) -> None:
    """Under {version} too, a client that takes any end for the end misses what was cut off."""
    bank = await lab.server("bank.test", maximum=version, reply=STATEMENT, until_close=True)
    client = lab.client(require_close_notify=False)
    mallory = await lab.tamperer(Truncate(after=HALF))

    await client.get(bank.url("/statement"))

    lab.expect(mallory).achieved("truncated")


@scenarios(
    {
        f"{name}, {number}": {"version": version, "alert": alert, "why": NO_ALERT[version]}
        for name, alert in {"close_notify": 0, "handshake_failure": 40}.items()
        for number, version in VERSIONS.items()
    },
    group="records",
    twin="without_tls_a_fin_is_all_it_takes",
)  # fmt: skip
async def forged_ending_is_refused(lab: Lab, version: Version, alert: int, why: str) -> None:
    """Under {version} an alert without the keys is no alert: the client answers {why}.

    It does so to a close_notify (0) that would make half a statement a whole one, and to a fatal
    alert alike. Here it was alert {alert}.
    """
    bank = await lab.server("bank.test", maximum=version, reply=STATEMENT, until_close=True)
    client = lab.client()
    mallory = await lab.tamperer(ForgedClose(alert=alert))

    with lab.expect(client).refuses(alert=why):
        await client.get(bank.url("/statement"))

    lab.expect(mallory).achieved_nothing()


@scenario(
    group="records", outcome="breached", twin="forged_ending_is_refused[close_notify, TLS 1.3]"
)
async def without_tls_a_fin_is_all_it_takes(lab: Lab) -> None:
    """Without TLS the end of a connection is a FIN, and anybody on the path can send one."""
    bank = await lab.server("bank.test", tls=False, reply=STATEMENT, until_close=True)
    client = lab.client()
    mallory = await lab.tamperer(Truncate(after=HALF))

    await client.get(bank.url("/statement"))

    lab.expect(mallory).achieved("truncated")


@scenario(
    group="records", outcome="breached", twin="forged_ending_is_refused[handshake_failure, TLS 1.3]"
)
async def forged_alert_before_there_are_keys_is_believed(lab: Lab) -> None:
    """Nothing vouches for an alert that answers a ClientHello: the client believes it, and leaves.

    There is no defence; but all that is lost is the connection, and on the path it is lost anyway.
    """
    bank = await lab.server("bank.test")
    client = lab.client()
    mallory = await lab.tamperer(ForgedAlert())
    order = lab.canary("order")

    with lab.expect(bank).refuses(alert="handshake_failure"):  # so the client thinks
        await client.post(bank.url("/orders"), order)

    lab.expect(mallory).achieved("denied")
    lab.expect(mallory).saw_no(order)


@scenarios(CASES, group="records", twin="forged_alert_before_there_are_keys_is_believed")
async def cut_handshake_gives_nothing_away(lab: Lab, version: Version) -> None:
    """Under {version} a handshake that is cut short ends in nothing: no order, and no secret.

    If the attacker only kept silent instead, both ends would wait until their deadline.
    """
    bank = await lab.server("bank.test", maximum=version)
    client = lab.client()
    mallory = await lab.tamperer(CutServerFlight(fin=True))
    order = lab.canary("order")

    with lab.expect(client).refuses():
        await client.post(bank.url("/orders"), order)

    lab.expect(bank).received_no(order)
    lab.expect(mallory).saw_no(order)
