"""A chat over WebSocket, on the cable and in the middle."""

from tlslab import Lab, scenario


@scenario(group="in-flight", outcome="breached", twin="tls_hides_the_chat")
async def plain_chat_is_read(lab: Lab) -> None:
    """A WebSocket without TLS masks what the client says, which hides it from nobody."""
    chat = await lab.server("chat.test", tls=False)
    sniffer = lab.sniffer()
    gossip = lab.canary("gossip")

    async with lab.client().websocket(chat.ws_url("/room")) as room:
        await room.send_message(gossip.token)
        await room.get_message()

    lab.expect(chat).received(gossip)
    lab.expect(sniffer).saw(gossip)


@scenario(group="in-flight", twin="plain_chat_is_read")
async def tls_hides_the_chat(lab: Lab) -> None:
    """A sniffer reads nothing of a chat over WebSocket and TLS."""
    chat = await lab.server("chat.test")
    sniffer = lab.sniffer()
    gossip = lab.canary("gossip")

    async with lab.client().websocket(chat.ws_url("/room")) as room:
        await room.send_message(gossip.token)
        await room.get_message()

    lab.expect(chat).received(gossip)
    lab.expect(sniffer).saw_no(gossip)


@scenario(group="interception", outcome="breached", twin="mitm_cannot_join_the_chat")
async def mitm_joins_the_careless_chat(lab: Lab) -> None:
    """A chat client that verifies nothing lets the man in the middle read every message."""
    chat = await lab.server("chat.test")
    client = lab.client(verify_chain=False, verify_name=False)
    mallory = await lab.interceptor(victim=client)
    gossip = lab.canary("gossip")

    async with client.websocket(chat.ws_url("/room")) as room:
        await room.send_message(gossip.token)
        await room.get_message()

    lab.expect(chat).received(gossip)
    lab.expect(mallory).saw(gossip)


@scenario(group="interception", twin="mitm_joins_the_careless_chat")
async def mitm_cannot_join_the_chat(lab: Lab) -> None:
    """A chat client that verifies certificates refuses the man in the middle before it speaks."""
    chat = await lab.server("chat.test")
    client = lab.client()
    mallory = await lab.interceptor(victim=client)
    gossip = lab.canary("gossip")

    with lab.expect(client).refuses(alert="unknown_ca"):
        async with client.websocket(chat.ws_url("/room")) as room:
            await room.send_message(gossip.token)

    lab.expect(chat).received_no(gossip)
    lab.expect(mallory).saw_no(gossip)
