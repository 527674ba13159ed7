"""SSLKEYLOGFILE: a switch for debugging that hands the keys of every connection to a file."""

from tlslab import Lab, Version, scenarios

VERSIONS = {
    "TLS 1.2": {"version": Version.TLS_1_2},
    "TLS 1.3": {"version": Version.TLS_1_3},
}


@scenarios(
    VERSIONS,
    group="key-compromise",
    outcome="breached",
    twin="a_key_log_opens_only_its_own_connections[{case}]",
)
async def a_leaked_key_log_opens_the_recording(lab: Lab, version: Version) -> None:
    """Who recorded {version} and later finds the client's key log reads every byte.

    Forward secrecy protects against the theft of long-term keys. The log holds the others.
    """
    shop = await lab.server("shop.test")
    client = lab.client(maximum=version)
    finder = lab.key_log_reader(client)
    card = lab.canary("card number")

    await client.post(shop.url("/pay"), card)

    lab.expect(shop).received(card)
    lab.expect(finder).saw(card)


@scenarios(
    VERSIONS,
    group="key-compromise",
    twin="a_leaked_key_log_opens_the_recording[{case}]",
)
async def a_key_log_opens_only_its_own_connections(lab: Lab, version: Version) -> None:
    """Another client's key log opens nothing of this one's: keys are of one connection ({version}).

    So what leaks is exactly what was logged: whoever shares a capture with its keys should make
    sure that no other connection is in the log.
    """
    shop = await lab.server("shop.test")
    client = lab.client(maximum=version)
    careless = lab.client("careless", maximum=version)
    finder = lab.key_log_reader(careless)
    card = lab.canary("card number")

    await careless.post(shop.url("/search"), b"umbrella")
    await client.post(shop.url("/pay"), card)

    lab.expect(shop).received(card)
    lab.expect(finder).saw_no(card)
