"""Recordings and keys from anybody: the answer is plain text that authenticated, or a reason."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from tlslab.errors import UsageError
from tlslab.pki import Credential
from tlslab.tls import ClientPolicy, KeyLog, ServerPolicy, TLSStream, Version
from tlslab.tls.decryption import (
    CannotDecrypt,
    Decryptor,
    KeyLogSecrets,
    Opened,
    Recording,
    Secrets,
    StoredSession,
)
from tlslab.tls.decryption.secrets import MAX_SECRET
from tlslab.tls.decryption.suites import suite_of
from tlslab.tls.registry import CIPHER_SUITES

RANDOM, SECRET = "ab" * 32, "cd" * 48
LINE = f"CLIENT_RANDOM {RANDOM} {SECRET}"


# -- key logs --------------------------------------------------------------------------------------


def test_a_key_log_is_read() -> None:
    text = f"# comment\n\n{LINE}\r\n  {LINE.upper()}  \n"
    text += f"NEW_LABEL {RANDOM} 00\nRSA {'00' * 8} {SECRET}\n"
    log = KeyLogSecrets.parse(text)
    random = bytes.fromhex(RANDOM)
    assert log.get("CLIENT_RANDOM", random) == bytes.fromhex(SECRET)
    assert log.get("NEW_LABEL", random) == b"\0"
    assert log.get("CLIENT_RANDOM", bytes(32)) is None
    assert log.knows(random)
    assert not log.knows(bytes(32))
    assert len(log) == 2


@pytest.mark.parametrize(
    "line",
    [
        "CLIENT_RANDOM",
        f"CLIENT_RANDOM {RANDOM}",
        f"CLIENT_RANDOM {RANDOM[2:]} {SECRET}",
        f"CLIENT_RANDOM {RANDOM} {SECRET}0",
        f"CLIENT_RANDOM {RANDOM} {SECRET} more",
        f"CLIENT RANDOM {RANDOM} {SECRET}",
        f"CLIENT_RANDOM {RANDOM} {'00' * (MAX_SECRET + 1)}",
        f"CLIENT_RANDOM {RANDOM} {'00' * 48}",  # contradicts the first line
        f"RSA {'00' * 7} {SECRET}",
        "\x00",
    ],
)
def test_a_wrong_line_is_told_by_its_number(line: str) -> None:
    with pytest.raises(UsageError, match="line 2 of the key log"):
        KeyLogSecrets.parse(f"{LINE}\n{line}\n")


def test_the_longest_secret_is_read() -> None:
    log = KeyLogSecrets.parse(f"X {RANDOM} {'00' * MAX_SECRET}")
    assert log.get("X", bytes.fromhex(RANDOM)) == bytes(MAX_SECRET)


@given(st.text())
def test_any_text_is_a_key_log_or_not(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert len(KeyLogSecrets.parse(text)) <= text.count(" ")


# -- suites ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", CIPHER_SUITES)
def test_every_known_suite_is_understood_or_refused(number: int) -> None:
    name = CIPHER_SUITES[number]
    refused = ("NULL", "RC4", "3DES", "SCSV")
    if any(part in name for part in refused):
        with pytest.raises(CannotDecrypt, match=name):
            suite_of(number)
        return
    suite = suite_of(number)
    assert suite.key_size == (16 if "128" in name and "CHACHA" not in name else 32)
    assert (suite.mac is not None) is ("CBC" in name)
    assert suite.static_rsa is name.startswith("TLS_RSA_")
    assert suite.hash.name == ("sha384" if name.endswith("SHA384") else "sha256")
    assert bool(suite.key_exchange) is ("_WITH_" in name)


def test_unknown_suites_are_refused() -> None:
    for number in (0x0A0A, 0xFFFF, 0xC050):
        with pytest.raises(CannotDecrypt):
            suite_of(number)


# -- recordings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("to_server", "to_client"),
    [
        (b"", b""),
        (b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"),
        (b"\x16\x03\x01\x00\x04\x01\x00\x00\x00", b"\x16\x03\x03\x00\x04\x02\x00\x00\x00"),
        (b"\x16\x03\x01\x00\x04\x01\x00\x00\x00", b"\x15\x03\x03\x00\x02\x02\x28"),
        (b"\x17\x03\x03\x00\x01\x00", b"\x17\x03\x03\x00\x01\x00"),
    ],
)
def test_what_is_no_connection(to_server: bytes, to_client: bytes) -> None:
    with pytest.raises(CannotDecrypt):
        Decryptor(Secrets()).open(to_server, to_client)


@pytest.fixture(scope="module")
def recordings(recorder: Any, rsa: Credential, trust: Any) -> list[tuple[bytes, bytes, Secrets]]:
    """A short conversation in every kind of protection, with keys."""
    made = []

    async def converse(suite: str, version: Version) -> None:
        log, seen = KeyLog(), []  # type: ignore[var-annotated]
        left, right = (recorder(end, seen) for end in trio.testing.memory_stream_pair())
        ciphers = None if version is Version.TLS_1_3 else suite
        near = TLSStream.client(
            left,
            ClientPolicy(trust=trust, maximum=version, ciphers=ciphers),
            "shop.test",
            keylog=log,
        )
        far = TLSStream.server(right, ServerPolicy(rsa, ciphers=ciphers))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(near.do_handshake)
            nursery.start_soon(far.do_handshake)
        await near.send_all(b"question")
        await far.receive_some()
        await far.send_all(b"answer")
        await near.receive_some()
        await near.aclose()
        await far.aclose()
        keys = Secrets(KeyLogSecrets.parse(log.text), (rsa.key,))  # type: ignore[arg-type]
        made.append((left.sent, right.sent, keys))

    for suite, version in (
        ("", Version.TLS_1_3),
        ("ECDHE-RSA-AES128-GCM-SHA256", Version.TLS_1_2),
        ("AES128-SHA256", Version.TLS_1_2),
        ("AES128-GCM-SHA256", Version.TLS_1_2),
    ):
        trio.run(converse, suite, version)
    return made


@given(st.data())
def test_a_damaged_recording_gives_nothing_that_was_not_said(recordings: Any, data: Any) -> None:
    """Cut, overwritten, with bytes put in: what comes out is the beginning of what was said."""
    up, down, keys = data.draw(st.sampled_from(recordings))
    damaged = []
    for side in (up, down):
        at = data.draw(st.integers(0, len(side)))
        skip = data.draw(st.integers(0, 40))
        damaged.append(side[:at] + data.draw(st.binary(max_size=40)) + side[at + skip :])
    try:
        opened = Decryptor(keys).open(*damaged)
    except CannotDecrypt:
        return
    assert b"question".startswith(opened.to_server.data)
    assert b"answer".startswith(opened.to_client.data)


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_any_bytes(to_server: bytes, to_client: bytes) -> None:
    for secrets in (Secrets(), Secrets(KeyLogSecrets.parse(LINE))):
        with pytest.raises(CannotDecrypt):
            Decryptor(secrets).open(to_server, to_client)


@given(st.data())
def test_every_cut_of_a_recording(recordings: Any, data: Any) -> None:
    up, down, keys = data.draw(st.sampled_from(recordings))
    whole = Decryptor(keys).open(up, down)
    at = data.draw(st.integers(0, len(down)))
    try:
        cut: Opened = Decryptor(keys).open(up, down[:at])
    except CannotDecrypt:
        return
    fragments = whole.to_client.fragments
    assert cut.to_client.fragments == tuple(one for one in fragments if one.end <= at)


def test_sizes_are_exact(recordings: Any) -> None:
    """In TLS 1.3 n bytes take n + 22 on the wire: whoever counts knows how much was said."""
    up, down, keys = recordings[0]
    recording = Recording.read(up, down)
    opened = Decryptor(keys).open(up, down)
    for side, plain in (
        (recording.client, opened.to_server),
        (recording.server, opened.to_client),
    ):
        (fragment,) = plain.fragments
        (record,) = [one for one in side.protected if one.offset + one.size == fragment.end]
        assert record.size == len(fragment.data) + 22


# -- stored sessions -------------------------------------------------------------------------------


def hearing(stream: trio.SocketStream, heard: bytearray) -> Any:
    """The stream's `receive_some`, which keeps what it receives."""

    async def receive_some(size: int | None = None) -> bytes:
        data = bytes(await stream.receive_some(size))
        heard.extend(data)
        return data

    return receive_some


