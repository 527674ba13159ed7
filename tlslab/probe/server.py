"""The server side of a case: listens on loopback, serves the fault, and notes what the client does.

It judges nothing. The secret is a token that stands in the URL; if it arrives in what came out of
TLS, the client has talked.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import trio

from tlslab.attack import tamper
from tlslab.attack.units import Unit
from tlslab.errors import TlslabError
from tlslab.probe.case import Served
from tlslab.tls import HandshakeFailure, TLSStream

HEAD_BYTES = 64 * 1024
"""How much of what a client says is looked at: a request's head and more."""

PATIENCE = 5.0
"""Seconds to wait for a client that has shaken hands to say something."""

ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n"
    b"Connection: close\r\n\r\nok\n"
)


@dataclass
class Observation:
    """What the server saw of a client, over all its connections."""

    connections: int = 0
    handshake: bool = False
    secret: bool = False
    alert: str | None = None
    tampered: bool = False


async def listen() -> list[trio.SocketListener]:
    """Listeners on one free port of 127.0.0.1, and of ::1 where there is IPv6.

    Clients differ in which of the two they take `localhost` for.
    """
    (first,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = first.socket.getsockname()[1]
    try:
        return [first, *await trio.open_tcp_listeners(port, host="::1")]
    except OSError:
        return [first]


class CaseServer:
    """Serves one case and looks for one secret."""

    def __init__(self, served: Served, secret: bytes) -> None:
        self.seen = Observation()
        self._served = served
        self._secret = secret

    async def serve(self, transport: trio.SocketStream) -> None:
        """Serve one connection of the client, through the attacker on the path if there is one."""
        self.seen.connections += 1
        if self._served.attack is None:
            await self._serve(transport)
            return
        near, far = trio.socket.socketpair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(
                partial(
                    tamper,
                    transport,
                    trio.SocketStream(near),
                    self._served.attack,
                    on_tampered=self._note_tampering,
                )
            )
            await self._serve(trio.SocketStream(far))

    def _note_tampering(self, unit: Unit) -> None:
        self.seen.tampered = True

    async def _serve(self, transport: trio.SocketStream) -> None:
        stream = TLSStream.server(transport, self._served.policy)
        try:
            await stream.do_handshake()
            self.seen.handshake = True
            with trio.move_on_after(PATIENCE):
                await self._converse(stream)
            await stream.aclose()
        except HandshakeFailure as error:
            self._note(error)
        except (TlslabError, trio.BrokenResourceError):
            pass
        finally:
            await trio.aclose_forcefully(transport)

    async def _converse(self, stream: TLSStream) -> None:
        received = b""
        while len(received) < HEAD_BYTES and b"\r\n\r\n" not in received:
            data = await stream.receive_some()
            if not data:
                break
            received += data
            self.seen.secret = self.seen.secret or self._secret in received
        if received:
            await stream.send_all(ANSWER)

    def _note(self, error: HandshakeFailure) -> None:
        if error.alert is not None and error.alert_direction == "received":
            self.seen.alert = f"{error.alert.name} ({error.alert.number})"
