"""Only what came over TLS counts as secure, and only the proxy can say so for others."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest
import trio
from trio.testing import memory_stream_pair

from tlslab.endpoint.door import Door
from tlslab.http import HTTPClient, Request, Response
from tlslab.iam import Hop
from tlslab.net.forwarded import SIGNATURE, Forwarded, Gate, NotForwarded, announce

KEY = os.urandom(32)
NOW = datetime(2026, 1, 2, tzinfo=UTC)
DIRECT = Hop(secure=False, source_ip="127.0.0.1")


async def seen(door: Door, hop: Hop, preamble: bytes = b"", *, piece: int = 10**6) -> str:
    """What a handler behind the door is told about a request's way."""
    ours, theirs = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(door.serve, theirs, hop)
        for start in range(0, len(preamble), piece):
            await ours.send_all(preamble[start : start + piece])
        client = HTTPClient(ours, host="store.test")
        headers = [(b"X-Forwarded-Proto", b"https"), (b"Forwarded", b"proto=https;for=192.0.2.66")]
        response = await client.request("GET", "/", headers=headers)
        body = await response.read()
        await client.aclose()
    return body.decode()


async def told(request: Request, hop: Hop) -> Response:
    return Response(200, body=f"{hop.secure} {hop.source_ip}".encode())


def door(gate: Gate | None = None) -> Door:
    return Door(told, gate=gate, now=lambda: NOW)


async def test_a_direct_connection_is_what_it_is() -> None:
    assert await seen(door(), DIRECT) == "False 127.0.0.1"
    assert await seen(door(), Hop(secure=True, source_ip="::1")) == "True ::1"
    assert await seen(door(Gate(KEY)), DIRECT) == "False 127.0.0.1"


@pytest.mark.parametrize("piece", [1, 7, 16, 1000])
@pytest.mark.parametrize(("version", "secure"), [("TLSv1.3", True), (None, False)])
async def test_the_proxy_says_how_its_client_came(
    piece: int, version: str | None, secure: bool
) -> None:
    header = announce(Forwarded("192.0.2.7", 5000, version), KEY, now=NOW)
    assert await seen(door(Gate(KEY)), DIRECT, header, piece=piece) == f"{secure} 192.0.2.7"


@pytest.mark.parametrize("gate", [None, Gate(os.urandom(32))])
async def test_nobody_else_can_say_it(gate: Gate | None) -> None:
    header = announce(Forwarded("192.0.2.7", 5000, "TLSv1.3"), KEY, now=NOW)
    ours, theirs = memory_stream_pair()
    await ours.send_all(header + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    with pytest.raises(NotForwarded):
        await door(gate).serve(theirs, DIRECT)
    with pytest.raises(trio.BrokenResourceError):
        await ours.send_all(b"x")


async def test_a_header_cut_off_is_no_request() -> None:
    ours, theirs = memory_stream_pair()
    await ours.send_all(SIGNATURE + b"\x21\x11")
    await ours.send_eof()
    with pytest.raises(NotForwarded):
        await door(Gate(KEY)).serve(theirs, DIRECT)
