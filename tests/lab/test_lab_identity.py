"""Identities forwarded, tokens bound, and tunnels: the pieces, and what they do with nonsense."""

from __future__ import annotations

import base64
import hashlib
from contextlib import suppress
from pathlib import Path

import pytest
import trio
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from tlslab.errors import NetworkError, ScenarioError
from tlslab.lab import open_lab
from tlslab.lab.binding import Binding, end_point
from tlslab.lab.explicit_proxy import MAX_HEAD, PROXY_PORT
from tlslab.lab.identity import MAX_CERTIFICATE, forwarded, forwarded_certificate
from tlslab.pki import Authority

CA = Authority.create("a test's CA")
LEAF = CA.issue("alice.test", profile="client").certificate


def test_a_certificate_survives_the_field() -> None:
    value = forwarded(LEAF)
    assert value.startswith(b":")
    assert value.endswith(b":")
    assert forwarded_certificate([(b"client-cert", value)]) == LEAF


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b":",
        b"::",
        forwarded(LEAF)[1:],
        forwarded(LEAF)[:-1],
        b":" + base64.b64encode(b"no certificate") + b":",
        b":???:",
        forwarded(LEAF).replace(b":", b'"'),
        b":" + b"A" * MAX_CERTIFICATE + b":",
    ],
)
def test_what_is_no_certificate_is_nobody(value: bytes) -> None:
    assert forwarded_certificate([(b"Client-Cert", value)]) is None
    assert forwarded_certificate([]) is None


@given(st.binary(max_size=200))
def test_any_field_is_a_certificate_or_nobody(value: bytes) -> None:
    assert forwarded_certificate([(b"Client-Cert", b":" + base64.b64encode(value) + b":")]) is None


def test_the_end_point_is_the_hash_by_the_signatures_algorithm() -> None:
    der = LEAF.public_bytes(Encoding.DER)
    assert LEAF.signature_hash_algorithm is not None
    assert end_point(LEAF) == hashlib.new(LEAF.signature_hash_algorithm.name, der).digest()


@pytest.mark.parametrize("binding", ["nothing", "tls-exporter", "tls-server-end-point"])
async def test_without_anybody_between_a_bound_token_is_good(
    binding: Binding, tmp_path: Path
) -> None:
    async with open_lab(tmp_path, "lab") as lab:
        token, statement = lab.canary("token"), lab.canary("statement")
        bank = await lab.token_server("bank.test", token, reply=statement, binding=binding)
        right = lab.token_client(token, "right", binding=binding)
        wrong = lab.token_client(lab.canary("other"), "wrong", binding=binding)
        assert (await right.get(bank.url())).body == statement.token
        assert (await wrong.get(bank.url())).status == 401
        (refusal,) = lab.journal.refusals
        assert (refusal.refuser, refusal.peer, refusal.status) == ("bank.test", "wrong", 401)


async def test_a_token_is_not_shown_in_the_clear(tmp_path: Path) -> None:
    async with open_lab(tmp_path, "lab") as lab:
        shop = await lab.server("shop.test", tls=False)
        client = lab.token_client(lab.canary("token"))
        with pytest.raises(ScenarioError):
            await client.get(shop.url())
        assert shop.received == []


@pytest.mark.parametrize(
    ("said", "opened"),
    [
        (b"CONNECT shop.test:443 HTTP/1.1\r\n\r\n", True),
        (b"GET http://shop.test/ HTTP/1.1\r\n\r\n", False),
        (b"CONNECT shop.test HTTP/1.1\r\n\r\n", False),
        (b"CONNECT shop.test:https HTTP/1.1\r\n\r\n", False),
        (b"CONNECT " + b"x" * MAX_HEAD + b":1 HTTP/1.1\r\n\r\n", False),
    ],
)
async def test_a_proxy_opens_tunnels_and_nothing_else(
    said: bytes, opened: bool, tmp_path: Path
) -> None:
    async with open_lab(tmp_path, "lab") as lab:
        await lab.server("shop.test")
        await lab.cheating_proxy("proxy.test", genuine=lab.ca.issue("mallory.test"))
        async with await lab.network.host("client").connect("proxy.test", PROXY_PORT) as stream:
            answer = b""
            await stream.send_all(said)
            with suppress(trio.BrokenResourceError):  # a reset: not all was read
                answer = bytes(await stream.receive_some())
        assert answer.startswith(b"HTTP/1.1 200") is opened


async def test_a_client_whose_proxy_refuses_says_so(tmp_path: Path) -> None:
    async with open_lab(tmp_path, "lab") as lab:
        shop = await lab.server("shop.test")
        # Any web server will do as one that opens no tunnel.
        await lab.server("proxy.test", tls=False, port=PROXY_PORT)
        with pytest.raises(NetworkError):
            await lab.proxied_client("proxy.test").get(shop.url())
        assert shop.received == []
