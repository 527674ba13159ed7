"""The ClientHello has a shape, and the shape has a name: JA4 tells programs apart."""

from tlslab import Lab, Version, scenarios

VERSIONS = {
    "TLS 1.2": {"version": Version.TLS_1_2},
    "TLS 1.3": {"version": Version.TLS_1_3},
}


@scenarios(VERSIONS, group="metadata", outcome="breached",
           twin="who_looks_like_many_is_not_told_apart[{case}]")  # fmt: skip
async def the_hello_betrays_the_program(lab: Lab, version: Version) -> None:
    """Two programs, two lists of cipher suites: one look at the ClientHello says which it is."""
    server = await lab.server("news.test", alpn=("http/1.1",))
    browser = lab.client("browser", alpn=("h2", "http/1.1"), maximum=version)
    own = lab.client("own", ciphers="ECDHE-ECDSA-AES128-GCM-SHA256", maximum=version)
    reader = lab.client("reader", ciphers="ECDHE-ECDSA-AES128-GCM-SHA256", maximum=version)
    onlooker = lab.onlooker("program")

    with onlooker.studying("a browser"):
        await browser.get(server.url("/"))
    with onlooker.studying("the forbidden reader"):
        await own.get(server.url("/"))
    with onlooker.guessing("the forbidden reader"):
        await reader.get(server.url("/"))

    lab.expect(onlooker).achieved("inferred")
    lab.expect(onlooker).learned(guess="the forbidden reader")


@scenarios(VERSIONS, group="metadata", twin="the_hello_betrays_the_program[{case}]")
async def who_looks_like_many_is_not_told_apart(lab: Lab, version: Version) -> None:
    """A program that offers exactly what a common browser offers has the browser's fingerprint."""
    server = await lab.server("news.test", alpn=("http/1.1",))
    browser = lab.client("browser", alpn=("h2", "http/1.1"), maximum=version)
    own = lab.client("own", alpn=("h2", "http/1.1"), maximum=version)
    reader = lab.client("reader", alpn=("h2", "http/1.1"), maximum=version)
    onlooker = lab.onlooker("program")

    with onlooker.studying("a browser"):
        await browser.get(server.url("/"))
    with onlooker.studying("the forbidden reader"):
        await own.get(server.url("/"))
    with onlooker.guessing("the forbidden reader"):
        await reader.get(server.url("/"))

    lab.expect(onlooker).achieved_nothing()
    lab.expect(onlooker).learned(guess="unknown")
