"""What both ends can do, and what they chose, stands in the hellos."""

from tlslab import Lab, Version, scenario

BOTH = ("http/1.1", "chat/1")


@scenario(group="metadata", outcome="breached", twin="when_all_can_nobody_is_picked")
async def who_cannot_do_post_quantum_is_picked(lab: Lab) -> None:
    """Who has no room to record everybody picks those whose key shares will be broken one day."""
    news = await lab.server("news.test")
    old, new = lab.client("old", groups=("X25519",)), lab.client("new")
    victim = lab.client("victim", groups=("X25519",))
    onlooker = lab.onlooker("groups")

    with onlooker.studying("worth recording"):
        await old.get(news.url("/"))
    with onlooker.studying("a waste of disk"):
        await new.get(news.url("/"))
    with onlooker.guessing("worth recording"):
        await victim.get(news.url("/"))

    lab.expect(onlooker).achieved("inferred")
    lab.expect(onlooker).learned(guess="worth recording", guessed_from="x25519")


@scenario(group="metadata", twin="who_cannot_do_post_quantum_is_picked")
async def when_all_can_nobody_is_picked(lab: Lab) -> None:
    """Once every program offers X25519MLKEM768, that it does says nothing about anybody."""
    news = await lab.server("news.test")
    old, new, victim = lab.client("old"), lab.client("new"), lab.client("victim")
    onlooker = lab.onlooker("groups")

    with onlooker.studying("worth recording"):
        await old.get(news.url("/"))
    with onlooker.studying("a waste of disk"):
        await new.get(news.url("/"))
    with onlooker.guessing("worth recording"):
        await victim.get(news.url("/"))

    lab.expect(onlooker).achieved_nothing()
    lab.expect(onlooker).learned(guess="unknown")


@scenario(group="metadata", outcome="breached", twin="tls13_hides_the_chosen_protocol")
async def tls12_shows_the_chosen_protocol(lab: Lab) -> None:
    """In TLS 1.2 the server says in plain which of the offered protocols it will be (ALPN)."""
    web = await lab.server("web.test", alpn=("http/1.1",))
    chat = await lab.server("chat.test", alpn=("chat/1",))
    own = lab.client("own", alpn=BOTH, maximum=Version.TLS_1_2)
    client = lab.client(alpn=BOTH, maximum=Version.TLS_1_2)
    onlooker = lab.onlooker("protocol")

    with onlooker.studying("the web"):
        await own.get(web.url("/"))
    with onlooker.studying("a chat"):
        await own.get(chat.url("/"))
    with onlooker.guessing("a chat"):
        await client.get(chat.url("/"))

    lab.expect(onlooker).achieved("inferred")
    lab.expect(onlooker).learned(guess="a chat", guessed_from="chat/1")


@scenario(group="metadata", twin="tls12_shows_the_chosen_protocol")
async def tls13_hides_the_chosen_protocol(lab: Lab) -> None:
    """In TLS 1.3 the choice travels encrypted; the offer is all that an onlooker sees."""
    web = await lab.server("web.test", alpn=("http/1.1",))
    chat = await lab.server("chat.test", alpn=("chat/1",))
    own, client = lab.client("own", alpn=BOTH), lab.client(alpn=BOTH)
    onlooker = lab.onlooker("protocol")

    with onlooker.studying("the web"):
        await own.get(web.url("/"))
    with onlooker.studying("a chat"):
        await own.get(chat.url("/"))
    with onlooker.guessing("a chat"):
        await client.get(chat.url("/"))

    lab.expect(onlooker).achieved_nothing()
    lab.expect(onlooker).learned_no("alpn")