async def test_sessions_stored_by_s_client_are_read(
    tmp_path: Path, rsa: Credential, recorder: Any
) -> None:
    """`openssl s_client -sess_out` against our server; its session opens the connection."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    seen: list[Any] = []
    transports: list[Any] = []

    async def serve(stream: trio.SocketStream) -> None:
        transports.append(recorder(stream, seen))
        transports[0].receive_some = hearing(stream, heard)
        async with TLSStream.server(transports[0], ServerPolicy(rsa)) as tls:
            assert await tls.receive_some() == b"question\n"
            await tls.send_all(b"answer\n")

    heard = bytearray()
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    session = tmp_path / "session.pem"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        port = listener.socket.getsockname()[1]
        arguments = ["-connect", f"127.0.0.1:{port}", "-tls1_2", "-sess_out", str(session)]
        with trio.fail_after(20):
            await trio.run_process(
                [openssl, "s_client", *arguments, "-ign_eof"],
                stdin=b"question\n",
                capture_stdout=True,
                capture_stderr=True,
            )
        nursery.cancel_scope.cancel()
    stored = StoredSession.parse(session.read_bytes())
    assert (stored.version, len(stored.master_secret)) == (0x0303, 48)
    secrets = Secrets(sessions=dict.fromkeys(stored.names, stored.master_secret))
    opened = Decryptor(secrets).open(bytes(heard), transports[0].sent)
    assert (opened.to_server.data, opened.to_client.data) == (b"question\n", b"answer\n")
    assert opened.by == "the secret of its session"


@given(st.binary(max_size=200))
def test_what_is_no_session(data: bytes) -> None:
    with contextlib.suppress(UsageError):
        assert StoredSession.parse(data).master_secret in data
