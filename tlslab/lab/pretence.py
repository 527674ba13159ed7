"""Who says that a request came over TLS: clients that only claim it, and stores that believe them.

The project's door takes nobody's word but that of a proxy that proves itself. The doors here, which
believe what any client can say, are for showing what that leads to.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, TypeAlias

from tlslab.capture import Canary
from tlslab.endpoint import Door
from tlslab.endpoint.door import Answer as AnswerTo
from tlslab.http import PeerGone, Request, Response, header
from tlslab.iam import Hop
from tlslab.lab.client import Client
from tlslab.lab.url import URL
from tlslab.net import Connection
from tlslab.net.forwarded import Forwarded, Gate, announce

Claim: TypeAlias = Literal["X-Forwarded-Proto", "PROXY header"]
"""A statement that a connection came over TLS: a field of every request, or the first bytes."""

_FIELD = b"x-forwarded-proto"
_MAC_BYTES = 32
"""At the end of a PROXY header, the proof of who said it (`net.forwarded`)."""


@dataclass(kw_only=True)
class ClaimingClient(Client):
    """A client that claims its plain connection to be TLS. It asks before it sends a body."""

    claim: Claim

    async def offer(
        self, url: str, body: bytes | Canary, *, headers: Iterable[tuple[bytes, bytes]] = ()
    ) -> bool:
        """Offer an object; whether it was taken. What the store does not want is not sent."""
        fields = [*headers, (b"expect", b"100-continue")]
        if self.claim == "X-Forwarded-Proto":
            fields.append((_FIELD, b"https"))
        try:
            answer = await self.put(url, body, headers=fields)
        except PeerGone:
            return False
        return answer.status < 300

    async def reach(self, to: URL) -> Connection:
        """Connect, and say at once what a proxy would say; the proof is made up."""
        connection = await super().reach(to)
        if self.claim == "PROXY header":
            client = Forwarded(connection.source, connection.flow.client.port, "TLSv1.3")
            said = announce(client, os.urandom(_MAC_BYTES), now=datetime.now().astimezone())
            await connection.send_all(said)
        return connection


def door(answer: AnswerTo, proxy_key: bytes, *, believes: Claim | None) -> Door:
    """The door of a store: the project's own, or one that believes a claim without proof."""
    if believes == "PROXY header":
        return Door(answer, gate=_CredulousGate(proxy_key))
    gate = Gate(proxy_key)
    if believes == "X-Forwarded-Proto":
        return Door(_believing_the_field(answer), gate=gate)
    return Door(answer, gate=gate)


class _CredulousGate(Gate):
    """Takes what any connection says for the proxy's word, as most servers do by default."""

    def check(self, whole: bytes, *, now: datetime) -> Forwarded:
        said = whole[:-_MAC_BYTES]
        return super().check(said + hmac.digest(self.key, said, "sha256"), now=now)


def _believing_the_field(answer: AnswerTo) -> AnswerTo:
    async def handle(request: Request, hop: Hop) -> Response:
        if header(request.headers, _FIELD) == b"https":
            hop = replace(hop, secure=True)
        return await answer(request, hop)

    return handle
