"""Stapled OCSP responses, and the client's own judge: what it sees, and how it refuses."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing

from tlslab.pki import Authority, Credential, Explanation, explain_x509
from tlslab.pki.revocation import Revocations
from tlslab.tls import (
    CertificateRefused,
    ClientPolicy,
    HandshakeFailure,
    Objection,
    ServerPolicy,
    Shown,
    TLSStream,
    Version,
)

VERSIONS = pytest.mark.parametrize("version", [Version.TLS_1_2, Version.TLS_1_3])
STATUS_RESPONSE, CERTIFICATE_REVOKED, HANDSHAKE_FAILURE = 113, 44, 40
APPLICATION, REVOKED = 50, 23


class Jury:
    """A judge that keeps what it was shown and objects if told to."""

    def __init__(self, objection: Exception | None = None) -> None:
        self.shown: list[Shown] = []
        self._objection = objection

    async def __call__(self, shown: Shown) -> None:
        self.shown.append(shown)
        await trio.lowlevel.checkpoint()
        if self._objection is not None:
            raise self._objection


@pytest.fixture(scope="module")
def response(authority: Authority, credential: Credential) -> bytes:
    return Revocations(authority).response(credential.certificate)


@VERSIONS
@pytest.mark.parametrize("asked", [False, True])
async def test_a_staple_comes_to_those_who_ask(
    connect: Any, careful: ClientPolicy, serving: ServerPolicy, response: bytes,
    version: Version, asked: bool,
) -> None:  # fmt: skip
    jury = Jury()
    client, _ = await connect(
        replace(careful, maximum=version, ask_status=asked, judge=jury),
        replace(serving, staple=response),
    )
    (shown,) = jury.shown
    assert shown.staple == client.facts.staple == (response if asked else None)
    assert shown.server_name == "shop.test"
    assert shown.chain[:2] == client.facts.peer_chain
    assert client.facts.version == version.value


@VERSIONS
@pytest.mark.parametrize("staple", [None, b"", b"garbage", lambda: None, "another's"])
async def test_what_openssl_does_not_staple(
    connect: Any, careful: ClientPolicy, serving: ServerPolicy, version: Version, staple: Any,
    authority: Authority,
) -> None:  # fmt: skip
    """No response at all, garbage, or one that is about another certificate: the server's OpenSSL
    leaves it out."""
    if staple == "another's":
        staple = Revocations(authority).response(authority.issue("other.test").certificate)
    jury = Jury()
    client, _ = await connect(
        replace(careful, maximum=version, ask_status=True, judge=jury),
        replace(serving, staple=staple),
    )
    assert [shown.staple for shown in jury.shown] == [None]
    assert client.facts.staple is None


async def test_a_callable_is_asked_for_each_connection(
    connect: Any, careful: ClientPolicy, serving: ServerPolicy, response: bytes
) -> None:
    staples = iter([None, response])
    policy = replace(serving, staple=lambda: next(staples))
    for expected in (None, response):
        client, _ = await connect(replace(careful, ask_status=True), policy)
        assert client.facts.staple == expected


@VERSIONS
@pytest.mark.parametrize("asked", [False, True])
async def test_an_objection_to_the_staple_has_its_own_alert(
    refused: Any, careful: ClientPolicy, serving: ServerPolicy, version: Version, asked: bool
) -> None:
    why = Explanation("no staple", "There is none.", "It was left out.", "Staple one.")
    objection = Objection("no staple", x509_number=REVOKED, by_staple=True, explanation=why)
    jury = Jury(objection)
    ours, theirs = await refused(
        replace(careful, maximum=version, ask_status=asked, judge=jury), serving
    )
    assert isinstance(ours, CertificateRefused)
    assert (ours.x509_number, ours.depth, ours.reason) == (REVOKED, 0, "no staple")
    assert (ours.hint, ours.explanation, ours.x509_name) == (why.fix, why, "certificate revoked")
    assert len(jury.shown) == 1
    assert (ours.alert_direction, theirs.alert_direction) == ("sent", "received")
    assert ours.alert is not None
    wanted = STATUS_RESPONSE if asked else CERTIFICATE_REVOKED
    assert ours.alert.number == theirs.alert.number == wanted


@VERSIONS
@pytest.mark.parametrize(
    ("number", "alert"), [(REVOKED, CERTIFICATE_REVOKED), (APPLICATION, HANDSHAKE_FAILURE)]
)
async def test_any_other_objection_has_its_numbers_alert(
    refused: Any, careful: ClientPolicy, serving: ServerPolicy, version: Version,
    number: int, alert: int,
) -> None:  # fmt: skip
    jury = Jury(Objection("not liked", x509_number=number, depth=1))
    ours, theirs = await refused(replace(careful, maximum=version, judge=jury), serving)
    assert isinstance(ours, CertificateRefused)
    assert (ours.x509_number, ours.depth) == (number, 1)
    assert ours.certificate == jury.shown[0].chain[1]
    assert ours.explanation == explain_x509(number)
    assert ours.alert is not None
    assert ours.alert.number == theirs.alert.number == alert


async def test_tls12_with_a_status_request_has_one_alert_for_all(
    refused: Any, careful: ClientPolicy, serving: ServerPolicy, response: bytes
) -> None:
    """The staple comes after the chain was verified; then OpenSSL has only this alert left."""
    jury = Jury(Objection("revoked, says the list", x509_number=REVOKED))
    policy = replace(careful, maximum=Version.TLS_1_2, ask_status=True, judge=jury)
    ours, theirs = await refused(policy, replace(serving, staple=response))
    assert isinstance(ours, CertificateRefused)
    assert ours.alert is not None
    assert jury.shown[0].staple == response
    assert (ours.x509_number, ours.alert.number) == (REVOKED, STATUS_RESPONSE)
    assert theirs.alert.number == STATUS_RESPONSE


@VERSIONS
async def test_no_byte_leaves_before_the_judge_has_spoken(
    ends: Any, careful: ClientPolicy, version: Version
) -> None:
    """The same judge, objecting or not: with the objection, the server is sent nothing."""
    for objection in (None, Objection("no")):
        client, server = ends(replace(careful, maximum=version, judge=Jury(objection)))
        got = bytearray()

        async def serve(server: TLSStream = server, got: bytearray = got) -> None:
            with contextlib.suppress(HandshakeFailure):
                got += await server.receive_some()
            await trio.aclose_forcefully(server)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            try:
                await client.send_all(b"secret")
            except CertificateRefused:
                assert objection is not None
            await trio.aclose_forcefully(client)
        assert bytes(got) == (b"" if objection else b"secret")


@VERSIONS
async def test_openssls_refusal_comes_first(
    refused: Any, careful: ClientPolicy, serving: ServerPolicy, version: Version
) -> None:
    jury = Jury()
    policy = replace(careful, maximum=version, judge=jury, ask_status=True)
    ours, _ = await refused(policy, serving, name="other.test")
    assert ours.x509_number == 62
    assert jury.shown == []


@VERSIONS
async def test_a_client_that_verifies_nothing_can_still_judge(
    refused: Any, serving: ServerPolicy, version: Version, authority: Authority
) -> None:
    """A pin, say, in place of a trust store."""
    jury = Jury(Objection("not the pinned key"))
    careless = ClientPolicy(
        trust=Authority.create("other").trust, verify_chain=False, verify_name=False
    )
    ours, _ = await refused(replace(careless, maximum=version, judge=jury), serving)
    assert ours.x509_number == APPLICATION
    assert jury.shown[0].chain == serving.credential.chain


async def test_an_anonymous_server_is_judged_too(
    refused: Any, careful: ClientPolicy, serving: ServerPolicy
) -> None:
    anonymous: dict[str, Any] = {"maximum": Version.TLS_1_2, "ciphers": "aNULL:@SECLEVEL=0"}
    jury = Jury(Objection("no certificate at all"))
    client, server = replace(careful, **anonymous), replace(serving, **anonymous)
    assert await refused(client, server) == (None, None)
    ours, _ = await refused(replace(client, judge=jury), server)
    assert isinstance(ours, CertificateRefused)
    assert jury.shown[0].chain == ()


@VERSIONS
async def test_a_resumed_session_is_not_judged_again(
    connect: Any, careful: ClientPolicy, serving: ServerPolicy, version: Version
) -> None:
    jury = Jury()
    policy = replace(careful, maximum=version, judge=jury, ask_status=True)
    client, server = await connect(policy, serving)
    await server.send_all(b"x")
    await client.receive_some()
    options = {"session": client.session}
    again, _ = await connect(policy, serving, client_options=options)
    assert again.facts.resumed
    assert len(jury.shown) == 1


async def test_what_a_judge_raises_comes_out(
    ends: Any, careful: ClientPolicy, serving: ServerPolicy
) -> None:
    client, server = ends(replace(careful, judge=Jury(KeyError("a mistake in the judge"))))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(_served_in_vain, server))
        with pytest.raises(KeyError):
            await client.do_handshake()
        await trio.aclose_forcefully(client)


async def _served_in_vain(server: TLSStream) -> None:
    with pytest.raises(HandshakeFailure):
        await server.do_handshake()
    await trio.aclose_forcefully(server)


async def test_the_deadline_holds_for_the_judge(
    ends: Any, careful: ClientPolicy, serving: ServerPolicy
) -> None:
    async def asleep(_: Shown) -> None:
        await trio.sleep_forever()

    client, server = ends(
        replace(careful, judge=asleep), client_options={"handshake_timeout": 0.05}
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(_served_in_vain, server))
        with pytest.raises(HandshakeFailure) as caught:
            await client.do_handshake()
        assert caught.value.alert is None
        await trio.aclose_forcefully(client)


@VERSIONS
@pytest.mark.parametrize("stapled", [False, True])
async def test_openssl_s_client_reads_our_staple(
    credential: Credential, authority: Authority, response: bytes,
    version: Version, stapled: bool, tmp_path: Any,
) -> None:  # fmt: skip
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    (tmp_path / "root.pem").write_bytes(authority.root_pem)
    policy = ServerPolicy(credential, staple=response if stapled else None, maximum=version)

    async def serve(stream: trio.SocketStream) -> None:
        server = TLSStream.server(stream, policy)
        async with server:
            await server.do_handshake()
            await server.receive_some()

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listeners[0].socket.getsockname()[1]
        nursery.start_soon(trio.serve_listeners, serve, listeners)
        done = await trio.run_process(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-status",
             "-servername", "shop.test", "-CAfile", str(tmp_path / "root.pem")],
            stdin=b"", capture_stdout=True, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        nursery.cancel_scope.cancel()
    assert (b"Cert Status: good" in done.stdout) is stapled
    assert (b"OCSP response: no response sent" in done.stdout) is not stapled


@VERSIONS
@pytest.mark.parametrize("about", ["the certificate", "another one"])
async def test_we_read_the_staple_of_openssl_s_server(
    credential: Credential, authority: Authority, careful: ClientPolicy,
    version: Version, about: str, tmp_path: Any,
) -> None:  # fmt: skip
    """Also one about another certificate, which OpenSSL 4 (unlike 3.0) would not send."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    (tmp_path / "chain.pem").write_bytes(credential.chain_pem)
    (tmp_path / "key.pem").write_bytes(credential.key_pem)
    other = authority.issue("other.test")
    stapled = (credential if about == "the certificate" else other).certificate
    response = Revocations(authority).response(stapled)
    (tmp_path / "staple.der").write_bytes(response)
    chain, key = str(tmp_path / "chain.pem"), str(tmp_path / "key.pem")
    command = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-naccept", "1", "-cert", chain,
               "-cert_chain", chain, "-key", key,
               "-status_file", str(tmp_path / "staple.der")]  # fmt: skip
    async with trio.open_nursery() as nursery:
        run = partial(trio.run_process, command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process = await nursery.start(partial(run, check=False))
        said = b""
        while not (found := re.search(rb"ACCEPT 127\.0\.0\.1:(\d+)\n", said)):
            said += await process.stdout.receive_some()
        transport = await trio.open_tcp_stream("127.0.0.1", int(found[1]))
        policy = replace(careful, ask_status=True, maximum=version)
        async with TLSStream.client(transport, policy, "shop.test") as client:
            await client.do_handshake()
            assert client.facts.staple == response
        nursery.cancel_scope.cancel()
