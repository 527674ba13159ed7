"""Mail: the server against real clients, its limits, and what it does around STARTTLS."""

from __future__ import annotations

import shutil
import smtplib
import ssl
from pathlib import Path

import pytest
import trio
import trio.testing

from tlslab.errors import NetworkError, TLSError
from tlslab.lab import Lab, open_lab
from tlslab.lab.mail import MAX_LETTER, MAX_RECIPIENTS, MailServer
from tlslab.lab.smtp_lines import MAX_LINE, Lines
from tlslab.tls import CertificateRefused


async def talk(lab: Lab, server: MailServer, *lines: bytes) -> list[bytes]:
    """Say lines to a server in the clear, each after the reply to the one before; the replies.

    The last is empty if the server broke off.
    """
    async with await lab.network.host("somebody").connect(server.name, server.port) as stream:
        replies = [bytes(await stream.receive_some())]
        try:
            for line in lines:
                await stream.send_all(line + b"\r\n")
                replies.append(bytes(await stream.receive_some()))
        except trio.BrokenResourceError:  # a reset: not all was read
            replies.append(b"")
        return replies


@pytest.mark.parametrize("implicit", [False, True])
async def test_pythons_own_client_sends_a_letter(implicit: bool, tmp_path: Path) -> None:
    async with open_lab(tmp_path, "lab") as lab:
        server = await lab.mail_server("localhost", implicit_tls=implicit)
        context = ssl.create_default_context(cadata=lab.ca.root_pem.decode())

        def send() -> None:
            assert server.address is not None
            port = server.address[1]
            smtp = (
                smtplib.SMTP_SSL("localhost", port, timeout=10, context=context)
                if implicit
                else smtplib.SMTP("localhost", port, timeout=10)
            )
            with smtp:
                if not implicit:
                    smtp.starttls(context=context)
                smtp.ehlo()
                assert smtp.has_extn("8bitmime")
                assert not smtp.has_extn("starttls")
                smtp.sendmail("alice@client.test", ["bob@mail.test"], b"Dear Bob\r\n.dot\r\n")

        await trio.to_thread.run_sync(send)
    assert server.mailboxes == {"bob@mail.test": [b"Dear Bob\r\n.dot"]}


