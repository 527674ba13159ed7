"""A server that chooses its policy by the name the client asks for.

OpenSSL's own way is a callback that swaps the context in the middle of the handshake, when versions
and tickets are already settled by the first one. Here the ClientHello is read before OpenSSL sees
it, so a policy holds as a whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio

from tlslab.tls.alerts import UNRECOGNIZED_NAME, Alert
from tlslab.tls.bindings import SCRATCH
from tlslab.tls.duplex import FAREWELL_SECONDS
from tlslab.tls.errors import HandshakeFailure
from tlslab.tls.hello import ClientHello, peek_client_hello
from tlslab.tls.policy import ServerPolicy
from tlslab.tls.records import MalformedTLS

_INTERNAL_ERROR: Final = 80


async def read_client_hello(transport: trio.abc.Stream) -> tuple[ClientHello | None, bytes]:
    """A connection's first bytes, and the ClientHello in them; None if they cannot be one.

    Raises HandshakeFailure if the transport ends.
    """
    buffer = b""
    while True:
        data = await transport.receive_some(SCRATCH)
        if not data:
            raise peer_left("closed the connection before its ClientHello")
        buffer += data
        try:
            hello = peek_client_hello(buffer)
        except MalformedTLS:
            return None, buffer
        if hello is not None:
            return hello, buffer


async def choose(
    transport: trio.abc.Stream,
    choice: Callable[[str | None], ServerPolicy | None],
    server_name: str | None,
) -> ServerPolicy:
    """The policy for a server name. Raises HandshakeFailure, after an alert, if there is none.

    What `choice` raises goes on to the caller, after an alert too.
    """
    try:
        policy = choice(server_name)
    except Exception:
        await _refuse(transport, _INTERNAL_ERROR)
        raise
    if policy is not None:
        return policy
    await _refuse(transport, UNRECOGNIZED_NAME)
    alert = Alert(UNRECOGNIZED_NAME)
    wanted = "no server name" if server_name is None else f"the name {server_name!a}"
    raise HandshakeFailure(
        f"the client asks for {wanted}, which is not served here (sent {alert})",
        reason=alert.explanation.meaning,
        alert=alert,
        alert_direction="sent",
        hint=alert.explanation.fix,
    )


def peer_left(what: str) -> HandshakeFailure:
    """The failure of a handshake in which the peer did `what` and said nothing."""
    return HandshakeFailure(
        f"the peer {what}",
        reason=f"the peer {what}",
        hint="it may have crashed, refused without a word, or not speak TLS",
    )


async def _refuse(transport: trio.abc.Stream, number: int) -> None:
    """Send a fatal alert in plain, as all are before the ServerHello (RFC 8446 section 6)."""
    with trio.move_on_after(FAREWELL_SECONDS):
        try:
            await transport.send_all(bytes((21, 3, 3, 0, 2, 2, number)))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return