async def test_openssl_speaks_starttls_with_it(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    async with open_lab(tmp_path, "lab") as lab:
        server = await lab.mail_server()
        (tmp_path / "root.pem").write_bytes(lab.ca.root_pem)
        assert server.address is not None
        where = f"127.0.0.1:{server.address[1]}"
        done = await trio.run_process(
            ["openssl", "s_client", "-starttls", "smtp", "-connect", where,
             "-CAfile", str(tmp_path / "root.pem"), "-verify_hostname", "mail.test",
             "-verify_return_error", "-quiet"],
            stdin=b"QUIT\r\n", capture_stdout=True, capture_stderr=True,
        )  # fmt: skip
    assert b"221 goodbye" in done.stdout


@pytest.mark.parametrize("tls", ["if offered", "required"])
async def test_a_forged_certificate_is_refused_after_starttls(tls: str, tmp_path: Path) -> None:
    async with open_lab(tmp_path, "lab") as lab:
        server = await lab.mail_server()
        client = lab.mail_client(tls=tls)  # type: ignore[arg-type]
        client.distrust(lab.ca.root)
        with pytest.raises(CertificateRefused):
            await client.send(server, "bob@mail.test", lab.canary("letter"))
    assert server.received == []


@pytest.mark.parametrize(("tls", "sent"), [("if offered", True), ("required", False)])
async def test_a_server_without_tls(tls: str, sent: bool, tmp_path: Path) -> None:
    async with open_lab(tmp_path, "lab") as lab:
        server = await lab.mail_server()
        server.policy = None
        client = lab.mail_client(tls=tls)  # type: ignore[arg-type]
        letter = lab.canary("letter")
        if sent:
            await client.send(server, "bob@mail.test", letter)
        else:
            with pytest.raises(TLSError) as caught:
                await client.send(server, "bob@mail.test", letter)
            assert caught.value.hint
    assert server.received == ([letter.token] if sent else [])
    assert len(lab.journal.refusals) == (0 if sent else 1)


async def test_commands_out_of_order_or_unknown(tmp_path: Path) -> None:
    async with open_lab(tmp_path, "lab") as lab:
        server = await lab.mail_server()
        replies = await talk(
            lab, server, b"DATA", b"RCPT TO:<b@x>", b"MAIL FROM:a@x", b"VRFY b", b"STARTTLS x",
            b"mail from:<>", b"MAIL FROM:<>", b"rset", b"RCPT TO:<b@x>", b"", b"quit",
        )  # fmt: skip
    codes = [int(reply[:3]) for reply in replies]
    assert codes == [220, 503, 503, 503, 500, 503, 250, 503, 250, 503, 500, 221]
    assert server.mailboxes == {}


@pytest.mark.parametrize(("size", "answer"), [(MAX_LINE - 2, b"500"), (MAX_LINE - 1, b"")])
async def test_a_line_is_as_long_as_the_limit(size: int, answer: bytes, tmp_path: Path) -> None:
    async with open_lab(tmp_path, "lab") as lab:
        server = await lab.mail_server()
        assert (await talk(lab, server, b"x" * size))[-1][:3] == answer


async def test_a_letter_has_as_many_recipients_as_the_limit(tmp_path: Path) -> None:
    async with open_lab(tmp_path, "lab") as lab:
        server = await lab.mail_server()
        wanted = [b"RCPT TO:<b%d@x>" % number for number in range(MAX_RECIPIENTS + 1)]
        replies = await talk(lab, server, b"MAIL FROM:<>", *wanted, b"DATA", b"hello\r\n.")
    assert [reply[:3] for reply in replies[-4:]] == [b"250", b"452", b"354", b"250"]
    assert len(server.mailboxes) == MAX_RECIPIENTS


@pytest.mark.parametrize("size", [MAX_LETTER, MAX_LETTER + 1])
async def test_a_letter_is_as_large_as_the_limit(size: int, tmp_path: Path) -> None:
    text = b"\r\n".join(b"x" * 512 for _ in range(MAX_LETTER // 512)) + b"x" * (size - MAX_LETTER)
    async with open_lab(tmp_path, "lab") as lab:
        server = await lab.mail_server()
        ahead = (b"MAIL FROM:<>", b"RCPT TO:<b@x>", b"DATA")
        replies = await talk(lab, server, *ahead, text + b"\r\n.")
    assert (replies[-1][:3] == b"250") is (size <= MAX_LETTER)
    assert len(server.received) == (1 if size <= MAX_LETTER else 0)


async def test_nothing_from_before_tls_counts_after_it(tmp_path: Path) -> None:
    """The state is reset too: a sender named in the clear is not the sender over TLS."""
    async with open_lab(tmp_path, "lab") as lab:
        server = await lab.mail_server()
        context = ssl.create_default_context(cadata=lab.ca.root_pem.decode())
        context.check_hostname = False

        def ask() -> int:
            assert server.address is not None
            with smtplib.SMTP("localhost", server.address[1], timeout=10) as smtp:
                assert smtp.mail("a@x")[0] == 250
                smtp.starttls(context=context)
                return smtp.rcpt("b@x")[0]

        assert await trio.to_thread.run_sync(ask) == 503


@pytest.mark.parametrize("size", [1, 2, 100])
async def test_lines_however_they_are_cut(size: int) -> None:
    near, far = trio.testing.memory_stream_pair()
    said = b"one\r\n\r\nt\nwo\r\nrest"
    lines = Lines(far)
    for at in range(0, len(said), size):
        await near.send_all(said[at : at + size])
    await near.send_eof()
    assert [await lines.read() for _ in range(3)] == [b"one", b"", b"t\nwo"]
    with pytest.raises(NetworkError):
        await lines.read()


@pytest.mark.parametrize(("forget", "next_line"), [(True, b"new"), (False, b"old")])
async def test_what_is_unread_is_forgotten_or_kept(forget: bool, next_line: bytes) -> None:
    (near, far), (near2, far2) = (trio.testing.memory_stream_pair() for _ in range(2))
    lines = Lines(far)
    await near.send_all(b"STARTTLS\r\nold\r\n")
    await near2.send_all(b"new\r\n")
    assert await lines.read() == b"STARTTLS"
    lines.go_on(far2, forget=forget)
    assert await lines.read() == next_line
